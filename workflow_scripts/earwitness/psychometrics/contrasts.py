"""Tests between thresholds: of two systems on the same stimuli, and of one system at two durations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from earwitness.psychometrics.functions import FloatArray
from earwitness.psychometrics.resampling import SourceCounts
from earwitness.psychometrics.thresholds import Threshold, difference_of_thresholds
from earwitness.statistics.clustered import MIN_SOURCES_FOR_TESTS
from earwitness.statistics.multiple_tests import holm
from earwitness.systems import System
from earwitness.tables.psychometrics import CONTRASTS


@dataclass(frozen=True)
class CurveData:
    """The levels of one axis, all else held, and the counts of correct answers of every source.

    axis: "duration" or "snr"; held_duration_ms: the duration of an SNR curve, None for a duration curve. levels: ascending,
    in ms or dB. classes: speech, then non-speech; sources: their names in the order of the counts.
    """

    design: str
    axis: str
    held_duration_ms: int | None
    levels: FloatArray
    classes: tuple[SourceCounts, ...]
    sources: tuple[tuple[str, ...], ...]

    @property
    def scale(self) -> str:
        return "log" if self.axis == "duration" else "linear"


@dataclass(frozen=True)
class Measured:
    """One threshold, and what it is of."""

    system: System
    data: CurveData
    measure: str
    threshold: Threshold


def contrast_table(found: Sequence[Measured], confidence: float) -> pd.DataFrame:
    """earwitness.tables.psychometrics.CONTRASTS: every system against its base, every base against those whose names
    come before its own, and every duration against the longest. Detectors are compared with every base.

    Both thresholds must come from the same sources. The jackknife leaves out each source from both at once, so what a source does to both
    cancels. Holm's correction runs over the contrasts of one question in balanced accuracy, the primary measure. Whether systems differ from
    a model as it is, and whether duration moves its systems' thresholds, are questions of each model by itself, so what is said of it is
    the same whatever others a study has; detectors' durations are a further family, as is model against model.
    """
    pairs = list(_pairs(found))
    table = pd.DataFrame([_row(question, a, b, confidence) for question, a, b in pairs], columns=list(CONTRASTS.columns))
    asked_of = pd.Series(["" if question == "model" else b.system.model for question, _, b in pairs], table.index, dtype=str)
    for _, family in table[table.p.notna() & (table.measure == "balanced_accuracy")].groupby(["question", asked_of]):
        table.loc[family.index, "p_holm"] = holm(family.p)
    return table


def _pairs(found: Sequence[Measured]) -> Iterator[tuple[str, Measured, Measured]]:
    for one in found:
        for other in found:
            same_curve = (one.data.design, one.data.axis, one.measure, one.data.sources) == (
                other.data.design,
                other.data.axis,
                other.measure,
                other.data.sources,
            )
            if not same_curve:
                continue
            if one.data.held_duration_ms == other.data.held_duration_ms and (question := _question(one.system, other.system)):
                yield question, one, other
            longest = max((m.data.held_duration_ms or 0) for m in found if m.system == one.system and m.data.design == one.data.design)
            held = one.data.held_duration_ms, other.data.held_duration_ms
            if one.system == other.system and held[0] is not None and held[0] != held[1] == longest:
                yield "duration", one, other


def _question(one: System, other: System) -> str | None:
    """What a system is compared with a base for; None where it is not."""
    if other.kind != "base" or one == other:
        return None
    if one.model in (other.model, ""):
        return "system"
    return "model" if one.kind == "base" and str(one) > str(other) else None


def _row(question: str, a: Measured, b: Measured, confidence: float) -> dict[str, object]:
    n_seeds = {group.n_seeds for measured in (a, b) for group in measured.data.classes} - {1}
    paired = len(n_seeds) < 2
    result = difference_of_thresholds(a.threshold, b.threshold) if paired else None
    fewest = min(len(names) for names in a.data.sources)
    low, high = result.interval(confidence, -np.inf, np.inf) if result else (np.nan, np.nan)
    values = np.array([result.value if result else np.nan, low, high])
    ratio = a.data.scale == "log"
    ends = dict(zip(("value", "low", "high"), map(float, 10**values if ratio else values), strict=True))
    return {
        "question": question,
        "system_a": str(a.system),
        "system_b": str(b.system),
        "design": a.data.design,
        "axis": a.data.axis,
        "held_duration_a": a.data.held_duration_ms,
        "held_duration_b": b.data.held_duration_ms,
        "measure": a.measure,
        "status_a": a.threshold.status,
        "status_b": b.threshold.status,
        "contrast": "ratio" if ratio else "difference",
        **ends,
        "p": result.p_zero() if result and fewest >= MIN_SOURCES_FOR_TESTS else np.nan,
        "p_holm": np.nan,
        "interval": result.method if result else "seeds do not pair",
        "n_speech_sources": len(a.data.sources[0]),
        "n_nonspeech_sources": len(a.data.sources[1]),
    }
