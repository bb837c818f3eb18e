"""How well detectors find the speech in annotated recordings: the tables DETECTION and DETECTION_ROC."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from earwitness.detectors.segments import SegmentRule
from earwitness.detectors.tuning import Followed
from earwitness.evaluation.detection import DetectionErrors, Roc, added
from earwitness.statistics.clustered import jackknife_variance
from earwitness.statistics.distributions import t_quantile
from earwitness.tables.detection import DETECTION, DETECTION_ROC
from earwitness.tables.files import validate

ROC_POINTS = 200


def detection_row(system_id: str, name: str, followed: Followed, rule: SegmentRule, confidence: float) -> dict[str, Any]:
    """A row of DETECTION; name: own or tuned."""
    recordings, by_recording = followed.recordings, followed.errors(rule)
    errors = added(by_recording)
    low, high = error_rate_interval([recording.source_ids[0] for recording in recordings], by_recording, confidence)
    other_s = errors.duration_s - errors.speech_s
    return {
        "system_id": system_id,
        "rule": name,
        "n_recordings": len(recordings),
        "n_sources": len({source for recording in recordings for source in recording.source_ids}),
        "speech_s": errors.speech_s,
        "other_s": other_s,
        "error_rate": errors.error_rate,
        "low": low,
        "high": high,
        "missed_rate": errors.missed_s / errors.speech_s if errors.speech_s else np.nan,
        "false_alarm_rate": errors.false_alarm_s / errors.speech_s if errors.speech_s else np.nan,
        "false_alarm_share": errors.false_alarm_s / other_s if other_s > 0 else np.nan,
        "roc_area": followed.roc().area,
        "shared_boundaries": followed.shared_boundaries(rule),
        "onset": rule.onset,
        "offset": rule.offset,
        "min_speech_s": rule.min_speech_s,
        "min_silence_s": rule.min_silence_s,
    }


def error_rate_interval(sources: Sequence[str], errors: Sequence[DetectionErrors], confidence: float) -> tuple[float, float]:
    """The interval of the detection error rate of all recordings together, by leaving out one source at a time, with t of one less than the sources.

    sources: of each recording, the source that it counts for. (nan, nan) with fewer than three sources.
    """
    names = sorted(set(sources))
    if len(names) < 3:
        return np.nan, np.nan
    left_out = [added(one for source, one in zip(sources, errors, strict=True) if source != name).error_rate for name in names]
    variance, freedom = jackknife_variance([np.array(left_out)])
    half = float(t_quantile((1 + confidence) / 2, freedom).item() * np.sqrt(variance.item()))
    rate = added(errors).error_rate
    return max(rate - half, 0.0), rate + half


def roc_rows(system_id: str, roc: Roc) -> pd.DataFrame:
    """Rows of DETECTION_ROC: up to ROC_POINTS, evenly along the curve's points."""
    places = np.unique(np.linspace(0, max(len(roc.hits) - 1, 0), min(len(roc.hits), ROC_POINTS)).round().astype(np.int64))
    columns = {"threshold": np.minimum(roc.thresholds[places], 1.0), "false_alarms": roc.false_alarms[places], "hits": roc.hits[places]}
    return pd.DataFrame({"system_id": system_id} | columns, columns=list(DETECTION_ROC.columns))


def detection_tables(rows: Sequence[dict[str, Any]], curves: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """DETECTION, the lowest error rate first, and DETECTION_ROC."""
    table = pd.DataFrame(rows, columns=list(DETECTION.columns)).sort_values(["error_rate", "system_id", "rule"], ignore_index=True)
    filled = [curve for curve in curves if len(curve)]
    roc = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(DETECTION_ROC.columns))
    return validate(table, DETECTION), validate(roc, DETECTION_ROC)
