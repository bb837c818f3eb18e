"""What a program used of the machine: one line at the end of its log.

Times and memory differ from run to run, so they stay out of every result.
"""

import os
import resource
import stat
import sys
import time

STARTED = time.monotonic()

LINE = "used {seconds:.1f} s, {memory:.0f} MiB of memory, {gpu:.0f} MiB of GPU memory"


def usage_line() -> str:
    """Seconds since this module was imported, and the peak memory (MiB) of the largest of this process and its children.

    GPU memory: the peak that PyTorch allocated in this process; 0 without a GPU.
    """
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    torch = sys.modules.get("torch")
    gpu = torch.cuda.max_memory_allocated() if torch is not None and torch.cuda.is_initialized() else 0
    return LINE.format(seconds=time.monotonic() - STARTED, memory=peak / unit, gpu=gpu / 2**20)


def writes_a_log() -> bool:
    """Do stdout and stderr both go to one file, as a rule's `&> log` lets them?"""
    try:
        out, error = (os.fstat(stream.fileno()) for stream in (sys.stdout, sys.stderr))
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(out.st_mode) and os.path.samestat(out, error)
