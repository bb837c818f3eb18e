"""Training the projector of an assembled base, with a low-rank change of its language model where that is wanted.

Everything else of both halves stays as it is; the language model is asked in many wordings.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from earwitness.core.files import atomic, sha256_of
from earwitness.core.randomness import stream, stream_seed
from earwitness.model.assembly import assemble
from earwitness.model.engine.adapters import attach_adapter
from earwitness.model.engine.features import AudioEmbeddings
from earwitness.model.engine.losses import BatchLoss, TrainingTargets, answer_loss, training_targets
from earwitness.model.engine.optimisation import Schedule, optimise
from earwitness.model.engine.training_pass import PassInputs, TrainingPass
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.halves import Encoder, LanguageModel
from earwitness.model.projector import LOW_RANK, save_projector
from earwitness.model.projector_questions import prompt_groups, questions_digest
from earwitness.model.training_stimuli import BaseCorpus, draw_stimuli
from earwitness.runtime.saved_state import SavedState, loaded_code_identity

ENCODED_AT_A_TIME = 64
"""Stimuli that the encoder takes in one pass."""


CHANGED = ["q_proj", "v_proj"]
"""Layers of the language model that a low-rank change is learned for: queries and values, as in Hu et al. 2022 (LoRA)."""


@dataclass(frozen=True)
class ProjectorSettings:
    """config models.NAME.projector: optimiser steps, stimuli per step, different stimuli, the peak learning rate, and the rank of what is added to
    layers of the language model, 0 for nothing."""

    steps: int
    batch_size: int
    pool: int
    learning_rate: float
    rank: int


@dataclass(frozen=True)
class EncodedStimuli:
    """Every stimulus to learn from, as the encoder encodes it.

    outputs: (stimuli, audio tokens, width of the tower), float16, on the CPU; all stimuli have one length.
    """

    outputs: torch.Tensor
    is_speech: npt.NDArray[np.bool_]


@torch.inference_mode()
def encode_stimuli(learner: LoadedModel, corpus: BaseCorpus, size: int, seed: int) -> EncodedStimuli:
    """Draw the stimuli (earwitness.model.training_stimuli.draw_stimuli) and encode each once."""
    outputs: list[torch.Tensor] = []
    is_speech: list[bool] = []
    drawn = draw_stimuli(corpus, size, seed, "train_projector")
    while batch := list(islice(drawn, ENCODED_AT_A_TIME)):
        outputs.append(learner.encode_audio(*learner.spectrograms([stimulus.waveform for stimulus in batch], learner.device)).half().cpu())
        is_speech += [stimulus.is_speech for stimulus in batch]
    return EncodedStimuli(torch.cat(outputs), np.array(is_speech))


def train_projector(
    learner: LoadedModel, encoded: EncodedStimuli, settings: ProjectorSettings, seed: int, resume: SavedState
) -> tuple[dict[str, torch.Tensor], pd.DataFrame]:
    """Train a base's projector, and nothing else of it but what `settings.rank` adds to its language model.

    Each row of a step is one stimulus with one prompt of its own; the loss is that of the answer and the end of the turn.
    Returns what was learned, as `earwitness.model.projector.save_projector` takes it, and the history of
    `earwitness.model.engine.optimisation.optimise`.
    """
    device = learner.device
    end_of_turn = learner.processor.tokenizer.eos_token_id
    groups = prompt_groups(learner, settings.rank)
    shares = np.array([group.share for group in groups])
    linear = learner.projector.linear
    n_tokens = encoded.outputs.shape[1]

    def inputs(step: int, rows: slice) -> PassInputs:
        rng = stream(seed, "train_projector", "batch", step)
        chosen = rng.choice(len(encoded.is_speech), settings.batch_size)
        kinds = rng.choice(len(groups), settings.batch_size, p=shares)
        drawn = rng.random(settings.batch_size)
        asked = [groups[kind].prompts[int(place * len(groups[kind].prompts))] for kind, place in zip(kinds, drawn, strict=True)]
        chosen, asked = chosen[rows], asked[rows]
        answers = [(*(prompt.speech if encoded.is_speech[i] else prompt.nonspeech), end_of_turn) for i, prompt in zip(chosen, asked, strict=True)]
        given = training_targets(learner, [n_tokens] * len(asked), asked, answers, "answer")
        return PassInputs({"outputs": encoded.outputs[chosen].to(device), **given.tensors}, given.spans)

    def loss(given: PassInputs) -> BatchLoss:
        projected = learner.project(given.tensors["outputs"].to(linear.weight.dtype))
        return answer_loss(learner, AudioEmbeddings(projected, [n_tokens] * len(projected)), TrainingTargets(given.layout, given.tensors))

    added = _added_layers(learner, settings.rank, seed) if settings.rank else {}
    linear.requires_grad_(True)
    learned = dict(linear.named_parameters()) | added
    steps, rows = settings.steps, settings.batch_size
    schedule = Schedule(steps, rows, rows, settings.learning_rate, warmup_fraction=0.03, weight_decay=0.01, max_gradient_norm=1.0)
    history = optimise(learned, inputs, TrainingPass(loss, recording=False), schedule, seed, resume)
    linear.requires_grad_(False)
    return {name: parameter.detach() for name, parameter in learned.items()}, history


def _added_layers(learner: LoadedModel, rank: int, seed: int) -> dict[str, nn.Parameter]:
    """Wrap layers of the language model with low-rank ones, whose weights are returned by the names of earwitness.model.projector.LOW_RANK.

    Their product is added to a layer's weight as it stands (alpha = rank).
    """
    torch.manual_seed(stream_seed(seed, "train_projector", "low rank") % 2**63)
    wrapped = attach_adapter(learner, CHANGED, "language_model", rank, alpha=rank, dropout=0.0)
    added = {}
    for name, parameter in wrapped.get_base_model().named_parameters():
        if parameter.requires_grad:
            layer, factor = name.removesuffix(".default.weight").rsplit(".", 1)
            added[f"{layer}.{LOW_RANK[factor]}"] = parameter
    return added


def make_projector(
    encoder: Encoder,
    language_model: LanguageModel,
    corpus: BaseCorpus,
    settings: ProjectorSettings,
    seed: int,
    device: torch.device,
    output: Path,
    history: Path,
) -> None:
    """Train a projector between two halves; write what was learned with its provenance (earwitness.model.projector), and its history
    (CSV: step, loss, learning_rate, accuracy).

    Where it heard recordings, its provenance says of how many sources. An interrupted training goes on from its state beside the output,
    to the same result.
    """
    recorded = corpus.recorded
    data = [sha256_of(path) for path in corpus.files()]
    if recorded is not None:
        data += [" ".join(map(str, row)) for row in recorded[["sha256", "label", "start_s", "end_s"]].itertuples(index=False)]
    provenance = {
        "encoder": encoder.sha256,
        "language_model": language_model.sha256,
        "corpus": hashlib.sha256("\n".join(data).encode()).hexdigest(),
        "questions": questions_digest(settings.rank),
        "settings": json.dumps(asdict(settings) | {"window_ms": corpus.window_ms, "seed": seed}, sort_keys=True),
        "code": loaded_code_identity(),
    }
    if recorded is not None:
        provenance["recorded_sources"] = str(recorded.source_id.nunique())
    torch.manual_seed(stream_seed(seed, "train_projector", "initial") % 2**63)
    learner = assemble(encoder, language_model)
    torch.nn.Module.to(learner.model, device)
    encoded = encode_stimuli(learner, corpus, settings.pool, seed)
    resume = SavedState(output.with_name(f".{output.stem}-in-progress"), {**provenance, "device": device.type})
    learned, steps = train_projector(learner, encoded, settings, seed, resume)
    made = {"made_with": f"torch {torch.__version__}", "made_on": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"}
    save_projector(output, learned, provenance | made)
    with atomic(history) as temporary:
        steps.to_csv(temporary, index=False)
    resume.remove()
