"""What families with a Whisper-class encoder share: its log-mel spectrogram, and an encoder cut to the frames of short stimuli.

The library pads every clip to the longest input, encodes all of it under a key mask, and keeps the valid part. Keys after the valid
part have weight zero, pooled tokens read valid positions only, and the second convolution's last valid output reads no mel frame
beyond 2L, where L is the number of valid convolution outputs. So the first 2L + 2 frames of the padded log-mel give the same
function; fewer do not.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers.masking_utils import create_bidirectional_mask
from transformers.models.whisper import WhisperFeatureExtractor

from earwitness.audio.io import Waveform
from earwitness.model.families.loaded_model import HOP, LoadedModel
from earwitness.model.families.waveforms import stacked
from earwitness.runtime.device_memory import sent


def convolution_length(n_samples: int) -> int:
    """Valid outputs L of the encoder's convolutions for a clip of `n_samples`."""
    frames = -(-n_samples // HOP)
    return (frames - 1) // 2 + 1


def log_mel(
    extractor: WhisperFeatureExtractor, waveforms: Sequence[Waveform], device: torch.device | None = None, whole: bool = False, padded: bool = True
) -> tuple[torch.Tensor, tuple[int, ...]]:
    """Log-mel spectrograms of a batch as the model's extractor computes them, cut to the frames that its longest clip needs.

    device: where they are computed; the extractor itself would bring them back to the CPU. whole: the whole window instead.
    padded: False leaves out the silence behind the longest, so that the last frames are those of a sound that is mirrored there.
    Returns float32 (batch, mel bins, 2 max(L) + 2) on the device and the valid convolution lengths L.
    Raises InputError where a clip is empty, longer than the model's window, or not finite.
    """
    longest = max(map(len, waveforms))
    lengths = tuple(convolution_length(len(waveform)) for waveform in waveforms)
    needed = extractor.n_samples if whole else extractor.hop_length * (2 * max(lengths) + 2) if padded else longest
    device = device or torch.device("cpu")
    samples = sent(stacked(waveforms, extractor.n_samples, min(needed, extractor.n_samples)), device)
    window = torch.hann_window(extractor.n_fft, device=device)
    spectrum = torch.stft(samples, extractor.n_fft, extractor.hop_length, window=window, return_complex=True)[..., :-1]
    filters = sent(torch.from_numpy(extractor.mel_filters), device).to(torch.float32)
    mel = (filters.T @ spectrum.abs() ** 2).clamp(min=1e-10).log10()
    return (torch.maximum(mel, mel.amax((1, 2), keepdim=True) - 8) + 4) / 4, lengths


def trimmed_outputs(tower: Any, mel: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
    """What an encoder under a key mask, pooled two by two, gives for a batch that `log_mel` made.

    Returns (batch, longest L // 2, width); row i is valid up to lengths[i] // 2.
    """
    weight = tower.conv1.weight
    mel, longest = mel.to(weight.device, weight.dtype), max(lengths)
    hidden = nn.functional.gelu(tower.conv1(mel))
    hidden = nn.functional.gelu(tower.conv2(hidden))[:, :, :longest].transpose(1, 2)
    hidden = hidden + tower.embed_positions.weight[:longest]
    mask = None
    if min(lengths) < longest:
        # Made on the device, row by row, since a recorded pass must not copy to it.
        valid = torch.stack([torch.arange(longest, device=weight.device) < length for length in lengths]).long()
        mask = create_bidirectional_mask(config=tower.config, inputs_embeds=hidden, attention_mask=valid)
    for layer in tower.layers:
        hidden = layer(hidden, mask)
    pooled = tower.avg_pooler(hidden.transpose(1, 2)).transpose(1, 2) if longest > 1 else hidden[:, :0]
    return tower.layer_norm(pooled)


class PooledWhisper(LoadedModel):
    """A Whisper encoder under a key mask, pooled to 25 tokens a second; lengths are valid outputs of its convolutions."""

    fixed_in_tower = ("embed_positions.weight",)

    def spectrograms(self, waveforms: Sequence[Waveform], device: torch.device | None = None) -> tuple[torch.Tensor, tuple[int, ...]]:
        return log_mel(self.processor.feature_extractor, waveforms, device)

    def tokens_of(self, length: int) -> int:
        return length // 2

    def n_tokens(self, n_samples: int) -> int:
        """25 a second, rounded down; 0 for 20 ms and less."""
        return convolution_length(n_samples) // 2

    def encode_audio(self, mel: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        return trimmed_outputs(self.tower, mel, lengths)
