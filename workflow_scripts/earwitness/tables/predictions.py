"""The table that every system's answers are in."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa

from earwitness.core.errors import InputError
from earwitness.systems import COMBINATIONS, KINDS, System
from earwitness.tables import meanings
from earwitness.tables.columns import choice, column, label, number, schema, share, text, whole
from earwitness.tables.files import read_table

PREDICTIONS = schema(
    "predictions",
    {
        "stimulus_id": text(means=meanings.STIMULUS),
        "kind": choice(KINDS, means="what answers; with model, name, split, seed and combination the parts of a system (earwitness.systems.System)"),
        "model": column("string", means="the model whose system it is, a key of the configuration's models; empty for detectors", nullable=True),
        "name": text(means="the recipe, the detector or the probe; `base` for the base"),
        "split": column("string", means="split that it trained on; empty where it did not train", nullable=True),
        "seed": whole(means="training seed; empty where there is none"),
        "combination": column(
            "string", pa.Check.isin(COMBINATIONS), means="how an ensemble's seeds are combined; empty for what is none", nullable=True
        ),
        "prompt_id": text(means=meanings.PROMPT + "; `-` for what is not asked"),
        "log_odds": number(means=meanings.LOG_ODDS, unit="nats", check=pa.Check.in_range(-1e6, 1e6)),
        "answer": label(means="SPEECH where the log-odds are above 0, or above a detector's threshold"),
        "coverage": share(means="probability that both answers have together; empty for detectors", nullable=True),
        "letter_bias": number(means="by how much the letter A is favoured; empty where the answer is no letter", unit="nats", nullable=True),
        "n_audio_tokens": whole(means="tokens that the base hears of the stimulus; empty for detectors"),
    },
)
"""One row per stimulus and system: every system that answers "speech or not?" writes these."""


def read_predictions(paths: Iterable[Path]) -> pd.DataFrame:
    """Rows of PREDICTIONS of one or several files, the user's own among them.

    Raises InputError where a file is no such table or holds no row, or the answers of a system contradict its log-odds: it says
    SPEECH from some log-odds on, which are no probabilities.
    """
    tables = []
    for path in paths:
        table = read_table(path, PREDICTIONS)
        if table.empty:
            raise InputError(f"{path}: holds no answers; give a row for each stimulus")
        for system, rows in by_seed(table):
            if fault := _contradiction(rows):
                raise InputError(f"{path}: {system}: {fault}")
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _contradiction(rows: pd.DataFrame) -> str:
    """How the answers of one system contradict its log-odds; "" where they do not."""
    speech = rows.answer == "SPEECH"
    lowest, highest = rows.log_odds[speech].min(), rows.log_odds[~speech].max()
    if lowest < highest:
        return (
            f"says SPEECH at log-odds of {lowest:g} and NONSPEECH at {highest:g}; log-odds are SPEECH minus NONSPEECH,"
            " and answers are SPEECH from one threshold on; where thresholds differ between stimuli, subtract each from its log-odds"
        )
    if speech.any() and not speech.all() and rows.log_odds.between(0, 1).all():
        return "all log-odds are between 0 and 1, as probabilities are, with both answers; give log(p / (1 - p))"
    return ""


_SYSTEM = ["kind", "name", "split", "combination", "model"]


def answered_by(rows: pd.DataFrame, system: System) -> pd.DataFrame:
    """The rows with the columns that say which system answers."""
    return rows.assign(**vars(system) | {"split": system.split or None, "model": system.model or None})


def by_system(predictions: pd.DataFrame, sort: bool = True) -> list[tuple[System, pd.DataFrame]]:
    """Every system, standing for all its seeds, with its rows of PREDICTIONS.

    sort: by the systems' texts; otherwise in the order of their first rows.
    Raises InputError where the columns are no system's parts.
    """
    groups = [(_system(*key), rows) for key, rows in predictions.groupby(_SYSTEM, dropna=False, sort=False)]
    return sorted(groups, key=lambda group: str(group[0])) if sort else groups


def _system(kind: Any, name: Any, split: Any, combination: Any, model: Any) -> System:
    combined = None if pd.isna(combination) else combination
    return System(kind, name, "" if pd.isna(split) else split, None, combined, "" if pd.isna(model) else model)


def by_seed(predictions: pd.DataFrame) -> list[tuple[System, pd.DataFrame]]:
    """Every single system, each seed of an adapter apart, with its rows of PREDICTIONS; by the texts of systems, then of seeds.

    Raises InputError where the columns are no system's parts.
    """
    found = []
    for system, rows in by_system(predictions):
        for seed, of_seed in rows.groupby(rows.seed.astype("string").fillna("")):
            found.append((replace(system, seed=int(str(seed)) if seed else None), of_seed))
    return found


def system_of(predictions: pd.DataFrame) -> System:
    """The one system, standing for all its seeds, whose rows of PREDICTIONS these are.

    Raises InputError where they are of several, or of none.
    """
    found = [system for system, _ in by_system(predictions)]
    if len(found) != 1:
        raise InputError(f"predictions of {', '.join(map(str, found)) or 'no system'}, where those of one system are needed; give them apart")
    return found[0]
