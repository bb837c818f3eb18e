"""Fine-tuning an adapter: which stimuli, in which order, with which letters."""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from earwitness.audio.io import Waveform
from earwitness.core.errors import InputError
from earwitness.core.randomness import stream, stream_seed
from earwitness.model.engine.adapters import attach_adapter, base_of
from earwitness.model.engine.features import AudioEmbeddings, encode_spectrograms, spectrogram_of, stack_spectrograms
from earwitness.model.engine.loading import Memory
from earwitness.model.engine.losses import BatchLoss, TrainingTargets, answer_loss, training_targets
from earwitness.model.engine.optimisation import Schedule, optimise
from earwitness.model.engine.prompting import Prompt, tokenise
from earwitness.model.engine.training_pass import PassInputs, TrainingPass
from earwitness.model.families.loaded_model import LoadedModel, Scope
from earwitness.model.feature_files import pad
from earwitness.model.prediction import StimulusSource
from earwitness.runtime.saved_state import SavedState

if TYPE_CHECKING:
    from peft import PeftModel

COMPACT_ROWS = 8
"""Rows per pass that fit into 8 GB at full size."""


@dataclass(frozen=True)
class TrainingBatch:
    """Stimuli on their way to the model.

    content: spectrograms (batch, bins, frames) or audio embeddings (batch, longest, hidden size), on the model's device.
    lengths: of the spectrograms, in the family's unit, or audio tokens per stimulus. n_tokens: audio tokens per stimulus.
    """

    content: torch.Tensor
    lengths: tuple[int, ...]
    n_tokens: tuple[int, ...]


Collect = Callable[[npt.NDArray[np.int64]], TrainingBatch]
Encode = Callable[[torch.Tensor, tuple[int, ...]], AudioEmbeddings]


@dataclass(frozen=True)
class TrainingSet:
    """is_speech: one Boolean per stimulus; collect: the batch of the stimuli with the given indices; encode: audio
    embeddings of content and lengths of a batch."""

    is_speech: npt.NDArray[np.bool_]
    collect: Collect
    encode: Encode


def training_set(loaded: LoadedModel, sounds: StimulusSource, split: pd.DataFrame, scope: Scope) -> TrainingSet:
    """A split's train part, ordered by stimulus_id.

    scope: with "published" the adapter reaches the audio tower, so sounds are waveforms, kept as spectrograms and encoded at
    every step; with "language_model" they are features.
    Raises InputError where a stimulus of the split is not there, or a class is missing.
    """
    wanted = split[split.part == "train"].set_index("stimulus_id").label
    found: dict[str, Any] = {}
    for names, items in sounds.blocks(set(wanted.index)):
        found |= zip(names, items, strict=True)
    missing = sorted(set(wanted.index) - set(found))
    if missing:
        raise InputError(f"stimulus {missing[0]} of the split (and {len(missing) - 1} more) is in no shard; make the split again from these stimuli")
    if wanted.nunique() < 2:
        raise InputError("the train part has fewer than two classes; make the split again")
    items = [found[name] for name in sorted(found)]
    is_speech = (wanted[sorted(found)] == "SPEECH").to_numpy()
    if scope == "language_model":
        return TrainingSet(is_speech, *_from_vectors(loaded, items))
    return TrainingSet(is_speech, *_from_waveforms(loaded, items))


def _from_vectors(loaded: LoadedModel, vectors: list[torch.Tensor]) -> tuple[Collect, Encode]:
    def collect(chosen: npt.NDArray[np.int64]) -> TrainingBatch:
        audio = pad([vectors[i] for i in chosen], loaded.device)
        return TrainingBatch(audio.vectors, tuple(audio.n_tokens), tuple(audio.n_tokens))

    return collect, lambda content, lengths: AudioEmbeddings(content, list(lengths))


def _from_waveforms(loaded: LoadedModel, waveforms: list[Waveform]) -> tuple[Collect, Encode]:
    spectrograms = [spectrogram_of(loaded, waveform) for waveform in waveforms]

    def collect(chosen: npt.NDArray[np.int64]) -> TrainingBatch:
        rows = [spectrograms[i] for i in chosen]
        lengths = tuple(row.length for row in rows)
        return TrainingBatch(stack_spectrograms(loaded, rows), lengths, tuple(map(loaded.tokens_of, lengths)))

    return collect, lambda content, lengths: encode_spectrograms(loaded, content, lengths)


def train_adapter(
    loaded: LoadedModel,
    data: TrainingSet,
    prompt: Prompt,
    recipe: Mapping[str, Any],
    seed: int,
    resume: SavedState,
    memory: Memory = "fast",
) -> "tuple[PeftModel, pd.DataFrame]":
    """Train one adapter.

    recipe: the settings of config finetuning.recipes. The classes take turns, however unequal they are, and within a
    class every stimulus is seen once before any is seen again, in an order drawn from the seed; the option order (which
    letter means speech) is drawn anew each time. memory: "compact" computes activations a second time instead of keeping
    them, and passes few rows at a time.
    Returns the model with its adapter, in evaluation mode, and the history of `earwitness.model.engine.optimisation.optimise`.
    """
    torch.manual_seed(stream_seed(seed, "train_adapter", "initial") % 2**63)
    wrapped = attach_adapter(loaded, recipe["target_modules"], recipe["scope"], recipe["rank"], recipe["alpha"], recipe["dropout"])
    wrapped.train()
    model = base_of(wrapped)
    learner = replace(loaded, model=model)
    orders = tokenise(learner, prompt)
    size = recipe["batch_size"]
    steps = optimiser_steps(recipe, len(data.is_speech))
    items = presentation_order(data.is_speech, steps * size, seed)

    def inputs(step: int, rows: slice) -> PassInputs:
        chosen = items[step * size :][:size][rows]
        drawn = stream(seed, "train_adapter", "option order", step).integers(len(orders), size=size)[rows]
        prompts = [orders[k] for k in drawn]
        answers = [prompt.speech if data.is_speech[i] else prompt.nonspeech for i, prompt in zip(chosen, prompts, strict=True)]
        batch = data.collect(chosen)
        targets = training_targets(learner, batch.n_tokens, prompts, answers, recipe["loss_on"])
        return PassInputs({"content": batch.content, **targets.tensors}, (batch.lengths, targets.spans))

    def loss(given: PassInputs) -> BatchLoss:
        lengths, spans = given.layout
        audio = data.encode(given.tensors["content"], lengths)
        return answer_loss(learner, audio, TrainingTargets(spans, given.tensors), recipe["focal_gamma"])

    if memory == "compact":
        # transformers 5.17 to 5.22 know this name alone; later ones warn that it is the older of two.
        with warnings.catch_warnings(category=FutureWarning, action="ignore"):
            model.gradient_checkpointing_enable({"use_reentrant": False})
    schedule = Schedule(
        steps=steps,
        batch_size=size,
        micro_batch_size=min(size, recipe["micro_batch_size"] or (COMPACT_ROWS if memory == "compact" else size)),
        learning_rate=recipe["learning_rate"],
        warmup_fraction=recipe["warmup_fraction"],
        weight_decay=recipe["weight_decay"],
        max_gradient_norm=recipe["max_gradient_norm"],
    )
    trainable = {name: parameter for name, parameter in wrapped.named_parameters() if parameter.requires_grad}
    history = optimise(trainable, inputs, TrainingPass(loss, _records(loaded, memory)), schedule, seed, resume)
    return wrapped.eval(), history


def _records(loaded: LoadedModel, memory: Memory) -> bool:
    """Are passes recorded as CUDA graphs? Not with 4-bit weights, with activations computed twice, or where the family's hearing cannot be."""
    in_4_bits = any(type(module).__name__ == "Linear4bit" for module in loaded.model.modules())
    can = loaded.records_passes or not loaded.adapts_audio_tower
    return can and loaded.model.device.type == "cuda" and memory == "fast" and not in_4_bits


def optimiser_steps(recipe: Mapping[str, Any], n_stimuli: int) -> int:
    """How many steps a recipe takes on so many stimuli: enough for its epochs, or its steps where it has none."""
    return recipe["steps"] if recipe["epochs"] is None else math.ceil(recipe["epochs"] * n_stimuli / recipe["batch_size"])


def presentation_order(is_speech: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
    """Indices of the stimuli in the order they are presented: the classes in turn, each in whole epochs of drawn order."""
    order = np.empty(n_draws, dtype=np.int64)
    for turn, label in enumerate((True, False)):
        members = np.flatnonzero(is_speech == label)
        places = order[turn::2]
        epochs = [stream(seed, "train_adapter", "epoch", label, epoch).permutation(members) for epoch in range(-(-len(places) // len(members)))]
        places[:] = np.concatenate(epochs)[: len(places)] if epochs else []
    return order
