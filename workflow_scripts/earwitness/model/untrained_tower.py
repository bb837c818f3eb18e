"""Controls for what an audio tower hears: an untrained tower of the same shape, and simple measures of the sound itself."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.parquet as parquet
import torch
from safetensors import safe_open
from transformers import AutoProcessor, Qwen2AudioConfig, Qwen2AudioEncoder, Qwen2AudioProcessor

from earwitness.audio.io import Waveform
from earwitness.core.errors import InputError
from earwitness.core.files import atomic, sha256_of
from earwitness.core.randomness import stream_seed
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.features import log_mel, mean_outputs, tower_outputs
from earwitness.tables.audio import iterate_audio
from earwitness.tables.stimuli import STIMULI

_POSITIONS = "audio_tower.embed_positions.weight"
_SCHEMA = pyarrow.schema([("stimulus_id", pyarrow.string()), ("untrained", pyarrow.binary()), ("acoustics", pyarrow.binary())])

Measure = Callable[[Waveform], npt.NDArray[np.float32]]
"""A waveform of 16 kHz mono to a few numbers, shape (measures,)."""


def untrained_tower(base: Path, seed: int) -> tuple[Qwen2AudioEncoder, Qwen2AudioProcessor]:
    """An audio tower of a base's shape as its class initialises it, in evaluation mode, float32, and the base's processor.

    The positions, which no training changes, are the base's.
    Raises InputError where the base's weights hold none.
    """
    config: Any = Qwen2AudioConfig.from_pretrained(base, local_files_only=True)
    torch.manual_seed(stream_seed(seed, "encode_controls", "tower") % 2**63)
    tower = Qwen2AudioEncoder(config.audio_config)
    tower.embed_positions.weight.data.copy_(_positions(base))
    return tower.eval(), AutoProcessor.from_pretrained(base, local_files_only=True, trust_remote_code=False)


def _positions(base: Path) -> torch.Tensor:
    for path in sorted(base.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (no mapping)
                if name.endswith(_POSITIONS):
                    return file.get_tensor(name).float()
    raise InputError(f"{base}: its *.safetensors hold no {_POSITIONS}; name the folder of a Qwen2-Audio model")


@torch.inference_mode()
def encode_controls(
    tower: Qwen2AudioEncoder, processor: Qwen2AudioProcessor, shards: Sequence[Path], output: Path, batches: Batches, measure: Measure
) -> int:
    """Write the controls of every stimulus: stimulus_id, untrained (the mean of what the tower hears) and acoustics (what `measure` gives),
    both as bytes of float32. Returns how many stimuli there are; memory stays bounded."""
    device = tower.conv1.weight.device
    total = 0

    def hear(waveforms: Sequence[Waveform]) -> torch.Tensor:
        mel, lengths = log_mel(processor.feature_extractor, waveforms, device)
        return mean_outputs(tower_outputs(tower, mel, lengths), (lengths // 2).tolist())

    metadata = {"earwitness": json.dumps({"stimuli": [sha256_of(shard) for shard in shards]})}
    with atomic(output) as temporary, parquet.ParquetWriter(temporary, _SCHEMA.with_metadata(metadata), compression="none") as writer:
        for shard in shards:
            for rows, waveforms in iterate_audio(shard, STIMULI):
                heard = [row.numpy().tobytes() for means in batches.run(hear, waveforms) for row in means]
                measures = [measure(waveform).astype(np.float32).tobytes() for waveform in waveforms]
                writer.write_batch(pyarrow.record_batch([rows.stimulus_id.tolist(), heard, measures], schema=_SCHEMA))
                total += len(rows)
    return total
