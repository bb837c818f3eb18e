"""Training the tiny base from scratch: random stimuli of the base corpus, every question, format and option order."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from earwitness.core.files import atomic, require_replaceable, sha256_of
from earwitness.core.randomness import stream, stream_seed
from earwitness.model.engine.features import encode_spectrograms
from earwitness.model.engine.losses import BatchLoss, TrainingTargets, answer_loss, training_targets
from earwitness.model.engine.optimisation import Schedule, optimise
from earwitness.model.engine.prompting import Prompt, TokenisedPrompt, tokenise
from earwitness.model.engine.saving import save_model
from earwitness.model.engine.training_pass import PassInputs, TrainingPass
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.families.tiny.tiny_base import TINY_BASES
from earwitness.model.tiny_base_questions import QUESTIONS, training_texts
from earwitness.model.training_stimuli import BaseCorpus, draw_stimuli
from earwitness.runtime.saved_state import SavedState, loaded_code_identity

EASY_SHARE = 0.25
"""Share of the steps, at the beginning, that show only easy stimuli and let A mean speech; without it nothing is learned for hundreds of steps,
because which letter means speech decides nothing until the sounds can be told apart."""


@dataclass(frozen=True)
class StimulusPool:
    """Stimuli to learn from.

    mel: (stimuli, mel bins, frames); lengths: valid convolution lengths; is_speech; is_easy: at least 300 ms and 5 dB.
    """

    mel: torch.Tensor
    lengths: np.ndarray
    is_speech: np.ndarray
    is_easy: np.ndarray


@dataclass(frozen=True)
class TinyBaseSettings:
    """config models.NAME.tiny: the family (TINY_BASES), optimiser steps, stimuli per step, different stimuli, and the peak learning rate."""

    family: str
    steps: int
    batch_size: int
    pool: int
    learning_rate: float


def make_pool(learner: LoadedModel, corpus: BaseCorpus, size: int, seed: int) -> StimulusPool:
    """`size` stimuli, see `earwitness.model.training_stimuli.draw_stimuli`."""
    drawn = list(draw_stimuli(corpus, size, seed, "train_tiny_base"))
    batches = [learner.spectrograms([stimulus.waveform for stimulus in drawn[start : start + 256]]) for start in range(0, size, 256)]
    lengths = np.concatenate([lengths for _, lengths in batches])
    return StimulusPool(
        torch.cat([mel for mel, _ in batches]), lengths, np.array([one.is_speech for one in drawn]), np.array([one.is_easy for one in drawn])
    )


def _draw(prompts: list[list[TokenisedPrompt]], rng: np.random.Generator, first_order_only: bool) -> TokenisedPrompt:
    orders = prompts[rng.integers(len(prompts))]
    return orders[0] if first_order_only else orders[rng.integers(len(orders))]


def train_tiny_base(corpus: BaseCorpus, settings: TinyBaseSettings, seed: int, resume: SavedState) -> tuple[LoadedModel, pd.DataFrame]:
    """Train the tiny base; returns it in evaluation mode, and the history of `earwitness.model.engine.optimisation.optimise`."""
    family = TINY_BASES[settings.family]()
    processor = family.processor(training_texts())
    torch.manual_seed(stream_seed(seed, "train_tiny_base", "initial") % 2**63)
    model = family.model(processor).train()
    learner = family.implementation(model, processor, base_sha256="")
    material = make_pool(learner, corpus, settings.pool, seed)
    steps, batch_size = settings.steps, settings.batch_size
    end_of_turn = processor.tokenizer.eos_token_id
    words = [Prompt(question, name, place) for question in QUESTIONS for name in ("words", "yes_no") for place in family.audio_positions]
    letters = [Prompt(question, "letters", place) for question in QUESTIONS for place in family.audio_positions]
    asked_by_format = [[tokenise(learner, prompt) for prompt in prompts] for prompts in (words, letters)]
    easy, everything = np.flatnonzero(material.is_easy), np.arange(settings.pool)

    def inputs(step: int, _: slice) -> PassInputs:
        rng = stream(seed, "train_tiny_base", "batch", step)
        easy_start = step < EASY_SHARE * steps
        chosen = rng.choice(easy if easy_start else everything, batch_size, replace=batch_size > len(easy))
        asked = [_draw(asked_by_format[rng.integers(2)], rng, easy_start) for _ in chosen]
        answers = [(*(prompt.speech if material.is_speech[i] else prompt.nonspeech), end_of_turn) for i, prompt in zip(chosen, asked, strict=True)]
        lengths = tuple(material.lengths[chosen].tolist())
        given = training_targets(learner, [learner.tokens_of(length) for length in lengths], asked, answers, "answer")
        return PassInputs({"mel": material.mel[chosen], **given.tensors}, (lengths, given.spans))

    def loss(given: PassInputs) -> BatchLoss:
        lengths, spans = given.layout
        return answer_loss(learner, encode_spectrograms(learner, given.tensors["mel"], lengths), TrainingTargets(spans, given.tensors))

    schedule = Schedule(steps, batch_size, batch_size, settings.learning_rate, warmup_fraction=0.1, weight_decay=0.01, max_gradient_norm=1.0)
    trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    history = optimise(trainable, inputs, TrainingPass(loss, recording=False), schedule, seed, resume)
    model.eval()
    return learner, history


def make_tiny_base(corpus: BaseCorpus, settings: TinyBaseSettings, seed: int, folder: Path, history: Path) -> None:
    """Train the tiny base, and write its folder, which appears whole, and its history (CSV: step, loss, learning_rate, accuracy).

    An interrupted training goes on from its state beside the folder, to the same result. Raises InputError as `require_replaceable` does.
    """
    require_replaceable(folder)
    fingerprint = {
        "settings": asdict(settings),
        "window_ms": corpus.window_ms,
        "seed": seed,
        "data": [sha256_of(path) for path in corpus.files()],
        "code": loaded_code_identity(),
    }
    resume = SavedState(folder.with_name(f".{folder.name}-in-progress"), fingerprint)
    trained, steps = train_tiny_base(corpus, settings, seed, resume)
    save_model(trained, folder)
    with atomic(history) as temporary:
        steps.to_csv(temporary, index=False)
    resume.remove()
