"""The encoder of a Whisper model in CTranslate2's file format (model.bin), read as numbers alone.

The format is a list of named arrays: a version, the name of the model's kind, and per array its name, shape, type and bytes
(CTranslate2, python/ctranslate2/specs/model_spec.py).
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from earwitness.core.errors import InputError

VERSIONS = (5, 6)
_FLOATS: dict[int, np.dtype[Any]] = {0: np.dtype("<f4"), 4: np.dtype("<f2")}
_INTEGERS: dict[int, np.dtype[Any]] = {1: np.dtype("<i1"), 2: np.dtype("<i2"), 3: np.dtype("<i4")}

_ENCODER = "encoder/"
_WHOLE = {
    "conv1/weight": "conv1.weight",
    "conv1/bias": "conv1.bias",
    "conv2/weight": "conv2.weight",
    "conv2/bias": "conv2.bias",
    "position_encodings/encodings": "embed_positions.weight",
    "layer_norm/gamma": "layer_norm.weight",
    "layer_norm/beta": "layer_norm.bias",
}
_OF_LAYER = {
    "self_attention/linear_1": "self_attn.out_proj",
    "self_attention/layer_norm": "self_attn_layer_norm",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
    "ffn/layer_norm": "final_layer_norm",
}
_PARTS = {"gamma": "weight", "beta": "bias", "weight": "weight", "bias": "bias"}
_PROJECTIONS = ("q_proj", "k_proj", "v_proj")


def read_encoder_arrays(path: Path) -> tuple[dict[str, torch.Tensor], int]:
    """The encoder's weights, float32, by their names in transformers' WhisperEncoder, and its number of attention heads.

    Keys of a Whisper encoder have no bias; the file's zeros in their place must be zeros.
    Raises InputError where the file is cut short, not a Whisper model in a known version of the format, quantised to integers,
    or holds an array of the encoder that has no place.
    """
    weights: dict[str, torch.Tensor] = {}
    heads = 0
    for name, array in _arrays(path):
        if name == "encoder/num_heads":
            heads = int(array.item())
        elif name.startswith(_ENCODER) and array.ndim:
            if array.dtype not in _FLOATS.values():
                raise InputError(f"{path}: {name} is quantised to {array.dtype}; convert the model to float16 or float32")
            weights |= _named(path, name.removeprefix(_ENCODER), torch.from_numpy(array.astype(np.float32)))
    if not weights or not heads:
        raise InputError(f"{path}: holds no Whisper encoder; name a folder with a Whisper model")
    return weights, heads


def _named(path: Path, name: str, array: torch.Tensor) -> dict[str, torch.Tensor]:
    if name in _WHOLE:
        return {_WHOLE[name]: array}
    layer, _, rest = name.partition("/")
    module, _, part = rest.rpartition("/")
    place = f"layers.{layer.removeprefix('layer_')}"
    if module == "self_attention/linear_0":
        found = {f"{place}.self_attn.{projection}.{part}": rows for projection, rows in zip(_PROJECTIONS, array.chunk(3), strict=True)}
        bias = found.pop(f"{place}.self_attn.k_proj.bias", None)
        if bias is not None and bias.any():
            raise InputError(f"{path}: {name} holds a bias of the keys, which no Whisper encoder has; name another model")
        return found
    if module not in _OF_LAYER or part not in _PARTS:
        raise InputError(f"{path}: {_ENCODER}{name} has no place in a Whisper encoder; name another model")
    return {f"{place}.{_OF_LAYER[module]}.{_PARTS[part]}": array}


def _arrays(path: Path) -> Iterator[tuple[str, npt.NDArray[np.generic]]]:
    """Every array of a file whose type is known, with its name; arrays of other types are passed over."""
    content = np.memmap(path, dtype=np.uint8, mode="r")
    place = 0

    def take(size: int) -> bytes:
        nonlocal place
        if place + size > len(content):
            raise InputError(f"{path}: cut short, or not a CTranslate2 model; fetch it again")
        place += size
        return content[place - size : place].tobytes()

    def number(form: str) -> int:
        [value] = struct.unpack(f"<{form}", take(struct.calcsize(form)))
        return int(value)

    def text() -> str:
        return take(number("H")).rstrip(b"\0").decode("ascii", "replace")

    version, kind = number("I"), text()
    if version not in VERSIONS or kind != "WhisperSpec":
        raise InputError(f"{path}: {kind!r} in version {version} of CTranslate2's format; a WhisperSpec in version 5 or 6 is needed")
    number("I")  # The revision of the kind.
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        kind_of_number, raw = number("B"), take(number("I"))
        dtype = (_FLOATS | _INTEGERS).get(kind_of_number)
        if dtype is None:
            continue
        if len(raw) != dtype.itemsize * int(np.prod(shape, dtype=np.int64)):
            raise InputError(f"{path}: {name} has {len(raw)} bytes, which its shape {shape} does not have; fetch the file again")
        array: npt.NDArray[np.generic] = np.frombuffer(raw, dtype)
        yield name, array.reshape(shape)
