"""A small study with made-up answers, for the tests of what is computed from predictions."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd

from earwitness.systems import System
from earwitness.tables.predictions import answered_by

DURATIONS, SNRS = (200, 1000), (0.0, 20.0)


def study(n_sources=8, per_condition=2):
    """Index and splits: 2 x n_sources sources, the last half of each class tests "grouped", the first two the leaky arm."""
    rows = []
    for label, source in itertools.product(("SPEECH", "NONSPEECH"), range(n_sources)):
        for duration, snr, k in itertools.product(DURATIONS, SNRS, range(per_condition)):
            name = f"{label}{source}"
            rows.append((f"{name}-{duration}-{snr:g}-{k}", f"{name}-clip", name, label, duration, snr, source))
    index = pd.DataFrame(rows, columns=["stimulus_id", "clip_id", "source_id", "label", "duration_ms", "snr_db", "number"])
    split = index[["stimulus_id", "clip_id", "source_id", "label"]]
    grouped = split.assign(part=np.where(index.number >= n_sources // 2, "test", np.where(index.number == 2, "dev", "train")))
    leaky = split.assign(part=np.where(np.arange(len(split)) % 4, "train", "test"))[index.number < 2]
    return index, {"grouped": grouped, "row_random": leaky}


def predictions(index, system, seeds=(None,), chance=0.8, seed=1):
    """Answers that are right with the given chance, or where `chance` is a function of the index, where it says so."""
    tables = []
    for k, number in enumerate(seeds):
        rng = np.random.default_rng([seed, k])
        right = chance(index) if callable(chance) else rng.random(len(index)) < chance
        speech = (index.label == "SPEECH").to_numpy() == np.asarray(right)
        rows = pd.DataFrame(
            {
                "stimulus_id": index.stimulus_id,
                "prompt_id": "-",
                "log_odds": np.where(speech, 1.0, -1.0),
                "answer": np.where(speech, "SPEECH", "NONSPEECH"),
                "coverage": np.nan,
                "letter_bias": np.nan,
                "n_audio_tokens": pd.array([None] * len(index), dtype="Int64"),
            }
        )
        tables.append(answered_by(rows, replace(System.parse(system), seed=number)))
    return pd.concat(tables, ignore_index=True)
