"""Qwen2-Audio, and bases assembled in its classes (earwitness.model.assembly).

The library's own audio path fails on batches whose every clip has one audio token or none (60 ms and less); this one does not use it.
"""

from collections.abc import Sequence

import torch
from transformers import Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

from earwitness.audio.io import Waveform
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.families.whisper import convolution_length, log_mel, trimmed_outputs


class Qwen2Audio(LoadedModel):
    """Whisper's encoder pooled to 25 tokens a second, a linear projector, and Qwen (or the language model of an assembled base)."""

    checkpoint = Qwen2AudioForConditionalGeneration
    processor_class = Qwen2AudioProcessor
    fixed_in_tower = ("embed_positions.weight",)
    fused_norms = (Qwen2RMSNorm, LlamaRMSNorm)

    def spectrograms(self, waveforms: Sequence[Waveform], device: torch.device | None = None) -> tuple[torch.Tensor, tuple[int, ...]]:
        """Lengths are valid outputs of the convolutions."""
        return log_mel(self.processor.feature_extractor, waveforms, device)

    def tokens_of(self, length: int) -> int:
        return length // 2

    def n_tokens(self, n_samples: int) -> int:
        """25 a second, rounded down; 0 for 20 ms and less."""
        return convolution_length(n_samples) // 2

    def hear(self, mel: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        return trimmed_outputs(self.tower, mel, lengths)
