"""Audio files: every sample that can be decoded, none that cannot, and what is wrong with the file.

Decoding stops where a file's frames stop, whatever its header states; the two are compared, and what differs is told.
"""

import dataclasses
import functools
import hashlib
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from earwitness.audio.containers import Header, read_header
from earwitness.core.errors import InputError
from earwitness.core.files import NO_FILE, refuse_pipe

Frames = npt.NDArray[np.float32]
"""Samples of all channels, shape (n_frames, n_channels)."""

BLOCK_FRAMES = 1 << 18

SALVAGE_FRAMES = 1 << 10
"""Frames at a time where decoding fails within a block."""

FORMATS = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "FLAC", "OGG", "MP3"})
"""Kinds of file, in libsndfile's names, whose headers are checked; what others lack would go unnoticed."""

_COUNTED = frozenset({"WAV", "RF64", "W64", "AIFF", "AU", "CAF", "SPHERE"})
"""Containers that state bytes, so that the number of frames follows without decoding."""

_INTEGER_BYTES = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "ULAW": 1, "ALAW": 1}
_FLOAT = frozenset({"FLOAT", "DOUBLE"})
_OVERSHOOTING = _FLOAT | {"VORBIS", "OPUS", "MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III"}
"""Codings in which a sample may lie beyond full scale without being clipped."""

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000
"""Hz."""

FULL_SCALE = 0.999
"""Samples at least this large (full scale 1) count as clipped; where samples may overshoot, those as near from above."""

LARGEST_OVERSHOOT = 32.0
"""Float samples beyond this, 30 dB above full scale, are not scaled to 1; whole numbers are not from 2 on."""

INTEGER_SCALES = {16: 2.0**15, 24: 2.0**23, 32: 2.0**31}
"""Bits -> full scale of integers in a float file."""

CANCELLED_DB = -6.0
"""Channels cancel where the power of their sum is so far below the sum of their powers, which it equals where they have nothing in common."""

CANCELLED_SHARE = 0.1
"""Share of a file's energy in stretches of 50 ms that cancel, from which its mean over channels is not used."""

TOLD_SHARE = 0.01
"""The same, from which it is told that this share is lost."""


class UnreadableAudio(Exception):
    """A file that cannot be read as audio; the message says why, without the file's name."""


@dataclass(frozen=True)
class Description:
    """An audio file: Hz, channels, and frames that can be decoded.

    truncated: what is missing by the header, "" where all is there. remarks: what else is wrong but was understood.
    gain: what samples are multiplied with; channel: the one that is heard, None for the mean of all.
    """

    sample_rate: int
    channels: int
    frames: int
    truncated: str
    remarks: tuple[str, ...]
    gain: float
    channel: int | None
    header: Header

    @property
    def duration_s(self) -> float:
        return self.frames / self.sample_rate

    @property
    def notes(self) -> str:
        """What to tell of the file; "" where all is well."""
        return "; ".join([*([f"truncated: {self.truncated}"] if self.truncated else []), *self.remarks])

    def mono(self, frames: Frames) -> npt.NDArray[np.float32]:
        """One channel of a stretch of the file, full scale 1, shape (n_frames,)."""
        mixed = frames.mean(axis=1) if self.channel is None else frames[:, self.channel]
        return mixed if self.gain == 1 else mixed * np.float32(self.gain)


@dataclass(frozen=True)
class Measures:
    """What was measured over all samples of all channels, full scale 1.

    power: mean square of the finite samples; varying: that about the mean of each channel.
    peak: largest |sample|. clipped: samples at full scale. dc_offset: largest |mean| of a channel.
    """

    samples: int
    power: float
    varying: float
    peak: float
    clipped: int
    dc_offset: float
    non_finite: int


def describe(path: Path) -> Description:
    """What an audio file holds; decoded only where its header cannot tell.

    Raises UnreadableAudio, or OSError where the file cannot be opened.
    """
    return _described(path, _identity(path))


def examine(path: Path) -> tuple[Description, Measures]:
    """Decode a whole file, block by block. Raises as `describe`."""
    return _examined(path, _identity(path))


def read_frames(path: Path, start_s: float = 0.0, end_s: float | None = None) -> Frames:
    """Decode part of a file, or to its end; samples are as stored (see Description.mono). Raises as `describe`."""
    about = describe(path)
    first = round(start_s * about.sample_rate)
    count = None if end_s is None else max(round(end_s * about.sample_rate) - first, 0)
    with _decoder(path, about.header) as decoder:
        decoder.skip(min(first, about.frames))
        blocks = list(decoder.blocks(count))
    return np.concatenate(blocks) if blocks else np.zeros((0, about.channels), np.float32)


def frame_blocks(path: Path, size: int) -> Iterator[Frames]:
    """Decode a whole file `size` frames at a time; samples are as stored. Raises as `describe`."""
    with _decoder(path, describe(path).header) as decoder:
        yield from decoder.blocks(None, size)


def mixture_of(blocks: Iterable[Frames], sample_rate: int, channels: int, integers: bool) -> tuple[float, int | None]:
    """What samples in memory are to be multiplied with, and the channel that is heard, None for the mean of all, as in Description.

    blocks: of samples, full scale 1 where they were integers. Raises UnreadableAudio where floats are of no known scale.
    """
    survey = _Survey(sample_rate, channels, "PCM_16" if integers else "FLOAT", 1.0)
    for block in blocks:
        survey.add(block)
    return survey.gain(), survey.channel()


def _identity(path: Path) -> tuple[int, int, int]:
    about = path.stat()
    try:
        refuse_pipe(path)
    except InputError as error:
        raise UnreadableAudio(NO_FILE) from error
    return about.st_ino, about.st_size, about.st_mtime_ns


@functools.lru_cache(maxsize=4096)
def _described(path: Path, identity: tuple[int, int, int]) -> Description:
    header = read_header(path)
    with _decoder(path, header) as decoder:
        file = decoder.file
        if header.container in _COUNTED and header.payload is not None and file.channels == 1 and file.subtype in _INTEGER_BYTES:
            frames = min(file.frames, header.payload // _INTEGER_BYTES[file.subtype])
            return Description(file.samplerate, 1, frames, header.truncated, header.remarks, header.gain, None, header)
    return _examined(path, identity)[0]


@functools.lru_cache(maxsize=4096)
def _examined(path: Path, identity: tuple[int, int, int]) -> tuple[Description, Measures]:
    if not identity[1]:
        raise UnreadableAudio("empty file")
    header = read_header(path)
    with _decoder(path, dataclasses.replace(header, corrections=header.corrections | header.open_ended)) as decoder:
        file = decoder.file
        survey = _Survey(file.samplerate, file.channels, file.subtype, header.gain)
        # Whole stretches, so that what is found does not depend on the size of a block.
        size = max(1, BLOCK_FRAMES // survey.stretch) * survey.stretch
        digest = hashlib.md5(usedforsecurity=False)
        for block in decoder.blocks(None, size):
            survey.add(block)
            if header.md5:
                digest.update(_as_stored(block, _INTEGER_BYTES[file.subtype]))
    remarks, truncated = list(header.remarks), header.truncated or decoder.fault
    frames = survey.samples // file.channels
    if header.md5 and not truncated and header.frames in (None, frames) and digest.digest() != header.md5:
        remarks.append("the samples have another MD5 than the header states: they are not, or not all, that was encoded")
    if decoder.rest:
        remarks.append(f"the last block, of {decoder.rest} bytes, is cut off and not read")
    if not truncated and header.frames is not None and frames < header.frames:
        truncated = f"{1 - frames / header.frames:.1%} of what the header promises is missing"
    elif header.open_ended and frames > (header.frames or 0):
        if header.frames:
            remarks.append(f"the header states {header.frames} frames, {frames} are there; all are read")
        header = dataclasses.replace(header, corrections=header.corrections | header.open_ended, frames=None)
    elif header.container == "CAF" and header.frames and frames > header.frames:
        truncated = truncated or f"{header.frames} frames are promised, {frames} come out: packets are damaged"
    gain, channel = survey.gain(), survey.channel()
    if gain != 1:
        bits = next(bits for bits, scale in INTEGER_SCALES.items() if gain == 1 / scale)
        remarks.append(f"samples reach {survey.peak:g}: float samples at the scale of {bits}-bit integers, divided by {1 / gain:.0f}")
    if channel is not None:
        remarks.append(f"channels cancel in their mean; channel {channel + 1} of {file.channels}, the loudest, is heard alone")
    elif survey.cancelled >= TOLD_SHARE:
        remarks.append(
            f"channels cancel in their mean for {survey.cancelled:.0%} of the file's energy, which is not heard; give one channel alone to hear it"
        )
    about = Description(file.samplerate, file.channels, frames, truncated, tuple(remarks), header.gain * gain, channel, header)
    return about, survey.measures(gain)


def _as_stored(block: Frames, width: int) -> bytes:
    """Samples as the little-endian integers of `width` bytes, up to 3, that they were decoded from."""
    integers = np.rint(block * np.float32(2 ** (8 * width - 1))).astype("<i4")
    return integers.reshape(-1, 1).view(np.uint8)[:, :width].tobytes()


class _Survey:
    """Measures of a file, block by block. gain: that of its header; a scale is found at the end."""

    def __init__(self, rate: int, channels: int, subtype: str, gain: float):
        self.stretch = max(1, rate // 20)
        self.samples, self.peak = 0, 0.0
        self._header_gain, self._is_float, self._overshoots = np.float32(gain), subtype in _FLOAT, subtype in _OVERSHOOTING
        self._whole = self._is_float
        self._scales = [1.0, *(INTEGER_SCALES.values() if self._is_float else ())]
        self._clipped = dict.fromkeys(self._scales, 0)
        self._finite, self._energy, self._cancelled = 0, np.zeros(channels), 0.0
        self._sums = np.zeros(channels)

    def add(self, block: Frames) -> None:
        self.samples += block.size
        finite = np.isfinite(block)
        if not finite.all():
            block = np.where(finite, block, np.float32(0))
        if self._header_gain != 1:
            block = block * self._header_gain
        self._finite += int(finite.sum())
        magnitude = np.abs(block)
        self.peak = max(self.peak, float(magnitude.max(initial=0.0)))
        self._whole = self._whole and bool((block == np.rint(block)).all())
        for scale in self._scales:
            at_full_scale = magnitude >= FULL_SCALE * scale
            if self._overshoots:
                at_full_scale &= magnitude <= (2 - FULL_SCALE) * scale
            self._clipped[scale] += int(np.count_nonzero(at_full_scale))
        squares = np.square(block, dtype=np.float64)
        self._energy += squares.sum(axis=0)
        self._sums += block.sum(axis=0, dtype=np.float64)
        if block.shape[1] > 1 and len(block):
            starts = np.arange(0, len(block), self.stretch)
            apart = np.add.reduceat(squares.sum(axis=1), starts)
            together = np.add.reduceat(np.square(block.sum(axis=1, dtype=np.float64)), starts)
            self._cancelled += float(apart[together < apart * 10 ** (CANCELLED_DB / 10)].sum())

    def gain(self) -> float:
        """What brings integers in a float file to a full scale of 1; 1 for all else."""
        if not self._is_float or self.peak < (2 if self._whole else LARGEST_OVERSHOOT):
            return 1.0
        for scale in INTEGER_SCALES.values():
            if self.peak <= 2 * scale:
                return 1 / scale
        raise UnreadableAudio(f"float samples reach {self.peak:g}, the scale of no integers; convert the file again")

    def channel(self) -> int | None:
        """The channel with the most energy where channels cancel in their mean, else None."""
        return int(np.argmax(self._energy)) if self.cancelled > CANCELLED_SHARE else None

    @property
    def cancelled(self) -> float:
        """Share of the energy in stretches that cancel."""
        energy = float(self._energy.sum())
        return self._cancelled / energy if energy else 0.0

    def measures(self, gain: float) -> Measures:
        energy, frames = float(self._energy.sum()) * gain**2, max(self.samples // len(self._sums), 1)
        return Measures(
            samples=self.samples,
            power=energy / self._finite if self._finite else 0.0,
            varying=max(0.0, energy - float(np.square(self._sums).sum()) * gain**2 / frames) / max(self._finite, 1),
            peak=self.peak * gain,
            clipped=self._clipped[1 / gain],
            dc_offset=float(np.abs(self._sums).max()) * gain / frames,
            non_finite=self.samples - self._finite,
        )


class _ForwardFile(soundfile.SoundFile):
    """Read forwards. SoundFile seeks after every read, which fails where a length is unknown, and limits reads to a length that may be wrong."""

    def seekable(self) -> bool:
        return False


class _CorrectedFile(io.RawIOBase):
    """A file as its header's corrections, prefix and end make it."""

    def __init__(self, path: Path, header: Header):
        self._stream, self._place = path.open("rb"), 0
        self._corrections, self._prefix = header.corrections, header.prefix
        self._shift = header.start - len(header.prefix)
        self._size = (header.end or os.fstat(self._stream.fileno()).st_size) - self._shift

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        view = memoryview(buffer)[: max(0, self._size - self._place)]
        if not view:
            return 0
        piece = self._prefix[self._place : self._place + len(view)]
        view[: len(piece)] = piece
        view = view[len(piece) :]
        start = self._stream.seek(max(self._place, len(self._prefix)) + self._shift)
        count = self._stream.readinto(view)
        self._place += len(piece) + count
        for offset, correct in self._corrections.items():
            low, high = max(offset, start), min(offset + len(correct), start + count)
            if low < high:
                view[low - start : high - start] = correct[low - offset : high - offset]
        return len(piece) + count

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Decoder:
    """An open file, decoded forwards.

    fault: why decoding ended before the file did, "" where it did not. rest: bytes of a last block that is not whole, and is left out.
    """

    def __init__(self, path: Path, header: Header, file: soundfile.SoundFile):
        self.file, self.fault = file, ""
        self._path, self._header, self._place = path, header, 0
        self._most, self.rest = _whole_blocks(header, file)

    def skip(self, frames: int) -> None:
        """Go to a frame counted from the file's beginning; decoded up to it where a codec's seeking is not exact."""
        length_is_known = not self._header.open_ended.keys() & self._header.corrections.keys()
        if frames and self._header.container not in ("MP3", "") and length_is_known and soundfile.SoundFile.seekable(self.file):
            try:
                self._place = self.file.seek(frames)
                return
            except soundfile.LibsndfileError:
                self.file.close()
                self.file = _opened(self._path, self._header)
        for _ in self.blocks(frames):
            pass

    def blocks(self, count: int | None, size: int = BLOCK_FRAMES) -> Iterator[Frames]:
        """Yield the next `count` frames, or all, `size` at a time; fewer where decoding ends."""
        remaining = count
        if self._most is not None:
            remaining = self._most - self._place if count is None else min(count, self._most - self._place)
        while remaining is None or remaining > 0:
            wanted = size if remaining is None else min(size, remaining)
            try:
                block = self.file.read(wanted, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                self.fault = f"decoding fails ({error.error_string.rstrip('.')})"
                yield from self._salvaged(wanted)
                return
            if not len(block):
                return
            self._place += len(block)
            yield block
            remaining = None if remaining is None else remaining - len(block)

    def _salvaged(self, count: int) -> Iterator[Frames]:
        """What can be decoded of a block in which decoding fails: that block again, in small pieces."""
        with _decoder(self._path, self._header) as again:
            for _ in again.blocks(self._place):
                pass
            while count > 0:
                try:
                    piece = again.file.read(min(SALVAGE_FRAMES, count), dtype="float32", always_2d=True)
                except soundfile.LibsndfileError:
                    return
                if not len(piece):
                    return
                count -= len(piece)
                yield piece


def _whole_blocks(header: Header, file: soundfile.SoundFile) -> tuple[int | None, int]:
    """Frames in the whole blocks of a codec that packs frames in blocks, and bytes of the last block where that is cut off.

    libsndfile fills up what is missing of a block with what it finds in memory, and takes the silence with which a writer fills the last
    block for sound; the header says where that begins. None and 0 for other codecs.
    """
    if header.payload is None:
        return None, 0
    channels, aiff = file.channels, header.container == "AIFF"
    size, frames = {
        "GSM610": (33, 160) if aiff else (65, 320),
        "IMA_ADPCM": (34 * channels, 64) if aiff else (header.block, 2 * (header.block // channels - 4) + 1),
        "MS_ADPCM": (header.block, 2 * (header.block // channels - 7) + 2),
        "G721_32": (60, 120),
        "G723_24": (45, 120),
        "G723_40": (75, 120),
        "NMS_ADPCM_16": (42, 160),
        "NMS_ADPCM_24": (62, 160),
        "NMS_ADPCM_32": (82, 160),
    }.get(file.subtype, (0, 0))
    if size <= 0:
        return None, 0
    there = header.payload // size * frames
    return header.frames if header.frames and there - frames < header.frames < there else there, header.payload % size


@contextmanager
def _decoder(path: Path, header: Header) -> Iterator[_Decoder]:
    decoder = _Decoder(path, header, _opened(path, header))
    try:
        yield decoder
    finally:
        decoder.file.close()


def _opened(path: Path, header: Header) -> soundfile.SoundFile:
    """Raises UnreadableAudio where the file is of no kind that is read, or its header does not let it be read rightly."""
    if header.defect:
        raise UnreadableAudio(header.defect)
    try:
        # By number: from a name, soundfile takes what is called .raw for raw.
        file = _ForwardFile(_CorrectedFile(path, header) if header.corrections or header.prefix or header.end else os.open(path, os.O_RDONLY))
    except soundfile.LibsndfileError as error:
        raise UnreadableAudio(f"cannot be read as audio ({error.error_string.rstrip('.')})") from error
    if file.format not in FORMATS:
        file.close()
        raise UnreadableAudio(f"{file.format} files are not read; convert it to WAV or FLAC")
    if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
        file.close()
        raise UnreadableAudio(f"a sample rate of {file.samplerate} Hz cannot be right")
    if header.truncated and file.subtype.startswith("ALAC"):
        file.close()
        # What libsndfile makes of a packet that is cut off cannot be told from sound.
        raise UnreadableAudio(f"truncated: {header.truncated}")
    return file
