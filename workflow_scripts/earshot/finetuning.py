"""Fine-tuning an adapter: which stimuli, in which order, with which letters."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from peft import PeftModel

from earshot.engine.adapters import attach_adapter, base_of
from earshot.engine.checkpoint import Checkpoint
from earshot.engine.features import encode, log_mel
from earshot.engine.losses import BatchLoss, answer_loss
from earshot.engine.optimisation import Schedule, optimise
from earshot.engine.prompting import Prompt, tokenise
from earshot.errors import InputError
from earshot.randomness import stream, stream_seed
from earshot.runtime.checkpoints import CheckpointFolder
from earshot.tables import STIMULI, iterate_audio


@dataclass(frozen=True)
class TrainingSet:
    """mel: one (mel bins, frames) spectrogram per stimulus; lengths: valid convolution lengths; is_speech."""

    mel: list[torch.Tensor]
    lengths: torch.Tensor
    is_speech: np.ndarray


def read_training_set(checkpoint: Checkpoint, shards: Iterable[Path], split: pd.DataFrame) -> TrainingSet:
    """The spectrograms of a split's train part, ordered by stimulus_id.

    Raises InputError where the shards lack a stimulus of the split, or a class is missing.
    """
    wanted = split[split.part == "train"].set_index("stimulus_id").label
    mel: dict[str, torch.Tensor] = {}
    lengths: dict[str, int] = {}
    for shard in shards:
        for rows, waveforms in iterate_audio(shard, STIMULI):
            chosen = [i for i, name in enumerate(rows.stimulus_id) if name in wanted.index]
            if not chosen:
                continue
            batch, valid = log_mel(checkpoint.processor.feature_extractor, [waveforms[i] for i in chosen])
            for i, spectrogram, length in zip(chosen, batch, valid.tolist(), strict=True):
                mel[rows.stimulus_id[i]] = spectrogram
                lengths[rows.stimulus_id[i]] = length
    missing = sorted(set(wanted.index) - set(mel))
    if missing:
        raise InputError(f"stimulus {missing[0]} of the split (and {len(missing) - 1} more) is in no shard; make the split again from these stimuli")
    if wanted.nunique() < 2:
        raise InputError("the train part has fewer than two classes; make the split again")
    order = sorted(mel)
    return TrainingSet([mel[name] for name in order], torch.tensor([lengths[name] for name in order]), (wanted[order] == "SPEECH").to_numpy())


def train_adapter(
    checkpoint: Checkpoint, data: TrainingSet, prompt: Prompt, recipe: Mapping[str, Any], seed: int, resume: CheckpointFolder
) -> tuple[PeftModel, pd.DataFrame]:
    """Train one adapter; the loss is on the answer's tokens alone.

    recipe: the settings of config finetuning.recipes. The classes take turns, however unequal they are, and within a
    class every stimulus is seen once before any is seen again, in an order drawn from the seed; the option order (which
    letter means speech) is drawn anew each time.
    Returns the model with its adapter, in evaluation mode, and the history of `earshot.engine.optimisation.optimise`.
    """
    torch.manual_seed(stream_seed(seed, "train_adapter", "initial") % 2**63)
    wrapped = attach_adapter(checkpoint, recipe["target_modules"], recipe["rank"], recipe["alpha"], recipe["dropout"])
    wrapped.train()
    model = base_of(wrapped)
    orders = tokenise(checkpoint.processor, prompt)
    size, micro_size = recipe["batch_size"], recipe["micro_batch_size"]
    items = presentation_order(data.is_speech, recipe["steps"] * size, seed)

    def batch_loss(step: int, micro: int) -> BatchLoss:
        chosen = items[step * size + micro * micro_size :][:micro_size]
        drawn = stream(seed, "train_adapter", "option order", step, micro).integers(len(orders), size=len(chosen))
        prompts = [orders[k] for k in drawn]
        answers = [prompt.speech if data.is_speech[i] else prompt.nonspeech for i, prompt in zip(chosen, prompts, strict=True)]
        mel = torch.nn.utils.rnn.pad_sequence([data.mel[i].T for i in chosen], batch_first=True, padding_value=0.0).transpose(1, 2)
        lengths = data.lengths[chosen]
        return answer_loss(model, encode(model, mel, lengths), (lengths // 2).tolist(), prompts, answers)

    schedule = Schedule(
        steps=recipe["steps"],
        accumulation=size // micro_size,
        learning_rate=recipe["learning_rate"],
        warmup_fraction=recipe["warmup_fraction"],
        weight_decay=recipe["weight_decay"],
        max_gradient_norm=recipe["max_gradient_norm"],
    )
    trainable = {name: parameter for name, parameter in wrapped.named_parameters() if parameter.requires_grad}
    history = optimise(trainable, batch_loss, schedule, seed, resume)
    return wrapped.eval(), history


def presentation_order(is_speech: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
    """Indices of the stimuli in the order they are presented: the classes in turn, each in whole epochs of drawn order."""
    order = np.empty(n_draws, dtype=np.int64)
    for turn, label in enumerate((True, False)):
        members = np.flatnonzero(is_speech == label)
        places = order[turn::2]
        epochs = [stream(seed, "train_adapter", "epoch", label, epoch).permutation(members) for epoch in range(-(-len(places) // len(members)))]
        places[:] = np.concatenate(epochs)[: len(places)] if epochs else []
    return order
