"""Tiny checkpoints of every family with random weights, and what the library itself makes of a sound with each."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AudioFlamingo3Config,
    AudioFlamingo3ForConditionalGeneration,
    AudioFlamingo3Processor,
    GenerationConfig,
    Qwen2_5OmniProcessor,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    VoxtralConfig,
    VoxtralForConditionalGeneration,
    VoxtralProcessor,
    WhisperFeatureExtractor,
)

from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.families.whisper import convolution_length
from earwitness.model.tiny_base import QUESTIONS, build_model, build_processor, training_texts

MEL_BINS, WINDOW_S, WIDTH = 32, 4, 32
ENCODER = {
    "num_mel_bins": MEL_BINS,
    "d_model": WIDTH,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 2 * WIDTH,
    "max_source_positions": 50 * WINDOW_S,
    "initializer_range": 0.2,
}
LANGUAGE = {
    "hidden_size": WIDTH,
    "intermediate_size": 2 * WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "initializer_range": 0.2,
    "tie_word_embeddings": False,
}


@dataclass(frozen=True)
class LibraryInput:
    """A sound as the library's own forward pass takes it (keyword arguments, float64), and the part of it that the engine's tower reads."""

    arguments: dict[str, torch.Tensor]
    mel: torch.Tensor


@dataclass(frozen=True)
class TinyFamily:
    """write: save a checkpoint with random weights and its processor. library_input: of one waveform. library_tokens: how many audio tokens
    the library's processor writes for sounds of so many samples. lora: number of parameters of an adapter of rank 2 on q, k, v and o, by scope,
    worked out by hand. stock_from: samples from which on the library's own forward pass works, and how it fails below."""

    write: Callable[[Path], None]
    library_input: Callable[[LoadedModel, np.ndarray], LibraryInput]
    library_tokens: Callable[[LoadedModel, Sequence[int]], list[int]]
    lora: dict[str, int]
    stock_from: int = 1


def _noise(n_samples: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(n_samples).standard_normal(n_samples)).astype(np.float32)


def _save(folder: Path, model: Any, processor: Any) -> None:
    tokenizer = processor.tokenizer
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def _tokenizer(*special: str) -> Any:
    tokenizer = build_processor([*training_texts(), *QUESTIONS]).tokenizer
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)}, replace_extra_special_tokens=False)
    return tokenizer


def _extractor() -> WhisperFeatureExtractor:
    return WhisperFeatureExtractor(feature_size=MEL_BINS, chunk_length=WINDOW_S, return_attention_mask=True)


def _lora(layers_tower: int = 2) -> dict[str, int]:
    """Rank 2: a module from a to b values has 2 (a + b) parameters. Language model: q and o 32-32, k and v 32-16. Tower: q, k and v 32-32."""
    language = 2 * 2 * ((32 + 32) * 2 + (32 + 16) * 2)
    return {"language_model": language, "published": language + layers_tower * 2 * 3 * (32 + 32)}


# Qwen2-Audio


def _write_qwen2_audio(folder: Path) -> None:
    processor = build_processor([*training_texts(), *QUESTIONS])
    torch.manual_seed(1)
    _save(folder, build_model(processor), processor)


def _whole_window(loaded: LoadedModel, waveform: np.ndarray) -> Any:
    return loaded.processor.feature_extractor([waveform], sampling_rate=16_000, return_tensors="pt", return_attention_mask=True)


def _pooled_whisper(mask_name: str) -> Callable[[LoadedModel, np.ndarray], LibraryInput]:
    def library_input(loaded: LoadedModel, waveform: np.ndarray) -> LibraryInput:
        whole = _whole_window(loaded, waveform)
        mel = whole.input_features.double()
        cut = mel[:, :, : 2 * convolution_length(len(waveform)) + 2]
        return LibraryInput({"input_features": mel, mask_name: whole.attention_mask}, cut)

    return library_input


def _expanded_tokens(loaded: LoadedModel, counts: Sequence[int]) -> list[int]:
    """How often the processor writes the audio token."""
    processor = loaded.processor
    ids = processor(text=[processor.audio_token] * len(counts), audio=[_noise(n) for n in counts], sampling_rate=16_000, padding=True).input_ids
    return (torch.as_tensor(np.asarray(ids)) == processor.audio_token_id).sum(1).tolist()


# Audio Flamingo 3

# The order of the parts of a turn plays no part, as in the published checkpoint.
SOUND_FIRST = """\
<|im_start|>system
You are a helpful assistant.<|im_end|>
{% for message in messages %}<|im_start|>{{ message.role }}
{% for part in message.content if part.type == 'audio' %}<sound>{% endfor %}\
{% for part in message.content if part.type == 'text' %}{{ part.text }}{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def _write_audioflamingo3(folder: Path) -> None:
    tokenizer = _tokenizer("<sound>")
    processor = AudioFlamingo3Processor(_extractor(), tokenizer, chat_template=SOUND_FIRST)
    config = AudioFlamingo3Config(
        audio_config={"model_type": "audioflamingo3_encoder", **ENCODER},
        text_config={"model_type": "qwen2", "vocab_size": len(tokenizer), **LANGUAGE},
        audio_token_id=processor.audio_token_id,
    )
    torch.manual_seed(1)
    _save(folder, AudioFlamingo3ForConditionalGeneration(config), processor)


# Qwen2.5-Omni

IN_ORDER = """\
{% for message in messages %}<|im_start|>{{ message.role }}
{% for part in message.content %}{% if part.type == 'audio' %}<|audio_bos|><|AUDIO|><|audio_eos|>{% else %}{{ part.text }}{% endif %}{% endfor %}\
<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def _write_qwen2_5_omni(folder: Path) -> None:
    """In the layout of the published checkpoint: the thinker's weights beside those of the parts that speak."""
    tokenizer = _tokenizer("<|IMAGE|>", "<|VIDEO|>", "<|vision_bos|>")
    config = Qwen2_5OmniThinkerConfig(
        # A quarter of a second to a block, so that a second has four.
        audio_config={**ENCODER, "output_dim": WIDTH, "n_window": 25},
        vision_config={
            "depth": 1,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": WIDTH,
            "fullatt_block_indexes": [0],
        },
        text_config={"vocab_size": len(tokenizer), "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2]}, **LANGUAGE},
        audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
        image_token_index=tokenizer.convert_tokens_to_ids("<|IMAGE|>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<|VIDEO|>"),
        vision_start_token_id=tokenizer.convert_tokens_to_ids("<|vision_bos|>"),
        audio_start_token_id=tokenizer.convert_tokens_to_ids("<|audio_bos|>"),
    )
    torch.manual_seed(1)
    model = Qwen2_5OmniThinkerForConditionalGeneration(config)
    model.save_pretrained(folder)
    weights = {f"thinker.{name}": tensor for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file({**weights, "talker.x.weight": torch.ones(2), "token2wav.y.weight": torch.ones(2)}, folder / "model.safetensors", {"format": "pt"})
    whole = {"model_type": "qwen2_5_omni", "thinker_config": json.loads((folder / "config.json").read_text())}
    (folder / "config.json").write_text(json.dumps(whole))
    tokenizer.save_pretrained(folder)
    _extractor().save_pretrained(folder)
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": IN_ORDER}))


def _valid_frames(loaded: LoadedModel, waveform: np.ndarray) -> LibraryInput:
    whole = _whole_window(loaded, waveform)
    mel = whole.input_features.double()
    return LibraryInput({"input_features": mel, "feature_attention_mask": whole.attention_mask}, mel[:, :, : int(whole.attention_mask.sum())])


class _OmniProcessor(Qwen2_5OmniProcessor):
    """The library's own without its parts for pictures, which need packages that are not installed."""

    def __init__(self, feature_extractor: Any, audio_token: str):
        self.feature_extractor, self.audio_token = feature_extractor, audio_token


def _omni_tokens(loaded: LoadedModel, counts: Sequence[int]) -> list[int]:
    processor = _OmniProcessor(loaded.processor.feature_extractor, loaded.processor.audio_token)
    options = {"sampling_rate": 16_000, "return_attention_mask": True, "return_tensors": "pt"}
    _, texts = processor._process_audio([_noise(n) for n in counts], **options)
    return [text.count(processor.audio_token) for text in texts]


# Voxtral

TEKKEN_SPECIAL = [
    *("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"),
    *("[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
    *("[TOOL_CONTENT]", "<SPECIAL_20>", "<SPECIAL_21>", "<SPECIAL_22>", "<SPECIAL_23>", "[AUDIO]", "[BEGIN_AUDIO]"),
]


def write_tekken(path: Path) -> None:
    """A tokenizer of bytes and nothing else, in Mistral's format."""
    config = {
        "pattern": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+",
        "num_vocab_tokens": 256,
        "default_vocab_size": 256 + len(TEKKEN_SPECIAL),
        "default_num_special_tokens": len(TEKKEN_SPECIAL),
        "version": "v7",
    }
    vocabulary = [{"rank": rank, "token_bytes": base64.b64encode(bytes([rank])).decode(), "token_str": None} for rank in range(256)]
    special = [{"rank": rank, "token_str": text, "is_control": True} for rank, text in enumerate(TEKKEN_SPECIAL)]
    path.write_text(json.dumps({"config": config, "vocab": vocabulary, "special_tokens": special}))


def _write_voxtral(folder: Path) -> None:
    config = VoxtralConfig(
        audio_config={"model_type": "voxtral_encoder", **ENCODER, "encoder_ffn_dim": 4 * WIDTH},
        text_config={"model_type": "llama", "vocab_size": 256 + len(TEKKEN_SPECIAL), "head_dim": WIDTH // 4, **LANGUAGE},
        audio_token_id=TEKKEN_SPECIAL.index("[AUDIO]"),
    )
    torch.manual_seed(1)
    VoxtralForConditionalGeneration(config).save_pretrained(folder)
    write_tekken(folder / "tekken.json")
    _extractor().save_pretrained(folder)


class _VoxtralProcessor(VoxtralProcessor):
    """The library's own without its tokenizer, which needs a package that is not installed."""

    def __init__(self, feature_extractor: Any):
        self.feature_extractor = feature_extractor


def _voxtral_features(loaded: LoadedModel, waveforms: Sequence[np.ndarray]) -> torch.Tensor:
    window = 16_000 * WINDOW_S
    options = {"sampling_rate": 16_000, "padding": True, "truncation": False, "pad_to_multiple_of": window, "return_tensors": "pt"}
    return _VoxtralProcessor(loaded.processor.feature_extractor)._retrieve_input_features(waveforms, window // 160, **options)


def _voxtral_input(loaded: LoadedModel, waveform: np.ndarray) -> LibraryInput:
    mel = _voxtral_features(loaded, [waveform]).double()
    return LibraryInput({"input_features": mel}, mel)


@torch.no_grad()
def _voxtral_tokens(loaded: LoadedModel, counts: Sequence[int]) -> list[int]:
    """As many as the library's own model makes embeddings of what its processor gives."""
    mel = _voxtral_features(loaded, [_noise(n) for n in counts])
    return [len(loaded.model.get_audio_features(row[None]).pooler_output) for row in mel]


TINY = {
    "qwen2_audio": TinyFamily(
        _write_qwen2_audio,
        _pooled_whisper("feature_attention_mask"),
        _expanded_tokens,
        # The tiny base: 96 values wide, two layers in each half.
        {"language_model": 2 * 2 * 4 * (96 + 96), "published": 2 * 2 * (4 + 3) * (96 + 96)},
        stock_from=961,
    ),
    "audioflamingo3": TinyFamily(_write_audioflamingo3, _pooled_whisper("input_features_mask"), _expanded_tokens, _lora()),
    "qwen2_5_omni": TinyFamily(_write_qwen2_5_omni, _valid_frames, _omni_tokens, _lora()),
    "voxtral": TinyFamily(_write_voxtral, _voxtral_input, _voxtral_tokens, _lora()),
}
"""model_type -> its tiny checkpoint."""
