"""Loading a Qwen2-Audio checkpoint: the tiny base, the full model, or any other of that class."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoProcessor, BitsAndBytesConfig, Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor

from earshot.errors import InputError

UNQUANTISED = ["model.audio_tower", "model.multi_modal_projector", "lm_head"]
"""Modules that stay in their own precision under NF4, so that audio features do not depend on the quantisation."""


@dataclass(frozen=True)
class Checkpoint:
    """A model with the processor that belongs to it, ready to answer."""

    model: Qwen2AudioForConditionalGeneration
    processor: Qwen2AudioProcessor


def load_checkpoint(folder: Path, quantisation: str = "none", device: torch.device | None = None) -> Checkpoint:
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
    model.requires_grad_(False)
    processor = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return Checkpoint(model.eval(), processor)


def _check_folder(folder: Path) -> None:
    config = folder / "config.json"
    if not config.is_file():
        raise InputError(f"{folder}: no checkpoint here (config.json is missing); set model.path to a checkpoint folder")
    kind = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    if kind != "qwen2_audio":
        raise InputError(f"{folder}: a checkpoint of type {kind!r}; Earshot's engine reads qwen2_audio")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: {name} is missing; copy the tokenizer files of the checkpoint beside its weights")
    if not any(folder.glob("*.safetensors")):
        raise InputError(f"{folder}: no *.safetensors weights; other formats can run code when loaded and are refused")
