"""Observers whose sensitivity, criterion and random sources are known, for the tests of the mixed models."""

import itertools

import numpy as np
import pandas as pd
from scipy.stats import norm

from earwitness.core.randomness import stream
from earwitness.systems import System
from earwitness.tables.predictions import answered_by

TRUTH = {
    "intercept": -0.4,
    "logdur": 0.3,
    "snr": 0.2,
    "logdur:snr": 0.0,
    "label": 1.2,
    "label:logdur": 1.5,
    "label:snr": 0.8,
    "label:logdur:snr": -0.5,
}
"""Minus the criterion and its changes; d' and its changes."""


def simulated_index(n_sources, clips_per_source=1, durations=(80, 200, 500, 1000), snrs=(-10.0, -5.0, 0.0, 5.0, 10.0, 20.0)):
    """STIMULI's columns that matter: every clip of 2 x n_sources sources at every duration and SNR."""
    rows = [
        (f"{label}{source}-{clip}-{duration}-{snr}", f"{label}{source}-{clip}", f"{label}{source}", label, duration, snr)
        for label, source, clip, duration, snr in itertools.product(
            ("SPEECH", "NONSPEECH"), range(n_sources), range(clips_per_source), durations, snrs
        )
    ]
    index = pd.DataFrame(rows, columns=["stimulus_id", "clip_id", "source_id", "label", "duration_ms", "snr_db"])
    return index.assign(axis=np.where(index.snr_db.isna(), "duration", "duration_x_snr"))


def simulated_answers(index, truth=TRUTH, deviations=(0.5, 0.8, 0.0), seed=1, system="simulated"):
    """PREDICTIONS of one system; deviations: SD of speech sources, other sources and clips."""
    rng = stream(seed, "simulated_answers", system)
    label = np.where(index.label == "SPEECH", 0.5, -0.5)
    predictors = {"logdur": np.log10(index.duration_ms / 100), "snr": index.snr_db.fillna(0) / 10, "label": label, "intercept": 1.0}
    latent = sum(value * np.prod([predictors[part] * np.ones(len(index)) for part in term.split(":")], axis=0) for term, value in truth.items())
    for column, spread in (("source_id", np.where(label > 0, deviations[0], deviations[1])), ("clip_id", deviations[2])):
        codes, names = pd.factorize(index[column])
        latent = latent + spread * rng.normal(size=len(names))[codes]
    said = rng.random(len(index)) < norm.cdf(latent)
    rows = pd.DataFrame(
        {
            "stimulus_id": index.stimulus_id,
            "prompt_id": "-",
            "log_odds": np.where(said, 1.0, -1.0),
            "answer": np.where(said, "SPEECH", "NONSPEECH"),
            "coverage": np.nan,
            "letter_bias": np.nan,
            "n_audio_tokens": pd.array([None] * len(index), dtype="Int64"),
        }
    )
    return answered_by(rows, System.parse(system))
