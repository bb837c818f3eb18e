"""LoRA adapters in peft's standard layout.

peft is imported where an adapter is: it brings bitsandbytes along, which the base alone does not need.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from earwitness.core.errors import InputError
from earwitness.model.checkpoint import json_object_in, tensors_in
from earwitness.model.engine.loading import Memory, refuse_infinite, refused_in_words
from earwitness.model.engine.uncompiled import without_compiler
from earwitness.model.families.loaded_model import LoadedModel, Scope

if TYPE_CHECKING:
    from peft import PeftModel


@cache
def _peft() -> Any:
    with without_compiler():
        import peft
    return peft


def attach_adapter(loaded: LoadedModel, target_modules: list[str], scope: Scope, rank: int, alpha: int, dropout: float) -> "PeftModel":
    """Wrap a frozen model's target modules with trainable LoRA matrices in float32, whose products are computed in 16 bits where the
    module's own weights are (earwitness.model.engine.low_rank).

    target_modules: last parts of module names. scope: "published" takes them wherever they are, so q_proj, k_proj and v_proj
    of the audio tower too, as the published study did; "language_model" leaves the tower alone.
    Raises InputError where the model has none of one of these modules: the library would pass over it.
    """
    peft = _peft()
    # Imports the library too.
    from earwitness.model.engine.low_rank import compute_in_16_bits

    names = sorted(target_modules)
    targets = loaded.lora_targets(names, scope)
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=targets,
        exclude_modules=loaded.lora_exclusions(scope),
        bias="none",
        task_type="CAUSAL_LM",
    )
    try:
        wrapped = peft.get_peft_model(loaded.model, config)
    except ValueError as error:
        raise InputError(f"target_modules {', '.join(names)}: the base model has no such modules; name some of its linear layers") from error
    reached = {name.rpartition(".")[2] for name, module in wrapped.named_modules() if hasattr(module, "lora_A")}
    if absent := sorted(set(names) - reached):
        raise InputError(f"target_modules {', '.join(absent)}: the base model has no such modules; name some of its linear layers")
    # The library keeps a set, which it would save in another order in every process.
    config.target_modules = targets
    compute_in_16_bits(wrapped)
    return wrapped


def can_merge(loaded: LoadedModel, memory: Memory) -> bool:
    """May an adapter be merged into the weights, so that asking costs what it costs without one? On a GPU in fast mode, where no weight is
    in 4 bits; a CPU's answers stay those of the products apart."""
    in_4_bits = any(type(module).__name__ == "Linear4bit" for module in loaded.model.modules())
    return loaded.device.type == "cuda" and memory == "fast" and not in_4_bits


def load_adapter(loaded: LoadedModel, folder: Path, merge: bool = False) -> LoadedModel:
    """The model with a trained adapter, in evaluation mode.

    merge: into the weights, in float32 and then rounded to their precision; else its products are computed apart from theirs.
    Raises InputError where the folder holds no whole adapter, it does not fit the model's modules, or has none of its own for some of
    them: the library would leave these untrained with a warning.
    """
    wrapped = _wrapped(loaded, folder)
    if merge:
        _merge(wrapped)
    return replace(loaded, model=base_of(wrapped))


@contextmanager
def adapted(loaded: LoadedModel, folder: Path, merge: bool = False) -> Iterator[LoadedModel]:
    """The model with a trained adapter, as `load_adapter` gives it, for the block; after it the model is as it was, to the bit."""
    wrapped = _wrapped(loaded, folder)
    before = _merge(wrapped) if merge else []
    try:
        yield replace(loaded, model=base_of(wrapped))
    finally:
        for weight, values in before:
            weight.copy_(values)
        wrapped.unload()


@torch.no_grad()
def _merge(wrapped: "PeftModel") -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Merge an adapter; the weights that changed, and what they were."""
    before = []
    for module in wrapped.modules():
        if isinstance(module, _peft().tuners.lora.LoraLayer):
            layered: Any = module
            [name] = layered.active_adapters
            weight: torch.Tensor = layered.get_base_layer().weight.data
            before.append((weight, weight.clone()))
            weight.copy_(weight.float() + layered.get_delta_weight(name).float())
            layered.merged_adapters.append(name)
    return before


def _wrapped(loaded: LoadedModel, folder: Path) -> "PeftModel":
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: {name} is missing; train the adapter again")
    json_object_in(folder / "adapter_config.json")
    held = tensors_in(folder / "adapter_model.safetensors")
    try:
        with refused_in_words(folder):
            wrapped = _peft().PeftModel.from_pretrained(loaded.model, str(folder), is_trainable=False)
    except InputError as error:
        raise InputError(f"{error}, or use the base that this adapter was trained on") from error
    # Asked for embeddings, the library would look the base up on the network.
    strangers = held.keys() ^ set(_peft().get_peft_model_state_dict(wrapped, save_embedding_layers=False))
    if strangers:
        raise InputError(f"{folder}: this adapter was made for another module tree (such as {min(strangers)}); train it again on this base")
    refuse_infinite(folder, wrapped)
    return wrapped.eval()


def base_of(wrapped: "PeftModel") -> Any:
    """The model whose modules carry the adapter."""
    return wrapped.get_base_model()
