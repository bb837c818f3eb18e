"""What tiny bases have in common: a byte-level tokenizer, the sizes of ear and language, and weights that learn from scratch."""

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from torch import nn
from transformers import GenerationConfig, Qwen2Tokenizer, WhisperFeatureExtractor
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

VOCABULARY = 640
WINDOW_S = 4
WIDTH = 96
MEL_BINS = 64

ENCODER = {
    "num_mel_bins": MEL_BINS,
    "d_model": WIDTH,
    "encoder_layers": 2,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 2 * WIDTH,
    "max_source_positions": WINDOW_S * 50,
    "initializer_range": 0.08,
}
"""Settings of a Whisper-class encoder."""


def feature_extractor() -> WhisperFeatureExtractor:
    """Log-mel spectrograms of the tiny window."""
    return WhisperFeatureExtractor(feature_size=MEL_BINS, chunk_length=WINDOW_S)


def byte_pair_tokenizer(texts: Iterable[str], special_tokens: Sequence[str]) -> Qwen2Tokenizer:
    """A byte-level BPE trained on `texts`; any other text is encoded byte by byte. Turns end with <|im_end|>."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(special_tokens), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    trained.train_from_iterator(texts, trainer)
    model = json.loads(trained.to_str())["model"]
    merges: list[Any] = [tuple(pair) for pair in model["merges"]]
    tokenizer = Qwen2Tokenizer(vocab=model["vocab"], merges=merges, eos_token="<|im_end|>", additional_special_tokens=list(special_tokens))
    tokenizer.padding_side = "left"
    return tokenizer


def qwen2(tokenizer: Qwen2Tokenizer) -> dict[str, Any]:
    """Settings of a language model of Qwen2's class."""
    return {
        "model_type": "qwen2",
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 4096,
        "initializer_range": 0.08,
        "tie_word_embeddings": False,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def ready_to_learn(model: Any, tokenizer: Qwen2Tokenizer) -> Any:
    """The model with an ear that learns from scratch, and with the tokenizer's end of a turn.

    The library's default initialisation does not learn from scratch at this size; wider weights, sinusoidal audio positions of moderate
    scale and Kaiming-initialised convolutions do.
    """
    tower = model.model.audio_tower
    for convolution in (tower.conv1, tower.conv2):
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        nn.init.zeros_(convolution.bias)
    with torch.no_grad():
        tower.embed_positions.weight.copy_(0.3 * sinusoids(WINDOW_S * 50, WIDTH))
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    return model


def sinusoids(length: int, channels: int) -> torch.Tensor:
    """Sinusoidal positions (length, channels), wavelengths from 2 pi to 10,000 x 2 pi, as in Whisper's encoder."""
    rates = torch.exp(-math.log(10_000) / (channels // 2 - 1) * torch.arange(channels // 2))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
