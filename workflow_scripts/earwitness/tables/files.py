"""How tables are checked, written and read."""

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pandera.errors
import pandera.pandas as pa
import pyarrow
import pyarrow.parquet as parquet

from earwitness.core.errors import InputError
from earwitness.core.files import atomic, refuse_pipe

LONGEST = 300
"""Characters of a library's message that are shown."""


def validate(table: pd.DataFrame, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """Return `table` with the schema's column order and types; raise InputError naming the first violation."""
    missing = [name for name in schema.columns if name not in table]
    if missing:
        raise InputError(f"table {schema.name}: missing column {missing[0]}; has {', '.join(map(str, table.columns))[:LONGEST]}")
    try:
        return schema.validate(table[list(schema.columns)].reset_index(drop=True))
    except pandera.errors.SchemaErrors as error:
        first = error.failure_cases.iloc[0]
        raise InputError(f"table {schema.name}: column {first['column']}: {str(first['failure_case'])[:LONGEST]} fails {first['check']}") from error
    except pandera.errors.SchemaError as error:
        raise InputError(f"table {schema.name}: {' '.join(str(error).split())[:LONGEST]}") from error


def csv_of(table: pd.DataFrame, schema: pa.DataFrameSchema) -> bytes:
    """The bytes of the CSV file that `write_table` writes."""
    return validate(table, schema).to_csv(index=False, lineterminator="\n").encode()


def write_table(path: Path, table: pd.DataFrame, schema: pa.DataFrameSchema, made_with: Mapping[str, str | None] | None = None) -> None:
    """Validate `table` and write it atomically, as CSV or Parquet by the suffix of `path`.

    made_with: what a Parquet file records of its making, as JSON in its metadata under "earwitness".
    """
    with atomic(path) as temporary:
        if path.suffix == ".csv":
            temporary.write_bytes(csv_of(table, schema))
        else:
            content = pyarrow.Table.from_pandas(validate(table, schema), preserve_index=False)
            if made_with is not None:
                content = content.replace_schema_metadata({**(content.schema.metadata or {}), "earwitness": json.dumps(made_with, sort_keys=True)})
            parquet.write_table(content, temporary)


def read_table(path: Path, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """Read the schema's columns of a table (CSV or Parquet); an `audio` column is left on disk.

    Raises InputError where the file cannot be read as a table, or naming the first violation of the schema.
    """
    refuse_pipe(path)
    if path.suffix == ".csv":
        text = {name: str for name, column in schema.columns.items() if str(column.dtype).startswith("str")}
        empty = {name: [""] for name in schema.columns if name not in text}
        try:
            table = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=empty)
        except (ValueError, OverflowError) as error:
            raise InputError(f"{path}: cannot be read as CSV ({str(error)[:LONGEST]}); make it again") from error
    else:
        try:
            there = parquet.read_schema(path).names
            table = pd.read_parquet(path, columns=[name for name in schema.columns if name in there])
        except (pyarrow.ArrowException, ValueError, TypeError, LookupError, OSError) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            raise InputError(f"{path}: cannot be read as Parquet ({str(error)[:LONGEST]}); make it again") from error
    try:
        return validate(table, schema)
    except InputError as error:
        raise InputError(f"{path}: {error}; make it again") from error
