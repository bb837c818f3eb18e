"""Tables with an `audio` column: written and read piece by piece, so that memory stays bounded."""

import json
from collections.abc import Callable, Iterator, Set
from pathlib import Path

import pandas as pd
import pandera.pandas as pa
import pyarrow
import pyarrow.parquet as parquet

from earwitness.audio.io import SAMPLE_RATE, Waveform, decode_flac
from earwitness.core.errors import InputError
from earwitness.tables.files import validate

_DTYPES = {pyarrow.string(): "string", pyarrow.large_string(): "large_string", pyarrow.int64(): "int64", pyarrow.float64(): "float64"}


AUDIO_TYPE = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
"""How Hugging Face `datasets` stores audio."""


class AudioTableWriter:
    """Write a table with an `audio` column row group by row group, so that memory stays bounded.

    Use inside `earwitness.core.files.atomic`. The file loads with datasets.load_dataset("parquet") and plays in its viewer.
    Where nothing was written, closing raises InputError, or with allow_empty leaves a valid table of no rows.
    """

    def __init__(self, path: Path, schema: pa.DataFrameSchema, allow_empty: bool = False):
        self._path, self._schema, self._allow_empty = path, schema, allow_empty
        self._writer: parquet.ParquetWriter | None = None

    def __enter__(self) -> "AudioTableWriter":
        return self

    def write(self, rows: pd.DataFrame, flac: list[bytes], names: list[str]) -> None:
        """Append rows of the schema with their FLAC bytes and file names (such as stimulus_id + ".flac")."""
        table = pyarrow.Table.from_pandas(validate(rows, self._schema), preserve_index=False)
        audio = pyarrow.array([{"bytes": content, "path": name} for content, name in zip(flac, names, strict=True)], AUDIO_TYPE)
        table = table.append_column("audio", audio)
        if self._writer is None:
            features: dict[str, dict[str, str | int]] = {
                field.name: {"dtype": _DTYPES[field.type], "_type": "Value"} for field in table.schema if field.name != "audio"
            }
            features["audio"] = {"sampling_rate": SAMPLE_RATE, "_type": "Audio"}
            metadata = {"huggingface": json.dumps({"info": {"features": features}})}
            self._writer = parquet.ParquetWriter(self._path, table.schema.with_metadata(metadata), compression="zstd")
        if len(table):
            self._writer.write_table(table.cast(self._writer.schema))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._writer is None and kind is None:
            if not self._allow_empty:
                raise InputError(f"table {self._schema.name}: no rows to write; check the sources and the clip settings")
            self.write(pd.DataFrame(columns=list(self._schema.columns)), [], [])
        if self._writer is not None:
            self._writer.close()


def iterate_audio(
    path: Path, schema: pa.DataFrameSchema, batch_rows: int = 256, keep: Callable[[pd.DataFrame], pd.Series] | None = None
) -> Iterator[tuple[pd.DataFrame, list[Waveform]]]:
    """Yield the rows of an audio table in batches, each with its decoded 16 kHz mono waveforms; memory stays bounded.

    keep: which rows of a batch to yield, as a Boolean series; the others are not decoded. A batch may so be empty.
    """
    for batch in _row_batches(path, batch_rows, [*schema.columns, "audio"]):
        rows = batch.drop_columns(["audio"]).to_pandas()
        if keep is not None:
            mask = keep(rows).to_numpy(bool)
            rows, batch = rows[mask], batch.filter(pyarrow.array(mask))
        audio = batch.column("audio").field("bytes")
        yield validate(rows, schema), [decode_flac(content.as_py()) for content in audio]


def iterate_encoded_audio(path: Path, key: str, wanted: Set[str], batch_rows: int = 128) -> Iterator[list[tuple[str, bytes]]]:
    """Yield the FLAC bytes of an audio table's rows by the text in their column `key`, in batches; memory stays bounded.

    wanted: the rows to yield. Nothing but key and audio is read, and nothing decoded or validated.
    """
    for batch in _row_batches(path, batch_rows, [key, "audio"]):
        kept = batch.filter(pyarrow.array([name in wanted for name in batch.column(key).to_pylist()], pyarrow.bool_()))
        if len(kept):
            yield list(zip(kept.column(key).to_pylist(), kept.column("audio").field("bytes").to_pylist(), strict=True))


def _row_batches(path: Path, batch_rows: int, columns: list[str]) -> Iterator[pyarrow.RecordBatch]:
    # Buffered ahead, every row group that was read would stay in memory until the last.
    yield from parquet.ParquetFile(path, pre_buffer=False).iter_batches(batch_rows, columns=columns)
