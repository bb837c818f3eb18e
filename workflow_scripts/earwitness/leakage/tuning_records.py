"""What was fitted to data, told beside the result: programs write it, audit_tuning reads it."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from earwitness.core.files import sha256_of
from earwitness.core.json_files import COUNT, DIGEST, TEXT, load_record, record_schema

SCHEMA_NAME = "tuning/1"
KINDS = ("statistics", "prompt", "threshold", "temperature", "calibration")
"""Means and scales; a question chosen by its score; boundaries and weights of a decision; softness; maps of scores."""

TUNING = record_schema(
    {"drawn": {"type": "array", "items": TEXT, "uniqueItems": True}},
    schema={"const": SCHEMA_NAME},
    system=TEXT,
    kinds={"type": "array", "items": {"enum": list(KINDS)}, "uniqueItems": True},
    value={"type": "object"},
    split_sha256=DIGEST,
    sources={"type": "array", "items": TEXT},
    stimuli=COUNT,
    stimuli_sha256=DIGEST,
)
"""JSON schema of a record."""


def tuning_record(
    system: str, kinds: Iterable[str], value: dict[str, Any], split: Path, fitted_on: pd.DataFrame, drawn: bool = False
) -> dict[str, Any]:
    """What a program fitted, to be written as JSON beside its output.

    kinds: of KINDS; none where nothing was fitted. value: the fitted numbers or the chosen text. split: the file that said
    what may be fitted on. fitted_on: columns stimulus_id and source_id, one row per stimulus that the fit saw. drawn: the fit
    saw a draw from the parts that it may see, not the whole of them, and so names its stimuli.
    """
    record = {
        "schema": SCHEMA_NAME,
        "system": system,
        "kinds": sorted(kinds),
        "value": value,
        "split_sha256": sha256_of(split),
        "sources": sorted(fitted_on.source_id.unique()),
        "stimuli": len(fitted_on),
        "stimuli_sha256": digest_of(fitted_on.stimulus_id),
    }
    return record | ({"drawn": sorted(fitted_on.stimulus_id)} if drawn else {})


def digest_of(stimulus_ids: Iterable[str]) -> str:
    """SHA-256 of the ids, sorted, one a line."""
    return hashlib.sha256("".join(f"{name}\n" for name in sorted(stimulus_ids)).encode()).hexdigest()


def load_tuning_record(path: Path) -> dict[str, Any]:
    """Read a record; raises InputError where it is missing or no record."""
    return load_record(path, TUNING, "a record of what was fitted", "run the program that wrote it again")
