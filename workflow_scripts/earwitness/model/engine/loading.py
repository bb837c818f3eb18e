"""Loading models from folders, whole or not at all: a Qwen2-Audio model of any size, and the weights of any other."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoProcessor, BitsAndBytesConfig, Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm
from transformers.utils import logging

from earwitness.audio.io import SAMPLE_RATE
from earwitness.core.errors import InputError, system_error_number
from earwitness.model.checkpoint import read_config, verify_checkpoint
from earwitness.model.engine.prompting import around_the_sound
from earwitness.model.identity import ModelFolder

UNQUANTISED = ["model.audio_tower", "model.multi_modal_projector", "lm_head"]
"""Modules that stay in their own precision under NF4, so that audio features do not depend on the quantisation."""


Memory = Literal["fast", "compact"]

LORA_MATRIX = ".lora_"
"""In the name of every matrix that peft adds to a module."""

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
        return any(LORA_MATRIX in name for part in tower for name, _ in part.named_parameters())


def load_model(base: ModelFolder, quantisation: str = "none", device: torch.device | None = None, memory: Memory = "fast") -> LoadedModel:
    """Load a base model in evaluation mode, frozen.

    quantisation: "none" keeps the weights' own precision on CUDA and float32 on CPU; "nf4" quantises the language
    model's linear layers to 4 bits (bitsandbytes), everything in UNQUANTISED excepted.
    Raises InputError where the folder is not a complete Qwen2-Audio model in safetensors, with the processor that it was made for.
    """
    kind = read_config(base.path).get("model_type")
    if kind != "qwen2_audio":
        raise InputError(f"{base.path}: a model of type {kind!r}; Earwitness's engine reads qwen2_audio")
    processor = _processor(base.path)
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = load_weights(Qwen2AudioForConditionalGeneration, base.path, quantisation, device, UNQUANTISED, attn_implementation="sdpa")
    _verify_fit(base.path, model, processor)
    if device.type == "cuda" and memory == "compact":
        model.get_input_embeddings().to("cpu")
    if device.type == "cuda" and memory == "fast" and quantisation == "nf4" and _has_room(model, device):
        model.dequantize()
    _fuse_norms(model)
    model.requires_grad_(False)
    return LoadedModel(model.eval(), processor, base.sha256)


def load_weights(
    kind: type[Any], folder: Path, quantisation: str, device: torch.device, unquantised: Sequence[str] | None = None, **options: Any
) -> Any:
    """A model of a class of the library with the weights of a folder, all of them and no others.

    quantisation, device: as in `load_model`. unquantised: modules that "nf4" leaves as they are; None leaves it to the library.
    Raises InputError where a weight is missing, has another shape, or has no place, which the library would draw anew or drop with a
    warning, and where the files cannot be loaded.
    """
    verify_checkpoint(folder)
    options |= {"dtype": torch.float32 if device.type == "cpu" else "auto"}
    if quantisation == "nf4":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.float32 if device.type == "cpu" else torch.bfloat16,
            llm_int8_skip_modules=unquantised,
        )
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
    refuse_other_weights(folder, told)
    return model


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
def refused_in_words(folder: Path) -> Iterator[None]:
    """Turn what the library raises over the files of a folder, of whatever kind, into an InputError that names the folder.

    What it would only warn of is not printed: whoever loads looks at what was loaded.
    """
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings(action="ignore"):
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
    finally:
        logging.set_verbosity(verbosity)


def _processor(folder: Path) -> Qwen2AudioProcessor:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: {name} is missing; copy the model's tokenizer files beside its weights")
    if not any((folder / name).is_file() for name in ("processor_config.json", "preprocessor_config.json")):
        raise InputError(
            f"{folder}: processor_config.json (or preprocessor_config.json) is missing; copy the model's processor files beside its weights"
        )
    with refused_in_words(folder):
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if not isinstance(processor, Qwen2AudioProcessor):
        raise InputError(f"{folder}: its processor is a {type(processor).__name__}, not Qwen2-Audio's; copy the model's processor files again")
    return processor


def _verify_fit(folder: Path, model: Qwen2AudioForConditionalGeneration, processor: Qwen2AudioProcessor) -> None:
    """Raise InputError where the processor was made for another model, or has no chat template with a place for a sound."""
    try:
        around_the_sound(processor, "", "before")
    except InputError as error:
        raise InputError(f"{folder}: {error}") from error
    tokenizer, extractor, rows = processor.tokenizer, processor.feature_extractor, model.lm_head.out_features
    if len(tokenizer) > rows:
        raise InputError(f"{folder}: tokenizer.json has {len(tokenizer)} tokens, the model {rows}; copy the model's own tokenizer files")
    audio_token = tokenizer.convert_tokens_to_ids(processor.audio_token)
    for told, of_processor, of_model in (
        ("mel bins", extractor.feature_size, model.model.audio_tower.conv1.in_channels),
        ("samples per second", extractor.sampling_rate, SAMPLE_RATE),
        ("the audio token's number", audio_token, model.config.audio_token_id),
    ):
        if of_processor != of_model:
            raise InputError(f"{folder}: {told}: the processor has {of_processor}, the model {of_model}; copy the model's own processor files")


def _fuse_norms(model: Qwen2AudioForConditionalGeneration) -> None:
    """The language model's root-mean-square norms by torch's one kernel instead of the library's six."""
    for name, module in list(model.named_modules()):
        if isinstance(module, (Qwen2RMSNorm, LlamaRMSNorm)):
            norm = torch.nn.RMSNorm(module.weight.shape, eps=module.variance_epsilon, device="meta")
            norm.weight = module.weight
            model.set_submodule(name, norm)


def _has_room(model: Qwen2AudioForConditionalGeneration, device: torch.device) -> bool:
    linear = [module for name, module in model.named_modules() if name.startswith("model.language_model.") and isinstance(module, torch.nn.Linear)]
    weights = sum(2 * module.in_features * module.out_features for module in linear)
    return torch.cuda.mem_get_info(device)[0] > weights + HEADROOM_BYTES
