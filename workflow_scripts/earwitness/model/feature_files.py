"""Audio embeddings on disk: each stimulus encoded once, for everything that leaves the audio tower as it is.

A file of features holds one shard's rows in its order: stimulus_id, n_audio_tokens, and the vectors as bytes of
(n_audio_tokens, hidden size) in the precision named in the file's metadata.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet
import torch
from tqdm import tqdm
from transformers import Qwen2AudioForConditionalGeneration

from earwitness.core.errors import InputError
from earwitness.core.files import atomic, sha256_of
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.features import AudioEmbeddings, hear
from earwitness.model.engine.loading import Checkpoint
from earwitness.tables.audio import iterate_audio
from earwitness.tables.stimuli import STIMULI

BLOCK = 256
"""Stimuli in memory at a time, and the row group of a file."""


@dataclass(frozen=True)
class Stamp:
    """What a file of features was made from: stimuli and tower are SHA-256 digests of the shard and of the audio tower's
    weights; dtype and hidden (size) are those of the vectors."""

    stimuli: str
    tower: str
    dtype: str
    hidden: int


_SCHEMA = pyarrow.schema([("stimulus_id", pyarrow.string()), ("n_audio_tokens", pyarrow.int32()), ("vectors", pyarrow.binary())])


def tower_digest(model: Qwen2AudioForConditionalGeneration) -> str:
    """SHA-256 over the weights of the audio tower and the projector: the same for every adapter that leaves them alone."""
    digest = hashlib.sha256()
    for part in (model.model.audio_tower, model.model.multi_modal_projector):
        for name, tensor in sorted(part.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(memoryview(_bytes(tensor)))
    return digest.hexdigest()


def encode_shard(checkpoint: Checkpoint, shard: Path, output: Path, batches: Batches) -> int:
    """Write the features of every stimulus of a shard; return how many there are.

    Memory stays bounded, however large the shard.
    """
    model = checkpoint.model
    dtype = str(model.model.multi_modal_projector.linear.weight.dtype).removeprefix("torch.")
    stamp = Stamp(sha256_of(shard), tower_digest(model), dtype, model.lm_head.in_features)
    metadata = {"earwitness": json.dumps(asdict(stamp))}
    total = parquet.read_metadata(shard).num_rows
    with (
        atomic(output) as temporary,
        parquet.ParquetWriter(temporary, _SCHEMA.with_metadata(metadata), compression="none") as writer,
        tqdm(total=total, unit="stimulus", mininterval=5, desc=shard.name) as progress,
    ):
        for rows, waveforms in iterate_audio(shard, STIMULI, BLOCK):
            n_tokens: list[int] = []
            vectors: list[bytes] = []
            for audio in batches.run(lambda batch: hear(checkpoint, batch), waveforms):
                n_tokens += audio.n_tokens
                vectors += [_bytes(row[:n]) for row, n in zip(audio.vectors, audio.n_tokens, strict=True)]
            writer.write_batch(pyarrow.record_batch([rows.stimulus_id.tolist(), n_tokens, vectors], schema=_SCHEMA))
            progress.update(len(rows))
    return total


def read_features(checkpoint: Checkpoint, files: Sequence[Path], only: Set[str] | None = None) -> Iterator[tuple[list[str], list[torch.Tensor]]]:
    """Yield stimulus ids and their vectors (n_audio_tokens, hidden size), on the CPU, block by block.

    only: the stimuli to read; None reads all.
    Raises InputError where a file was made by another audio tower or is not a file of features.
    """
    tower = tower_digest(checkpoint.model)
    for path in files:
        try:
            file = parquet.ParquetFile(path, pre_buffer=False)
        except pyarrow.ArrowInvalid as error:
            raise InputError(f"{path}: cannot be read as Parquet ({error}); encode the stimuli again") from error
        stamp = stamp_of(path)
        if stamp.tower != tower:
            raise InputError(f"{path}: features of another base model's audio tower; encode the stimuli again")
        dtype, hidden = getattr(torch, stamp.dtype), stamp.hidden
        for batch in file.iter_batches(BLOCK):
            ids, vectors = batch.column("stimulus_id").to_pylist(), batch.column("vectors")
            chosen = [i for i, name in enumerate(ids) if only is None or name in only]
            yield [ids[i] for i in chosen], [_tensor(vectors[i].as_buffer(), dtype, hidden) for i in chosen]


def stimuli_of(path: Path) -> list[str]:
    """The stimuli of a file of features."""
    return parquet.read_table(path, columns=["stimulus_id"]).column(0).to_pylist()


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file of features.

    Raises InputError where it has none.
    """
    metadata = parquet.read_schema(path).metadata or {}
    if b"earwitness" not in metadata:
        raise InputError(f"{path}: not a file of features; encode the stimuli again")
    return Stamp(**json.loads(metadata[b"earwitness"]))


def verify_features(files: Sequence[Path], shards: Sequence[Path]) -> None:
    """Raise InputError unless the files of features were made from exactly these shards of stimuli."""
    if not files:
        raise InputError("--features: none given, but this recipe trains on features; run encode_stimuli and name its outputs")
    expected = {sha256_of(shard) for shard in shards}
    stale = [file for file in files if stamp_of(file).stimuli not in expected]
    if stale or len(files) != len(shards):
        raise InputError(f"--features {(stale or files)[0]}: not made from these shards of stimuli; encode them again")


def pad(vectors: Sequence[torch.Tensor], device: torch.device) -> AudioEmbeddings:
    """One batch from the vectors of several stimuli."""
    padded = torch.nn.utils.rnn.pad_sequence(list(vectors), batch_first=True)
    return AudioEmbeddings(padded.to(device), [len(row) for row in vectors])


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()


def _tensor(buffer: pyarrow.Buffer, dtype: torch.dtype, hidden: int) -> torch.Tensor:
    if not buffer.size:
        return torch.zeros(0, hidden, dtype=dtype)
    return torch.frombuffer(bytearray(buffer), dtype=dtype).view(-1, hidden)
