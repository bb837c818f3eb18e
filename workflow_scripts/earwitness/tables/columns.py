"""Columns that many tables share, and how a schema is put together.

Every column tells what it holds (`means`) and in what unit; docs/data_dictionary.md is made of that. Neither counts for what a job depends on.
Training reads tables, so this module knows nothing of single ones: a column of the report must not retrain a model.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pandera.engines.pandas_engine import NpString

from earwitness.tables import meanings

LABELS = ("SPEECH", "NONSPEECH")


class _Text(NpString):
    """What pandas holds as text is text as a whole; pandera looks at every value, and formats those that are wrong even where none is."""

    def coerce(self, data_container: Any) -> Any:
        return data_container if _is_text(data_container) else super().coerce(data_container)

    def check(self, pandera_dtype: Any, data_container: Any = None) -> Any:
        return _is_text(data_container) or super().check(pandera_dtype, data_container)


def _is_text(values: Any) -> bool:
    return isinstance(getattr(values, "dtype", None), pd.StringDtype) and not values.hasnans


def column(
    kind: type | str, check: pa.Check | None = None, means: str = "", unit: str = "", nullable: bool = False, unique: bool = False
) -> pa.Column:
    """A column of a pandas type. means: what it holds; unit: of its numbers, "" for none."""
    return pa.Column(_Text if kind is str else kind, check, nullable=nullable, unique=unique, description=means, metadata={"unit": unit})


def label(means: str = meanings.LABEL) -> pa.Column:
    """The class of a sound, one of LABELS."""
    return column(str, pa.Check.isin(LABELS), means=means)


def text(means: str = "", unique: bool = False, may_be_empty: bool = False) -> pa.Column:
    """Text of at least one character, unless it may be empty."""
    return column(str, None if may_be_empty else pa.Check.str_length(min_value=1), means=means, unique=unique)


def choice(values: Sequence[str], means: str = "") -> pa.Column:
    """One of a few texts."""
    return column(str, pa.Check.isin(list(values)), means=means)


def share(means: str = "", nullable: bool = False) -> pa.Column:
    """A number from 0 to 1."""
    return column(float, pa.Check.in_range(0, 1), means=means, nullable=nullable)


def number(means: str = "", unit: str = "", nullable: bool = False, check: pa.Check | None = None) -> pa.Column:
    """Any number."""
    return column(float, check, means=means, unit=unit, nullable=nullable)


def count(means: str = "", unit: str = "", minimum: int = 0) -> pa.Column:
    """A whole number from 0, or another minimum."""
    return column(int, pa.Check.ge(minimum), means=means, unit=unit)


def whole(means: str = "", unit: str = "", check: pa.Check | None = None) -> pa.Column:
    """A whole number that may be missing."""
    return column("Int64", check, means=means, unit=unit, nullable=True)


def duration_ms(means: str = meanings.DURATION) -> pa.Column:
    """The length of a stimulus's sound."""
    return column(int, pa.Check.gt(0), means=means, unit="ms")


def second(means: str = "", above: bool = False) -> pa.Column:
    """A place in a recording: from its start, or after it."""
    return number(means=means, unit="s", check=pa.Check.gt(0) if above else pa.Check.ge(0))


def conclusion() -> pa.Column:
    """What a comparison came to."""
    return choice(["different", "equivalent", "inconclusive", "descriptive_only"], means=meanings.CONCLUSION)


def reliability() -> pa.Column:
    """How many sources stand behind an estimate."""
    return choice(["ok", "few_sources", "descriptive_only"], means=meanings.RELIABILITY)


def schema(name: str, columns: dict[str, pa.Column], unique: list[str] | None = None) -> pa.DataFrameSchema:
    """Exactly these columns in this order; types are converted on validation. unique: columns that together name a row."""
    return pa.DataFrameSchema(columns, name=name, strict=True, ordered=True, coerce=True, unique=unique)


def joint_schema(name: str, *schemas: pa.DataFrameSchema) -> pa.DataFrameSchema:
    """A schema with the columns of several; where two have a column of one name, the last one's counts."""
    return schema(name, {column: definition for schema in schemas for column, definition in schema.columns.items()})
