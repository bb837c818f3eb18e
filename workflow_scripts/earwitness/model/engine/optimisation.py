"""The optimisation loop that the tiny base and every adapter share: AdamW, warm-up and cosine, clipping, resumption."""

import functools
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import torch
from torch import nn

from earwitness.core.errors import InputError
from earwitness.core.progress import Progress
from earwitness.core.randomness import stream_seed
from earwitness.model.engine.training_pass import PassInputs, TrainingPass
from earwitness.runtime.device_memory import fetched
from earwitness.runtime.saved_state import SavedState

CHECKPOINT_INTERVAL_S = 60.0


@dataclass(frozen=True)
class Schedule:
    """steps: optimiser steps; batch_size: rows per step; micro_batch_size: rows per pass, whose gradients add up;
    learning_rate: its peak after the warm-up."""

    steps: int
    batch_size: int
    micro_batch_size: int
    learning_rate: float
    warmup_fraction: float
    weight_decay: float
    max_gradient_norm: float


def optimise(
    parameters: dict[str, nn.Parameter],
    inputs: Callable[[int, slice], PassInputs],
    training_pass: TrainingPass,
    schedule: Schedule,
    seed: int,
    resume: SavedState,
) -> pd.DataFrame:
    """Minimise the mean loss of each step's rows, `inputs(step, rows)`.

    What a step draws from torch depends on the seed and the step alone, so an interrupted and resumed run equals an
    uninterrupted one. Where memory runs out, the step starts again with half as many rows per pass. A GPU is given the next step before it has
    ended one: what a step found is read a step later.
    Returns the history: step (from 1), loss (nats), learning_rate, accuracy.
    Raises InputError where a single row does not fit into the device's memory.
    """
    on_gpu = all(parameter.is_cuda for parameter in parameters.values())
    # One kernel for all parameters, where the processor would start some for each.
    optimiser = torch.optim.AdamW(parameters.values(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay, fused=on_gpu)
    history: list[dict[str, float]] = []
    saved = resume.load()
    if saved is not None:
        tensors, history = saved
        _restore(parameters, optimiser, tensors)
    unread: list[tuple[int, float, Callable[[], list[float]]]] = []
    last_saved = time.monotonic()
    rows_per_pass = schedule.micro_batch_size
    for step in Progress(range(len(history), schedule.steps), initial=len(history), total=schedule.steps, desc="training", unit="steps"):
        optimiser.param_groups[0]["lr"] = rate = learning_rate(schedule, step)
        while True:
            torch.manual_seed(stream_seed(seed, "optimise", step) % 2**63)
            try:
                found = _gradients(inputs, training_pass, step, schedule.batch_size, rows_per_pass)
                break
            except torch.OutOfMemoryError:
                optimiser.zero_grad(set_to_none=False)
                rows_per_pass = _halved(rows_per_pass)
        nn.utils.clip_grad_norm_(parameters.values(), schedule.max_gradient_norm)
        optimiser.step()
        optimiser.zero_grad(set_to_none=False)
        history += [_row(*told) for told in unread]
        unread = [(step, rate, fetched(found))]
        if time.monotonic() - last_saved > CHECKPOINT_INTERVAL_S:
            history, unread = [*history, _row(*unread[0])], []
            resume.save(_state(parameters, optimiser), history)
            last_saved = time.monotonic()
    return pd.DataFrame([*history, *(_row(*told) for told in unread)])


def _row(step: int, rate: float, found: Callable[[], list[float]]) -> dict[str, float]:
    """A row of the history; waits for what the step found."""
    loss, accuracy = found()
    return {"step": step + 1, "loss": loss, "learning_rate": rate, "accuracy": accuracy}


def _gradients(inputs: Callable[[int, slice], PassInputs], training_pass: TrainingPass, step: int, rows: int, rows_per_pass: int) -> torch.Tensor:
    """Add the gradients of a step's mean loss; return that loss and the accuracy (2,), float64, on the device."""
    found = []
    for first in range(0, rows, rows_per_pass):
        chosen = slice(first, min(first + rows_per_pass, rows))
        share = (chosen.stop - chosen.start) / rows
        result = training_pass(inputs(step, chosen), share)
        found.append(share * torch.stack([result.loss.double(), result.accuracy.double()]))
    return functools.reduce(torch.add, found)


def _halved(rows_per_pass: int) -> int:
    torch.cuda.empty_cache()
    if rows_per_pass == 1:
        raise InputError("the device's memory does not hold a single training row; set resources.memory to compact, or use a larger device")
    print(f"out of memory with {rows_per_pass} rows per pass; going on with {rows_per_pass // 2}", file=sys.stderr, flush=True)
    return rows_per_pass // 2


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
            optimiser.state[parameter] = {key: tensors[f"{key}.{name}"].to(parameter.device) for key in keys}
