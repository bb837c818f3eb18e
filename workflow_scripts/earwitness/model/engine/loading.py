"""Loading models from folders, whole or not at all: an audio language model of any family, and the weights of any other."""

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from transformers.utils import logging

from earwitness.core.errors import InputError, system_error_number
from earwitness.model.checkpoint import verify_checkpoint
from earwitness.model.engine.four_bits import COPY, kept_copy, lacking_room, nf4, pays, write_copy
from earwitness.model.families.implementation import implementation_of
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.identity import ModelFolder
from earwitness.runtime.arithmetic import let_multiply_16_bits
from earwitness.runtime.device_memory import free_bytes

Memory = Literal["fast", "compact"]

TOKENIZER_PARTS = {"tokenizer.json": ("vocab.json", "merges.txt")}
"""File of a tokenizer -> the files that it is made from where it is not there itself."""

HEADROOM_BYTES = 8 * 2**30
"""What must stay free for activations where NF4 weights are dequantised."""


def load_model(base: ModelFolder, quantisation: str = "none", device: torch.device | None = None, memory: Memory = "fast") -> LoadedModel:
    """Load a base model in evaluation mode, frozen.

    quantisation: "none" keeps the weights' own precision on CUDA and float32 on CPU; "bfloat16" rounds every weight to it, and what
    goes from layer to layer; "nf4" quantises the language model's linear layers to 4 bits (bitsandbytes), and nothing that
    its family leaves unquantised.
    Raises InputError where the folder is not a complete model in safetensors of a family in
    earwitness.model.families.implementation, with the processor that it was made for.
    """
    family = implementation_of(base.path)
    processor = _processor(family, base.path)
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = _weights_of(family, base, quantisation, device)
    for name in family.unasked:
        parent, _, child = name.rpartition(".")
        delattr(model.get_submodule(parent), child)
    loaded = family(model, processor, base.sha256)
    _verify_fit(base.path, loaded)
    if device.type == "cuda" and memory == "compact":
        for table in loaded.tables:
            table.to("cpu")
    if device.type == "cuda" and memory == "fast" and quantisation == "nf4":
        dequantise_what_fits(model, lambda: free_bytes(device))
    _fuse_norms(loaded)
    model.requires_grad_(False).eval()
    return loaded


def keep_in_4_bits(base: ModelFolder, device: torch.device) -> tuple[bool, str]:
    """Keep a copy of a base in 4 bits beside its files (earwitness.model.engine.four_bits) for later loads on such a device, if it pays and there
    is none. Returns whether nothing is left to gain, and the state in words.

    Raises InputError as `load_model` does.
    """
    family = implementation_of(base.path)
    if copy := kept_copy(base, family.unquantised(), device):
        return True, f"kept in {copy}"
    if not pays(base):
        return True, "none, since a base of this size is loaded in a second"
    if lack := lacking_room(base):
        return False, f"none, since {lack}"
    model = _weights_of(family, base, "nf4", device)
    try:
        with quiet_library():
            size = write_copy(model, base, family.unquantised(), device)
    except Exception as error:  # Whatever keeps it from being written, the base can be used without.
        return False, f"none ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
    return True, f"kept in {base.path / COPY}, {size / 1e9:.1f} GB; it may be removed at any time"


def _weights_of(family: type[LoadedModel], base: ModelFolder, quantisation: str, device: torch.device) -> Any:
    """A base with its weights, from its copy in 4 bits where it is to have such and there is one."""
    unquantised = family.unquantised()
    copy = kept_copy(base, unquantised, device) if quantisation == "nf4" else None
    if copy:
        try:
            return _read_weights(family.checkpoint, copy, device, attn_implementation=family.attention)
        except (InputError, OSError) as error:
            print(f"{error}; it is a copy in 4 bits that may be removed, and the base itself is read now", file=sys.stderr, flush=True)
    return load_weights(family.checkpoint, base.path, quantisation, device, unquantised, family.other_parts, attn_implementation=family.attention)


def load_weights(
    kind: type[Any],
    folder: Path,
    quantisation: str,
    device: torch.device,
    unquantised: Sequence[str] | None = None,
    other_parts: tuple[str, ...] = (),
    **options: Any,
) -> Any:
    """A model of a class of the library with the weights of a folder, all of them and no others.

    quantisation, device: as in `load_model`. unquantised: modules that "nf4" leaves as they are; None leaves it to the library. other_parts:
    beginnings of the names of weights that belong to parts which the class leaves out.
    Raises InputError where a weight is missing, has another shape, or has no place, which the library would draw anew or drop with a
    warning, and where the files cannot be loaded.
    """
    verify_checkpoint(folder)
    if quantisation == "bfloat16":
        options |= {"dtype": torch.bfloat16}
        if device.type == "cpu" and not let_multiply_16_bits():
            print(
                f"{folder}: this processor has no products of bfloat16 (AMX or AVX512-BF16), which takes longer here than quantisation none",
                file=sys.stderr,
                flush=True,
            )
    if quantisation == "nf4":
        options["quantization_config"] = nf4(device, unquantised)
    return _read_weights(kind, folder, device, other_parts, **options)


def _read_weights(kind: type[Any], folder: Path, device: torch.device, other_parts: tuple[str, ...] = (), **options: Any) -> Any:
    """As `load_weights`, of a folder whose files are known to be whole."""
    options.setdefault("dtype", torch.float32 if device.type == "cpu" else "auto")
    with refused_in_words(folder):
        model, told = kind.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            device_map={"": device},
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **options,
        )
    told["unexpected_keys"] = {name for name in told["unexpected_keys"] if not name.startswith(other_parts)}
    refuse_other_weights(folder, told)
    refuse_infinite(folder, model)
    return model


def refuse_infinite(folder: Path, model: torch.nn.Module) -> None:
    """Raise InputError where a weight of a model from a folder is NaN or infinite: whatever it answers would be no number."""
    ends = []
    for name, weight in model.named_parameters():
        packed = getattr(weight, "quant_state", None)
        # Of a weight in 4 bits, the mean of its scales is finite only if all scales are.
        numbers = weight.detach() if packed is None else packed.offset
        if numbers is not None and numbers.is_floating_point() and numbers.numel():
            # Minimum and maximum are NaN if one number is; no copy is made.
            ends.append((name, torch.stack(torch.aminmax(numbers)).isfinite().all()))
    if found := [name for name, finite in ends if not finite]:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise InputError(f"{folder}: the weights {found[0]}{more} hold NaN or infinite values; fetch or copy the model's files again")


def refuse_other_weights(folder: Path, told: Mapping[str, Any]) -> None:
    """Raise InputError unless the weights of a folder were the model's own; told: what the library says of its loading (output_loading_info)."""
    for what, names in (
        ("the weights lack {}", told["missing_keys"]),
        ("{} has another shape than config.json says", {name for name, *_ in told["mismatched_keys"]}),
        ("the model has no place for the weights {}", told["unexpected_keys"]),
    ):
        if names:
            named = min(names) + (f" and {len(names) - 1} more" if len(names) > 1 else "")
            raise InputError(f"{folder}: {what.format(named)}; config.json and weights are not of one model: fetch or copy its files again")


@contextmanager
def quiet_library() -> Iterator[None]:
    """Silence the library's warnings, since callers check what was loaded, and its progress bars, since we print our own."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def refused_in_words(folder: Path) -> Iterator[None]:
    """Turn what the library raises over the files of a folder, of whatever kind, into an InputError that names the folder; print nothing else."""
    try:
        with quiet_library():
            yield
    except (InputError, MemoryError):
        raise
    except torch.OutOfMemoryError as error:
        raise InputError(f"{folder}: does not fit into the device's memory; use --memory compact, or --quantisation nf4") from error
    except ImportError as error:
        raise InputError(
            f"{folder}: needs a package that is not installed ({' '.join(str(error).split())[:200]}); install envs/requirements.lock"
        ) from error
    except Exception as error:
        if system_error_number(error) is not None:
            raise
        reason = " ".join(str(error).split()) or "without a reason"
        raise InputError(f"{folder}: cannot be loaded ({type(error).__name__}: {reason[:200]}); fetch or copy the model's files again") from error


def _processor(family: type[LoadedModel], folder: Path) -> Any:
    for name in family.tokenizer_files:
        if not (folder / name).is_file() and not all((folder / part).is_file() for part in TOKENIZER_PARTS.get(name, (name,))):
            raise InputError(f"{folder}: {name} is missing; copy the model's tokenizer files beside its weights")
    if not any((folder / name).is_file() for name in ("processor_config.json", "preprocessor_config.json")):
        raise InputError(
            f"{folder}: processor_config.json (or preprocessor_config.json) is missing; copy the model's processor files beside its weights"
        )
    with refused_in_words(folder):
        processor = family.load_processor(folder)
    if not isinstance(processor, family.processor_class):
        wanted = family.processor_class.__name__
        raise InputError(f"{folder}: its processor is a {type(processor).__name__}, not a {wanted}; copy the model's processor files again")
    return processor


def _verify_fit(folder: Path, loaded: LoadedModel) -> None:
    """Raise InputError where the processor was made for another model, or has no chat template with a place for a sound."""
    try:
        loaded.ids_around("", "before")
    except InputError as error:
        raise InputError(f"{folder}: {error}") from error
    tokens, rows = len(loaded.processor.tokenizer), loaded.head.out_features
    if tokens > rows:
        raise InputError(f"{folder}: {loaded.tokenizer_files[0]} has {tokens} tokens, the model {rows}; copy the model's own tokenizer files")
    for told, of_processor, of_model in loaded.compatibility():
        if of_processor != of_model:
            raise InputError(f"{folder}: {told}: the processor has {of_processor}, the model {of_model}; copy the model's own processor files")


def _fuse_norms(loaded: LoadedModel) -> None:
    """Root-mean-square norms by torch's one kernel instead of the library's six."""
    for name, module in list(loaded.model.named_modules()):
        weight: Any = getattr(module, "weight", None)
        if isinstance(module, loaded.fused_norms) and weight is not None:
            eps: Any = module.variance_epsilon if hasattr(module, "variance_epsilon") else module.eps
            norm = torch.nn.RMSNorm(weight.shape, eps=eps, device="meta")
            norm.weight = weight
            loaded.model.set_submodule(name, norm)


def dequantise_what_fits(model: torch.nn.Module, free: Callable[[], int]) -> None:
    """Unpack 4-bit layers into the numbers that they stand for, so that no pass has to: the first ones first, while HEADROOM_BYTES stay free.

    free: bytes that can still be allocated. A model that is unpacked in part gives the same answers, up to the rounding of other kernels.
    """
    from bitsandbytes.functional import dequantize_4bit

    packed: list[tuple[str, Any]] = [(name, module) for name, module in model.named_modules() if type(module).__name__ == "Linear4bit"]
    for name, module in packed:
        if free() < 2 * module.in_features * module.out_features + HEADROOM_BYTES:
            return
        layer = torch.nn.Linear(module.in_features, module.out_features, bias=False, device="meta")
        layer.weight = torch.nn.Parameter(dequantize_4bit(module.weight.data, module.weight.quant_state), requires_grad=False)
        layer.bias = module.bias
        model.set_submodule(name, layer)
