"""LoRA adapters in peft's standard layout."""

from pathlib import Path
from typing import cast

from peft import LoraConfig, PeftModel, get_peft_model
from transformers import Qwen2AudioForConditionalGeneration

from earshot.engine.checkpoint import Checkpoint
from earshot.errors import InputError


def attach_adapter(checkpoint: Checkpoint, target_modules: list[str], rank: int, alpha: int, dropout: float) -> PeftModel:
    """Wrap a frozen checkpoint's target modules with trainable LoRA matrices in float32.

    target_modules match the end of a module's name, so q_proj, k_proj and v_proj include those of the audio tower, as
    in the published study.
    """
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=sorted(target_modules), bias="none", task_type="CAUSAL_LM")
    return get_peft_model(checkpoint.model, config)


def load_adapter(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    """The checkpoint with a trained adapter, unmerged, in evaluation mode.

    Raises InputError where the adapter does not fit the checkpoint's modules.
    """
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: {name} is missing; train the adapter again")
    try:
        wrapped = PeftModel.from_pretrained(checkpoint.model, str(folder), is_trainable=False)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder}: this adapter was made for another base model ({reason}); use the base it was trained on") from error
    return Checkpoint(base_of(wrapped.eval()), checkpoint.processor)


def base_of(wrapped: PeftModel) -> Qwen2AudioForConditionalGeneration:
    """The model whose modules carry the adapter."""
    return cast(Qwen2AudioForConditionalGeneration, wrapped.get_base_model())
