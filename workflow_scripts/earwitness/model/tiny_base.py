"""The tiny base: a real Qwen2-Audio model, small enough to learn speech from scratch on two CPU cores."""

import json
import math
from collections.abc import Iterable
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from torch import nn
from transformers import (
    GenerationConfig,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    Qwen2Tokenizer,
    WhisperFeatureExtractor,
)
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from earwitness.core.prompt_text import ANSWER_TEXTS
from earwitness.model.engine.prompting import Prompt, instruction

SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"]
VOCABULARY = 640
WINDOW_S = 4
WIDTH = 96
MEL_BINS = 64

QUESTIONS = (
    "Does this sound contain human speech?",
    "Is someone speaking in this sound?",
    "Do you hear a person talking?",
    "Is there a human voice in this recording?",
    "Listen carefully. Is this speech or another sound?",
    "Decide whether the sound is speech.",
    "What is in this clip: speech or no speech?",
    "Can you hear anybody talk, even for a moment?",
    "The sound may be short and noisy. Is it speech?",
    "Classify the sound.",
)
"""Questions that the tiny base learns to answer; it also meets every answer format and both audio positions."""


def training_texts() -> list[str]:
    """Everything the tokenizer learns its merges from."""
    letters = [{"SPEECH": "A", "NONSPEECH": "B"}, {"SPEECH": "B", "NONSPEECH": "A"}]
    formats = [("letters", answers) for answers in letters] + list(ANSWER_TEXTS.items())
    conversation = ["You are a helpful assistant.", "system\n", "user\n", "assistant\n", "Audio 1: "]
    return conversation + [instruction(Prompt(question, name), answers) for question in QUESTIONS for name, answers in formats]


def build_processor(texts: Iterable[str]) -> Qwen2AudioProcessor:
    """A Qwen2-Audio processor with its own byte-level BPE, trained on `texts`; any other text is encoded byte by byte.

    The chat template is the class's own.
    """
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL_TOKENS), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    trained.train_from_iterator(texts, trainer)
    model = json.loads(trained.to_str())["model"]
    merges: list[Any] = [tuple(pair) for pair in model["merges"]]
    tokenizer = Qwen2Tokenizer(vocab=model["vocab"], merges=merges, eos_token="<|im_end|>", additional_special_tokens=SPECIAL_TOKENS)
    tokenizer.padding_side = "left"
    return Qwen2AudioProcessor(WhisperFeatureExtractor(feature_size=MEL_BINS, chunk_length=WINDOW_S), tokenizer)


def build_model(processor: Qwen2AudioProcessor) -> Qwen2AudioForConditionalGeneration:
    """The untrained model, initialised from torch's current random state.

    The library's default initialisation does not learn from scratch at this size; wider weights, sinusoidal audio
    positions of moderate scale and Kaiming-initialised convolutions do.
    """
    tokenizer = processor.tokenizer
    config = Qwen2AudioConfig(
        audio_config={
            "model_type": "qwen2_audio_encoder",
            "num_mel_bins": MEL_BINS,
            "d_model": WIDTH,
            "encoder_layers": 2,
            "encoder_attention_heads": 4,
            "encoder_ffn_dim": 2 * WIDTH,
            "max_source_positions": WINDOW_S * 50,
            "initializer_range": 0.08,
        },
        text_config={
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
        },
        audio_token_index=processor.audio_token_id,
    )
    model = Qwen2AudioForConditionalGeneration(config)
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
