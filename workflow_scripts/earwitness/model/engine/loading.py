"""Loading a Qwen2-Audio checkpoint: the tiny base, the full model, or any other of that class."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoProcessor, BitsAndBytesConfig, Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

from earwitness.core.errors import InputError

UNQUANTISED = ["model.audio_tower", "model.multi_modal_projector", "lm_head"]
"""Modules that stay in their own precision under NF4, so that audio features do not depend on the quantisation."""


Memory = Literal["fast", "compact"]

HEADROOM_BYTES = 8 * 2**30
"""What must stay free for activations before NF4 weights are dequantised."""


@dataclass(frozen=True)
class Checkpoint:
    """A model with the processor that belongs to it, ready to answer."""

    model: Qwen2AudioForConditionalGeneration
    processor: Qwen2AudioProcessor


def load_checkpoint(folder: Path, quantisation: str = "none", device: torch.device | None = None, memory: Memory = "fast") -> Checkpoint:
    """Load a checkpoint folder in evaluation mode, frozen.

    quantisation: "none" keeps the checkpoint's own precision on CUDA and float32 on CPU; "nf4" quantises the language
    model's linear layers to 4 bits (bitsandbytes), everything in UNQUANTISED excepted.
    Raises InputError where the folder is not a complete Qwen2-Audio checkpoint in safetensors.
    """
    _check_folder(folder)
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    options: dict[str, Any] = {"dtype": torch.float32 if device.type == "cpu" else "auto"}
    if quantisation == "nf4":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.float32 if device.type == "cpu" else torch.bfloat16,
            llm_int8_skip_modules=UNQUANTISED,
        )
    model = Qwen2AudioForConditionalGeneration.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, device_map={"": device}, attn_implementation="sdpa", **options
    )
    if device.type == "cuda" and memory == "compact":
        model.get_input_embeddings().to("cpu")
    if device.type == "cuda" and memory == "fast" and quantisation == "nf4" and _has_room(model, device):
        model.dequantize()
    _fuse_norms(model)
    model.requires_grad_(False)
    processor = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return Checkpoint(model.eval(), processor)


def _fuse_norms(model: Qwen2AudioForConditionalGeneration) -> None:
    """The language model's root-mean-square norms by torch's one kernel instead of the library's six."""
    for name, module in list(model.named_modules()):
        if isinstance(module, Qwen2RMSNorm):
            norm = torch.nn.RMSNorm(module.weight.shape, eps=module.variance_epsilon, device="meta")
            norm.weight = module.weight
            model.set_submodule(name, norm)


def _has_room(model: Qwen2AudioForConditionalGeneration, device: torch.device) -> bool:
    linear = [module for name, module in model.named_modules() if name.startswith("model.language_model.") and isinstance(module, torch.nn.Linear)]
    weights = sum(2 * module.in_features * module.out_features for module in linear)
    return torch.cuda.mem_get_info(device)[0] > weights + HEADROOM_BYTES


def _check_folder(folder: Path) -> None:
    config = folder / "config.json"
    if not config.is_file():
        raise InputError(f"{folder}: no checkpoint here (config.json is missing); set model.path to a checkpoint folder")
    kind = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    if kind != "qwen2_audio":
        raise InputError(f"{folder}: a checkpoint of type {kind!r}; Earwitness's engine reads qwen2_audio")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: {name} is missing; copy the tokenizer files of the checkpoint beside its weights")
    if not any(folder.glob("*.safetensors")):
        raise InputError(f"{folder}: no *.safetensors weights; other formats can run code when loaded and are refused")
