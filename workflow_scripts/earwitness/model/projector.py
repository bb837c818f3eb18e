"""The projector of an assembled base as a file: what carries an encoder's outputs into a language model."""

from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save_file

from earwitness.core.errors import InputError
from earwitness.core.files import atomic
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.halves import Encoder, LanguageModel

_HALVES = ("encoder", "language_model")


def save_projector(path: Path, weights: Mapping[str, torch.Tensor], provenance: Mapping[str, str]) -> None:
    """Write a projector, float16, with what it was made of and how.

    weights: "weight" (language model's width, encoder's width) and "bias". provenance: "encoder" and "language_model", the SHA-256s of the
    halves, and anything else worth knowing.
    """
    with atomic(path) as temporary:
        save_file({name: tensor.detach().half().cpu().contiguous() for name, tensor in weights.items()}, temporary, dict(sorted(provenance.items())))


def provenance_of(path: Path) -> dict[str, str]:
    """What a projector's file says of its making; raises InputError where it is no projector."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            found: dict[str, str] = file.metadata() or {}
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{path}: no projector ({error}); run train_projector again") from error
    if not set(_HALVES) <= set(found):
        raise InputError(f"{path}: a projector that does not say between which halves it stands; run train_projector again")
    return found


def fitting_projector(candidates: list[Path], encoder: Encoder, language_model: LanguageModel) -> Path:
    """The first of some projectors that was trained between exactly these halves.

    Raises InputError where none was.
    """
    wanted = {"encoder": encoder.sha256, "language_model": language_model.sha256}
    for path in candidates:
        if provenance_of(path).items() >= wanted.items():
            return path
    raise InputError("model.projector: none was trained between these halves; set model.projector.origin to trained, which needs a GPU")


@torch.no_grad()
def put_projector(assembled: LoadedModel, path: Path) -> None:
    """Give a base the projector of a file; raises InputError where its shape is another."""
    with safetensors.safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    linear = assembled.projector.linear
    shapes = {name: tensor.shape for name, tensor in linear.state_dict().items()}
    if {name: tensor.shape for name, tensor in weights.items()} != shapes:
        raise InputError(f"{path}: not the shape that lies between these halves; run train_projector again")
    linear.load_state_dict({name: tensor.to(linear.weight) for name, tensor in weights.items()})
