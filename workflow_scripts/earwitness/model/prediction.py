"""Asking a model about every stimulus of a set, shard by shard, into prediction rows."""

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from earwitness.audio.window import Level
from earwitness.core.progress import Progress
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.features import AudioEmbeddings, encode_waveforms
from earwitness.model.engine.prompting import Prompt, tokenise
from earwitness.model.engine.scoring import Scorer, Scores
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.feature_files import BLOCK, pad, read_features
from earwitness.systems import BASE, System
from earwitness.tables.audio import iterate_audio
from earwitness.tables.files import validate
from earwitness.tables.predictions import PREDICTIONS, answered_by
from earwitness.tables.stimuli import STIMULI


@dataclass(frozen=True)
class StimulusSource:
    """Stimuli on disk as a model gets them.

    blocks: yields stimulus ids and items (waveforms, or vectors of features) that fit into memory; encode: embeds a batch of items. kind: of
    items.
    """

    blocks: Callable[[Set[str] | None], Iterator[tuple[list[str], list[Any]]]]
    encode: Callable[[Sequence[Any]], AudioEmbeddings]
    kind: str = "features"


def from_audio(loaded: LoadedModel, shards: Sequence[Path], level: Level | None = None) -> StimulusSource:
    """The stimuli of shards with audio, brought to a level and encoded by the model's own tower, adapters included.

    level: None leaves them as they are.
    """
    level = level or Level()

    def blocks(only: Set[str] | None) -> Iterator[tuple[list[str], list[Any]]]:
        keep = None if only is None else lambda rows: rows.stimulus_id.isin(only)
        for shard in shards:
            for rows, waveforms in iterate_audio(shard, STIMULI, BLOCK, keep):
                levelled = [level.applied(waveform, duration) for waveform, duration in zip(waveforms, rows.duration_ms, strict=True)]
                # Sounds of one length need no padding.
                order = np.argsort([len(waveform) for waveform in levelled], kind="stable")
                yield rows.stimulus_id.iloc[order].tolist(), [levelled[i] for i in order]

    return StimulusSource(blocks, lambda waveforms: encode_waveforms(loaded, waveforms), "waveforms")


def from_features(loaded: LoadedModel, files: Sequence[Path]) -> StimulusSource:
    """The stimuli of files of features, for a model whose audio tower made them."""

    return StimulusSource(lambda only: read_features(loaded, files, only), lambda vectors: pad(vectors, loaded.device))


def prediction_rows(
    loaded: LoadedModel,
    sounds: StimulusSource,
    prompts: Sequence[Prompt],
    system: System,
    batches: Batches,
    only: Set[str] | None = None,
) -> pd.DataFrame:
    """Prediction rows (earwitness.tables.predictions.PREDICTIONS) of a system, as `answer_rows` gives them."""
    return validate(answered_by(answer_rows(loaded, sounds, prompts, batches, only, str(system)), system), PREDICTIONS)


def answer_rows(
    loaded: LoadedModel,
    sounds: StimulusSource,
    prompts: Sequence[Prompt],
    batches: Batches,
    only: Set[str] | None = None,
    asked: str = "",
) -> pd.DataFrame:
    """The columns of PREDICTIONS, but for the system's, of every stimulus and prompt, sorted by stimulus and then in the prompts' order.

    only: the stimuli to ask about, where they are there; None asks about all. asked: whom the line of progress names. A tie answers
    NONSPEECH. Each sound is encoded once, however many prompts there are.
    """
    scorer = Scorer(loaded, [tokenise(loaded, prompt) for prompt in prompts])
    parts = []
    with Progress(total=None if only is None else len(only), unit="stimuli", desc=f"asking {asked}".strip()) as progress:
        for names, items in sounds.blocks(only):
            done = 0
            for answers in batches.run(lambda batch: scorer(sounds.encode(batch)), items, sounds.kind, len(prompts)):
                size = len(answers[0].log_odds)
                parts += [_rows(names[done : done + size], prompt, scores) for prompt, scores in zip(prompts, answers, strict=True)]
                done += size
            progress.update(len(names))
    empty = pd.DataFrame(columns=[name for name in PREDICTIONS.columns if name not in vars(BASE)])
    return pd.concat(parts or [empty], ignore_index=True).sort_values("stimulus_id", kind="stable", ignore_index=True)


def _rows(names: list[str], prompt: Prompt, scores: Scores) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "stimulus_id": names,
            "prompt_id": prompt.prompt_id,
            "log_odds": scores.log_odds,
            "answer": np.where(scores.log_odds > 0, "SPEECH", "NONSPEECH"),
            "coverage": scores.coverage,
            "letter_bias": scores.letter_bias,
            "n_audio_tokens": scores.n_audio_tokens,
        }
    )
