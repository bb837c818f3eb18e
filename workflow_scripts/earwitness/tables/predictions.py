"""The table that every system's answers are in."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pandera.pandas as pa

from earwitness.core.errors import InputError
from earwitness.systems import COMBINATIONS, KINDS, System
from earwitness.tables.columns import label, number, schema, share, text

PREDICTIONS = schema(
    "predictions",
    {
        "stimulus_id": text(),
        "kind": pa.Column(str, pa.Check.isin(KINDS)),
        "name": text(),
        "split": pa.Column("string", nullable=True),
        "seed": pa.Column("Int64", nullable=True),
        "combination": pa.Column("string", pa.Check.isin(COMBINATIONS), nullable=True),
        "prompt_id": text(),
        "log_odds": number(),
        "answer": label(),
        "coverage": share(nullable=True),
        "letter_bias": number(nullable=True),
        "n_audio_tokens": pa.Column("Int64", nullable=True),
    },
)
"""kind, name, split, seed and combination are the parts of the system that answers (earwitness.systems.System), empty where they do
not apply. log_odds: SPEECH minus NONSPEECH, nats. letter_bias: how much the model favours the letter A, nats; empty where the answer
is no letter. coverage, letter_bias and n_audio_tokens are empty for detectors."""

_SYSTEM = ["kind", "name", "split", "combination"]


def answered_by(rows: pd.DataFrame, system: System) -> pd.DataFrame:
    """The rows with the columns that say which system answers."""
    return rows.assign(**vars(system) | {"split": system.split or None})


def by_system(predictions: pd.DataFrame, sort: bool = True) -> list[tuple[System, pd.DataFrame]]:
    """Every system, standing for all its seeds, with its rows of PREDICTIONS.

    sort: by the systems' texts; otherwise in the order of their first rows.
    Raises InputError where the columns are no system's parts.
    """
    groups = [(_system(*key), rows) for key, rows in predictions.groupby(_SYSTEM, dropna=False, sort=False)]
    return sorted(groups, key=lambda group: str(group[0])) if sort else groups


def _system(kind: Any, name: Any, split: Any, combination: Any) -> System:
    return System(kind, name, "" if pd.isna(split) else split, None, None if pd.isna(combination) else combination)


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
