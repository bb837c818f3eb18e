"""Classic voice activity detectors, asked the same question about the same stimuli: speech or not?

They were made to mark the speech in long recordings, so each needs a rule that turns its frames into one answer:

silero   The highest speech probability of any 32 ms chunk, SPEECH from its default threshold of 0.5. Nothing is tuned.
webrtc   The share of voiced 20 ms frames in the sounding part, at aggressiveness 3. Its thresholds are absolute levels
         made for telephone speech, and after near-silence it calls any loud sound voiced, so it hears the sounding part
         alone, at one of four levels. The level and the boundary of the share are tuned on development sources.
energy   How the level moves over the sounding part: its spread, its mean change from frame to frame, and its peak above its
         mean, in dB. After peak normalisation the level itself tells nothing. Logistic regression on development sources.

firered, pyannote   The highest probability of any frame, SPEECH from 0.5 (earwitness.detectors.frames; optional packages). Nothing is tuned.

The sounding part runs from the first to the last 20 ms frame within 30 dB of the loudest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as parquet

from earwitness.audio.acoustics import amplitude
from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.audio.sounding import FRAME, frame_levels, sounding
from earwitness.core.errors import InputError
from earwitness.core.progress import Progress
from earwitness.detectors.frames import frame_detector
from earwitness.detectors.silero import silero_probabilities
from earwitness.systems import System
from earwitness.tables.audio import iterate_audio
from earwitness.tables.columns import LABELS
from earwitness.tables.files import validate
from earwitness.tables.predictions import PREDICTIONS, answered_by
from earwitness.tables.stimuli import STIMULI

FloatArray = npt.NDArray[np.float64]
Measure = Callable[[Sequence[Waveform]], FloatArray]
"""Waveforms of 16 kHz mono to features, shape (n_waveforms, n_features)."""
Decide = Callable[[FloatArray, npt.NDArray[np.bool_], npt.NDArray[np.bool_]], tuple[FloatArray, dict[str, Any]]]
"""Features of all stimuli, which of them are for development, and which are speech, to the log-odds of speech of all, and
the numbers that were fitted."""

MAX_LOG_ODDS = 15.0
WEBRTC_AGGRESSIVENESS = 3
WEBRTC_LEVELS_DBFS = (-26.0, -32.0, -38.0, -44.0)


@dataclass(frozen=True)
class Detector:
    """What is measured on each stimulus, and how the measures of all become log-odds."""

    measure: Measure
    decide: Decide


def silero() -> Detector:
    """The highest speech probability of any chunk that Silero VAD gives."""
    probabilities = silero_probabilities()
    return Detector(lambda waveforms: _log_odds_of([chunks.max(initial=0.0) for chunks in probabilities(waveforms)]), _as_measured)


def highest_frame(name: str) -> Detector:
    """The highest probability of any frame of a detector that follows recordings (earwitness.detectors.frames)."""
    frames = frame_detector(name)

    def measure(waveforms: Sequence[Waveform]) -> FloatArray:
        return _log_odds_of([max(float(piece.max(initial=0.0)) for piece in frames.follow([waveform])) for waveform in waveforms])

    return Detector(measure, _as_measured)


def _as_measured(features: FloatArray, development: npt.NDArray[np.bool_], speech: npt.NDArray[np.bool_]) -> tuple[FloatArray, dict[str, Any]]:
    """The only feature is the log-odds; nothing is fitted."""
    return features[:, 0], {}


def _log_odds_of(probabilities: Sequence[float]) -> FloatArray:
    """One feature a waveform."""
    probability = np.array(probabilities, dtype=np.float64)
    with np.errstate(divide="ignore"):
        log_odds = np.log(probability) - np.log1p(-probability)
    return np.clip(log_odds, -MAX_LOG_ODDS, MAX_LOG_ODDS)[:, None]


def webrtc() -> Detector:
    """The Gaussian-mixture VAD of WebRTC (webrtcvad), a fresh one for every stimulus and level."""
    import webrtcvad
    from sklearn.metrics import balanced_accuracy_score  # loads slowly, and Silero does without

    def voiced_share(samples: Waveform) -> float:
        detector = webrtcvad.Vad(WEBRTC_AGGRESSIVENESS)
        pcm = np.round(np.clip(samples, -1, 1) * 32767).astype("<i2")
        frames = [detector.is_speech(pcm[start : start + FRAME].tobytes(), SAMPLE_RATE) for start in range(0, len(pcm) - FRAME + 1, FRAME)]
        return float(np.mean(frames))

    def measure(waveforms: Sequence[Waveform]) -> FloatArray:
        shares = np.zeros((len(waveforms), len(WEBRTC_LEVELS_DBFS)))
        for row, waveform in enumerate(waveforms):
            first, last = sounding(frame_levels(waveform))
            part = waveform[first * FRAME : last * FRAME]
            part = part / max(float(np.sqrt(np.mean(np.square(part, dtype=np.float64)))), 1e-9)
            shares[row] = [voiced_share(part * amplitude(level)) for level in WEBRTC_LEVELS_DBFS]
        return shares

    def decide(shares: FloatArray, development: npt.NDArray[np.bool_], speech: npt.NDArray[np.bool_]) -> tuple[FloatArray, dict[str, Any]]:
        candidates = [_fit(shares[:, [level]], development, speech) for level in range(shares.shape[1])]
        scores = [balanced_accuracy_score(speech[development], log_odds[development] >= 0) for log_odds, _ in candidates]
        best = int(np.argmax(scores))
        log_odds, fitted = candidates[best]
        return log_odds, fitted | {"level_dbfs": WEBRTC_LEVELS_DBFS[best]}

    return Detector(measure, decide)


def energy() -> Detector:
    """Movement of the level over the sounding part; no spectrum, no learned representation."""

    def measure(waveforms: Sequence[Waveform]) -> FloatArray:
        features = np.zeros((len(waveforms), 3))
        for row, waveform in enumerate(waveforms):
            levels = frame_levels(waveform)
            first, last = sounding(levels)
            levels = levels[first:last]
            change = np.abs(np.diff(levels)).mean() if len(levels) > 1 else 0.0
            features[row] = levels.std(), change, levels.max() - levels.mean()
        return features

    return Detector(measure, _fit)


DETECTORS: dict[str, Callable[[], Detector]] = {
    "silero": silero,
    "webrtc": webrtc,
    "energy": energy,
    "firered": partial(highest_frame, "firered"),
    "pyannote": partial(highest_frame, "pyannote"),
}

FITS: dict[str, tuple[str, ...]] = {
    "silero": (),
    "webrtc": ("statistics", "threshold"),
    "energy": ("statistics", "threshold"),
    "firered": (),
    "pyannote": (),
}
"""What each detector fits to development sources, in the words of earwitness.leakage.tuning_records.KINDS."""


def detect(name: str, shards: Sequence[Path], split: pd.DataFrame, study: Sequence[Path]) -> tuple[pd.DataFrame, dict[str, Any], pd.DataFrame]:
    """Answer every stimulus of the shards with one detector; memory holds a batch of audio and the features of all.

    name: a key of DETECTORS. shards: Parquet files of stimuli with audio. study: those that the split divides, which may be
    the same; read where there is something to tune. split: earwitness.tables.splits.SPLIT; only stimuli of its part "dev" are used to tune.
    Returns earwitness.tables.predictions.PREDICTIONS in the order of the shards, the numbers that were fitted, and the rows of the split
    that they were fitted on. SPEECH is answered from log-odds of 0, which stay within +-15.
    Raises InputError where a detector that must be tuned finds only one class in the development part.
    """
    detector = DETECTORS[name]()
    tuning = set(split.stimulus_id[split.part == "dev"])
    rows, features = [], []
    others = [shard for shard in study if shard not in shards] if FITS[name] else []
    total = sum(parquet.ParquetFile(shard).metadata.num_rows for shard in shards)
    with Progress(total=total, desc=f"listening with {name}", unit="stimuli") as progress:
        for shard in [*shards, *others]:
            keep = None if shard in shards else lambda stimuli: stimuli.stimulus_id.isin(tuning)
            for stimuli, waveforms in iterate_audio(shard, STIMULI, keep=keep):
                if stimuli.empty:
                    continue
                rows.append(stimuli[["stimulus_id", "label"]].assign(asked=shard in shards))
                features.append(detector.measure(waveforms))
                progress.update(len(stimuli) * (shard in shards))
    stimuli = pd.concat(rows, ignore_index=True)
    development = stimuli.stimulus_id.isin(tuning).to_numpy()
    log_odds, fitted = detector.decide(np.concatenate(features), development, (stimuli.label == "SPEECH").to_numpy())
    log_odds = np.clip(log_odds, -MAX_LOG_ODDS, MAX_LOG_ODDS)[stimuli.asked]
    used = split[split.stimulus_id.isin(stimuli.stimulus_id[development])] if FITS[name] else split.iloc[:0]
    return answers_of(stimuli.stimulus_id[stimuli.asked], log_odds, System("detector", name)), fitted, used


def answers_of(stimulus_ids: pd.Series, log_odds: FloatArray, system: System) -> pd.DataFrame:
    """earwitness.tables.predictions.PREDICTIONS of a system that is no language model; SPEECH from log-odds of 0."""
    predictions = pd.DataFrame(
        {
            "stimulus_id": stimulus_ids.to_numpy(),
            "prompt_id": "-",
            "log_odds": log_odds,
            "answer": np.where(log_odds >= 0, *LABELS),
            "coverage": np.nan,
            "letter_bias": np.nan,
            "n_audio_tokens": pd.array([None] * len(stimulus_ids), dtype="Int64"),
        }
    )
    return validate(answered_by(predictions, system), PREDICTIONS)


def _fit(features: FloatArray, development: npt.NDArray[np.bool_], speech: npt.NDArray[np.bool_]) -> tuple[FloatArray, dict[str, Any]]:
    """Log-odds of speech of all rows by logistic regression on the development rows, with both classes weighing the same;
    and its means, scales, weights and intercept."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(np.unique(speech[development])) < 2:
        raise InputError(
            "the development part of the split does not hold both classes among these stimuli; raise splits.dev_fraction or add recordings"
        )
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    scaler, regression = model.fit(features[development], speech[development])
    fitted = {"means": scaler.mean_.tolist(), "scales": scaler.scale_.tolist()}
    fitted |= {"weights": regression.coef_[0].tolist(), "intercept": float(regression.intercept_[0])}
    return model.decision_function(features), fitted
