"""Silero VAD (snakers4/silero-vad, MIT) through its packaged ONNX model: a probability for every 32 ms."""

import importlib.util
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.core.errors import InputError
from earwitness.detectors.tracks import FloatArray, Follow, in_pieces

SILERO_CHUNK, SILERO_CONTEXT = 512, 64
"""Samples that a probability is of, and those before them that the model hears too."""


class _Silero:
    """The packaged model, one thread."""

    def __init__(self) -> None:
        # The package itself imports torch, which its ONNX model does not need.
        package = importlib.util.find_spec("silero_vad")
        if package is None or package.origin is None or importlib.util.find_spec("onnxruntime") is None:
            raise InputError("silero needs onnxruntime and silero-vad: pip install onnxruntime silero-vad, or remove silero from detectors")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        model = str(Path(package.origin).parent / "data" / "silero_vad.onnx")
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def __call__(self, samples: npt.NDArray[np.float32], state: Any = None) -> tuple[npt.NDArray[np.float32], Any]:
        """Probabilities (n_waveforms, n_chunks) of samples (n_waveforms, context + chunks) that begin with their context, and the state after."""
        state = np.zeros((2, len(samples), 128), dtype=np.float32) if state is None else state
        count = (samples.shape[1] - SILERO_CONTEXT) // SILERO_CHUNK
        probabilities = np.zeros((len(samples), count), dtype=np.float32)
        for place in range(count):
            start = place * SILERO_CHUNK
            chunk = np.ascontiguousarray(samples[:, start : start + SILERO_CONTEXT + SILERO_CHUNK])
            probability, state = self._session.run(None, {"input": chunk, "state": state, "sr": np.array(SAMPLE_RATE, dtype=np.int64)})
            probabilities[:, place] = probability[:, 0]
        return probabilities, state


def silero_probabilities() -> Callable[[Sequence[Waveform]], list[npt.NDArray[np.float32]]]:
    """A function from waveforms of 16 kHz mono to the speech probability of each of their chunks, of which the last is filled with zeros.

    The state is reset for every waveform; those of one length are computed together. Raises InputError where the package is not installed.
    """
    model = _Silero()

    def of_chunks(batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return model(np.pad(batch, ((0, 0), (SILERO_CONTEXT, -batch.shape[1] % SILERO_CHUNK))))[0]

    def of_waveforms(waveforms: Sequence[Waveform]) -> list[npt.NDArray[np.float32]]:
        lengths = np.array([len(waveform) for waveform in waveforms])
        result = [np.zeros(0, dtype=np.float32)] * len(waveforms)
        for length in np.unique(lengths):
            places = np.flatnonzero(lengths == length)
            for place, chunks in zip(places, of_chunks(np.stack([waveforms[int(place)] for place in places])), strict=True):
                result[int(place)] = chunks
        return result

    return of_waveforms


def follow_silero() -> Follow:
    """Silero over a recording of any length, with one state throughout. Raises InputError where the package is not installed."""
    model = _Silero()

    def follow(blocks: Iterable[Waveform]) -> Iterator[FloatArray]:
        context, state = np.zeros(SILERO_CONTEXT, np.float32), None
        for block in in_pieces(blocks, SILERO_CHUNK):
            heard = np.concatenate([context, block])
            probabilities, state = model(heard[None], state)
            context = heard[-SILERO_CONTEXT:]
            yield probabilities[0].astype(np.float64)

    return follow
