"""Models of the shapes of Qwen2-Audio-7B-Instruct and Qwen2.5-3B-Instruct with random weights: what can be measured without a download.

Those of workflow_scripts/make_stand_in.py are like the hub's in every file. These have a small tokenizer, which needs no file of the real one,
and are drawn on the GPU, in seconds.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    PreTrainedModel,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2Config,
    Qwen2ForCausalLM,
    WhisperFeatureExtractor,
)

from earwitness.model.families.tiny.qwen2_audio import build_model, build_processor
from earwitness.model.stand_in import STAND_INS
from earwitness.model.tiny_base_questions import training_texts

TEXT: dict[str, Any] = STAND_INS["base"].config["text_config"]
_SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size", "tie_word_embeddings")
WRITER: dict[str, Any] = {name: STAND_INS["writer"].config[name] for name in _SIZES}
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_full_size(folder: Path) -> None:
    """Save the full-size architecture with random weights in bfloat16 (16.8 GB), built on the CUDA device."""
    processor = build_processor(training_texts())
    processor.feature_extractor = WhisperFeatureExtractor(feature_size=128)
    config = Qwen2AudioConfig(text_config=TEXT, audio_token_index=processor.audio_token_id)
    save_random(lambda: Qwen2AudioForConditionalGeneration(config), folder, torch.device("cuda"))
    processor.save_pretrained(folder)


def write_writer(folder: Path, texts: Sequence[str], sizes: Mapping[str, Any] = WRITER, device: torch.device | None = None) -> None:
    """Save a causal language model with random weights in bfloat16 (6.2 GB at full size).

    texts: what its tokenizer, of 640 tokens, learns from; the rest of the vocabulary stands for nothing and decodes to nothing.
    """
    tokenizer = build_processor(texts).tokenizer
    tokenizer.chat_template = CHAT
    config = Qwen2Config(**sizes, max_position_embeddings=32768, pad_token_id=tokenizer.pad_token_id)
    save_random(lambda: Qwen2ForCausalLM(config), folder, device or torch.device("cuda"))
    tokenizer.save_pretrained(folder)


def save_random(build: Callable[[], PreTrainedModel], folder: Path, device: torch.device, dtype: torch.dtype = torch.bfloat16) -> None:
    """Save a model with random weights that are always the same on one kind of device."""
    torch.manual_seed(1)
    torch.set_default_dtype(dtype)
    try:
        with device:
            model = build()
    finally:
        torch.set_default_dtype(torch.float32)
    model.save_pretrained(folder)
    del model
    torch.cuda.empty_cache()


def write_small(folder: Path) -> None:
    """Save the tiny architecture with random weights, to try on a CPU what is meant for the full size."""
    processor = build_processor(training_texts())
    torch.manual_seed(1)
    build_model(processor).save_pretrained(folder)
    processor.save_pretrained(folder)
