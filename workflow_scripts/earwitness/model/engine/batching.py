"""How many stimuli a model takes at a time: a given number, or as many as pay off; fewer where memory runs out."""

import sys
import time
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, TypeVar

import torch

from earwitness.core.errors import InputError
from earwitness.model.engine.loading import Memory

Item = TypeVar("Item")
Result = TypeVar("Result")

CPU_SIZE = 64
"""Measuring would make the last bits of a CPU's results depend on how busy it is."""
COMPACT_SIZE = 16
"""With twice this, the full-size model answers about windows of 2 s within 7.5 GiB, but a sweep of 40 questions takes 8.5."""
UNMEASURED_SIZE = 64
"""Of work on a GPU that is too short to be measured."""
SMALLEST, LARGEST = 16, 256
"""Blocks of stimuli in memory hold no more."""
BATCHES_PER_SIZE = 3
GAIN = 0.97
"""A larger batch must bring the time per stimulus below this share to be worth its memory."""


class Batches:
    """A batch size that adapts to the device.

    size: fixed where given; None starts small and doubles while the time per stimulus falls, but is a constant on a CPU and
    where memory is "compact". measured: what was found before, by the kind of work and the length of an item (samples, or audio tokens),
    is not measured again; what is found is added to it.
    """

    def __init__(self, size: int | None, device: torch.device, memory: Memory = "fast", measured: MutableMapping[str, int] | None = None):
        self._device = device
        self._measured = {} if measured is None else measured
        self._growing = size is None and device.type == "cuda" and memory == "fast"
        self.size = size or (SMALLEST if self._growing else COMPACT_SIZE if memory == "compact" else CPU_SIZE)
        self._times: dict[int, list[float]] = {}
        self._shape = ""

    def unmeasured(self) -> "Batches":
        """Batches for work that is done once, and too short to be measured."""
        return Batches(UNMEASURED_SIZE if self._growing else self.size, self._device)

    def run(self, work: Callable[[Sequence[Item]], Result], items: Sequence[Item], kind: str = "", questions: int = 1) -> list[Result]:
        """work's results on consecutive batches of items.

        kind: of work, which has a size of its own. questions: asked of every item; the work grows with them.
        Raises InputError where a single item does not fit into the device's memory.
        """
        if self._growing and len(items):
            self._shape = f"{kind} {_length(items[0])}"
            if known := self._measured.get(self._shape):
                self.size, self._growing = known, False
        results: list[Result] = []
        at = 0
        while at < len(items):
            batch = items[at : at + self.size]
            started = time.perf_counter()
            try:
                results.append(work(batch))
                if self._growing:
                    torch.cuda.synchronize(self._device)
            except torch.OutOfMemoryError:
                self._halve(len(batch))
                continue
            at += len(batch)
            if self._growing and len(batch) == self.size:
                self._learn((time.perf_counter() - started) / questions)
        return results

    def _halve(self, tried: int) -> None:
        torch.cuda.empty_cache()
        if tried == 1:
            raise InputError("the device's memory does not hold a single stimulus; set resources.memory to compact, or use a larger device")
        self.size, self._growing = tried // 2, False
        print(f"out of memory with batches of {tried}; going on with {self.size}", file=sys.stderr, flush=True)

    def _learn(self, elapsed: float) -> None:
        """Grow until two larger sizes in turn brought nothing; the first batch of a size pays for choosing kernels."""
        times = self._times.setdefault(self.size, [])
        times.append(elapsed / self.size)
        if len(times) < BATCHES_PER_SIZE:
            return
        best = {size: min(seconds[1:]) for size, seconds in self._times.items()}
        favourite = min(size for size in best if GAIN * best[size] <= min(best.values()))
        if self.size >= min(4 * favourite, LARGEST):
            self.size, self._growing = favourite, False
            self._measured[self._shape] = favourite
            print(f"batches of {self.size}: {1000 * best[favourite]:.2f} ms per stimulus", file=sys.stderr, flush=True)
        else:
            self.size *= 2


def _length(item: Any) -> int:
    return len(item) if hasattr(item, "__len__") else 0
