"""Stimuli to listen to: which, by a rule without chance, and their audio."""

import base64
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from earwitness.report.style import in_order, rows_of
from earwitness.systems import System
from earwitness.tables.audio import iterate_encoded_audio
from earwitness.tables.columns import LABELS
from earwitness.tables.predictions import by_system

MOST_LEVELS = {"duration_ms": 4, "snr_db": 3}
"""Durations and SNRs of a matrix."""

_COLUMNS = ["stimulus_id", "clip_id", "source_id", "label", "category", "duration_ms", "snr_db"]


@dataclass(frozen=True)
class Answer:
    """What one system answers to one stimulus. probability: of speech, as the system gives it, its seeds' log-odds averaged."""

    system: System
    probability: float
    right: bool


@dataclass(frozen=True)
class Cell:
    """One stimulus of a matrix. flac: its audio as base64 text."""

    stimulus_id: str
    flac: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class ListeningMatrix:
    """One clip at several durations (columns, ms) and signal-to-noise ratios (rows, dB, loudest noise last); None where that was not made."""

    label: str
    category: str
    source_id: str
    durations_ms: tuple[int, ...]
    snrs_db: tuple[float, ...]
    cells: tuple[tuple[Cell | None, ...], ...]

    @property
    def systems(self) -> list[System]:
        """Who answered, in the order of every cell."""
        return next(([answer.system for answer in cell.answers] for line in self.cells for cell in line if cell), [])


def listening_matrices(shards: Sequence[Path], predictions: pd.DataFrame, count: int) -> list[ListeningMatrix]:
    """`count` clips, the classes in turn, each at up to MOST_LEVELS durations and SNRs, with the answers of every system.

    shards: tables of stimuli with audio (Parquet); only the chosen rows' audio is kept in memory.
    predictions: rows of earwitness.tables.predictions.PREDICTIONS. Only clips that every system answered in as many conditions as any are
    chosen: those that systems get right as often as they do the middle one of their class, then the lowest digest of the name.
    """
    if not count or predictions.empty:
        return []
    answers = pd.concat([_mean_answers(system, rows) for system, rows in by_system(predictions)])
    index = pd.concat([pd.read_parquet(path, columns=_COLUMNS) for path in shards], ignore_index=True)
    known = index[index.stimulus_id.isin(_answered_by_all(answers))].sort_values("stimulus_id", ignore_index=True)
    chosen = choose_clips(known, answers, count)
    shown = [_levels_of(known[known.clip_id == clip]) for clip in chosen]
    audio = _audio_of(shards, {name for rows in shown for name in rows.stimulus_id})
    return [_matrix(rows, answers, audio) for rows in shown]


def choose_clips(index: pd.DataFrame, answers: pd.DataFrame, count: int) -> list[str]:
    """At most `count` clips, the classes in turn; the same tables always give the same choice.

    index: columns stimulus_id, clip_id, label. answers: columns stimulus_id, log_odds, a row per system.
    """
    asked = answers.merge(index[["stimulus_id", "clip_id", "label"]], on="stimulus_id")
    asked["right"] = (asked.log_odds > 0) == (asked.label == "SPEECH")
    clips = asked.groupby(["label", "clip_id"], as_index=False).agg(right=("right", "mean"), n=("right", "size"))
    turns = []
    for label in LABELS:
        own = clips[(clips.label == label) & (clips.n == clips.n[clips.label == label].max())]
        distance = (own.right - own.right.median()).abs().round(9)
        digest = own.clip_id.map(lambda name: hashlib.sha256(name.encode()).hexdigest())
        turns.append(list(own.clip_id[pd.DataFrame({"distance": distance, "digest": digest}).sort_values(["distance", "digest"]).index]))
    return [clips[turn] for turn in range(count) for clips in turns if turn < len(clips)][:count]


def error_examples(shards: Sequence[Path], errors: pd.DataFrame, count: int) -> list[dict[Any, Any]]:
    """At most `count` of the stimuli that one system gets wrong, with their FLAC audio as base64.

    errors: rows of earwitness.tables.error_analysis.ERRORS of one system. Classes take turns. In a class, sources that are not
    chosen yet come first, then what most seeds get wrong, then the most confident error.
    Returns one dict per stimulus: the columns of errors, flac (base64 text).
    """
    table = errors.assign(sure=errors.log_odds.abs()).sort_values(["n_wrong", "sure", "stimulus_id"], ascending=[False, False, True])
    table = table.assign(again=table.groupby(["label", "source_id"]).cumcount())
    table = table.sort_values(["again", "n_wrong", "sure", "stimulus_id"], ascending=[True, False, False, True])
    table = table.assign(turn=table.groupby("label").cumcount()).sort_values(["turn", "label"], ascending=[True, False], kind="stable")
    chosen = table.head(count)[list(errors.columns)]
    audio = _audio_of(shards, set(chosen.stimulus_id))
    return [row | {"flac": audio[row["stimulus_id"]]} for row in chosen.to_dict("records")]


def _mean_answers(system: System, rows: pd.DataFrame) -> pd.DataFrame:
    """The mean log-odds over a system's seeds; of several questions, the first by id."""
    single = rows.sort_values("prompt_id", kind="stable").drop_duplicates(["stimulus_id", "seed"])
    return single.groupby("stimulus_id", as_index=False).log_odds.mean().assign(system_id=str(system))


def _answered_by_all(answers: pd.DataFrame) -> pd.Index:
    counts = answers.stimulus_id.value_counts()
    return counts.index[counts == answers.system_id.nunique()]


def _levels_of(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows at no more than MOST_LEVELS durations and SNRs, the ends among them."""
    for column, most in MOST_LEVELS.items():
        levels = np.sort(rows[column].unique())
        kept = levels[np.unique(np.linspace(0, len(levels) - 1, min(most, len(levels))).round().astype(int))]
        rows = rows[rows[column].isin(kept)]
    return rows.drop_duplicates(["duration_ms", "snr_db"])


def _matrix(rows: pd.DataFrame, answers: pd.DataFrame, audio: dict[str, str]) -> ListeningMatrix:
    label = rows.label.iloc[0]
    systems = in_order(answers.system_id)
    log_odds = dict(zip(zip(answers.system_id, answers.stimulus_id, strict=True), answers.log_odds, strict=True))
    durations, snrs = sorted(rows.duration_ms.unique()), sorted(rows.snr_db.unique(), reverse=True)
    names = {(row.snr_db, row.duration_ms): str(row.stimulus_id) for row in rows_of(rows)}

    def cell(snr: float, duration: int) -> Cell | None:
        if (name := names.get((snr, duration))) is None:
            return None
        given = [(system, float(log_odds[str(system), name])) for system in systems]
        return Cell(
            name,
            audio[name],
            tuple(Answer(system, _probability(value), _says_speech(system, value) == (label == "SPEECH")) for system, value in given),
        )

    cells = tuple(tuple(cell(snr, duration) for duration in durations) for snr in snrs)
    first = rows.iloc[0]
    return ListeningMatrix(label, first.category, first.source_id, tuple(map(int, durations)), tuple(map(float, snrs)), cells)


def _says_speech(system: System, log_odds: float) -> bool:
    """A detector says speech at its boundary, a model only above it."""
    return log_odds > 0 or (log_odds == 0 and system.kind == "detector")


def _probability(log_odds: float) -> float:
    return 1 / (1 + math.exp(-max(-700.0, log_odds)))


def _audio_of(shards: Sequence[Path], wanted: set[str]) -> dict[str, str]:
    """Stimulus -> its FLAC as base64 text."""
    return {
        name: base64.b64encode(flac).decode("ascii")
        for path in shards
        for batch in iterate_encoded_audio(path, "stimulus_id", wanted)
        for name, flac in batch
    }
