"""Whether a folder holds a whole model, told from the heads of its files: no weight is loaded, and no code is run."""

from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema

from earwitness.core.errors import InputError
from earwitness.core.files import read_text, refuse_pipe
from earwitness.core.json_files import COUNT, record_schema, strict_json

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
"""The file that holds all weights, or the one that says which of several files holds which."""

_DESCRIPTIONS = (
    "config.json", "generation_config.json", "processor_config.json", "preprocessor_config.json", "tokenizer.json",
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "chat_template.json", INDEX,
)  # fmt: skip
"""JSON files that a model is built by, where they are there."""

_POINTER = b"version https://git-lfs.github.com/spec/"
_BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16}
"""Numbers that weights are stored as; others are of a quantisation."""

_BITS_OF_OTHERS = {"C64": 64, "F8_E8M0": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F6_E3M2": 6, "F6_E2M3": 6, "F4": 4, "BOOL": 8} | {
    f"{sign}{bits}": bits for sign in "IU" for bits in (8, 16, 32, 64)
}
"""What else the format holds."""

_LONGEST_HEAD = 100_000_000
"""Bytes; what the format allows."""

_AGAIN = "fetch or copy the model's files again"


def verify_checkpoint(folder: Path) -> None:
    """Raise InputError, naming the file, unless a folder holds a whole model in safetensors: config.json, and every weight file that it
    needs, in its full length and with the tensors that an index says. Code of its own, pickles, and pointers in place of files are refused.
    """
    if not folder.is_dir():
        what = "is a file" if folder.is_file() else "no such folder"
        raise InputError(f"{folder}: {what}; name the folder of a model, with its weights in safetensors")
    try:
        for path in folder.iterdir():
            refuse_pipe(path)
    except OSError as error:
        raise InputError(f"{folder}: cannot be opened ({error.strerror}); change its permissions") from error
    config = read_config(folder)
    if "auto_map" in config:
        raise InputError(f"{folder / 'config.json'}: this model needs code of its own (auto_map), which is never run; name another model")
    if "quantization_config" in config:
        raise InputError(f"{folder / 'config.json'}: these weights are quantised already (quantization_config); name the model in full precision")
    for name in _DESCRIPTIONS:
        if (folder / name).exists() or (folder / name).is_symlink():
            json_object_in(folder / name)
    if (folder / WEIGHTS).is_file() or (folder / WEIGHTS).is_symlink():
        tensors_in(folder / WEIGHTS)
        _refuse_other_shards(folder)
    elif (folder / INDEX).is_file():
        _verify_shards(folder)
    else:
        there = sorted(path.name for path in folder.glob("*.safetensors"))
        what = f"only {there[0]}, and no {INDEX} says what is in it" if there else "other formats can run code when loaded and are refused"
        raise InputError(f"{folder}: no {WEIGHTS} ({what}); {_AGAIN}")


def read_config(folder: Path) -> dict[str, Any]:
    """The content of a model's config.json; raises InputError where it is missing or is no JSON object."""
    path = folder / "config.json"
    if not path.is_file():
        adapter = "an adapter alone, without its base: " * (folder / "adapter_config.json").is_file()
        raise InputError(f"{folder}: no model here ({adapter}config.json is missing); name the folder of a model")
    return json_object_in(path)


def json_object_in(path: Path) -> dict[str, Any]:
    """The content of a JSON file of a model; raises InputError where it is missing, a pointer, or no JSON object."""
    if path.is_symlink() and not path.exists():
        raise InputError(f"{path}: a link without content; {_AGAIN}")
    text = read_text(path)
    if text.startswith(_POINTER.decode()):
        raise InputError(_points(path))
    try:
        content = strict_json(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); {_AGAIN}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no JSON object; {_AGAIN}")
    return content


def tensors_in(path: Path) -> dict[str, int]:
    """The names of the tensors in a safetensors file, and how many numbers each has.

    Raises InputError where it is missing, a pointer, cut, too long, or not in that format.
    """
    if not path.is_file():
        why = "a link without content" if path.is_symlink() else "is missing"
        raise InputError(f"{path}: {why}; {_AGAIN}")
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(64)
        if start.startswith(_POINTER):
            raise InputError(_points(path))
        length = int.from_bytes(start[:8], "little")
        if len(start) < 8 or length > _LONGEST_HEAD:
            raise InputError(f"{path}: not in the safetensors format ({size} bytes); {_AGAIN}")
        stream.seek(8)
        head = stream.read(length)
    if len(head) < length:
        raise InputError(f"{path}: cut off, {size} bytes of at least {8 + length}; {_AGAIN}")
    try:
        tensors = _tensors_of(strict_json(head.decode("utf-8")) if head[:1] == b"{" else None)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not in the safetensors format ({error}); {_AGAIN}") from error
    expected = 8 + length + max((tensor.end for tensor in tensors.values()), default=0)
    if size != expected:
        raise InputError(f"{path}: {'cut off' if size < expected else 'too long'}, {size} bytes of {expected}; {_AGAIN}")
    if quantised := [name for name, tensor in tensors.items() if name.endswith(("weight", "bias")) and tensor.dtype not in _BITS]:
        raise InputError(f"{path}: {quantised[0]} is stored as {tensors[quantised[0]].dtype}: quantised; name the model in full precision")
    return {name: tensor.weights for name, tensor in tensors.items()}


class _Tensor(NamedTuple):
    """One entry of a safetensors head: how its numbers are stored, how many there are, and where it lies behind the head."""

    dtype: str
    weights: int
    start: int
    end: int


_ENTRY = record_schema(
    dtype={"enum": [*_BITS, *_BITS_OF_OTHERS]},
    shape={"type": "array", "items": COUNT},
    data_offsets={"type": "array", "items": COUNT, "minItems": 2, "maxItems": 2},
)


def _tensors_of(head: Any) -> dict[str, _Tensor]:
    """The tensors that a safetensors head names. Raises ValueError unless they lie one behind the other, from the first byte on, each as long as
    its shape says (https://github.com/huggingface/safetensors, section Format)."""
    if not isinstance(head, dict):
        raise ValueError("its head is no JSON object")
    entry_of = jsonschema.Draft202012Validator(_ENTRY)
    tensors: dict[str, _Tensor] = {}
    for name, entry in head.items():
        if name == "__metadata__":
            if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
                raise ValueError("its metadata are no texts")
            continue
        if wrong := next(entry_of.iter_errors(entry), None):
            raise ValueError(f"{name}: {wrong.message[:120]}")
        if any(isinstance(number, float) for number in (*entry["shape"], *entry["data_offsets"])):
            raise ValueError(f"{name}: a size of it is no whole number")
        count, (start, end) = prod(entry["shape"]), entry["data_offsets"]
        tensors[name] = _Tensor(entry["dtype"], count, start, end)
        if end - start != count * (_BITS | _BITS_OF_OTHERS)[entry["dtype"]] // 8:
            raise ValueError(f"{name}: {end - start} bytes for {count} numbers of {entry['dtype']}")
    place = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
        if tensor.start != place:
            raise ValueError(f"{name} begins at byte {tensor.start}, not at {place}")
        place = tensor.end
    return tensors


def _refuse_other_shards(folder: Path) -> None:
    """Raise InputError where an index beside the one file of weights names others: one of the two is of another model, or older."""
    places = json_object_in(folder / INDEX).get("weight_map") if (folder / INDEX).is_file() else None
    if isinstance(places, dict) and (others := sorted(str(name) for name in places.values() if name != WEIGHTS)):
        raise InputError(f"{folder}: holds {WEIGHTS} and an index that names {others[0]}; remove the weights that are not meant")


def _verify_shards(folder: Path) -> None:
    index = folder / INDEX
    places = json_object_in(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise InputError(f"{index}: has no weight_map of tensors and files; {_AGAIN}")
    shards: dict[str, set[str]] = {}
    for tensor, name in places.items():
        if not isinstance(name, str) or Path(name).name != name:
            raise InputError(f"{index}: {name!r} is not the name of a file beside it; {_AGAIN}")
        shards.setdefault(name, set()).add(tensor)
    held: dict[str, str] = {}
    for name, tensors in sorted(shards.items()):
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: is missing, and {INDEX} names it for {len(tensors)} weights such as {min(tensors)}; {_AGAIN}")
        there = tensors_in(folder / name).keys()
        if twice := [tensor for tensor in sorted(there) if tensor in held]:
            raise InputError(f"{folder / name}: holds {twice[0]}, and so does {held[twice[0]]}; {_AGAIN}")
        held |= dict.fromkeys(there, name)
        if absent := tensors - there:
            raise InputError(f"{folder / name}: has no {min(absent)} ({len(absent)} weights that {INDEX} names are missing); {_AGAIN}")


def _points(path: Path) -> str:
    return f"{path}: a Git LFS pointer in place of the file; run `git lfs pull` in {path.parent}"
