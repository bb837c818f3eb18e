"""Is there speech in these files? Answered by an adapter in its detector's folder, with a calibrated probability each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from earwitness.audio.acoustics import samples_of
from earwitness.audio.files import describe
from earwitness.audio.io import SAMPLE_RATE, Waveform, read_mono
from earwitness.detectors.folder import DetectorFolder
from earwitness.model.engine.adapters import load_adapter
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.features import encode_waveforms
from earwitness.model.engine.loading import Memory, load_model
from earwitness.model.engine.prompting import Prompt, tokenise
from earwitness.model.engine.scoring import Scorer
from earwitness.model.identity import identified

STRETCHES_AT_A_TIME = 256
COLUMNS = ["file", "start_s", "end_s", "probability", "answer", "log_odds", "note"]


@dataclass(frozen=True)
class _Stretch:
    file: str
    start: int
    end: int
    window: Waveform | None
    note: str


class SpeechDetector:
    """A base model with a detector folder's adapter, asked its question.

    quantisation: the folder's own where None. memory, threads: as in the other programs.
    Raises InputError where the base is not the adapter's.
    """

    def __init__(self, folder: DetectorFolder, base: Path, quantisation: str | None = None, memory: Memory = "fast", batch_size: int | None = None):
        given = identified(base)
        folder.verify_base(given)
        loaded = load_adapter(load_model(given, quantisation or folder.quantisation, memory=memory), folder.folder)
        self._folder, self._loaded = folder, loaded
        self._scorer = Scorer(loaded, [tokenise(loaded, Prompt(**folder.prompt))])
        self._batches = Batches(batch_size, loaded.device, memory)

    def stretches(self, paths: Sequence[Path], prevalence: float = 0.5, threshold: float = 0.5) -> pd.DataFrame:
        """One row per stretch of every file, in order: COLUMNS.

        prevalence: share of speech to expect, in (0, 1). threshold: the probability from which the answer is SPEECH. A silent
        stretch answers NONSPEECH without a probability. note: "silent" or "shorter than any training stimulus", and
        what is wrong with the file; or "".
        paths: of files that can be heard (earwitness.detectors.clip_files.why_not_heard).
        Raises InputError where a file cannot be read.
        """
        tables = []
        cut = self._cut(paths)
        while group := list(islice(cut, STRETCHES_AT_A_TIME)):
            log_odds = np.full(len(group), np.nan)
            heard = [k for k, stretch in enumerate(group) if stretch.window is not None]
            windows = [stretch.window for stretch in group if stretch.window is not None]
            if windows:
                answers = self._batches.run(lambda batch: self._scorer(encode_waveforms(self._loaded, batch)), windows)
                log_odds[heard] = np.concatenate([scores.log_odds for (scores,) in answers])
            tables.append(self._rows(group, log_odds, prevalence, threshold))
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)

    def _cut(self, paths: Sequence[Path]) -> Iterator[_Stretch]:
        presentation = self._folder.presentation
        for path in paths:
            sound = read_mono(path)
            notes = describe(path).notes
            for start, end in presentation.stretches(len(sound)):
                part = sound[start:end]
                yield _Stretch(str(path), start, end, None if presentation.window.is_silent(part) else presentation.present(part), notes)

    def _rows(self, group: Sequence[_Stretch], log_odds: np.ndarray, prevalence: float, threshold: float) -> pd.DataFrame:
        probability = self._folder.calibration.probability(log_odds, prevalence)
        shortest = samples_of(self._folder.presentation.shortest_ms)
        return pd.DataFrame(
            {
                "file": [stretch.file for stretch in group],
                "start_s": [stretch.start / SAMPLE_RATE for stretch in group],
                "end_s": [stretch.end / SAMPLE_RATE for stretch in group],
                "probability": probability,
                "answer": np.where(probability >= threshold, "SPEECH", "NONSPEECH"),
                "log_odds": log_odds,
                "note": [_note(stretch, shortest) for stretch in group],
            },
            columns=COLUMNS,
        )


def _note(stretch: _Stretch, shortest: int) -> str:
    short = "shorter than any training stimulus" if stretch.end - stretch.start < shortest - 1 else ""
    return "; ".join(filter(None, ["silent" if stretch.window is None else short, stretch.note]))


def by_file(stretches: pd.DataFrame) -> pd.DataFrame:
    """One row per file: its most speech-like stretch, as SpeechDetector.stretches gives it; a file that is silent throughout keeps its first.

    A file named twice gives two rows only where it is named in between others.
    """
    run = (stretches.file != stretches.file.shift()).cumsum()
    best = stretches.assign(probability=stretches.probability.fillna(-1.0)).groupby(run).probability.idxmax()
    return stretches.loc[best].reset_index(drop=True)
