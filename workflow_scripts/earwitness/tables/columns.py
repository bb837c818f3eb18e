"""Columns that many tables share, and how a schema is put together.

Training reads tables, so this module knows nothing of single ones: a column of the report must not retrain a model.
"""

import pandera.pandas as pa

LABELS = ("SPEECH", "NONSPEECH")


def label() -> pa.Column:
    """The class of a sound, one of LABELS."""
    return pa.Column(str, pa.Check.isin(LABELS))


def text(unique: bool = False) -> pa.Column:
    """Text of at least one character."""
    return pa.Column(str, pa.Check.str_length(min_value=1), unique=unique)


def share(nullable: bool = False) -> pa.Column:
    """A number from 0 to 1."""
    return pa.Column(float, pa.Check.in_range(0, 1), nullable=nullable)


def number(nullable: bool = False) -> pa.Column:
    """Any number."""
    return pa.Column(float, nullable=nullable)


def count() -> pa.Column:
    """A whole number from 0."""
    return pa.Column(int, pa.Check.ge(0))


def conclusion() -> pa.Column:
    """What a comparison came to."""
    return pa.Column(str, pa.Check.isin(["different", "equivalent", "inconclusive", "descriptive_only"]))


def schema(name: str, columns: dict[str, pa.Column], unique: list[str] | None = None) -> pa.DataFrameSchema:
    """Exactly these columns in this order; types are converted on validation. unique: columns that together name a row."""
    return pa.DataFrameSchema(columns, name=name, strict=True, ordered=True, coerce=True, unique=unique)


def joint_schema(name: str, *schemas: pa.DataFrameSchema) -> pa.DataFrameSchema:
    """A schema with the columns of several; where two have a column of one name, the last one's counts."""
    return schema(name, {column: definition for schema in schemas for column, definition in schema.columns.items()})
