"""The encoder probe: how much of an answer is in the ear, before any language model is asked.

A linear readout (logistic regression, ridge penalty) of one vector per stimulus: the mean of what the base's audio tower hears, and, as
controls, the same of an untrained tower of the same shape, and of level, bandwidth and duration, which are no model's. What the tower's
readout has over the controls was learned by the tower; what it has over the base's answers is lost between the ear and the answer. The weights
are fitted on the train part; the strength of the penalty is the one with the least loss on development sources (Alain and Bengio 2016,
arXiv 1610.01644; controls after Hewitt and Liang 2019, arXiv 1909.03368).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow
import pyarrow.parquet as parquet
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from earwitness.audio.sounding import acoustics
from earwitness.core.errors import InputError
from earwitness.detectors.classic import MAX_LOG_ODDS, answers_of
from earwitness.systems import PROBES, System
from earwitness.tables.audio import iterate_audio
from earwitness.tables.stimuli import STIMULI

FloatArray = npt.NDArray[np.float64]

COLUMNS = {"tower_probe": "heard", "untrained_probe": "untrained"}
"""Probe of a model -> the column that it reads: of files of features (earwitness.model.feature_files), or of controls
(earwitness.model.untrained_tower)."""

FITS = dict.fromkeys(PROBES, ("statistics", "threshold"))
"""What each probe fits, in the words of earwitness.leakage.tuning_records.KINDS."""

STRENGTHS = tuple(float(10.0**power) for power in range(-5, 2))
"""Inverse strengths of the penalty that are tried, on standardised vectors."""


def read_vectors(files: Sequence[Path], column: str) -> pd.DataFrame:
    """The vectors of stimuli, one row each, indexed by stimulus_id.

    Raises InputError where a file has no such column.
    """
    parts = []
    for path in files:
        try:
            table = parquet.read_table(path, columns=["stimulus_id", column])
            values = [np.frombuffer(value.as_buffer(), dtype=np.float32) for value in table.column(column)]
        except (pyarrow.ArrowInvalid, KeyError, AttributeError) as error:
            raise InputError(f"{path}: holds no {column} vectors; run encode_stimuli and encode_controls again") from error
        parts.append(pd.DataFrame(np.stack(values).astype(np.float64), index=table.column("stimulus_id").to_pylist()))
    return pd.concat(parts)


def acoustic_vectors(shards: Sequence[Path]) -> pd.DataFrame:
    """Level, bandwidth and duration of stimuli (earwitness.audio.sounding.acoustics), one row each, indexed by stimulus_id.

    shards: tables of stimuli with audio (Parquet), one batch of which is in memory at a time.
    """
    parts = []
    for shard in shards:
        for rows, waveforms in iterate_audio(shard, STIMULI):
            measures = np.stack([acoustics(waveform) for waveform in waveforms]).astype(np.float64)
            parts.append(pd.DataFrame(measures, index=rows.stimulus_id.tolist()))
    return pd.concat(parts)


def fit_readout(vectors: pd.DataFrame, split: pd.DataFrame) -> tuple[Pipeline, dict[str, Any]]:
    """A linear readout of the train part, and what was fitted: strength, its loss, means, scales, weights and intercept.

    vectors: of at least the train and development parts, indexed by stimulus_id. split: earwitness.tables.splits.SPLIT. Both classes
    weigh the same, in the fit and in the loss (nats) that chooses the strength; the strongest penalty wins a tie.
    Raises InputError where a part lacks a class.
    """
    parts = {part: split[split.part == part] for part in ("train", "dev")}
    for part, rows in parts.items():
        if rows.label.nunique() < 2:
            raise InputError(f"the {part} part of the split does not hold both classes; add recordings, or change its share")
    inputs = {part: vectors.loc[rows.stimulus_id].to_numpy() for part, rows in parts.items()}
    speech = {part: (rows.label == "SPEECH").to_numpy() for part, rows in parts.items()}
    weight = np.where(speech["dev"], 0.5 / speech["dev"].mean(), 0.5 / (1 - speech["dev"].mean()))
    best: tuple[float, float, Pipeline] | None = None
    for strength in STRENGTHS:
        regression = LogisticRegression(C=strength, class_weight="balanced", max_iter=2000)
        model = make_pipeline(StandardScaler(), regression).fit(inputs["train"], speech["train"])
        loss = float(log_loss(speech["dev"], model.predict_proba(inputs["dev"])[:, 1], sample_weight=weight))
        if best is None or loss < best[0]:
            best = (loss, strength, model)
    assert best is not None
    loss, strength, model = best
    scaler, regression = model
    fitted = {"strength": strength, "development_loss": loss, "means": scaler.mean_.tolist(), "scales": scaler.scale_.tolist()}
    return model, fitted | {"weights": regression.coef_[0].tolist(), "intercept": float(regression.intercept_[0])}


def probe(system: System, asked: pd.DataFrame, study: pd.DataFrame, split: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any], pd.DataFrame]:
    """Answer every stimulus by a linear readout of its vector.

    system: an encoder probe. asked, study: the vectors of the stimuli, and of those that the split divides, which may be the same, indexed by
    stimulus_id. split: SPLIT.
    Returns earwitness.tables.predictions.PREDICTIONS, the numbers that were fitted, and the rows of the split that they were fitted on.
    SPEECH is answered from log-odds of 0, which stay within +-15.
    Raises InputError as `fit_readout` does.
    """
    model, fitted = fit_readout(study, split)
    log_odds = np.clip(model.decision_function(asked.to_numpy()), -MAX_LOG_ODDS, MAX_LOG_ODDS)
    return answers_of(asked.index.to_series(), log_odds, system), fitted, split[split.part.isin(["train", "dev"])]
