"""What the library itself makes of a sound with the tiny checkpoint of each family (benchmarks/family_checkpoints.py)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from family_checkpoints import LIBRARY_FEATURES
from transformers import Qwen2_5OmniProcessor, Qwen3OmniMoeProcessor

from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.families.whisper import convolution_length


@dataclass(frozen=True)
class TinyFamily:
    """cut: the part of the library's spectrogram of one sound of so many samples that the engine's tower reads. library_tokens: how many
    audio tokens the library's processor writes for sounds of so many samples. lora: number of parameters of an adapter of rank 2 on q, k, v
    and o, by scope, worked out by hand. stock_from: samples from which on the library's own forward pass works.
    shortest: samples of the shortest sound that is not refused."""

    cut: Callable[[torch.Tensor, int], torch.Tensor]
    library_tokens: Callable[[LoadedModel, Sequence[int]], list[int]]
    lora: dict[str, int]
    stock_from: int = 1
    shortest: int = 1


def _noise(n_samples: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(n_samples).standard_normal(n_samples)).astype(np.float32)


def _pooled(mel: torch.Tensor, n_samples: int) -> torch.Tensor:
    return mel[:, :, : 2 * convolution_length(n_samples) + 2]


def _expanded_tokens(loaded: LoadedModel, counts: Sequence[int]) -> list[int]:
    """How often the processor writes the audio token."""
    processor = loaded.processor
    ids = processor(text=[processor.audio_token] * len(counts), audio=[_noise(n) for n in counts], sampling_rate=16_000, padding=True).input_ids
    return (torch.as_tensor(np.asarray(ids)) == processor.audio_token_id).sum(1).tolist()


class _OmniProcessor(Qwen2_5OmniProcessor):
    """The library's own without its parts for pictures, which need packages that are not installed."""

    def __init__(self, feature_extractor: Any, audio_token: str):
        self.feature_extractor, self.audio_token = feature_extractor, audio_token


def _omni_tokens(loaded: LoadedModel, counts: Sequence[int]) -> list[int]:
    processor = _OmniProcessor(loaded.processor.feature_extractor, loaded.processor.audio_token)
    options = {"sampling_rate": 16_000, "return_attention_mask": True, "return_tensors": "pt"}
    _, texts = processor._process_audio([_noise(n) for n in counts], **options)
    return [text.count(processor.audio_token) for text in texts]


@torch.no_grad()
def _voxtral_tokens(loaded: LoadedModel, counts: Sequence[int]) -> list[int]:
    """As many as the library's own model makes embeddings of what its processor gives."""
    mel = LIBRARY_FEATURES["voxtral"](loaded, [_noise(n) for n in counts])["input_features"]
    return [len(loaded.model.get_audio_features(row[None]).pooler_output) for row in mel]


class _Qwen3OmniProcessor(Qwen3OmniMoeProcessor):
    """As _OmniProcessor."""

    def __init__(self, feature_extractor: Any, audio_token: str):
        self.feature_extractor, self.audio_token = feature_extractor, audio_token


def _qwen3_omni_tokens(loaded: LoadedModel, counts: Sequence[int]) -> list[int]:
    processor = _Qwen3OmniProcessor(loaded.processor.feature_extractor, loaded.processor.audio_token)
    options = {"sampling_rate": 16_000, "padding": True, "truncation": False, "return_attention_mask": True, "return_tensors": "pt"}
    return [processor._process_audio([_noise(n)], **options)[1][0].count(processor.audio_token) for n in counts]


def _gemma4_tokens(loaded: LoadedModel, counts: Sequence[int]) -> list[int]:
    # Not above: with transformers before 5.23 its module cannot be imported without a package for pictures.
    from transformers import Gemma4Processor

    class Processor(Gemma4Processor):
        """As _OmniProcessor."""

        def __init__(self) -> None:
            self.boa_token, self.audio_token, self.eoa_token = "<|audio>", "<|audio|>", "<audio|>"

    masks = [LIBRARY_FEATURES["gemma4"](loaded, [_noise(n)])["input_features_mask"] for n in counts]
    return [Processor().replace_audio_token({"input_features_mask": mask}, 0).count("<|audio|>") for mask in masks]


LORA = {"language_model": 2 * 2 * ((32 + 32) * 2 + (32 + 16) * 2), "published": 2 * 2 * ((32 + 32) * 2 + (32 + 16) * 2) + 2 * 2 * 3 * (32 + 32)}
"""Rank 2: a module from a to b values has 2 (a + b) parameters. Two layers each: in the language model q and o from 32 to 32, k and v from 32
to 16; in the tower q, k and v from 32 to 32."""

TINY_FAMILIES = {
    "qwen2_audio": TinyFamily(
        _pooled,
        _expanded_tokens,
        # The tiny base is 96 values wide, with as many keys as queries.
        {"language_model": 2 * 2 * 4 * (96 + 96), "published": 2 * 2 * (4 + 3) * (96 + 96)},
        stock_from=961,
    ),
    "audioflamingo3": TinyFamily(_pooled, _expanded_tokens, LORA),
    "qwen2_5_omni": TinyFamily(lambda mel, n_samples: mel[:, :, : -(-n_samples // 160)], _omni_tokens, LORA),
    "voxtral": TinyFamily(lambda mel, n_samples: mel, _voxtral_tokens, LORA),
    "glmasr": TinyFamily(
        lambda mel, n_samples: mel,
        _expanded_tokens,
        # Its tower calls the output o too: four modules of 32 to 32 in each of two layers.
        {"language_model": LORA["language_model"], "published": LORA["language_model"] + 2 * 2 * 4 * (32 + 32)},
    ),
    "qwen3_omni_moe": TinyFamily(lambda mel, n_samples: mel, _qwen3_omni_tokens, LORA, shortest=201),
    "gemma4": TinyFamily(
        lambda mel, n_samples: mel[:, : (n_samples - 1) // 160].transpose(1, 2),
        _gemma4_tokens,
        # Its first layer is as wide as the others', its second twice as wide inside (q from 32 to 64, k and v to 32, o back to 32); the last
        # two are like them without k and v. Its tower calls the output post.
        {
            "language_model": 2 * (2 * (64 + 96) + 2 * (64 + 96) + 2 * 48 + 2 * 64),
            "published": 2 * (2 * (64 + 96) + 2 * (64 + 96) + 2 * 48 + 2 * 64) + 2 * 2 * 3 * (32 + 32),
        },
        stock_from=129,
    ),
}
