"""What a job took: time, memory, and the size of what it made. No two runs give the same."""

import os
import platform
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn


class Meter:
    """Counts from its making on."""

    def __init__(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self._wall, self._processor = _now(), time.process_time()

    def wall_s(self) -> float:
        """Seconds so far, the device's queued work included."""
        return round(_now() - self._wall, 3)

    def costs(self, model: nn.Module, samples: int, weights: Path) -> dict[str, Any]:
        """The costs of an adapter's training.

        samples: rows trained on since the meter was made, not those before an interruption. weights: the adapter's file.
        Returns wall_s, processor_s, samples, ms_per_sample (None without samples), trainable_parameters, adapter_bytes,
        peak_memory_bytes (the device's allocations; on a CPU the process's largest resident set so far), device,
        host_processors.
        """
        wall_s = self.wall_s()
        on_gpu = torch.cuda.is_available()
        return {
            "wall_s": wall_s,
            "processor_s": round(time.process_time() - self._processor, 3),
            "samples": samples,
            "ms_per_sample": round(1000 * wall_s / samples, 3) if samples else None,
            "trainable_parameters": sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
            "adapter_bytes": weights.stat().st_size,
            "peak_memory_bytes": torch.cuda.max_memory_allocated() if on_gpu else _resident_bytes(),
            "device": torch.cuda.get_device_name() if on_gpu else f"CPU ({platform.machine()})",
            "host_processors": os.cpu_count(),
        }


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def _resident_bytes() -> int:
    """Linux counts in KiB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
