"""The control for what an audio tower hears: an untrained tower of the same shape."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet as parquet
import torch
from safetensors import safe_open

from earwitness.audio.io import Waveform
from earwitness.core.errors import InputError
from earwitness.core.files import atomic, sha256_of
from earwitness.core.progress import Progress
from earwitness.core.randomness import stream_seed
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.features import encoder_outputs, mean_outputs
from earwitness.model.families.implementation import implementation_of
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.tables.audio import iterate_audio
from earwitness.tables.stimuli import STIMULI

_SCHEMA = pyarrow.schema([("stimulus_id", pyarrow.string()), ("untrained", pyarrow.binary())])


def untrained_tower(base: Path, seed: int) -> LoadedModel:
    """A model of a base's shape and with its processor, in evaluation mode, float32. Its audio tower is as its class initialises it; nothing else
    has weights.

    Parts of a tower that no training changes, such as positions, are the base's.
    Raises InputError where the base's weights lack that, or the base is of no family.
    """
    family = implementation_of(base)
    config: Any = family.checkpoint.config_class.from_pretrained(base, local_files_only=True)
    with torch.device("meta"):
        model = family.checkpoint(config)
    shape = model.get_submodule(family.tower_name)
    torch.manual_seed(stream_seed(seed, "encode_controls", "tower") % 2**63)
    tower = type(shape)(shape.config)
    for name in family.fixed_in_tower:
        tower.get_parameter(name).data.copy_(_weight(base, f"{family.tower_name.rpartition('.')[2]}.{name}"))
    model.set_submodule(family.tower_name, tower)
    return family(model.eval(), family.load_processor(base), base_sha256="")


def _weight(base: Path, ending: str) -> torch.Tensor:
    for path in sorted(base.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (no mapping)
                if name.endswith(ending):
                    return file.get_tensor(name).float()
    raise InputError(f"{base}: its *.safetensors hold no {ending}; copy the model's weights again")


@torch.inference_mode()
def encode_controls(loaded: LoadedModel, shards: Sequence[Path], output: Path, batches: Batches) -> int:
    """Write the control of every stimulus: stimulus_id, and untrained (the mean of what the tower hears) as bytes of float32. Returns how
    many stimuli there are; memory stays bounded."""
    device = next(loaded.tower.parameters()).device
    total = sum(parquet.read_metadata(shard).num_rows for shard in shards)

    def encode(waveforms: Sequence[Waveform]) -> torch.Tensor:
        mel, lengths = loaded.spectrograms(waveforms, device)
        return mean_outputs(encoder_outputs(loaded, mel, lengths), [loaded.tokens_of(length) for length in lengths])

    metadata = {"earwitness": json.dumps({"stimuli": [sha256_of(shard) for shard in shards]})}
    with (
        atomic(output) as temporary,
        parquet.ParquetWriter(temporary, _SCHEMA.with_metadata(metadata), compression="none") as writer,
        Progress(total=total, desc="encoding controls", unit="stimuli") as progress,
    ):
        for shard in shards:
            for rows, waveforms in iterate_audio(shard, STIMULI):
                means_of = [row.numpy().tobytes() for means in batches.run(encode, waveforms, "untrained") for row in means]
                writer.write_batch(pyarrow.record_batch([rows.stimulus_id.tolist(), means_of], schema=_SCHEMA))
                progress.update(len(rows))
    return total
