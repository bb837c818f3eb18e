"""Models with random weights in the layout in which the hub keeps the real ones: what can be tried without a download.

Names and numbers of files, names of weights (those of transformers 4), configurations, tokenizer and special tokens are the hub's; the
weights are drawn, each tensor from a stream of its own, so that the same bytes come about on every machine.
"""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from tokenizers import AddedToken
from transformers import AutoConfig, PreTrainedModel, Qwen2AudioForConditionalGeneration, Qwen2ForCausalLM, Qwen2Tokenizer

from earwitness.core.files import atomic_folder, write_json
from earwitness.core.progress import Progress
from earwitness.core.randomness import stream
from earwitness.model.checkpoint import INDEX
from earwitness.model.qwen_ranks import BytePairs

Size = Literal["full", "small"]

MARK = "earwitness_stand_in"
"""Key of config.json that says that the weights are drawn."""

CHUNK = 1 << 22
"""Weights that are drawn at a time."""

SPECIAL_IDS_FROM = 151643

_TEXT_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and message.role != 'system' %}<|im_start|>system\n{{ system }}<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SOUND_TEMPLATE = (
    "{% set sounds = namespace(heard=0) %}{% for message in messages %}"
    "{% if loop.first and message.role != 'system' %}<|im_start|>system\n{{ system }}<|im_end|>\n{% endif %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'audio' %}{% set sounds.heard = sounds.heard + 1 %}Audio {{ sounds.heard }}: <|audio_bos|><|AUDIO|><|audio_eos|>\n"
    "{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEMPLATES = {"none": {}, "text": {"tokenizer": _TEXT_TEMPLATE}, "sound": {"tokenizer": _SOUND_TEMPLATE}, "file": {"file": _SOUND_TEMPLATE}}
"""Where a chat template may stand: nowhere (the library then has one of its own), in the tokenizer's configuration, without a place for
sounds or with one, or in a file of its own."""


@dataclass(frozen=True)
class StandIn:
    """What a model's folder on the hub is like.

    kind: the library's class. config: its config.json, which leaves out what the class has by default; small: what is smaller in the
    small one. shards: files of weights. special: tokens from SPECIAL_IDS_FROM on; plain: those after them that are not special. system:
    what the chat template says first. generation: its generation_config.json. files: further JSON files.
    """

    kind: type[PreTrainedModel]
    config: Mapping[str, Any]
    small: Mapping[str, Any]
    shards: int
    special: Sequence[str]
    plain: Sequence[str]
    system: str
    generation: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]


_CHAT = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
_SMALL_TEXT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2}

STAND_INS = {
    "base": StandIn(
        kind=Qwen2AudioForConditionalGeneration,
        config={
            "architectures": ["Qwen2AudioForConditionalGeneration"],
            "model_type": "qwen2_audio",
            "audio_config": {
                "model_type": "qwen2_audio_encoder",
                "activation_function": "gelu",
                "d_model": 1280,
                "encoder_attention_heads": 20,
                "encoder_ffn_dim": 5120,
                "encoder_layerdrop": 0.0,
                "encoder_layers": 32,
                "max_source_positions": 1500,
                "num_mel_bins": 128,
            },
            "audio_token_index": 151646,
            "ignore_index": -100,
            "text_config": {
                "model_type": "qwen2",
                "bos_token_id": 151643,
                "eos_token_id": 151645,
                "intermediate_size": 11008,
                "max_position_embeddings": 8192,
                "rms_norm_eps": 1e-05,
                "rope_theta": 10000,
                "sliding_window": 32768,
                "torch_dtype": "bfloat16",
                "use_mrope": False,
                "vocab_size": 156032,
            },
            "torch_dtype": "bfloat16",
            "transformers_version": "4.38.1",
            "vocab_size": 156032,
        },
        small={
            "text_config": _SMALL_TEXT,
            "audio_config": {"d_model": 32, "encoder_attention_heads": 2, "encoder_ffn_dim": 64, "encoder_layers": 2},
        },
        shards=5,
        special=[*_CHAT, "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"],
        plain=[],
        system="You are a helpful assistant.",
        generation={
            "chat_format": "chatml",
            "do_sample": True,
            "eos_token_id": [151643, 151645],
            "max_new_tokens": 2048,
            "pad_token_id": 151643,
            "repetition_penalty": 1.1,
            "temperature": 0.7,
            "top_k": 20,
            "top_p": 0.5,
        },
        files={
            "preprocessor_config.json": {
                "chunk_length": 30,
                "feature_extractor_type": "WhisperFeatureExtractor",
                "feature_size": 128,
                "hop_length": 160,
                "n_fft": 400,
                "n_samples": 480000,
                "nb_max_frames": 3000,
                "padding_side": "right",
                "padding_value": 0.0,
                "processor_class": "Qwen2AudioProcessor",
                "return_attention_mask": True,
                "sampling_rate": 16000,
            }
        },
    ),
    "writer": StandIn(
        kind=Qwen2ForCausalLM,
        config={
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "bos_token_id": 151643,
            "eos_token_id": 151645,
            "hidden_size": 2048,
            "intermediate_size": 11008,
            "max_position_embeddings": 32768,
            "num_attention_heads": 16,
            "num_hidden_layers": 36,
            "num_key_value_heads": 2,
            "rms_norm_eps": 1e-06,
            "rope_theta": 1000000.0,
            "tie_word_embeddings": True,
            "torch_dtype": "bfloat16",
            "transformers_version": "4.43.1",
            "use_sliding_window": False,
            "vocab_size": 151936,
        },
        small=_SMALL_TEXT,
        shards=2,
        special=[
            *_CHAT,
            *(f"<|{name}_{end}|>" for name in ("object_ref", "box", "quad", "vision") for end in ("start", "end")),
            *("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
        ],
        plain=[
            *("<tool_call>", "</tool_call>"),
            *(f"<|{name}|>" for name in ("fim_prefix", "fim_middle", "fim_suffix", "fim_pad", "repo_name", "file_sep")),
        ],
        system="You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
        generation={
            "bos_token_id": 151643,
            "do_sample": True,
            "eos_token_id": [151645, 151643],
            "pad_token_id": 151643,
            "repetition_penalty": 1.05,
            "temperature": 0.7,
            "top_k": 20,
            "top_p": 0.8,
        },
        files={},
    ),
}
"""Part in the study -> the model that has it: Qwen2-Audio-7B-Instruct is the base, Qwen2.5-3B-Instruct writes questions."""


def write_stand_in(
    folder: Path, part: str, size: Size, pairs: BytePairs, template: str = "text", tokenizer_json: bool = True, seed: int = 0, dtype: str = "bfloat16"
) -> int:
    """Write the stand-in of a part (STAND_INS) and return how many weights it has; `folder` appears whole.

    pairs: of the real tokenizer. template: one of TEMPLATES. tokenizer_json: whether the tokenizer is there as one file too, beside
    vocab.json and merges.txt. Takes as much disk as the weights, two bytes each, and little memory.
    """
    model = STAND_INS[part]
    with atomic_folder(folder) as temporary:
        write_json(temporary / "config.json", _merged(model.config, model.small if size == "small" else {}) | {MARK: True})
        write_json(temporary / "generation_config.json", {**model.generation, "transformers_version": model.config["transformers_version"]})
        write_processor(temporary, part, pairs, template, tokenizer_json)
        return _write_weights(temporary, model, seed, getattr(torch, dtype))


def _merged(content: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {**content, **{key: _merged(content[key], value) if isinstance(value, Mapping) else value for key, value in changes.items()}}


def write_processor(folder: Path, part: str, pairs: BytePairs, template: str = "text", tokenizer_json: bool = True) -> None:
    """Write what a part reads text and sounds with; see `write_stand_in`."""
    model = STAND_INS[part]
    for name, content in model.files.items():
        write_json(folder / name, content)
    tokens = {token: token in model.special for token in [*model.special, *model.plain]}
    (folder / "vocab.json").write_text(json.dumps(dict(pairs.vocabulary), ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in pairs.merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if tokenizer_json:
        kind: Any = Qwen2Tokenizer
        tokenizer = kind(vocab=dict(pairs.vocabulary), merges=[*pairs.merges])
        for token, special in tokens.items():
            tokenizer.add_tokens([AddedToken(token, special=special, normalized=False)], special_tokens=special)
        tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    added = {str(SPECIAL_IDS_FROM + k): {"content": token, "special": special, **flags} for k, (token, special) in enumerate(tokens.items())}
    texts = {place: text.replace("{{ system }}", model.system) for place, text in TEMPLATES[template].items()}
    config = {
        "add_prefix_space": False,
        "added_tokens_decoder": added,
        "additional_special_tokens": list(model.special[1:]),
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 8192,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    write_json(folder / "tokenizer_config.json", config | ({"chat_template": texts["tokenizer"]} if "tokenizer" in texts else {}))
    if "file" in texts:
        write_json(folder / "chat_template.json", {"chat_template": texts["file"]})


def hub_name(name: str) -> str:
    """What the hub calls a weight: its name in transformers 4, where the language model was a model of its own."""
    inside = name.removeprefix("model.")
    if name == "lm_head.weight":
        return "language_model.lm_head.weight"
    return inside.replace("language_model.", "language_model.model.", 1) if inside.startswith("language_model.") else inside


def _write_weights(folder: Path, model: StandIn, seed: int, dtype: torch.dtype) -> int:
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        built: Any = model.kind(config)
    tied = {"lm_head.weight"} if config.get_text_config().tie_word_embeddings else set()
    is_base = model.kind is Qwen2AudioForConditionalGeneration
    shapes = {hub_name(name) if is_base else name: tuple(weight.shape) for name, weight in built.state_dict().items() if name not in tied}
    files = _shared_out(shapes, model.shards)
    with Progress(total=sum(map(prod, shapes.values())), desc="drawing weights", unit="weights") as progress:

        def write(name: str) -> None:
            _write_shard(folder / name, {weight: shapes[weight] for weight in files[name]}, seed, dtype, progress)

        with ThreadPoolExecutor(len(files)) as pool:
            list(pool.map(write, files))
    places = {weight: name for name, weights in files.items() for weight in weights}
    total = sum(map(prod, shapes.values()))
    write_json(folder / INDEX, {"metadata": {"total_size": total * dtype.itemsize}, "weight_map": places})
    return total


def _shared_out(shapes: Mapping[str, tuple[int, ...]], count: int) -> dict[str, list[str]]:
    """Name of each file of weights -> what is in it: neighbours, in files of about one size."""
    ends = list(accumulate(map(prod, shapes.values())))
    groups: dict[int, list[str]] = {}
    for weight, end in zip(shapes, ends, strict=True):
        groups.setdefault(ceil(count * end / ends[-1]), []).append(weight)
    return {f"model-{place + 1:05d}-of-{len(groups):05d}.safetensors": weights for place, weights in enumerate(groups.values())}


def _write_shard(path: Path, shapes: Mapping[str, tuple[int, ...]], seed: int, dtype: torch.dtype, progress: Any) -> None:
    """Write a file of weights (the safetensors format: length of the head, head as JSON, tensors one after the other)."""
    kind = {torch.bfloat16: "BF16", torch.float32: "F32"}[dtype]
    ends = list(accumulate((prod(shape) * dtype.itemsize for shape in shapes.values()), initial=0))
    entries = {
        name: {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
        for (name, shape), start, end in zip(shapes.items(), ends, ends[1:], strict=False)
    }
    head = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for name, shape in shapes.items():
            rng, left = stream(seed, "make_stand_in", name), prod(shape)
            while left:
                count = min(left, CHUNK)
                file.write(_drawn(rng, name, shape, count).to(dtype).view(torch.uint8).numpy().data)
                left -= count
                progress.update(count)


def _drawn(rng: np.random.Generator, name: str, shape: tuple[int, ...], count: int) -> torch.Tensor:
    """Weights, uniform around 0 with the variance that keeps what goes through a layer at its size; those of norms around 1."""
    uniform = torch.from_numpy(np.frombuffer(rng.bytes(2 * count), dtype=np.int16).copy()).float().mul_(3**0.5 / 32768)
    if len(shape) > 1:
        return uniform.mul_(prod(shape[1:]) ** -0.5)
    return uniform.mul_(0.02).add_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
