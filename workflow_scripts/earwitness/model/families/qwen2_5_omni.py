"""Qwen2.5-Omni, the thinker alone: what it hears and says in text. The parts that see and that speak are never asked."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import Qwen2_5OmniThinkerForConditionalGeneration
from transformers.models.qwen2_5_omni.modeling_qwen2_5_omni import Qwen2_5OmniRMSNorm

from earwitness.audio.io import Waveform
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.families.sound_processor import SoundProcessor
from earwitness.model.families.whisper import convolution_length, log_mel


class Qwen2_5Omni(LoadedModel):
    """A Whisper-class encoder that hears blocks of 2 s and nothing but a sound's own frames; lengths are frames.

    Positions have three rows in this model, which are equal as long as nothing is seen; the library makes them of one.
    """

    checkpoint = Qwen2_5OmniThinkerForConditionalGeneration
    processor_class = SoundProcessor
    projector_name = "model.audio_tower.proj"
    unasked = ("model.visual",)
    other_parts = ("talker.", "token2wav.")
    fused_norms = (Qwen2_5OmniRMSNorm,)
    records_passes = False

    @classmethod
    def load_processor(cls, folder: Path) -> SoundProcessor:
        return SoundProcessor.load(folder, "<|AUDIO|>")

    def spectrograms(self, waveforms: Sequence[Waveform], device: torch.device | None = None) -> tuple[torch.Tensor, tuple[int, ...]]:
        mel, _ = log_mel(self.processor.feature_extractor, waveforms, device)
        frames = tuple(-(-len(waveform) // self.processor.feature_extractor.hop_length) for waveform in waveforms)
        return mel[:, :, : max(frames)], frames

    def tokens_of(self, length: int) -> int:
        return ((length - 1) // 2 + 1) // 2

    def n_tokens(self, n_samples: int) -> int:
        """25 a second, rounded down; 0 for 20 ms and less."""
        return convolution_length(n_samples) // 2

    def encode_audio(self, mel: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        """What the library's own encoder hands to its last module, the projection."""
        weight = self.tower.conv1.weight
        frames = torch.cat([row[:, :length] for row, length in zip(mel, lengths, strict=True)], dim=1).to(weight.device, weight.dtype)
        heard: list[torch.Tensor] = []
        with self.projector.register_forward_pre_hook(lambda _, given: heard.append(given[0])):
            self.tower(frames, feature_lens=torch.tensor(lengths, device=weight.device))
        rows = heard[0].split([self.tokens_of(length) for length in lengths])
        return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
