"""Reading a recording of any length as 16 kHz mono, a block at a time."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soxr

from earwitness.audio.files import HIGHEST_RATE, LOWEST_RATE, UnreadableAudio, describe, frame_blocks, mixture_of
from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.core.errors import InputError

BLOCK_S = 10.0


def mono_blocks(path: Path) -> Iterator[Waveform]:
    """A whole file as 16 kHz mono blocks of about 10 s, float32, full scale 1; together they are what earwitness.audio.io.read_mono gives.

    Memory does not depend on the file's length. Raises InputError where the file cannot be read.
    """
    try:
        about = describe(path)
        blocks = (about.mono(frames) for frames in frame_blocks(path, round(BLOCK_S * about.sample_rate)))
        yield from resampled(blocks, about.sample_rate)
    except UnreadableAudio as error:
        raise InputError(f"{path}: {error}; replace or remove the file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}); replace or remove the file") from error


def array_blocks(samples: npt.ArrayLike, sample_rate: int) -> Iterator[Waveform]:
    """Samples in memory as 16 kHz mono blocks.

    samples: shape (n_samples,) or (n_samples, n_channels); floats of full scale 1 or of that of integers, or signed integers. Channels are
    averaged, or where that would cancel them the loudest is taken, as of a file. sample_rate: Hz.
    Raises InputError where they are of another shape or kind, not finite, or of a rate that no sound has.
    """
    array = np.asarray(samples)
    if array.ndim not in (1, 2) or array.dtype.kind not in "fi":
        raise InputError(f"samples of shape {array.shape} and type {array.dtype}; give floats or signed integers of shape (n,) or (n, channels)")
    array = array[:, None] if array.ndim == 1 else array
    if array.shape[1] > max(len(array), 1) or not array.shape[1]:
        raise InputError(f"samples of shape {array.shape}: more channels than samples; give (n, channels)")
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise InputError(f"a sample rate of {sample_rate} Hz cannot be right; give it in Hz")
    if not np.isfinite(array).all():
        raise InputError("the samples hold values that are not finite; replace them")
    integers = array.dtype.kind == "i"
    scale = float(np.iinfo(array.dtype).max) + 1 if integers else 1.0
    size = round(BLOCK_S * sample_rate)

    def blocks() -> Iterator[npt.NDArray[np.float32]]:
        for start in range(0, len(array), size):
            yield array[start : start + size].astype(np.float32) / np.float32(scale)

    try:
        gain, channel = mixture_of(blocks(), int(sample_rate), array.shape[1], integers)
    except UnreadableAudio as error:
        raise InputError(str(error)) from error
    mono = (block.mean(axis=1) if channel is None else block[:, channel] for block in blocks())
    return resampled((block * np.float32(gain) for block in mono), sample_rate)


def resampled(blocks: Iterable[npt.NDArray[np.float32]], sample_rate: int) -> Iterator[Waveform]:
    """Mono blocks at a rate as mono blocks at 16 kHz."""
    if sample_rate == SAMPLE_RATE:
        yield from (np.ascontiguousarray(block, dtype=np.float32) for block in blocks)
        return
    stream = soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32", quality="VHQ")
    for block in blocks:
        if len(part := stream.resample_chunk(np.ascontiguousarray(block, dtype=np.float32))):
            yield part
    if len(part := stream.resample_chunk(np.zeros(0, np.float32), last=True)):
        yield part


@contextmanager
def kept_on_disk(stream: BinaryIO) -> Iterator[Path]:
    """A stream that cannot be read twice, such as standard input, as a temporary file. It is read to its end first."""
    descriptor, name = tempfile.mkstemp(prefix="earwitness-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            shutil.copyfileobj(stream, file)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
