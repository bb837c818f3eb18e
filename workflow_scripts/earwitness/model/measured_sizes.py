"""Sizes of batches that were measured once for a model on a kind of device, kept beside the model's digests."""

import json
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from typing import Any

import torch

from earwitness.core.files import write_json
from earwitness.model.engine.loading import Memory
from earwitness.model.identity import ModelFolder, places_beside

SIZES = ".earwitness-batches"
"""Name of the file in a model's folder."""


class MeasuredSizes(MutableMapping[str, int]):
    """Kind of work -> stimuli at a time, for a model, as it is loaded, on a device.

    Kept in SIZES in the model's folder or, where that cannot be written to, in the user's cache; where neither can be, for this process.
    What two processes measure at the same time may be lost, and is then measured again.
    """

    def __init__(self, model: ModelFolder, quantisation: str, memory: Memory, device: torch.device):
        self._folder = model.path
        properties: Any = torch.cuda.get_device_properties(device) if device.type == "cuda" else None
        card = f"{properties.name} {properties.total_memory >> 30} GiB" if properties else "CPU"
        self._prefix = f"{model.sha256} {quantisation} {memory} {card} torch {torch.__version__} "
        self._own: dict[str, int] = {}

    def __getitem__(self, work: str) -> int:
        return (self._kept() | self._own)[self._prefix + work]

    def __setitem__(self, work: str, size: int) -> None:
        self._own[self._prefix + work] = size
        for place in places_beside(self._folder, SIZES):
            with suppress(OSError):
                write_json(place, self._kept() | self._own)
                return

    def __delitem__(self, work: str) -> None:
        raise TypeError("what was measured stays")

    def __iter__(self) -> Iterator[str]:
        sizes = self._kept() | self._own
        return iter([name.removeprefix(self._prefix) for name in sizes if name.startswith(self._prefix)])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _kept(self) -> dict[str, int]:
        kept: dict[str, int] = {}
        for place in places_beside(self._folder, SIZES):
            with suppress(OSError, ValueError, AttributeError):
                sizes = json.loads(place.read_text(encoding="utf-8"))
                kept |= {name: size for name, size in sizes.items() if isinstance(size, int) and size > 0}
        return kept
