"""LoRA adapters in peft's standard layout.

peft is imported where an adapter is: it brings bitsandbytes and torch's compiler along, three seconds that the base alone does not need.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earwitness.core.errors import InputError
from earwitness.model.checkpoint import json_object_in, tensors_in
from earwitness.model.engine.loading import refused_in_words
from earwitness.model.families.loaded_model import LoadedModel, Scope

if TYPE_CHECKING:
    from peft import PeftModel


def attach_adapter(loaded: LoadedModel, target_modules: list[str], scope: Scope, rank: int, alpha: int, dropout: float) -> "PeftModel":
    """Wrap a frozen model's target modules with trainable LoRA matrices in float32.

    target_modules: last parts of module names. scope: "published" takes them wherever they are, so q_proj, k_proj and v_proj
    of the audio tower too, as the published study did; "language_model" leaves the tower alone.
    Raises InputError where the model has none of one of these modules: the library would pass over it.
    """
    from peft import LoraConfig, get_peft_model

    names = sorted(target_modules)
    targets = loaded.lora_targets(names, scope)
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=targets,
        exclude_modules=loaded.lora_exclusions(scope),
        bias="none",
        task_type="CAUSAL_LM",
    )
    try:
        wrapped = get_peft_model(loaded.model, config)
    except ValueError as error:
        raise InputError(f"target_modules {', '.join(names)}: the base model has no such modules; name some of its linear layers") from error
    reached = {name.rpartition(".")[2] for name, module in wrapped.named_modules() if hasattr(module, "lora_A")}
    if absent := sorted(set(names) - reached):
        raise InputError(f"target_modules {', '.join(absent)}: the base model has no such modules; name some of its linear layers")
    # The library keeps a set, which it would save in another order in every process.
    config.target_modules = targets
    return wrapped


def load_adapter(loaded: LoadedModel, folder: Path) -> LoadedModel:
    """The model with a trained adapter, unmerged, in evaluation mode.

    Raises InputError where the folder holds no whole adapter, it does not fit the model's modules, or has none of its own for some of
    them: the library would leave these untrained with a warning.
    """
    return replace(loaded, model=base_of(_wrapped(loaded, folder)))


@contextmanager
def adapted(loaded: LoadedModel, folder: Path) -> Iterator[LoadedModel]:
    """The model with a trained adapter, as `load_adapter` gives it, for the block; after it the model is as it was."""
    wrapped = _wrapped(loaded, folder)
    try:
        yield replace(loaded, model=base_of(wrapped))
    finally:
        wrapped.unload()


def _wrapped(loaded: LoadedModel, folder: Path) -> "PeftModel":
    from peft import PeftModel, get_peft_model_state_dict

    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: {name} is missing; train the adapter again")
    json_object_in(folder / "adapter_config.json")
    held = tensors_in(folder / "adapter_model.safetensors")
    try:
        with refused_in_words(folder):
            wrapped = PeftModel.from_pretrained(loaded.model, str(folder), is_trainable=False)
    except InputError as error:
        raise InputError(f"{error}, or use the base that this adapter was trained on") from error
    # Asked for embeddings, the library would look the base up on the network.
    strangers = held.keys() ^ set(get_peft_model_state_dict(wrapped, save_embedding_layers=False))
    if strangers:
        raise InputError(f"{folder}: this adapter was made for another module tree (such as {min(strangers)}); train it again on this base")
    return wrapped.eval()


def base_of(wrapped: "PeftModel") -> Any:
    """The model whose modules carry the adapter."""
    return wrapped.get_base_model()
