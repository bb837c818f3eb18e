"""The optimisation loop that the tiny base and every adapter share: AdamW, warm-up and cosine, clipping, resumption."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import torch
from torch import nn
from tqdm import trange

from earshot.engine.losses import BatchLoss
from earshot.randomness import stream_seed
from earshot.runtime.checkpoints import CheckpointFolder

CHECKPOINT_INTERVAL_S = 60.0


@dataclass(frozen=True)
class Schedule:
    """steps: optimiser steps; accumulation: micro-batches per step; learning_rate: its peak after the warm-up."""

    steps: int
    accumulation: int
    learning_rate: float
    warmup_fraction: float
    weight_decay: float
    max_gradient_norm: float


def optimise(
    parameters: dict[str, nn.Parameter], batch_loss: Callable[[int, int], BatchLoss], schedule: Schedule, seed: int, checkpoint: CheckpointFolder
) -> pd.DataFrame:
    """Minimise the mean loss of the micro-batches `batch_loss(step, micro)`.

    What a step draws from torch depends on the seed and the step alone, so an interrupted and resumed run equals an
    uninterrupted one.
    Returns the history: step (from 1), loss (nats), learning_rate, accuracy.
    """
    optimiser = torch.optim.AdamW(parameters.values(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    history: list[dict[str, float]] = []
    saved = checkpoint.load()
    if saved is not None:
        tensors, history = saved
        _restore(parameters, optimiser, tensors)
    last_saved = time.monotonic()
    for step in trange(len(history), schedule.steps, initial=len(history), total=schedule.steps, mininterval=5, desc="training"):
        torch.manual_seed(stream_seed(seed, "optimise", step) % 2**63)
        optimiser.param_groups[0]["lr"] = rate = learning_rate(schedule, step)
        losses = []
        for micro in range(schedule.accumulation):
            result = batch_loss(step, micro)
            (result.loss / schedule.accumulation).backward()
            losses.append((result.loss.item(), result.accuracy))
        nn.utils.clip_grad_norm_(parameters.values(), schedule.max_gradient_norm)
        optimiser.step()
        optimiser.zero_grad()
        loss, accuracy = (sum(column) / len(column) for column in zip(*losses, strict=True))
        history.append({"step": step + 1, "loss": loss, "learning_rate": rate, "accuracy": accuracy})
        if time.monotonic() - last_saved > CHECKPOINT_INTERVAL_S:
            checkpoint.save(_state(parameters, optimiser), history)
            last_saved = time.monotonic()
    return pd.DataFrame(history)


def learning_rate(schedule: Schedule, step: int) -> float:
    """The rate of step 0, 1, ...: linear warm-up to the peak, then half a cosine down towards zero."""
    warmup = round(schedule.warmup_fraction * schedule.steps)
    if step < warmup:
        return schedule.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(schedule.steps - warmup, 1)
    return schedule.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def _state(parameters: dict[str, nn.Parameter], optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    tensors = {f"parameter.{name}": parameter.detach() for name, parameter in parameters.items()}
    for name, parameter in parameters.items():
        for key, value in optimiser.state[parameter].items():
            tensors[f"{key}.{name}"] = value
    return tensors


def _restore(parameters: dict[str, nn.Parameter], optimiser: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[f"parameter.{name}"])
            keys = [key.removesuffix(f".{name}") for key in tensors if key.endswith(f".{name}") and not key.startswith("parameter.")]
            optimiser.state[parameter] = {key: _placed(tensors[f"{key}.{name}"], key, parameter) for key in keys}


def _placed(tensor: torch.Tensor, key: str, parameter: nn.Parameter) -> torch.Tensor:
    return tensor if key == "step" else tensor.to(parameter.device)
