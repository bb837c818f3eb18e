"""Which checkpoint a folder holds, told from its files without reading all of the large ones."""

import hashlib
from pathlib import Path

from earwitness.core.errors import InputError

BLOCK = 2**20
BLOCKS = 64
"""A file of more than BLOCKS times BLOCK bytes is read at so many evenly spaced places."""

_NAMES = ("config.json", "tokenizer.json", "*.safetensors", "chat_template.*")


def checkpoint_fingerprint(folder: Path) -> str:
    """SHA-256 over names, sizes and contents of configuration, tokenizer, chat template and weights; of large files, samples.

    Checkpoints that differ in training differ everywhere, so 64 MiB of each weight file are enough to tell them apart.
    Raises InputError where the folder has no weights.
    """
    paths = sorted({path for name in _NAMES for path in folder.glob(name)})
    if not any(path.suffix == ".safetensors" for path in paths):
        raise InputError(f"{folder}: no checkpoint here (no *.safetensors); name the folder of the base model")
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as stream:
            if size <= BLOCKS * BLOCK:
                digest.update(stream.read())
            else:
                for k in range(BLOCKS):
                    stream.seek((size - BLOCK) * k // (BLOCKS - 1))
                    digest.update(stream.read(BLOCK))
    return digest.hexdigest()
