"""Training the tiny base from scratch: random stimuli of the base corpus, every question, format and option order."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import trange

from earwitness.audio.acoustics import amplitude
from earwitness.audio.io import SAMPLE_RATE, Waveform, decode_flac, read_mono
from earwitness.audio.window import Level, Window
from earwitness.core.files import atomic, atomic_folder, sha256_of
from earwitness.core.randomness import stream, stream_seed
from earwitness.corpora.layouts import audio_files, source_files
from earwitness.model.engine.features import encode_spectrograms, log_mel
from earwitness.model.engine.loading import LoadedModel
from earwitness.model.engine.losses import BatchLoss, TrainingTargets, answer_loss, training_targets
from earwitness.model.engine.optimisation import Schedule, optimise
from earwitness.model.engine.prompting import Prompt, TokenisedPrompt, tokenise
from earwitness.model.engine.training_pass import PassInputs, TrainingPass
from earwitness.model.tiny_base import QUESTIONS, build_model, build_processor, training_texts
from earwitness.runtime.saved_state import SavedState, loaded_code_identity
from earwitness.stimuli.design import StimulusDesign, factorial
from earwitness.stimuli.mixing import make_clip_stimuli

EASY_SHARE = 0.25
"""Share of the steps, at the beginning, that show only easy stimuli and let A mean speech; without it nothing is learned for hundreds of steps,
because which letter means speech decides nothing until the sounds can be told apart."""

CLIP_S = 1.0

SOFTEST_DB = 24.0
"""How far below the factorial set's level a sound may be; the baseline set is presented some 20 dB softer."""


@dataclass(frozen=True)
class StimulusPool:
    """Stimuli to learn from.

    mel: (stimuli, mel bins, frames); lengths: valid convolution lengths; is_speech; is_easy: at least 300 ms and 5 dB.
    """

    mel: torch.Tensor
    lengths: torch.Tensor
    is_speech: np.ndarray
    is_easy: np.ndarray


@dataclass(frozen=True)
class BaseCorpus:
    """What the tiny base learns from: speech in VoxConverse's layout and sounds in ESC-50's, presented in a window as the study's
    stimuli are."""

    speech: Path
    sounds: Path
    window_ms: int

    def files(self) -> list[Path]:
        """Every file of the corpus."""
        return list(map(Path, source_files("voxconverse", self.speech) + source_files("esc50", self.sounds)))


@dataclass(frozen=True)
class TinyBaseSettings:
    """config model.tiny: optimiser steps, stimuli per step, different stimuli, and the peak learning rate."""

    steps: int
    batch_size: int
    pool: int
    learning_rate: float


def make_pool(learner: LoadedModel, corpus: BaseCorpus, size: int, seed: int) -> StimulusPool:
    """`size` random stretches, half of each class, at random durations (40 ms to 1 s, log-uniform), SNRs (-10 to 20 dB), noises and levels."""
    material = {
        "SPEECH": [read_mono(path) for path in audio_files("voxconverse", corpus.speech)],
        "NONSPEECH": [read_mono(path) for path in audio_files("esc50", corpus.sounds)],
    }
    waveforms = []
    is_speech, is_easy = np.arange(size) % 2 == 0, np.zeros(size, dtype=bool)
    for i in trange(size, mininterval=5, desc="stimuli to learn from"):
        rng = stream(seed, "train_tiny_base", "stimulus", i)
        label = "SPEECH" if is_speech[i] else "NONSPEECH"
        samples = _random_stretch(material[label][rng.integers(len(material[label]))], rng)
        clip = pd.Series({"clip_id": f"base-{i}", "recording_id": "", "source_id": "", "label": label, "category": "", "start_s": 0.0})
        duration_ms, snr_db = round(float(np.exp(rng.uniform(np.log(40), np.log(1000))))), float(rng.uniform(-10, 20))
        is_easy[i] = duration_ms >= 300 and snr_db >= 5
        design = StimulusDesign(
            conditions=factorial([duration_ms], [snr_db]),
            noise="white" if rng.random() < 0.5 else "pink",
            window=Window(corpus.window_ms, ramp_ms=5.0, floor_dbfs=-85.0, level=Level("peak", float(rng.uniform(-8, -0.5)))),
        )
        [(_, flac)] = make_clip_stimuli(clip, samples, design, seed)
        waveforms.append(decode_flac(flac) * np.float32(amplitude(-rng.uniform(0, SOFTEST_DB))))
    batches = [log_mel(learner.processor.feature_extractor, waveforms[start : start + 256]) for start in range(0, size, 256)]
    mel, lengths = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return StimulusPool(mel, lengths, is_speech, is_easy)


def _random_stretch(samples: Waveform, rng: np.random.Generator) -> Waveform:
    """A stretch of CLIP_S around a random 20 ms frame that is within 25 dB of the loudest."""
    frame = SAMPLE_RATE // 50
    power = np.square(samples[: len(samples) // frame * frame], dtype=np.float64).reshape(-1, frame).mean(axis=1)
    middle = int(rng.choice(np.flatnonzero(power >= power.max() * 10**-2.5))) * frame
    length = round(CLIP_S * SAMPLE_RATE)
    start = int(np.clip(middle - length // 2, 0, max(len(samples) - length, 0)))
    return samples[start : start + length]


def _draw(prompts: list[list[TokenisedPrompt]], rng: np.random.Generator, first_order_only: bool) -> TokenisedPrompt:
    orders = prompts[rng.integers(len(prompts))]
    return orders[0] if first_order_only else orders[rng.integers(len(orders))]


def train_tiny_base(corpus: BaseCorpus, settings: TinyBaseSettings, seed: int, resume: SavedState) -> tuple[LoadedModel, pd.DataFrame]:
    """Train the tiny base; returns it in evaluation mode, and the history of `earwitness.model.engine.optimisation.optimise`."""
    processor = build_processor(training_texts())
    torch.manual_seed(stream_seed(seed, "train_tiny_base", "initial") % 2**63)
    model = build_model(processor).train()
    learner = LoadedModel(model, processor, base_sha256="")
    material = make_pool(learner, corpus, settings.pool, seed)
    steps, batch_size = settings.steps, settings.batch_size
    end_of_turn = processor.tokenizer.eos_token_id
    words = [Prompt(question, name, place) for question in QUESTIONS for name in ("words", "yes_no") for place in ("before", "before", "after")]
    letters = [Prompt(question, "letters", place) for question in QUESTIONS for place in ("before", "before", "after")]
    asked_by_format = [[tokenise(processor, prompt) for prompt in prompts] for prompts in (words, letters)]
    easy, everything = np.flatnonzero(material.is_easy), np.arange(settings.pool)

    def inputs(step: int, _: slice) -> PassInputs:
        rng = stream(seed, "train_tiny_base", "batch", step)
        easy_start = step < EASY_SHARE * steps
        chosen = rng.choice(easy if easy_start else everything, batch_size, replace=batch_size > len(easy))
        asked = [_draw(asked_by_format[rng.integers(2)], rng, easy_start) for _ in chosen]
        answers = [(*(prompt.speech if material.is_speech[i] else prompt.nonspeech), end_of_turn) for i, prompt in zip(chosen, asked, strict=True)]
        lengths = material.lengths[chosen]
        given = training_targets(model, (lengths // 2).tolist(), asked, answers, "answer")
        return PassInputs({"mel": material.mel[chosen], "lengths": lengths, **given.tensors}, given.spans)

    def loss(given: PassInputs) -> BatchLoss:
        audio = encode_spectrograms(model, given.tensors["mel"], given.tensors["lengths"])
        return answer_loss(model, audio, TrainingTargets(given.layout, given.tensors))

    schedule = Schedule(steps, batch_size, batch_size, settings.learning_rate, warmup_fraction=0.1, weight_decay=0.01, max_gradient_norm=1.0)
    trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    history = optimise(trainable, inputs, TrainingPass(loss, recording=False), schedule, seed, resume)
    model.eval()
    return learner, history


def make_tiny_base(corpus: BaseCorpus, settings: TinyBaseSettings, seed: int, folder: Path, history: Path) -> None:
    """Train the tiny base, and write its folder, which appears whole, and its history (CSV: step, loss, learning_rate, accuracy).

    An interrupted training goes on from its state beside the folder, to the same result.
    """
    fingerprint = {
        "settings": asdict(settings),
        "window_ms": corpus.window_ms,
        "seed": seed,
        "data": [sha256_of(path) for path in corpus.files()],
        "code": loaded_code_identity(),
    }
    resume = SavedState(folder.with_name(f".{folder.name}-in-progress"), fingerprint)
    trained, steps = train_tiny_base(corpus, settings, seed, resume)
    with atomic_folder(folder) as temporary:
        trained.model.save_pretrained(temporary)
        trained.processor.save_pretrained(temporary)
    with atomic(history) as temporary:
        steps.to_csv(temporary, index=False)
    resume.remove()
