"""Loading a Qwen2-Audio model: the tiny base, the full model, or any other of that class."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import AutoProcessor, BitsAndBytesConfig, Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

from earwitness.core.errors import InputError
from earwitness.model.identity import ModelFolder

UNQUANTISED = ["model.audio_tower", "model.multi_modal_projector", "lm_head"]
"""Modules that stay in their own precision under NF4, so that audio features do not depend on the quantisation."""


Memory = Literal["fast", "compact"]

HEADROOM_BYTES = 8 * 2**30
"""What must stay free for activations before NF4 weights are dequantised."""


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory with its processor, ready to answer.

    base_sha256: the identity of the base model's files, adapter or not (earwitness.model.identity).
    """

    model: Qwen2AudioForConditionalGeneration
    processor: Qwen2AudioProcessor
    base_sha256: str

    @property
    def device(self) -> torch.device:
        """Where the language model is."""
        return self.model.lm_head.weight.device

    @property
    def embedding_size(self) -> int:
        """Values per audio embedding: the language model's hidden size."""
        return self.model.lm_head.in_features

    @property
    def embedding_dtype(self) -> torch.dtype:
        """The precision of audio embeddings."""
        return self.model.model.multi_modal_projector.linear.weight.dtype

    @property
    def longest_waveform(self) -> int:
        """Samples at 16 kHz that the model takes at most."""
        return self.processor.feature_extractor.n_samples

    @property
    def adapts_audio_tower(self) -> bool:
        """Does an adapter change what the model makes of a sound before its language model reads it?"""
        tower = (self.model.model.audio_tower, self.model.model.multi_modal_projector)
        return any(isinstance(module, BaseTunerLayer) for part in tower for module in part.modules())


def load_model(base: ModelFolder, quantisation: str = "none", device: torch.device | None = None, memory: Memory = "fast") -> LoadedModel:
    """Load a base model in evaluation mode, frozen.

    quantisation: "none" keeps the weights' own precision on CUDA and float32 on CPU; "nf4" quantises the language
    model's linear layers to 4 bits (bitsandbytes), everything in UNQUANTISED excepted.
    Raises InputError where the folder is not a complete Qwen2-Audio model in safetensors.
    """
    _check_folder(base.path)
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
        base.path, local_files_only=True, use_safetensors=True, device_map={"": device}, attn_implementation="sdpa", **options
    )
    if device.type == "cuda" and memory == "compact":
        model.get_input_embeddings().to("cpu")
    if device.type == "cuda" and memory == "fast" and quantisation == "nf4" and _has_room(model, device):
        model.dequantize()
    _fuse_norms(model)
    model.requires_grad_(False)
    processor = AutoProcessor.from_pretrained(base.path, local_files_only=True, trust_remote_code=False)
    return LoadedModel(model.eval(), processor, base.sha256)


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
        raise InputError(f"{folder}: no model here (config.json is missing); set model.path to the folder of a model")
    kind = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    if kind != "qwen2_audio":
        raise InputError(f"{folder}: a model of type {kind!r}; Earwitness's engine reads qwen2_audio")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: {name} is missing; copy the model's tokenizer files beside its weights")
    if not any(folder.glob("*.safetensors")):
        raise InputError(f"{folder}: no *.safetensors weights; other formats can run code when loaded and are refused")
