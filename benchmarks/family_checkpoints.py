"""Checkpoints of every family with random weights, tiny or of the published size, and what the library makes of sounds with each."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from full_size import TEXT, save_random
from safetensors.torch import load_file, save_file
from transformers import (
    AudioFlamingo3Config,
    AudioFlamingo3ForConditionalGeneration,
    AudioFlamingo3Processor,
    Gemma4AudioFeatureExtractor,
    Gemma4Config,
    Gemma4ForConditionalGeneration,
    GlmAsrConfig,
    GlmAsrForConditionalGeneration,
    GlmAsrProcessor,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen3OmniMoeThinkerConfig,
    Qwen3OmniMoeThinkerForConditionalGeneration,
    VoxtralConfig,
    VoxtralForConditionalGeneration,
    VoxtralProcessor,
    WhisperFeatureExtractor,
)
from transformers.models.gemma4.modeling_gemma4 import Gemma4ClippableLinear

from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.families.tiny.audioflamingo3 import SOUND_FIRST
from earwitness.model.families.tiny.qwen2_audio import build_model, build_processor
from earwitness.model.tiny_base_questions import QUESTIONS, training_texts

WIDTH = 32
TINY_ENCODER = {
    "num_mel_bins": 32,
    "d_model": WIDTH,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 2 * WIDTH,
    "max_source_positions": 200,
    "initializer_range": 0.2,
}
TINY_LANGUAGE = {
    "hidden_size": WIDTH,
    "intermediate_size": 2 * WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "initializer_range": 0.2,
    "tie_word_embeddings": False,
}
QWEN_7B = {
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
}
QWEN3_30B = {
    "hidden_size": 2048,
    "num_hidden_layers": 48,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "vocab_size": 152064,
}


@dataclass(frozen=True)
class Size:
    """encoder, language, vision: settings of the library's configurations; the rest are its defaults, which are the published sizes.
    rope_sections: of positions with three rows. window_s: seconds that the encoder takes."""

    encoder: dict[str, Any] = field(default_factory=dict)
    language: dict[str, Any] = field(default_factory=dict)
    vision: dict[str, Any] = field(default_factory=dict)
    rope_sections: tuple[int, int, int] = (16, 24, 24)
    window_s: int = 30

    @property
    def extractor(self) -> WhisperFeatureExtractor:
        bins = self.encoder.get("num_mel_bins", 128)
        return WhisperFeatureExtractor(feature_size=bins, chunk_length=self.window_s, return_attention_mask=True)


TINY = Size(
    TINY_ENCODER, TINY_LANGUAGE, {"depth": 1, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": WIDTH}, (1, 1, 2), 4
)

IN_ORDER = """\
{% for message in messages %}<|im_start|>{{ message.role }}
{% for part in message.content %}{% if part.type == 'audio' %}<|audio_bos|><|AUDIO|><|audio_eos|>{% else %}{{ part.text }}{% endif %}{% endfor %}\
<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

GLM_TURN = """\
{% for message in messages %}<|{{ message.role }}|>
{% for part in message.content %}{% if part.type == 'audio' %}<|begin_of_audio|><|pad|><|end_of_audio|>\
{% else %}{{ part.text }}{% endif %}{% endfor %}\
{% endfor %}{% if add_generation_prompt %}<|assistant|>
{% endif %}"""

GEMMA_TURN = """\
{{ bos_token }}{% for message in messages %}<|turn>{{ message.role }}
{% for part in message.content %}{% if part.type == 'audio' %}<|audio|>{% else %}{{ part.text | trim }}{% endif %}{% endfor %}\
<turn|>
{% endfor %}{% if add_generation_prompt %}<|turn>model
{% endif %}"""

TEKKEN_SPECIAL = [
    *("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"),
    *("[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
    *("[TOOL_CONTENT]", "<SPECIAL_20>", "<SPECIAL_21>", "<SPECIAL_22>", "<SPECIAL_23>", "[AUDIO]", "[BEGIN_AUDIO]"),
]


def tokenizer_with(*special: str) -> Any:
    """The tiny base's kind of tokenizer, with more special tokens."""
    tokenizer = build_processor([*training_texts(), *QUESTIONS]).tokenizer
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)}, replace_extra_special_tokens=False)
    return tokenizer


def write_qwen2_audio(folder: Path, size: Size, device: torch.device) -> None:
    """The tiny one is the embedded study's tiny base."""
    processor = build_processor([*training_texts(), *QUESTIONS])
    if size is TINY:
        save_random(lambda: build_model(processor), folder, device, torch.float32)
    else:
        processor.feature_extractor = size.extractor
        config = Qwen2AudioConfig(text_config=TEXT, audio_token_index=processor.audio_token_id)
        save_random(lambda: Qwen2AudioForConditionalGeneration(config), folder, device)
    processor.save_pretrained(folder)


def write_audioflamingo3(folder: Path, size: Size, device: torch.device) -> None:
    tokenizer = tokenizer_with("<sound>")
    processor = AudioFlamingo3Processor(size.extractor, tokenizer, chat_template=SOUND_FIRST)
    config = AudioFlamingo3Config(
        audio_config={"model_type": "audioflamingo3_encoder", **size.encoder},
        text_config={"model_type": "qwen2", **((size.language and {"vocab_size": len(tokenizer), **size.language}) or QWEN_7B)},
        audio_token_id=processor.audio_token_id,
    )
    save_random(lambda: AudioFlamingo3ForConditionalGeneration(config), folder, device, torch.float32 if size is TINY else torch.bfloat16)
    processor.save_pretrained(folder)


def write_qwen2_5_omni(folder: Path, size: Size, device: torch.device) -> None:
    """In the layout of the published checkpoint: the thinker's weights, and where they are tiny, one of each part that speaks."""
    tokenizer = tokenizer_with("<|IMAGE|>", "<|VIDEO|>", "<|vision_bos|>")
    id_of = tokenizer.convert_tokens_to_ids
    language = (size.language and {"vocab_size": len(tokenizer), **size.language}) or QWEN_7B
    config = Qwen2_5OmniThinkerConfig(
        # Tiny: blocks of half a second, so that a second has two.
        audio_config={**size.encoder, "output_dim": language["hidden_size"], "n_window": 25 if size is TINY else 100},
        vision_config=size.vision or {"hidden_size": 1280},
        text_config={**language, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": list(size.rope_sections)}},
        audio_token_index=id_of("<|AUDIO|>"),
        image_token_index=id_of("<|IMAGE|>"),
        video_token_index=id_of("<|VIDEO|>"),
        vision_start_token_id=id_of("<|vision_bos|>"),
        audio_start_token_id=id_of("<|audio_bos|>"),
    )
    save_random(lambda: Qwen2_5OmniThinkerForConditionalGeneration(config), folder, device, torch.float32 if size is TINY else torch.bfloat16)
    _as_thinker(folder, "qwen2_5_omni", size, ("talker.x.weight", "token2wav.y.weight"), tokenizer, IN_ORDER)


def write_qwen3_omni_moe(folder: Path, size: Size, device: torch.device) -> None:
    """In the layout of the published checkpoint: the thinker's weights, and where they are tiny, one of each part that speaks."""
    tokenizer = tokenizer_with("<|image_pad|>", "<|video_pad|>", "<|audio_pad|>", "<|vision_start|>", "<|audio_start|>", "<|audio_end|>")
    id_of = tokenizer.convert_tokens_to_ids
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "head_dim": WIDTH // 4}
    language = (size.language and {"vocab_size": len(tokenizer), **size.language, **experts}) or QWEN3_30B
    tiny_ear = {"downsample_hidden_size": 4, "n_window_infer": 200} if size is TINY else {}
    config = Qwen3OmniMoeThinkerConfig(
        audio_config={**size.encoder, **tiny_ear, "output_dim": language["hidden_size"]},
        vision_config=size.vision and {**size.vision, "deepstack_visual_indexes": [0]},
        text_config={**language, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": list(size.rope_sections)}},
        audio_token_id=id_of("<|audio_pad|>"),
        image_token_id=id_of("<|image_pad|>"),
        video_token_id=id_of("<|video_pad|>"),
        vision_start_token_id=id_of("<|vision_start|>"),
        audio_start_token_id=id_of("<|audio_start|>"),
    )
    save_random(lambda: Qwen3OmniMoeThinkerForConditionalGeneration(config), folder, device, torch.float32 if size is TINY else torch.bfloat16)
    template = IN_ORDER.replace("<|audio_bos|><|AUDIO|><|audio_eos|>", "<|audio_start|><|audio_pad|><|audio_end|>")
    _as_thinker(folder, "qwen3_omni_moe", size, ("talker.x.weight", "code2wav.y.weight"), tokenizer, template)


def _as_thinker(folder: Path, kind: str, size: Size, others: Sequence[str], tokenizer: Any, template: str) -> None:
    """Turn a saved thinker into a checkpoint of the whole, with a processor."""
    if size is TINY:
        weights = {f"thinker.{name}": tensor for name, tensor in load_file(folder / "model.safetensors").items()}
        save_file(weights | {name: torch.ones(2) for name in others}, folder / "model.safetensors", {"format": "pt"})
    whole = {"model_type": kind, "thinker_config": json.loads((folder / "config.json").read_text())}
    (folder / "config.json").write_text(json.dumps(whole))
    tokenizer.save_pretrained(folder)
    size.extractor.save_pretrained(folder)
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))


def write_voxtral(folder: Path, size: Size, device: torch.device) -> None:
    language = size.language and {"vocab_size": 256 + len(TEKKEN_SPECIAL), "head_dim": WIDTH // 4, **size.language}
    config = VoxtralConfig(
        audio_config={"model_type": "voxtral_encoder", **size.encoder, **({"encoder_ffn_dim": 4 * WIDTH} if size is TINY else {})},
        text_config={"model_type": "llama", **language},
        audio_token_id=TEKKEN_SPECIAL.index("[AUDIO]"),
    )
    save_random(lambda: VoxtralForConditionalGeneration(config), folder, device, torch.float32 if size is TINY else torch.bfloat16)
    _write_tekken(folder / "tekken.json")
    size.extractor.save_pretrained(folder)


def write_glmasr(folder: Path, size: Size, device: torch.device) -> None:
    tokenizer = tokenizer_with("<|user|>", "<|assistant|>", "<|pad|>", "<|begin_of_audio|>", "<|end_of_audio|>")
    processor = GlmAsrProcessor(size.extractor, tokenizer, chat_template=GLM_TURN)
    ear = {
        "num_mel_bins": 32,
        "hidden_size": WIDTH,
        "intermediate_size": 4 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 200,
        "initializer_range": 0.2,
    }
    language = size.language and {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id, **size.language}
    config = GlmAsrConfig(
        audio_config={"model_type": "glmasr_encoder", **(ear if size is TINY else {})},
        text_config={"model_type": "llama", **language},
        audio_token_id=processor.audio_token_id,
    )
    save_random(lambda: GlmAsrForConditionalGeneration(config), folder, device, torch.float32 if size is TINY else torch.bfloat16)
    processor.save_pretrained(folder)


GEMMA_E2B = {
    "hidden_size": 1536,
    "intermediate_size": 6144,
    "num_hidden_layers": 35,
    "num_attention_heads": 8,
    "num_key_value_heads": 1,
    "layer_types": (["sliding_attention"] * 4 + ["full_attention"]) * 7,
    "num_kv_shared_layers": 20,
    "use_double_wide_mlp": True,
    "final_logit_softcapping": 30.0,
}
TINY_GEMMA = {
    **TINY_LANGUAGE,
    "num_hidden_layers": 4,
    "head_dim": WIDTH // 4,
    "global_head_dim": WIDTH // 2,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "sliding_window": 24,
    "num_kv_shared_layers": 2,
    "use_double_wide_mlp": True,
    "hidden_size_per_layer_input": 8,
    "final_logit_softcapping": 3.0,
    "tie_word_embeddings": True,
}
"""A window shorter than the questions, and logits that the cap bends."""
TINY_CONFORMER = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "subsampling_conv_channels": [32, 8],
    "attention_chunk_size": 4,
    "attention_context_left": 5,
    "output_proj_dims": 48,
    "initializer_range": 0.2,
}
TINY_EYE = {
    "hidden_size": WIDTH,
    "intermediate_size": 2 * WIDTH,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": WIDTH // 2,
    "position_embedding_size": 16,
}


def write_gemma4(folder: Path, size: Size, device: torch.device) -> None:
    special = ("<|audio|>", "<|audio>", "<audio|>", "<|image|>", "<|image>", "<image|>", "<|video|>", "<|turn>", "<turn|>")
    tokenizer = tokenizer_with(*special)
    tokenizer.chat_template = GEMMA_TURN
    audio, begin, end, image, begin_image, end_image, video, *_ = tokenizer.convert_tokens_to_ids(special)
    tiny = size is TINY
    words = {"vocab_size": len(tokenizer), "vocab_size_per_layer_input": len(tokenizer)}
    config = Gemma4Config(
        text_config={**(TINY_GEMMA | words if tiny else GEMMA_E2B), "pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id},
        audio_config=TINY_CONFORMER if tiny else {},
        vision_config=TINY_EYE if tiny else {},
        audio_token_id=audio,
        boa_token_id=begin,
        eoa_token_index=end,
        image_token_id=image,
        boi_token_id=begin_image,
        eoi_token_id=end_image,
        video_token_id=video,
    )
    save_random(lambda: _clipping(Gemma4ForConditionalGeneration(config)), folder, device, torch.float32 if tiny else torch.bfloat16)
    tokenizer.save_pretrained(folder)
    Gemma4AudioFeatureExtractor(feature_size=config.audio_config.subsampling_conv_channels[0]).save_pretrained(folder)


def _clipping(model: Gemma4ForConditionalGeneration) -> Gemma4ForConditionalGeneration:
    """With bounds that its ear reaches, as published ones have."""
    for module in model.modules():
        if isinstance(module, Gemma4ClippableLinear) and module.use_clipped_linears:
            module.input_max.fill_(1.5)
            module.output_min.fill_(-2)
    return model


def _write_tekken(path: Path) -> None:
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


def _with_mask(name: str) -> Callable[[LoadedModel, Sequence[np.ndarray]], dict[str, torch.Tensor]]:
    def features(loaded: LoadedModel, waveforms: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
        extractor = loaded.processor.feature_extractor
        whole = extractor(list(waveforms), sampling_rate=16_000, return_tensors="pt", return_attention_mask=True)
        return {"input_features": whole.input_features, name: whole.attention_mask}

    return features


def _unpadded(loaded: LoadedModel, waveforms: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
    """Padded to the longest, and no further."""
    options = {"sampling_rate": 16_000, "padding": True, "truncation": False, "return_tensors": "pt", "return_attention_mask": True}
    given = loaded.processor.feature_extractor(list(waveforms), **options)
    return {"input_features": given.input_features, "feature_attention_mask": given.attention_mask}


class _VoxtralProcessor(VoxtralProcessor):
    """The library's own without its tokenizer, which needs a package that is not installed."""

    def __init__(self, feature_extractor: Any):
        self.feature_extractor = feature_extractor


def _voxtral_features(loaded: LoadedModel, waveforms: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
    extractor = loaded.processor.feature_extractor
    options = {"sampling_rate": 16_000, "padding": True, "truncation": False, "pad_to_multiple_of": extractor.n_samples, "return_tensors": "pt"}
    return {"input_features": _VoxtralProcessor(extractor)._retrieve_input_features(waveforms, extractor.nb_max_frames, **options)}


def _gemma4_features(loaded: LoadedModel, waveforms: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
    return dict(loaded.processor.feature_extractor(list(waveforms), return_tensors="pt"))


WRITE: dict[str, Callable[[Path, Size, torch.device], None]] = {
    "qwen2_audio": write_qwen2_audio,
    "audioflamingo3": write_audioflamingo3,
    "qwen2_5_omni": write_qwen2_5_omni,
    "voxtral": write_voxtral,
    "glmasr": write_glmasr,
    "qwen3_omni_moe": write_qwen3_omni_moe,
    "gemma4": write_gemma4,
}
"""model_type -> what saves a checkpoint with random weights and its processor."""

LIBRARY_FEATURES: dict[str, Callable[[LoadedModel, Sequence[np.ndarray]], dict[str, torch.Tensor]]] = {
    "qwen2_audio": _with_mask("feature_attention_mask"),
    "audioflamingo3": _with_mask("input_features_mask"),
    "qwen2_5_omni": _with_mask("feature_attention_mask"),
    "voxtral": _voxtral_features,
    "glmasr": _with_mask("input_features_mask"),
    "qwen3_omni_moe": _unpadded,
    "gemma4": _gemma4_features,
}
"""model_type -> sounds as the library's own forward pass takes them, as keyword arguments."""
