"""Qwen3-Omni, the thinker alone: a mixture of experts that hears 13 tokens a second through convolutions in two dimensions.

Its convolutions read the padding that a batch brings: of longer sounds in the spectrogram's last frames, and of longer blocks behind a
shorter one. So only sounds of one length are heard together, which is what each gives alone.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import Qwen3OmniMoeThinkerForConditionalGeneration
from transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe import (
    Qwen3OmniMoeTextRMSNorm,
    Qwen3OmniMoeThinkerTextRMSNorm,
    _get_feat_extract_output_lengths,
)

from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.core.errors import InputError
from earwitness.model.families.loaded_model import LoadedModel, Scope
from earwitness.model.families.sound_processor import SoundProcessor
from earwitness.model.families.whisper import log_mel


class Qwen3OmniMoe(LoadedModel):
    """An encoder of blocks of 1 s that attend to one another within 8 s; lengths are frames.

    Positions have three rows in this model, which are equal as long as nothing is seen; the library makes them of one.
    """

    checkpoint = Qwen3OmniMoeThinkerForConditionalGeneration
    processor_class = SoundProcessor
    projector_name = "model.audio_tower.proj1"
    unasked = ("model.visual",)
    other_parts = ("talker.", "code2wav.")
    fused_norms = (Qwen3OmniMoeTextRMSNorm, Qwen3OmniMoeThinkerTextRMSNorm)
    mixes_lengths = False
    records_passes = False

    @classmethod
    def lora_exclusions(cls, scope: Scope) -> str | None:
        """peft turns a regular expression into last parts of names where a model has experts, and would reach the tower."""
        return rf"{re.escape(cls.tower_name)}\..*" if scope == "language_model" else None

    @classmethod
    def load_processor(cls, folder: Path) -> SoundProcessor:
        return SoundProcessor.load(folder, "<|audio_pad|>")

    def spectrograms(self, waveforms: Sequence[Waveform], device: torch.device | None = None) -> tuple[torch.Tensor, tuple[int, ...]]:
        extractor = self.processor.feature_extractor
        shortest = min(map(len, waveforms))
        if 0 < shortest <= extractor.n_fft // 2:
            least = 1000 * (extractor.n_fft // 2 + 1) / SAMPLE_RATE
            raise InputError(f"a stimulus of {1000 * shortest / SAMPLE_RATE:.1f} ms is shorter than the model's {least:.1f} ms; lengthen it")
        rows = [log_mel(extractor, [waveform], device, padded=False)[0][0] for waveform in waveforms]
        padded = torch.nn.utils.rnn.pad_sequence([row.T for row in rows], batch_first=True).transpose(1, 2)
        return padded, tuple(row.shape[1] for row in rows)

    def tokens_of(self, length: int) -> int:
        return int(_get_feat_extract_output_lengths(length, self.tower.n_window))

    def n_tokens(self, n_samples: int) -> int:
        """13 a second, rounded up."""
        return self.tokens_of(n_samples // self.processor.feature_extractor.hop_length)

    def encode_audio(self, mel: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        """What the library's own encoder hands to its last three modules, the projection."""
        weight = next(self.tower.parameters())
        frames = torch.cat([row[:, :length] for row, length in zip(mel, lengths, strict=True)], dim=1).to(weight.device, weight.dtype)
        heard: list[torch.Tensor] = []
        with self.projector.register_forward_pre_hook(lambda _, given: heard.append(given[0])):
            self.tower(frames, feature_lens=torch.tensor(lengths, device=weight.device))
        rows = heard[0].split([self.tokens_of(length) for length in lengths])
        return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)

    def project(self, encoded: torch.Tensor) -> torch.Tensor:
        return self.tower.proj2(self.tower.act(self.tower.proj1(encoded)))
