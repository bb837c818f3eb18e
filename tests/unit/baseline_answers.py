"""A made-up baseline set and observers that answer it, for the tests of psychometric functions."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtr, ndtri

from earwitness.systems import System
from earwitness.tables.files import validate
from earwitness.tables.predictions import PREDICTIONS, answered_by
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI

DURATIONS = (20, 40, 80, 160, 500, 800, 1000)
SNRS = (-10.0, -5.0, 0.0, 5.0, 10.0, 20.0)
STRATIFIED = (80, 200, 500, 1000)
PLAIN = {"duration_ms": 1000, "snr_db": np.nan, "band": "clean", "room": "none"}


def conditions():
    """The 20 conditions of the grid and the stratified set."""
    rows = [PLAIN | {"design": "grid", "axis": "reference"}]
    rows += [PLAIN | {"design": "grid", "axis": "duration", "duration_ms": duration} for duration in DURATIONS]
    rows += [PLAIN | {"design": "grid", "axis": "snr", "snr_db": snr} for snr in SNRS]
    rows += [PLAIN | {"design": "grid", "axis": "band", "band": band} for band in ("telephone", "am_radio", "clean")]
    rows += [PLAIN | {"design": "grid", "axis": "room", "room": room} for room in ("anechoic", "small_room", "large_hall")]
    stratified = itertools.product(STRATIFIED, SNRS)
    return rows + [PLAIN | {"design": "factorial", "axis": "duration_x_snr", "duration_ms": d, "snr_db": s} for d, s in stratified]


def baseline_index(n_speech=32, n_sounds=38):
    """earwitness.tables.stimuli.STIMULI: one clip of every source in every condition."""
    rows = []
    for label, number in (("SPEECH", n_speech), ("NONSPEECH", n_sounds)):
        for source, (k, condition) in itertools.product(range(number), enumerate(conditions())):
            name = f"{label}{source}"
            fixed = {"stimulus_id": f"{name}-{k}", "clip_id": name, "recording_id": name, "source_id": name, "label": label, "category": "any"}
            rows.append(fixed | condition)
    rest = {"noise_id": "none", "normalisation": "rms", "achieved_snr_db": np.nan, "achieved_level_dbfs": -30.0}
    return validate(pd.DataFrame(rows).assign(**rest, segment_start_s=0.0, segment_end_s=1.0), STIMULI)


def no_split():
    """earwitness.tables.splits.SPLIT of other stimuli, so that no source is left out."""
    row = {"stimulus_id": "other", "clip_id": "other", "source_id": "other", "label": "SPEECH", "part": "dev"}
    return validate(pd.DataFrame([row]), SPLIT)


def observer(index, system, threshold_ms=60.0, threshold_db=0.0, lapse=0.02, criterion=0.0, spread=0.3, seeds=(None,), seed=1):
    """earwitness.tables.predictions.PREDICTIONS of an observer whose d' is 1.349 at the thresholds (the SNR's is at 1 s and grows for shorter ones).

    spread: standard deviation of the sources' effects, in logits.
    """
    duration, snr = index.duration_ms.to_numpy(float), index.snr_db.to_numpy(float)
    needed = threshold_db + 12 * np.log10(1000 / duration)
    proportion = 0.5 + 0.5 * ndtr((np.log10(duration) - np.log10(threshold_ms)) / 0.25)
    noisy = 0.5 + 0.5 * ndtr((snr - needed) / 5)
    proportion = np.where(np.isnan(snr), proportion, np.minimum(proportion, noisy))
    half = ndtri(np.clip(lapse / 2 + (1 - lapse) * proportion, 1e-3, 1 - 1e-3))
    speech = (index.label == "SPEECH").to_numpy()
    tables = []
    for k, number in enumerate(seeds):
        rng = np.random.default_rng([seed, k])
        effects = dict(zip(index.source_id.unique(), np.random.default_rng(seed).normal(0, spread, index.source_id.nunique()), strict=True))
        right = expit(logit(ndtr(half - np.where(speech, criterion, -criterion))) + index.source_id.map(effects).to_numpy())
        said = np.where(speech, rng.random(len(index)) < right, rng.random(len(index)) >= right)
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
        tables.append(answered_by(rows, replace(System.parse(system), seed=number)))
    return validate(pd.concat(tables, ignore_index=True), PREDICTIONS)
