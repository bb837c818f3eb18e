"""GLM-ASR: a Whisper-class encoder with rotary positions and without a key mask, so that the silence behind a sound is heard too and nothing
may be cut; but only the outputs of the sound's own time are read on."""

from collections.abc import Sequence

import torch
from transformers import GlmAsrForConditionalGeneration, GlmAsrProcessor
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from earwitness.audio.io import Waveform
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.families.whisper import convolution_length, log_mel


class GlmAsr(LoadedModel):
    """An encoder on the whole window, four outputs to a token, two linear layers, and a Llama model; lengths are tokens."""

    checkpoint = GlmAsrForConditionalGeneration
    processor_class = GlmAsrProcessor
    fused_norms = (LlamaRMSNorm,)

    def spectrograms(self, waveforms: Sequence[Waveform], device: torch.device | None = None) -> tuple[torch.Tensor, tuple[int, ...]]:
        mel, lengths = log_mel(self.processor.feature_extractor, waveforms, device, whole=True)
        return mel, tuple(length // 4 for length in lengths)

    def tokens_of(self, length: int) -> int:
        return length

    def n_tokens(self, n_samples: int) -> int:
        """12.5 a second, rounded down; 0 for 60 ms and less."""
        return convolution_length(n_samples) // 4

    def encode_audio(self, mel: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        weight = self.tower.conv1.weight
        outputs = self.tower(mel.to(weight.device, weight.dtype)).last_hidden_state
        return outputs.reshape(len(mel), -1, self.tower.config.intermediate_size)[:, : max(lengths)]
