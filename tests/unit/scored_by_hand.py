"""Outcomes written out by hand, for tests whose right values are worked out on paper."""

import numpy as np
import pandas as pd

from earwitness.evaluation.scored_answers import NOT_TRAINED, Outcomes
from earwitness.systems import System

ITEMS = pd.DataFrame(
    [
        ("a1", "A", "SPEECH", 200, 0.0), ("a2", "A", "SPEECH", 200, 10.0), ("a3", "A", "SPEECH", 400, 0.0), ("a4", "A", "SPEECH", 400, 10.0),
        ("b1", "B", "SPEECH", 200, 0.0), ("b2", "B", "SPEECH", 400, 10.0), ("c1", "C", "NONSPEECH", 200, 0.0), ("d1", "D", "NONSPEECH", 400, 10.0),
    ],
    columns=["stimulus_id", "source_id", "label", "duration_ms", "snr_db"],
)  # fmt: skip
"""Six items of two speech sources, two of two other sources."""

INDEX = ITEMS.assign(category=["talk"] * 6 + ["dog", "rain"])


def scored(system: str, *right: str, certainty: float = 1.0) -> Outcomes:
    """One system's outcomes; right: per seed a "1" or "0" for every item. certainty: size of every log-odds, nats, times 1, 2, ..."""
    correct = np.array([[mark == "1" for mark in row] for row in right])
    sign = np.where(ITEMS.label == "SPEECH", 1.0, -1.0)
    log_odds = certainty * np.arange(1, len(ITEMS) + 1) * np.where(correct, sign, -sign)
    seeds = tuple(map(str, range(1, len(right) + 1))) if "-" in system and "+" not in system else (NOT_TRAINED,)
    return Outcomes(System.parse(system), "unseen", seeds, ITEMS, correct, log_odds, correct.mean(axis=0) > 0.5)
