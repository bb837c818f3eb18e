"""How many stimuli a model takes at a time: a given number, or as many as pay off; fewer where memory runs out."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from earwitness.core.errors import InputError
from earwitness.model.engine.loading import Memory

Item = TypeVar("Item")
Result = TypeVar("Result")

CPU_SIZE = 64
"""Measuring would make the last bits of a CPU's results depend on how busy it is."""
COMPACT_SIZE = 16
"""With twice this, the full-size model answers about windows of 2 s within 7.5 GiB, but a sweep of 40 questions takes 8.5."""
SMALLEST, LARGEST = 16, 1024
BATCHES_PER_SIZE = 3
GAIN = 0.97
"""A larger batch must bring the time per stimulus below this share to be worth its memory."""


class Batches:
    """A batch size that adapts to the device.

    size: fixed where given; None starts small and doubles while the time per stimulus falls, but is a constant on a CPU and
    where memory is "compact".
    """

    def __init__(self, size: int | None, device: torch.device, memory: Memory = "fast"):
        self._device = device
        self._growing = size is None and device.type == "cuda" and memory == "fast"
        self.size = size or (SMALLEST if self._growing else COMPACT_SIZE if memory == "compact" else CPU_SIZE)
        self._times: dict[int, list[float]] = {}

    def run(self, work: Callable[[Sequence[Item]], Result], items: Sequence[Item]) -> list[Result]:
        """work's results on consecutive batches of items.

        Raises InputError where a single item does not fit into the device's memory.
        """
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
                self._learn(time.perf_counter() - started)
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
            print(f"batches of {self.size}: {1000 * best[favourite]:.2f} ms per stimulus", file=sys.stderr, flush=True)
        else:
            self.size *= 2
