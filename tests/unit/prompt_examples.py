"""Made-up tables of a prompt search, for the tests of figures and report."""

import itertools

import numpy as np
import pandas as pd

from earwitness.core.randomness import stream
from earwitness.tables.files import validate
from earwitness.tables.prompt_gains import PROMPT_CONDITIONS, PROMPT_GAINS, PROMPT_HISTORY

SEEDS = ("1", "2", "3")


def gains(
    proposers=("edits", "paraphrases"), seeds=SEEDS, low=-0.01, hostile="Is it speech?", systems=("base",), origin="searched", searched=40
) -> pd.DataFrame:
    rows = []
    for system, proposer in itertools.product(systems, proposers):
        for seed in (*seeds, "all") if len(seeds) > 1 else seeds:
            question = "-" if seed == "all" else hostile
            times = len(seeds) if seed == "all" else 1
            counts = ["-" if seed == "all" else origin, 45 * times, searched * times, 6600 * times]
            tested = [0.77, 0.7, 0.84, 0.782, 0.71, 0.85, 0.012, low, 0.034, 0.2, 0.4, 2100, 42, "ok"]
            rows.append([system, proposer, seed, "-", question, *counts, 0.04, 0.03, 0.02, 0.015, *tested])
    return validate(pd.DataFrame(rows, columns=list(PROMPT_GAINS.columns)), PROMPT_GAINS)


def history(proposers=("edits", "paraphrases"), seeds=SEEDS, systems=("base",)) -> pd.DataFrame:
    rows = []
    for system, proposer in itertools.product(systems, proposers):
        for seed in seeds:
            rng = stream(1, system, proposer, seed)
            fixed = [[0, "initial", "b", "Speech?", 7, 3, 120, 0.7, 1.0, 0.0, 400, 0.7, 1.0, False]]
            fixed += [[0, "direct", "d", "Is it speech?", 13, 5, 120, 0.71, 1.0, 0.01, 400, 0.7, 1.0, True]]
            for iteration in range(1, 6):
                for k, asked in enumerate((30, 30, 60, 120)):
                    gain = float(np.round(rng.normal(0, 0.03), 3))
                    text = f"Question {iteration}-{k}?" + "x" * int(rng.integers(200))
                    fixed.append([iteration, "searched", text, text, len(text), 9, asked, 0.7, 1.0, gain, 0, np.nan, np.nan, False])
            rows += [[system, proposer, seed, *row] for row in fixed]
    return validate(pd.DataFrame(rows, columns=list(PROMPT_HISTORY.columns)), PROMPT_HISTORY)


def conditions(proposers=("edits", "paraphrases"), systems=("base",)) -> pd.DataFrame:
    rows = [
        [system, proposer, duration, snr, 0.6 + duration / 4000 + 0.01 * (proposer != "-"), 28]
        for system in systems
        for proposer in ("-", *proposers)
        for duration in (200, 600, 1000)
        for snr in (0.0, 10.0, 20.0)
    ]
    return validate(pd.DataFrame(rows, columns=list(PROMPT_CONDITIONS.columns)), PROMPT_CONDITIONS)
