"""A base in 4 bits kept beside its files: later loads read less than half, and quantise nothing.

No result depends on it: loading it gives the same bits as loading the base and quantising that. Whoever removes it loses time alone.
"""

import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from transformers import BitsAndBytesConfig

from earwitness.core.files import atomic, atomic_folder
from earwitness.model.engine.uncompiled import without_compiler
from earwitness.model.identity import ModelFolder, model_files

COPY = ".earwitness-nf4"
"""Name of the folder in a model's folder."""

RECORD = ".earwitness-made-of.json"
"""What a copy was made of, and the state of its files then."""

PAYS_FROM_BYTES = 10**9
"""Of a base; a smaller one is loaded in a second as it is."""

_FILE_BYTES = "2GB"
"""A file of the copy is put together in the machine's memory before it is written."""


def nf4(device: torch.device, unquantised: Sequence[str] | None) -> BitsAndBytesConfig:
    """How weights are quantised to 4 bits; unquantised: modules that stay as they are, None leaves it to the library."""
    with suppress(ImportError), without_compiler():  # Whoever then loads weights says that it is missing.
        import bitsandbytes  # noqa: F401
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32 if device.type == "cpu" else torch.bfloat16,
        llm_int8_skip_modules=unquantised,
    )


def kept_copy(base: ModelFolder, unquantised: Sequence[str], device: torch.device) -> Path | None:
    """The copy of a base that gives what `nf4` on such a device gives; None where there is none, or it is of other versions or not whole."""
    copy = base.path / COPY
    try:
        whole = json.loads((copy / RECORD).read_text(encoding="utf-8")) == _record(copy, base, unquantised, device)
    except (OSError, ValueError, ImportError):
        return None
    return copy if whole else None


def pays(base: ModelFolder) -> bool:
    """Is a base so large that it should be kept?"""
    return _bytes_of(base) >= PAYS_FROM_BYTES


def lacking_room(base: ModelFolder) -> str:
    """In words, how much space its disk lacks; nothing where as much is free as the base itself takes."""
    size, free = _bytes_of(base), shutil.disk_usage(base.path).free
    return f"{base.path} has {free / 1e9:.1f} GB free, of {size / 1e9:.1f}" if free < size else ""


def _bytes_of(base: ModelFolder) -> int:
    return sum(path.stat().st_size for path in model_files(base.path))


def write_copy(model: Any, base: ModelFolder, unquantised: Sequence[str], device: torch.device) -> int:
    """Keep a base that `nf4` has quantised, all of it, in its folder, in place of a copy that is there; bytes of it.

    Raises OSError where that folder cannot be written to, and InputError where the copy's holds anything else.
    """
    copy = base.path / COPY
    with atomic_folder(copy) as temporary:
        model.save_pretrained(temporary, max_shard_size=_FILE_BYTES, save_original_format=False)
    with atomic(copy / RECORD) as record:
        record.write_text(json.dumps(_record(copy, base, unquantised, device), indent=1), encoding="utf-8")
    return sum(path.stat().st_size for path in copy.iterdir())


def _record(copy: Path, base: ModelFolder, unquantised: Sequence[str], device: torch.device) -> dict[str, Any]:
    """All that decides a copy's bits, and its files as they are now: name -> size in bytes, and when the file system saw the last change, in ns.

    Nobody can set that time: so a copy that came with the base, or was written over, does not count as made here.
    """
    files = {path.name: path.stat() for path in copy.iterdir() if not path.name.startswith(".")}
    return {
        "base": base.sha256,
        # Kernels are built for each.
        "device": f"cuda {torch.cuda.get_device_capability(device)}" if device.type == "cuda" else device.type,
        "settings": nf4(device, unquantised).to_dict(),
        "versions": {name: version(name) for name in ("torch", "transformers", "bitsandbytes")},
        "files": {name: [status.st_size, status.st_ctime_ns] for name, status in sorted(files.items())},
    }
