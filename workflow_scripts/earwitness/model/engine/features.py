"""Audio features of short stimuli, exactly as the full 30 s path gives them and without encoding its silence.

The stock path pads every clip to the longest input, encodes all of it under a key mask, and keeps the valid part. Keys
after the valid part have weight zero, pooled tokens read valid positions only, and the second convolution's last valid
output reads no mel frame beyond 2L, where L is the number of valid convolution outputs. So the first 2L + 2 frames of
the padded log-mel give the same function; fewer do not. The stock path also fails on batches whose every clip has one
audio token or none, which this path does not use.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import Qwen2AudioEncoder, Qwen2AudioForConditionalGeneration
from transformers.masking_utils import create_bidirectional_mask
from transformers.models.whisper import WhisperFeatureExtractor

from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.core.errors import InputError
from earwitness.model.engine.loading import LoadedModel


@dataclass(frozen=True)
class AudioEmbeddings:
    """Sounds as the language model reads them.

    vectors: (batch, longest, hidden size of the language model); row i is valid up to n_tokens[i].
    """

    vectors: torch.Tensor
    n_tokens: list[int]


def convolution_length(n_samples: int, hop: int = 160) -> int:
    """Valid outputs L of the tower's convolutions for a clip of `n_samples`."""
    frames = -(-n_samples // hop)
    return (frames - 1) // 2 + 1


def audio_tokens(n_samples: int) -> int:
    """Audio tokens of a clip of `n_samples` at 16 kHz: 25 a second, rounded down; 0 for 20 ms and less."""
    return convolution_length(n_samples) // 2


def log_mel(
    extractor: WhisperFeatureExtractor, waveforms: Sequence[Waveform], device: torch.device | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-mel spectrograms of a batch as the model's extractor computes them, cut to the frames that its longest clip needs.

    device: where they are computed; the extractor itself would bring them back to the CPU.
    Returns float32 (batch, mel bins, 2 max(L) + 2) on the device and the valid convolution lengths L, int64 (batch,), on the CPU.
    Raises InputError where a clip is empty, longer than the model's window, or not finite.
    """
    longest = max(map(len, waveforms))
    if longest > extractor.n_samples:
        raise InputError(
            f"a stimulus of {longest / SAMPLE_RATE:.2f} s is longer than the model's {extractor.n_samples / SAMPLE_RATE:.0f} s; shorten it"
        )
    if not min(map(len, waveforms)):
        raise InputError("a stimulus has no samples; remake the stimuli")
    lengths = torch.tensor([convolution_length(len(waveform)) for waveform in waveforms])
    samples = torch.zeros(len(waveforms), min(extractor.hop_length * (2 * int(lengths.max()) + 2), extractor.n_samples))
    for row, waveform in zip(samples, waveforms, strict=True):
        row[: len(waveform)] = torch.from_numpy(waveform)
    if not torch.isfinite(samples).all():
        raise InputError("a stimulus has samples that are not finite; remake the stimuli")
    samples = samples.to(device)
    window = torch.hann_window(extractor.n_fft, device=device)
    spectrum = torch.stft(samples, extractor.n_fft, extractor.hop_length, window=window, return_complex=True)[..., :-1]
    filters = torch.from_numpy(extractor.mel_filters).to(device, torch.float32)
    mel = (filters.T @ spectrum.abs() ** 2).clamp(min=1e-10).log10()
    return (torch.maximum(mel, mel.amax((1, 2), keepdim=True) - 8) + 4) / 4, lengths


def tower_outputs(tower: Qwen2AudioEncoder, mel: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """What an audio tower, with or without adapters, hears in a batch of log-mel spectrograms and convolution lengths made by `log_mel`.

    Returns (batch, longest number of audio tokens, width of the tower); row i is valid up to lengths[i] // 2.
    """
    weight = tower.conv1.weight
    mel, longest = mel.to(weight.device, weight.dtype), int(lengths.max())
    hidden = nn.functional.gelu(tower.conv1(mel))
    hidden = nn.functional.gelu(tower.conv2(hidden))[:, :, :longest].transpose(1, 2)
    hidden = hidden + tower.embed_positions.weight[:longest]
    mask = None
    if int(lengths.min()) < longest:
        # Made on the device, row by row, since a recorded pass must not copy to it.
        valid = torch.stack([torch.arange(longest, device=weight.device) < length for length in lengths.tolist()]).long()
        mask = create_bidirectional_mask(config=tower.config, inputs_embeds=hidden, attention_mask=valid)
    for layer in tower.layers:
        hidden = layer(hidden, mask)
    pooled = tower.avg_pooler(hidden.transpose(1, 2)).transpose(1, 2) if longest > 1 else hidden[:, :0]
    return tower.layer_norm(pooled)


def mean_outputs(outputs: torch.Tensor, n_tokens: Sequence[int]) -> torch.Tensor:
    """The mean over the valid rows of `tower_outputs`, float32 on the CPU (batch, width of the tower); zeros for a sound without any."""
    sums = torch.stack([row[:n].float().sum(0) for row, n in zip(outputs, n_tokens, strict=True)])
    return (sums / torch.tensor(n_tokens, device=sums.device).clamp(min=1)[:, None]).cpu()


def encode_spectrograms(model: Qwen2AudioForConditionalGeneration, mel: torch.Tensor, lengths: torch.Tensor) -> AudioEmbeddings:
    """Audio embeddings of a batch of log-mel spectrograms and convolution lengths made by `log_mel`: what the tower hears, projected."""
    return AudioEmbeddings(model.model.multi_modal_projector(tower_outputs(model.model.audio_tower, mel, lengths)), (lengths // 2).tolist())


@dataclass(frozen=True)
class Spectrogram:
    """Log-mel spectrogram of one waveform, as `log_mel` gives it: mel (mel bins, frames), and its convolution length."""

    mel: torch.Tensor
    length: int


def spectrogram_of(loaded: LoadedModel, waveform: Waveform) -> Spectrogram:
    """What the model's audio tower reads of a waveform (16 kHz mono), on the CPU; raises InputError as `log_mel` does."""
    mel, lengths = log_mel(loaded.processor.feature_extractor, [waveform])
    return Spectrogram(mel[0], int(lengths[0]))


def stack_spectrograms(loaded: LoadedModel, spectrograms: Sequence[Spectrogram]) -> torch.Tensor:
    """A batch (batch, mel bins, longest) for `encode_spectrograms`, in the tower's precision and on its device."""
    weight = loaded.model.model.audio_tower.conv1.weight
    # Frames beyond a row's own are masked, whatever they hold.
    mel = torch.nn.utils.rnn.pad_sequence([spectrogram.mel.T for spectrogram in spectrograms], batch_first=True).transpose(1, 2)
    return mel.to(weight.device, weight.dtype)


@dataclass(frozen=True)
class HeardSounds:
    """audio: what the language model reads of sounds. mean: of what the tower hears of each, before the projector, as `mean_outputs` gives it."""

    audio: AudioEmbeddings
    mean: torch.Tensor


@torch.inference_mode()
def hear_waveforms(loaded: LoadedModel, waveforms: Sequence[Waveform]) -> HeardSounds:
    """A batch of waveforms (16 kHz mono) as the tower hears them and as the language model reads them.

    Raises InputError as `log_mel` does.
    """
    tower = loaded.model.model.audio_tower
    mel, lengths = log_mel(loaded.processor.feature_extractor, waveforms, tower.conv1.weight.device)
    outputs, n_tokens = tower_outputs(tower, mel, lengths), (lengths // 2).tolist()
    return HeardSounds(AudioEmbeddings(loaded.model.model.multi_modal_projector(outputs), n_tokens), mean_outputs(outputs, n_tokens))


@torch.inference_mode()
def encode_waveforms(loaded: LoadedModel, waveforms: Sequence[Waveform]) -> AudioEmbeddings:
    """Audio embeddings of a batch of waveforms (16 kHz mono).

    Raises InputError as `log_mel` does.
    """
    device = loaded.model.model.audio_tower.conv1.weight.device
    return encode_spectrograms(loaded.model, *log_mel(loaded.processor.feature_extractor, waveforms, device))
