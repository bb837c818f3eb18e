"""The state of interrupted work: resumed only by a job of the same fingerprint, and never read as code."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from earwitness.core.code_identity import COSMETIC, identity_of
from earwitness.core.files import atomic_folder


def loaded_code_identity() -> str:
    """SHA-256 over the meaning of every Earwitness module that is loaded: a comment or a message lets a job be resumed."""
    loaded = {name: Path(module.__file__) for name, module in sys.modules.items() if name.split(".")[0] == "earwitness" and module.__file__}
    return identity_of({name: path for name, path in loaded.items() if "/".join(name.split(".")) + ".py" not in COSMETIC})


class SavedState:
    """The latest state of one job.

    fingerprint: everything that the result depends on (settings, digests of data and code, seed). A state saved under
    another fingerprint is removed when it is looked for.
    """

    def __init__(self, folder: Path, fingerprint: dict[str, Any]):
        self.folder = folder
        self._fingerprint = json.loads(json.dumps(fingerprint))

    def save(self, tensors: dict[str, torch.Tensor], progress: Any) -> None:
        """Replace the saved state."""
        with atomic_folder(self.folder) as temporary:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary / "state.safetensors")
            (temporary / "state.json").write_text(json.dumps({"fingerprint": self._fingerprint, "progress": progress}), encoding="utf-8")

    def load(self) -> tuple[dict[str, torch.Tensor], Any] | None:
        """The saved tensors and progress, or None where there is no state with this fingerprint; a state with another is removed."""
        state = self.folder / "state.json"
        if not state.is_file():
            return None
        content = json.loads(state.read_text(encoding="utf-8"))
        if content.get("fingerprint") != self._fingerprint:
            self.remove()
            return None
        return load_file(self.folder / "state.safetensors"), content["progress"]

    def remove(self) -> None:
        """Forget the state; call when the job's outputs are written."""
        shutil.rmtree(self.folder, ignore_errors=True)
