"""The projector of an assembled base as a file: what carries an encoder's outputs into a language model, and what was added to that model."""

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

LOW_RANK = {"lora_A": "low_rank_in", "lora_B": "low_rank_out"}
"""The two factors that peft trains beside a layer -> their names in a projector's file, after the layer's."""


def save_projector(path: Path, weights: Mapping[str, torch.Tensor], provenance: Mapping[str, str]) -> None:
    """Write a projector, float16, with what it was made of and how.

    weights: "weight" (language model's width, encoder's width) and "bias"; and for each layer of the language model that was changed,
    LAYER.low_rank_in (rank, inputs) and LAYER.low_rank_out (outputs, rank), whose product is added to its weight. provenance: "encoder" and
    "language_model", the SHA-256s of the halves, and anything else worth knowing.
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


def rank_of(path: Path) -> int:
    """The rank of what was added to layers of the language model; 0 where nothing was."""
    with safetensors.safe_open(path, framework="pt") as file:
        ranks = (file.get_slice(name).get_shape()[0] for name in file.keys() if name.endswith(f".{LOW_RANK['lora_A']}"))  # noqa: SIM118
        return next(ranks, 0)


def fitting_projector(candidates: list[Path], encoder: Encoder, language_model: LanguageModel, rank: int) -> Path:
    """The first of some projectors that was trained between exactly these halves, with a change of the language model of this rank.

    Raises InputError where none was.
    """
    wanted = {"encoder": encoder.sha256, "language_model": language_model.sha256}
    for path in candidates:
        if provenance_of(path).items() >= wanted.items() and rank_of(path) == rank:
            return path
    raise InputError(f"a model's projector: none of rank {rank} was trained between these halves; set projector.origin to trained, which needs a GPU")


@torch.no_grad()
def put_projector(assembled: LoadedModel, path: Path) -> None:
    """Give a base the projector of a file, and its language model what was added to it; raises InputError where their shapes are others."""
    with safetensors.safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 (no mapping)
    linear, parameters = assembled.projector.linear, dict(assembled.model.named_parameters())
    for layer in sorted({name.rpartition(".")[0] for name in weights} - {""}):
        first, then = (weights.pop(f"{layer}.{factor}", None) for factor in LOW_RANK.values())
        changed = parameters.get(f"{layer}.weight")
        if (
            first is None
            or then is None
            or changed is None
            or first.shape[:1] != then.shape[1:]
            or (*then.shape[:1], *first.shape[1:]) != changed.shape
        ):
            raise InputError(f"{path}: {layer} does not fit this language model; run train_projector again")
        changed += (then @ first).to(changed)
    shapes = {name: tensor.shape for name, tensor in linear.state_dict().items()}
    if {name: tensor.shape for name, tensor in weights.items()} != shapes:
        raise InputError(f"{path}: not the shape that lies between these halves; run train_projector again")
    linear.load_state_dict({name: tensor.to(linear.weight) for name, tensor in weights.items()})
