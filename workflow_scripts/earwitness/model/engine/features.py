"""Sounds as a language model reads them, encoded in batches by the model's own family (earwitness.model.families)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from earwitness.audio.io import Waveform
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.runtime.device_memory import sent


@dataclass(frozen=True)
class AudioEmbeddings:
    """Sounds as the language model reads them.

    vectors: (batch, longest, hidden size of the language model); row i is valid up to n_tokens[i].
    """

    vectors: torch.Tensor
    n_tokens: list[int]


def mean_outputs(outputs: torch.Tensor, n_tokens: Sequence[int]) -> torch.Tensor:
    """The mean over the valid rows of a tower's outputs, float32 on the CPU (batch, width of the tower); zeros for a sound without any."""
    sums = torch.stack([row[:n].float().sum(0) for row, n in zip(outputs, n_tokens, strict=True)])
    return (sums / torch.tensor(n_tokens, device=sums.device).clamp(min=1)[:, None]).cpu()


def encoder_outputs(loaded: LoadedModel, mel: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
    """What the tower makes of a batch that the model's `spectrograms` made; where lengths do not mix, those of one length at a time."""
    if loaded.mixes_lengths or len(set(lengths)) == 1:
        return loaded.encode_audio(mel, lengths)
    rows: dict[int, torch.Tensor] = {}
    for length in set(lengths):
        places = [place for place, other in enumerate(lengths) if other == length]
        rows |= zip(places, loaded.encode_audio(mel[places], [length] * len(places)), strict=True)
    return torch.nn.utils.rnn.pad_sequence([rows[place] for place in range(len(lengths))], batch_first=True)


def encode_spectrograms(loaded: LoadedModel, mel: torch.Tensor, lengths: Sequence[int]) -> AudioEmbeddings:
    """Audio embeddings of a batch that the model's `spectrograms` made: what the tower makes of it, projected."""
    return AudioEmbeddings(loaded.project(encoder_outputs(loaded, mel, lengths)), [loaded.tokens_of(length) for length in lengths])


@dataclass(frozen=True)
class Spectrogram:
    """What a tower reads of one waveform: mel (bins, frames), and its length in the family's unit."""

    mel: torch.Tensor
    length: int


def spectrogram_of(loaded: LoadedModel, waveform: Waveform) -> Spectrogram:
    """What the model's audio tower reads of a waveform (16 kHz mono), on the CPU; raises InputError as its `spectrograms` does."""
    mel, [length] = loaded.spectrograms([waveform])
    return Spectrogram(mel[0], length)


def stack_spectrograms(loaded: LoadedModel, spectrograms: Sequence[Spectrogram]) -> torch.Tensor:
    """A batch (batch, bins, longest) for `encode_spectrograms`, in the tower's precision and on its device."""
    weight = next(loaded.tower.parameters())
    # Frames beyond a row's own are masked, whatever they hold.
    mel = torch.nn.utils.rnn.pad_sequence([spectrogram.mel.T for spectrogram in spectrograms], batch_first=True).transpose(1, 2)
    return sent(mel, weight.device).to(weight.dtype)


@dataclass(frozen=True)
class EncodedSounds:
    """audio: what the language model reads of sounds. mean: `mean_outputs` of each, before the projector."""

    audio: AudioEmbeddings
    mean: torch.Tensor


@torch.inference_mode()
def encode_with_means(loaded: LoadedModel, waveforms: Sequence[Waveform]) -> EncodedSounds:
    """What the tower and the language model make of a batch of waveforms (16 kHz mono); raises InputError as the model's `spectrograms` does."""
    mel, lengths = loaded.spectrograms(waveforms, next(loaded.tower.parameters()).device)
    outputs, n_tokens = encoder_outputs(loaded, mel, lengths), [loaded.tokens_of(length) for length in lengths]
    return EncodedSounds(AudioEmbeddings(loaded.project(outputs), n_tokens), mean_outputs(outputs, n_tokens))


@torch.inference_mode()
def encode_waveforms(loaded: LoadedModel, waveforms: Sequence[Waveform]) -> AudioEmbeddings:
    """Audio embeddings of a batch of waveforms (16 kHz mono); raises InputError as the model's `spectrograms` does."""
    return encode_spectrograms(loaded, *loaded.spectrograms(waveforms, next(loaded.tower.parameters()).device))
