"""Audio embeddings on disk: each stimulus encoded once, for everything that leaves the audio tower as it is.

A file of features holds one shard's rows in its order: stimulus_id, n_audio_tokens, the vectors as bytes of (n_audio_tokens, hidden
size) in the precision named in the file's metadata, and heard, the mean of what the tower hears, as bytes of float32 (width of the
tower).
"""

import json
from collections.abc import Iterator, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet
import torch

from earwitness.core.errors import InputError
from earwitness.core.files import atomic, sha256_of
from earwitness.core.progress import Progress
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.features import AudioEmbeddings, encode_with_means
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.runtime.device_memory import sent
from earwitness.tables.audio import iterate_audio
from earwitness.tables.stimuli import STIMULI

BLOCK = 256
"""Stimuli in memory at a time, and the row group of a file."""


@dataclass(frozen=True)
class FeatureMetadata:
    """What a file of features was made from: the SHA-256 of the shard of stimuli, and the base model's identity
    (earwitness.model.identity). dtype and hidden (size) are those of the vectors."""

    stimuli: str
    base: str
    dtype: str
    hidden: int


_SCHEMA = pyarrow.schema(
    [("stimulus_id", pyarrow.string()), ("n_audio_tokens", pyarrow.int32()), ("vectors", pyarrow.binary()), ("heard", pyarrow.binary())]
)


def encode_shard(loaded: LoadedModel, shard: Path, output: Path, batches: Batches) -> int:
    """Write the features of every stimulus of a shard; return how many there are.

    Memory stays bounded, however large the shard.
    """
    metadata = {"earwitness": json.dumps(asdict(FeatureMetadata(sha256_of(shard), *_vectors_of(loaded))))}
    total = parquet.read_metadata(shard).num_rows
    with (
        atomic(output) as temporary,
        parquet.ParquetWriter(temporary, _SCHEMA.with_metadata(metadata), compression="none") as writer,
        Progress(total=total, unit="stimuli", desc=f"encoding {shard.name}") as progress,
    ):
        for rows, waveforms in iterate_audio(shard, STIMULI, BLOCK):
            n_tokens: list[int] = []
            vectors: list[bytes] = []
            heard: list[bytes] = []
            for sounds in batches.run(lambda batch: encode_with_means(loaded, batch), waveforms, "encoding"):
                n_tokens += sounds.audio.n_tokens
                vectors += [_bytes(row[:n]) for row, n in zip(sounds.audio.vectors, sounds.audio.n_tokens, strict=True)]
                heard += [_bytes(row) for row in sounds.mean]
            writer.write_batch(pyarrow.record_batch([rows.stimulus_id.tolist(), n_tokens, vectors, heard], schema=_SCHEMA))
            progress.update(len(rows))
    return total


def read_features(loaded: LoadedModel, files: Sequence[Path], only: Set[str] | None = None) -> Iterator[tuple[list[str], list[torch.Tensor]]]:
    """Yield stimulus ids and their vectors (n_audio_tokens, hidden size), on the CPU, block by block.

    only: the stimuli to read, of the row groups that hold one alone; None reads all.
    Raises InputError where a file was made by another base model, on another kind of device, or is not a file of features, or where the
    model's adapter changes its audio tower.
    """
    if loaded.adapts_audio_tower:
        raise InputError("features are of the base model's audio tower, which this adapter changes; ask it about stimuli with audio")
    for path in files:
        try:
            file = parquet.ParquetFile(path, pre_buffer=False)
        except pyarrow.ArrowInvalid as error:
            raise InputError(f"{path}: cannot be read as Parquet ({error}); encode the stimuli again") from error
        metadata = metadata_of(path)
        vectors_of_file = (metadata.base, metadata.dtype, metadata.hidden)
        if vectors_of_file != _vectors_of(loaded):
            raise InputError(f"{path}: features of another base model, or in another precision; encode the stimuli again")
        dtype, hidden = getattr(torch, metadata.dtype), metadata.hidden
        for group in range(file.num_row_groups):
            ids = file.read_row_group(group, columns=["stimulus_id"]).column(0).to_pylist()
            chosen = [i for i, name in enumerate(ids) if only is None or name in only]
            if chosen:
                vectors = file.read_row_group(group, columns=["vectors"]).column(0)
                yield [ids[i] for i in chosen], [_tensor(vectors[i].as_buffer(), dtype, hidden) for i in chosen]


def stimuli_of(path: Path) -> list[str]:
    """The stimuli of a file of features."""
    return parquet.read_table(path, columns=["stimulus_id"]).column(0).to_pylist()


def _vectors_of(loaded: LoadedModel) -> tuple[str, str, int]:
    """Base, dtype and hidden size (see FeatureMetadata) of the vectors that a model makes."""
    return loaded.base_sha256, str(loaded.embedding_dtype).removeprefix("torch."), loaded.embedding_size


def metadata_of(path: Path) -> FeatureMetadata:
    """What a file of features says of itself.

    Raises InputError where it has none.
    """
    metadata = parquet.read_schema(path).metadata or {}
    if b"earwitness" not in metadata:
        raise InputError(f"{path}: not a file of features; encode the stimuli again")
    return FeatureMetadata(**json.loads(metadata[b"earwitness"]))


def verify_features(files: Sequence[Path], shards: Sequence[Path]) -> None:
    """Raise InputError unless the files of features were made from exactly these shards of stimuli."""
    if not files:
        raise InputError("--features: none given, but this recipe trains on features; run encode_stimuli and name its outputs")
    expected = {sha256_of(shard) for shard in shards}
    stale = [file for file in files if metadata_of(file).stimuli not in expected]
    if stale or len(files) != len(shards):
        raise InputError(f"--features {(stale or files)[0]}: not made from these shards of stimuli; encode them again")


def pad(vectors: Sequence[torch.Tensor], device: torch.device) -> AudioEmbeddings:
    """One batch from the vectors of several stimuli."""
    padded = torch.nn.utils.rnn.pad_sequence(list(vectors), batch_first=True)
    return AudioEmbeddings(sent(padded, device), [len(row) for row in vectors])


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()


def _tensor(buffer: pyarrow.Buffer, dtype: torch.dtype, hidden: int) -> torch.Tensor:
    if not buffer.size:
        return torch.zeros(0, hidden, dtype=dtype)
    return torch.frombuffer(bytearray(buffer), dtype=dtype).view(-1, hidden)
