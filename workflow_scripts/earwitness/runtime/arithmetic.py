"""One arithmetic on every processor with AVX2, so that a study's numbers do not depend on which of them computed them."""

import os
import platform
import re
from collections.abc import MutableMapping
from pathlib import Path

PINNED = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "AVX2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}
"""Environment variables that keep torch's own kernels, oneDNN, MKL and NumPy at vectors of 256 bits. Wider or narrower ones add up in
another order, and so round otherwise."""


def pin_arithmetic(environment: MutableMapping[str, str] = os.environ, processor: Path = Path("/proc/cpuinfo")) -> None:
    """Set PINNED in `environment`, but for what the user has set, on a processor that has AVX2; elsewhere there is nothing to choose.

    Libraries read them when they are imported, so this must come before; jobs inherit them.
    """
    on_mac = platform.system() == "Darwin"
    if platform.machine() == "x86_64" and (on_mac or (processor.is_file() and " avx2 " in processor.read_text(errors="replace"))):
        for name, value in PINNED.items():
            environment.setdefault(name, value)


def let_multiply_16_bits(environment: MutableMapping[str, str] = os.environ, processor: Path = Path("/proc/cpuinfo")) -> bool:
    """Undo what `pin_arithmetic` set for oneDNN, which else multiplies bfloat16 slowly; return whether the processor multiplies bfloat16 itself.

    oneDNN reads its variable when it first multiplies, so this must come before.
    """
    name = "ONEDNN_MAX_CPU_ISA"
    if environment.get(name) == PINNED[name]:
        environment[name] = "DEFAULT"
    return processor.is_file() and re.search(r"\b(amx_bf16|avx512_bf16|bf16)\b", processor.read_text(errors="replace")) is not None
