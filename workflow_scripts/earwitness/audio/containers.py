"""What the header of an audio file states, beside what is there: where the audio lies, how long it is, and how a sample is stored.

libsndfile believes most headers. Where one is wrong, `Header.corrections` are the bytes with which it would be right.
"""

import dataclasses
import mmap
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import numpy as np

ByteOrder = Literal["big", "little"]

UNKNOWN_LENGTH = 0x7FFF0000
"""Programs that write to a pipe put a size at least this large in the header, since they cannot know it."""

HEADER_BYTES = 44
"""A header that states up to this much more than there is has counted itself, or a part of itself; nothing is missing."""

MOST_CHUNKS = 10_000

_ADPCM = frozenset({0x02, 0x11})
"""Codings of WAV, Microsoft's and IMA's, whose last block a writer fills up; the chunk `fact` states the frames that are sound."""

_TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICS")
"""How text at the end of a file begins that is in no chunk."""

_NAMED_CHUNKS = frozenset(
    b"LIST id3  bext cue  smpl inst fact PEAK iXML _PMX JUNK junk PAD  FLLR afsp DISP acid axml chna note labl adtl levl umid minf cart"
    b" NAME AUTH (c)  ANNO COMT MARK INST AESD APPL CHAN info free peak".split(b" ")
) | {b"id3 ", b"cue ", b"PAD ", b"(c) ", b"ID3 "}
"""Chunks that follow the audio in practice; such a name is no audio even where the chunk is cut off."""


@dataclass(frozen=True)
class Header:
    """What a file's header states, checked against the file.

    container: the kind of file, "" where its first bytes are of no kind known here.
    frames: frames that the header of a compressed file states; None where it states none, or bytes are what it states.
    payload: bytes of audio that are there, None where the container does not tell; block: the format's block align, 0 where it has none.
    truncated: what is not there of the audio that the header states, "" where all is.
    corrections: offset in the file -> bytes to read in place of those there. open_ended: those that make the decoder go on to the file's end.
    prefix: bytes to read in place of the first `start` of the file. end: where the file ends for a decoder, None for its own end.
    md5: that of the samples, as they are stored in bytes, b"" where the header states none.
    gain: what decoded samples are to be multiplied with.
    remarks: what is wrong but was understood; defect: why the file cannot be read rightly, "" where it can.
    """

    container: str
    frames: int | None = None
    payload: int | None = None
    block: int = 0
    truncated: str = ""
    corrections: dict[int, bytes] = field(default_factory=dict)
    open_ended: dict[int, bytes] = field(default_factory=dict)
    prefix: bytes = b""
    start: int = 0
    end: int | None = None
    md5: bytes = b""
    gain: float = 1.0
    remarks: tuple[str, ...] = ()
    defect: str = ""


def read_header(path: Path) -> Header:
    """Read a file's header. Raises OSError where the file cannot be opened."""
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        start = _after_id3(stream)
        head = _at(stream, start, 12)
        if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:] == b"WAVE":
            return _wav(stream, start, size, head[:4])
        if head[:4] == b"riff":
            return _w64(stream, start, size)
        if head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
            return _aiff(stream, start, size)
        if head[:4] in (b".snd", b"dns."):
            return _au(stream, start, size, "big" if head[:4] == b".snd" else "little")
        if head[:4] == b"caff":
            return _caf(stream, start, size)
        if head[:7] == b"NIST_1A":
            return _sphere(stream, start, size)
        if head[:4] == b"fLaC":
            return _flac(stream, start, size)
        if head[:4] == b"OggS":
            return _ogg(stream, size)
        if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
            return _mp3(stream, start, size)
    return Header("")


class _Chunk(NamedTuple):
    """A chunk: its name, where its content begins, and the length that it states."""

    name: bytes
    start: int
    length: int


class _Stated(NamedTuple):
    """The length of the audio as the header states it (None: left open), and a length that may be wrong by its own header.

    fields: offset -> (width, order, what the field states beside the audio's bytes).
    """

    start: int
    length: int | None
    fields: dict[int, tuple[int, ByteOrder, int]]


def _at(stream: BinaryIO, offset: int, length: int) -> bytes:
    """Bytes at an offset; fewer, or none, where the file ends before."""
    # Systems refuse to seek far beyond the end.
    if offset >= os.fstat(stream.fileno()).st_size:
        return b""
    stream.seek(offset)
    return stream.read(length)


def _after_id3(stream: BinaryIO) -> int:
    """Where the file begins behind its ID3v2 tags; some programs put a second one before the first."""
    place = 0
    while (head := _at(stream, place, 10))[:3] == b"ID3" and len(head) == 10:
        place += 10 + _synchsafe(head[6:10]) + (10 if head[5] & 0x10 else 0)
    return place


def _synchsafe(four: bytes) -> int:
    """A length as ID3v2 writes it, 7 bits a byte."""
    return sum((byte & 0x7F) << shift for byte, shift in zip(four, (21, 14, 7, 0), strict=True))


def _chunks(stream: BinaryIO, offset: int, order: ByteOrder, width: int = 4, pad: int = 2) -> Iterator[_Chunk]:
    """The chunks from an offset on: a name of four bytes, a length of `width` bytes, and content padded to `pad` bytes."""
    for _ in range(MOST_CHUNKS):
        head = _at(stream, offset, 4 + width)
        if len(head) < 4 + width:
            return
        chunk = _Chunk(head[:4], offset + 4 + width, int.from_bytes(head[4:], order))
        yield chunk
        offset = chunk.start + chunk.length + -chunk.length % pad


def _is_chunks(stream: BinaryIO, offset: int, size: int, order: ByteOrder, width: int = 4, pad: int = 2) -> bool:
    """Whether the rest of the file is no audio: chunks that end where it ends, a named chunk, a tag, or a byte of padding."""
    if size - offset < 2 or any(_at(stream, offset, len(tag)) == tag for tag in _TAGS):
        return True
    for chunk in _chunks(stream, offset, order, width, pad):
        if chunk.name in _NAMED_CHUNKS:
            return True
        if not all(0x20 <= byte < 0x7F for byte in chunk.name) or chunk.start + chunk.length > size:
            return False
        if size - (chunk.start + chunk.length) < 4 + width:
            return True
    return False


def _resolved(base: Header, stated: _Stated, size: int, rest_is_chunks: bool) -> Header:
    """What comes of the length that a header states: it holds, is too long, is too short, or is left open."""
    present = max(0, size - stated.start)
    remarks, truncated, wanted = list(base.remarks), "", stated.length
    if stated.length is None:
        wanted = present
    elif stated.length > present:
        excess, wanted = stated.length - present, present
        if excess <= HEADER_BYTES and present > excess:
            remarks.append(f"the header states {excess} bytes more than there are; nothing is missing")
        else:
            truncated = f"{excess / stated.length:.1%} of what the header promises is missing"
    elif stated.length < present and not rest_is_chunks:
        remarks.append(f"the header states {stated.length} bytes of audio, {present} are there; all are read")
        wanted = present
    corrections = dict(base.corrections)
    # libsndfile itself goes by the end of a WAV file that states too much.
    if wanted != stated.length and not (base.container in ("WAV", "RF64") and (stated.length is None or stated.length > present)):
        for offset, (width, order, beside) in stated.fields.items():
            corrections[offset] = min(max(0, (wanted or 0) + beside), 256**width - 1).to_bytes(width, order)
    return dataclasses.replace(base, payload=wanted, truncated=truncated, corrections=corrections, remarks=tuple(remarks))


def _wav(stream: BinaryIO, start: int, size: int, kind: bytes) -> Header:
    order: ByteOrder = "big" if kind == b"RIFX" else "little"
    # BW64 (ITU-R BS.2088) is RF64 by another name, which libsndfile does not know.
    renamed = {start: b"RF64"} if kind == b"BW64" else {}
    base = Header("RF64" if kind in (b"RF64", b"BW64") else "WAV", corrections=dict(renamed))
    fields = dict[int, tuple[int, ByteOrder, int]]()
    lengths_at = 0
    long_length: int | None = None
    form: int | None = None
    frames: int | None = None
    for chunk in _chunks(stream, start + 12, order):
        if chunk.name == b"fact":
            frames = int.from_bytes(_at(stream, chunk.start, 4), order)
        elif chunk.name == b"ds64":
            long_length = int.from_bytes(_at(stream, chunk.start + 8, 8), order)
            fields[chunk.start + 8] = (8, order, 0)
            lengths_at = chunk.start
        elif chunk.name == b"fmt " and form is None:
            form = chunk.start
        elif chunk.name == b"data":
            length: int | None = chunk.length
            if chunk.length == 0xFFFFFFFF and long_length is not None:
                length = long_length if long_length < 1 << 63 else None
            else:
                fields = {chunk.start - 4: (4, order, 0), start + 4: (4, order, chunk.start - start - 8)}
                if chunk.length >= UNKNOWN_LENGTH and chunk.start + chunk.length > size:
                    length = None
            end = chunk.start + (length or 0) + (length or 0) % 2
            # An odd number of bytes is padded to an even one; some programs forget it.
            rest_is_chunks = _is_chunks(stream, end, size, order) or _is_chunks(stream, chunk.start + (length or 0), size, order)
            if form is not None:
                base = _format_of_wav(stream, base.container, form, chunk.start, min(size, chunk.start + (length or size)), order)
                base.corrections.update(renamed)
                if int.from_bytes(_at(stream, form, 2), order) in _ADPCM:
                    base = dataclasses.replace(base, frames=frames)
            if lengths_at and length is None and base.container == "RF64":
                # Lengths of 64 bits that are left open: of the file, of the audio, and in frames.
                there, block = size - chunk.start, max(1, base.block or int.from_bytes(_at(stream, (form or 0) + 12, 2), order))
                lengths = (size - start - 8, there, there // block)
                base.corrections.update({lengths_at + 8 * k: value.to_bytes(8, order) for k, value in enumerate(lengths)})
            return _resolved(base, _Stated(chunk.start, length, fields), size, rest_is_chunks)
    return base


def _format_of_wav(stream: BinaryIO, container: str, form: int, start: int, end: int, order: ByteOrder) -> Header:
    """How samples are stored, from `start` to `end`; `form`: where the content of the format chunk begins."""
    body = _at(stream, form, 40)
    if len(body) < 16:
        return Header(container)
    tag, channels, block, bits = (int.from_bytes(body[k : k + 2], order) for k in (0, 2, 12, 14))
    rate, rate_bytes = (int.from_bytes(body[k : k + 4], order) for k in (4, 8))
    tag_at = form
    if tag == 0xFFFE:
        tag, tag_at = int.from_bytes(body[24:26], order), form + 24
    remarks = list[str]()
    width = {1: -(-bits // 8), 3: bits // 8, 6: 1, 7: 1}.get(tag, 0) * channels
    if width and block and (block < width or (tag == 3 and block != width)):
        kind = "float samples" if tag == 3 else "channel" + "s" * (channels > 1)
        fault = f"block align {block} does not fit {channels} {kind} of {bits} bits"
        # Bytes per second that fit all else say that the block align alone is wrong.
        if rate_bytes != rate * width:
            return Header(container, defect=f"{fault}; convert the file again")
        remarks.append(f"{fault}, which {rate_bytes} bytes per second do; it is passed over")
    elif width and block and rate and rate_bytes not in (0, rate * block, rate * width):
        remarks.append(f"the header states {rate_bytes} bytes per second, which are {rate_bytes / block:g} Hz, and {rate} Hz; read at {rate} Hz")
    if tag != 1 or not channels or not bits or bits > 32:
        return Header(container, block=block, remarks=tuple(remarks))
    if bits == 32 and block == 4 * channels and _are_floats(stream, start, end, order):
        remarks.append(FLOATS)
        return Header(container, block=block, remarks=tuple(remarks), corrections={tag_at: (3).to_bytes(2, order)})
    base = _padded_samples(stream, container, start, end, channels, block, bits, order, {form + 14: (2, order)})
    return dataclasses.replace(base, remarks=(*remarks, *base.remarks))


FLOATS = "the header says 32-bit integers, which as floats are all within 8 and as integers would be noise; read as floats"

_FEWEST_WORDS = 100
"""Words that are not 0, from which it is judged what they are."""

_EIGHT = int(np.float32(8).view(np.uint32))


def _are_floats(stream: BinaryIO, start: int, end: int, order: ByteOrder) -> bool:
    """Whether what should be integers of 32 bits are float samples: all within 8, of several magnitudes, and of both signs.

    Integers never look so: their negative samples below half of full scale would be floats beyond 8, or NaN.
    """
    words = negative = 0
    magnitudes = set[int]()
    for content in _pieces(stream, start, end, 4):
        word = np.frombuffer(content, ">u4" if order == "big" else "<u4").astype(np.uint32)
        size = word & 0x7FFFFFFF
        if (size > _EIGHT).any():
            return False
        words += int(np.count_nonzero(size))
        negative += int(np.count_nonzero((word >> 31) & (size > 0)))
        magnitudes |= set(np.unique(size[size > 0] >> 23).tolist())
    return words >= _FEWEST_WORDS and len(magnitudes) > 3 and 100 * negative > words


def _pieces(stream: BinaryIO, start: int, end: int, width: int) -> Iterator[bytes]:
    """A stretch of a file, a piece at a time, each a number of whole samples of `width` bytes."""
    stream.seek(start)
    for place in range(start, end, width << 20):
        content = stream.read(min(width << 20, end - place))
        if len(content) < width:
            return
        yield content[: len(content) // width * width]


def _padded_samples(
    stream: BinaryIO,
    container: str,
    start: int,
    end: int,
    channels: int,
    block: int,
    bits: int,
    order: ByteOrder,
    bits_at: dict[int, tuple[int, ByteOrder]],
) -> Header:
    """Integer samples in more bytes than their bits need: in the high bytes of each, in the low ones, or neither. Those in more bits than they
    need belong in the high ones (Microsoft, Multiple Channel Audio Data and WAVE Files); some programs put them into the low ones.
    """
    needed, (width, rest) = -(-bits // 8), divmod(block, channels)
    if width == needed and not rest and bits % 8 and _in_low_bits(stream, start, end, width, bits, order):
        return Header(container, gain=2.0 ** (8 * width - bits), remarks=(f"{bits} bits per sample, in the low bits of {8 * width}",))
    if width <= needed:
        return Header(container)
    fault = f"block align {block} does not fit {channels} channel{'s' * (channels > 1)} of {bits} bits"
    place = None if rest or width > 4 else _place_of_samples(stream, start, end, width, needed, order)
    if place is None:
        return Header(container, defect=f"{fault}; convert the file again")
    gain = float(2 ** (8 * (width - needed))) if place == "low" else 1.0
    remark = f"{bits} bits per sample, in the {place} bytes of {width}"
    corrections = {offset: (8 * width).to_bytes(size_, field_order) for offset, (size_, field_order) in bits_at.items()}
    return Header(container, corrections=corrections, gain=gain, remarks=(remark,))


def _in_low_bits(stream: BinaryIO, start: int, end: int, width: int, bits: int, order: ByteOrder) -> bool:
    """Whether all samples of `width` bytes, 2 to 4, are integers of fewer bits, and use bits that would be empty were they in the high ones."""
    spare, used = 8 * width - bits, False
    for content in _pieces(stream, start, end, width):
        samples = np.frombuffer(content, np.uint8).reshape(-1, width)
        wide = np.zeros((len(samples), 4), np.uint8)
        wide[:, 4 - width :] = samples[:, ::-1] if order == "big" else samples
        value = wide.view("<i4")[:, 0] >> 8 * (4 - width)
        if width == 1 or (value >> bits - 1 != value >> 31).any():
            return False
        used = used or bool((value & (1 << spare) - 1).any())
    return used


def _place_of_samples(stream: BinaryIO, start: int, end: int, width: int, needed: int, order: ByteOrder) -> Literal["high", "low"] | None:
    """Where samples of `needed` bytes lie in containers of `width` bytes; None where both ends of the containers are in use."""
    high = low = True
    for content in _pieces(stream, start, end, width):
        samples = np.frombuffer(content, np.uint8).reshape(-1, width)
        if order == "big":
            samples = samples[:, ::-1]
        high = high and not samples[:, : width - needed].any()
        sign = np.where(samples[:, needed - 1] & 0x80, 0xFF, 0)[:, None]
        low = low and bool((samples[:, needed:] == sign).all())
        if not high and not low:
            return None
    return "high" if high else "low"


def _w64(stream: BinaryIO, start: int, size: int) -> Header:
    """Sony Wave64: as WAV, with names of 16 bytes and lengths of 8 that count both, each chunk at a multiple of 8."""
    offset, form = start + 40, None
    for _ in range(MOST_CHUNKS):
        head = _at(stream, offset, 24)
        if len(head) < 24:
            break
        name, length = head[:4], int.from_bytes(head[16:], "little")
        if name == b"fmt ":
            form = offset + 24
        if name == b"data":
            stated: int | None = length - 24
            if length < 24 or length >= 1 << 62:
                stated = None
            fields: dict[int, tuple[int, ByteOrder, int]] = {offset + 16: (8, "little", 24), start + 16: (8, "little", offset + 24 - start)}
            end = offset + (24 if stated is None else length + -length % 8)
            there = min(size, offset + 24 + (stated or size))
            base = Header("W64") if form is None else _format_of_wav(stream, "W64", form, offset + 24, there, "little")
            return _resolved(base, _Stated(offset + 24, stated, fields), size, _is_w64_chunks(stream, end, size))
        offset += max(24, length + -length % 8)
    return Header("W64")


def _is_w64_chunks(stream: BinaryIO, offset: int, size: int) -> bool:
    while size - offset >= 24:
        length = int.from_bytes(_at(stream, offset + 16, 8), "little")
        if length < 24 or offset + length > size:
            return False
        offset += length + -length % 8
    return size - offset < 8


def _aiff(stream: BinaryIO, start: int, size: int) -> Header:
    frames_at, frame_bytes, samples = None, 0, (0, 0, 0, b"")
    fields: dict[int, tuple[int, ByteOrder, int]] = {}
    for chunk in _chunks(stream, start + 12, "big"):
        if chunk.name == b"COMM":
            body = _at(stream, chunk.start, 22)
            if (coding := body[18:22]) in (b"GSM ", b"DWVW"):
                return Header("AIFF", defect=f"AIFF in the coding {coding.decode().strip()} is not read; convert it to WAV or FLAC")
            channels, bits = int.from_bytes(body[:2], "big"), int.from_bytes(body[6:8], "big")
            frames_at, frame_bytes = chunk.start + 2, channels * -(-bits // 8)
            samples = (channels, int.from_bytes(body[2:6], "big"), bits, coding)
        elif chunk.name == b"SSND":
            begin = chunk.start + 8 + int.from_bytes(_at(stream, chunk.start, 4), "big")
            length: int | None = chunk.length - 8
            present = size - begin
            if chunk.length < 8 or (chunk.length >= UNKNOWN_LENGTH and chunk.length - 8 > present):
                length = None
            fields |= {chunk.start - 4: (4, "big", 8), start + 4: (4, "big", begin - start - 8)}
            end = chunk.start + (8 if length is None else chunk.length + chunk.length % 2)
            there = min(size, begin + (length or 0))
            base = _format_of_aiff(stream, begin, there, length, frames_at, samples) if frames_at and length else Header("AIFF")
            header = _resolved(base, _Stated(begin, length, fields), size, _is_chunks(stream, end, size, "big"))
            if header.corrections.keys() & base.corrections.keys():
                return header
            if header.corrections and frames_at is not None and frame_bytes:
                header.corrections[frames_at] = min(max(0, present // frame_bytes), 2**32 - 1).to_bytes(4, "big")
            return header
    return Header("AIFF")


def _format_of_aiff(stream: BinaryIO, begin: int, end: int, length: int, frames_at: int, samples: tuple[int, int, int, bytes]) -> Header:
    """How integers are stored, which only the length of the audio tells where they take more bytes than their bits need.

    frames_at: where the frames are stated; samples: channels, frames, bits and coding as the header states them.
    """
    channels, frames, bits, coding = samples
    width, rest = divmod(length, max(1, channels * frames))
    if coding not in (b"", b"NONE", b"twos", b"sowt", b"in24", b"in32") or rest or not 0 < bits <= 32 or not -(-bits // 8) <= width <= 4:
        return Header("AIFF")
    order: ByteOrder = "little" if coding == b"sowt" else "big"
    if bits == 32 and _are_floats(stream, begin, end, order):
        return Header("AIFF", defect="its 32-bit integers are float samples, by what they are; convert the file again")
    return _padded_samples(stream, "AIFF", begin, end, channels, width * channels, bits, order, {frames_at + 4: (2, "big")})


def _au(stream: BinaryIO, start: int, size: int, order: ByteOrder) -> Header:
    begin, length = (int.from_bytes(_at(stream, start + k, 4), order) for k in (4, 8))
    stated = None if length >= UNKNOWN_LENGTH and start + begin + length > size else length
    base = Header("AU")
    if int.from_bytes(_at(stream, start + 12, 4), order) == _AU_INTEGERS and _are_floats(stream, start + begin, size, order):
        base = Header("AU", remarks=(FLOATS,), corrections={start + 12: _AU_FLOATS.to_bytes(4, order)})
    return _resolved(base, _Stated(start + begin, stated, {start + 8: (4, order, 0)}), size, rest_is_chunks=False)


_AU_INTEGERS, _AU_FLOATS = 5, 6
"""Codings of AU, of 32 bits."""


def _caf(stream: BinaryIO, start: int, size: int) -> Header:
    body = b""
    described = 0
    base = _alac_in_caf(stream, start, size)
    if base.defect:
        return base
    for chunk in _chunks(stream, start + 8, "big", width=8, pad=1):
        if chunk.name == b"desc":
            described, body = chunk.start, _at(stream, chunk.start, 32)
        elif chunk.name == b"data":
            begin, length = chunk.start + 4, None if chunk.length >= 1 << 63 else max(chunk.length - 4, 0)
            rest_is_chunks = length is not None and _is_chunks(stream, begin + length, size, "big", width=8, pad=1)
            if len(body) == 32 and body[8:12] == b"lpcm" and not body[15] & 1:
                packet, channels, bits = (int.from_bytes(body[k : k + 4], "big") for k in (16, 24, 28))
                order: ByteOrder = "little" if body[15] & 2 else "big"
                there = min(size, begin + (length or size))
                if bits == 32 and packet == 4 * channels and _are_floats(stream, begin, there, order):
                    base = Header("CAF", remarks=(FLOATS,), corrections={described + 15: bytes([body[15] | 1])})
                elif channels and 0 < bits <= 32:
                    base = _padded_samples(stream, "CAF", begin, there, channels, packet, bits, order, {described + 28: (4, "big")})
            return _resolved(base, _Stated(begin, length, {chunk.start - 8: (8, "big", 4)}), size, rest_is_chunks)
    return Header("CAF")


def _alac_in_caf(stream: BinaryIO, start: int, size: int) -> Header:
    """The frames of a CAF file in Apple's lossless coding, or its defect where its table of packets does not fit its audio.

    Packets have no checksums, and libsndfile makes sound of whatever it finds where one should be. (Apple, Core Audio Format Specification,
    Packet Table Chunk.)
    """
    chunks = {chunk.name: chunk for chunk in _chunks(stream, start + 8, "big", width=8, pad=1)}
    if b"desc" not in chunks or b"data" not in chunks or _at(stream, chunks[b"desc"].start + 8, 4) != b"alac":
        return Header("CAF")
    if b"pakt" not in chunks:
        return Header("CAF", defect="ALAC without a table of packets; convert the file again")
    table = _at(stream, chunks[b"pakt"].start, min(chunks[b"pakt"].length, size))
    packets, valid = (int.from_bytes(table[k : k + 8], "big") for k in (0, 8))
    priming, remainder = (int.from_bytes(table[k : k + 4], "big") for k in (16, 20))
    of_packet = int.from_bytes(_at(stream, chunks[b"desc"].start + 20, 4), "big")
    lengths, length = list[int](), 0
    for byte in table[24:]:
        length = length << 7 | byte & 0x7F
        if not byte & 0x80:
            lengths.append(length)
            length = 0
    data = chunks[b"data"]
    stated = (size - data.start if data.length >= 1 << 63 else data.length) - 4
    is_whole = len(lengths) >= packets and not any(lengths[packets:]) and sum(lengths[:packets]) == stated
    if is_whole and valid + priming + remainder == packets * of_packet:
        return Header("CAF", frames=valid)
    return Header("CAF", defect=f"its table of {packets} packets does not fit its audio; convert the file again")


def _sphere(stream: BinaryIO, start: int, size: int) -> Header:
    """NIST SPHERE; frames are stated per channel. A wrong count is not corrected, since libsndfile goes by the file's end."""
    lines = _at(stream, start, 16).split(b"\n")
    if len(lines) < 2 or not lines[1].strip().isdigit():
        return Header("SPHERE")
    begin = start + int(lines[1])
    text = _at(stream, start, min(begin - start, 1 << 16))
    counts = {}
    for name in (b"sample_count", b"sample_n_bytes", b"channel_count"):
        # Some programs write this number as text.
        found = re.search(rb"^" + name + rb" -[is]\d* (\d{1,18})\s*$", text, re.MULTILINE)
        if found is None:
            return Header("SPHERE", remarks=(f"the header does not state {name.decode()}; all that is there is read",))
        counts[name] = int(found.group(1))
    length = counts[b"sample_count"] * counts[b"sample_n_bytes"] * counts[b"channel_count"]
    return _resolved(Header("SPHERE"), _Stated(begin, length, {}), size, rest_is_chunks=False)


def _flac(stream: BinaryIO, start: int, size: int) -> Header:
    """The first block, STREAMINFO, states the frames in 36 bits, 0 where they are unknown. A tag behind the audio is no audio."""
    place = start + 21
    stated = int.from_bytes(_at(stream, place, 5), "big")
    frames = stated & (1 << 36) - 1
    end = size - 128 if size > 128 and _at(stream, size - 128, 3) == b"TAG" else size
    footer = _at(stream, end - 32, 32) if end > 32 else b""
    if footer[:8] == b"APETAGEX":
        end -= int.from_bytes(footer[12:16], "little") + (32 if footer[23] & 0x80 else 0)
    # Sixteen zeros: whoever wrote the file did not know it.
    md5 = _at(stream, start + 26, 16)
    open_ended = {place: (stated - frames).to_bytes(5, "big")}
    return Header("FLAC", frames=frames or None, open_ended=open_ended, end=end if 0 < end < size else None, md5=md5 if any(md5) else b"")


def _ogg(stream: BinaryIO, size: int) -> Header:
    """A whole Ogg file is a row of whole pages with right checksums, the last of which says that its stream ends there (RFC 3533)."""
    place, last, damaged, begun, chained = _at(stream, 0, 1 << 16).find(b"OggS"), b"", 0, False, 0
    while place < size:
        page = _at(stream, place, 1 << 16)
        if page[:4] != b"OggS":
            found = page.find(b"OggS", 1)
            if found < 0 and len(page) < 1 << 16:
                break
            place += found if found > 0 else (1 << 16) - 3
            continue
        length = 27 + page[26] if len(page) > 26 else 27
        length += sum(page[27:length])
        if length > len(page):
            return Header("OGG", truncated="the last page of the stream is cut off")
        page = page[:length]
        # A page that begins a stream, behind pages that go on with one.
        chained += bool(begun and page[5] & 2)
        begun = begun or not page[5] & 2
        damaged += _ogg_checksum(page[:22] + bytes(4) + page[26:]) != int.from_bytes(page[22:26], "little")
        place, last = place + length, page
    if damaged:
        return Header("OGG", truncated=f"{damaged} page{'s are' if damaged > 1 else ' is'} damaged")
    if chained:
        streams = "another stream follows" if chained == 1 else f"{chained} other streams follow"
        return Header("OGG", truncated=f"{streams} the first, which alone is decoded; write them as one")
    return Header("OGG", remarks=() if last[5:6] and last[5] & 4 else ("the stream does not say that it ends; what is there is read",))


_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _ogg_checksum(page: bytes) -> int:
    """CRC-32 with the polynomial of zlib's, but from the highest bit of each byte on, from 0, and not inverted."""
    return int(f"{zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF:032b}"[::-1], 2)


_BITRATES_KBPS = (
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
"""Of layer III, by the number in a frame's header: of MPEG 2 and 2.5, and of MPEG 1."""

_RATES_HZ = {0: (11_025, 12_000, 8_000), 2: (22_050, 24_000, 16_000), 3: (44_100, 48_000, 32_000)}
"""By version (2.5, 2, 1) and the number in a frame's header."""


class _Mpeg(NamedTuple):
    """A frame of layer III: bytes, samples per channel, kbit/s, and where a Xing tag begins in it."""

    length: int
    samples: int
    kbps: int
    tag: int


def _mpeg_frame(head: bytes) -> _Mpeg | None:
    """What the four bytes of a frame's header say; None where they are none (ISO/IEC 11172-3, 2.4.1.3)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    version, bitrate, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate == 3:
        return None
    first, mono = version == 3, head[3] >> 6 == 3
    kbps = _BITRATES_KBPS[first][bitrate]
    length = (144 if first else 72) * 1000 * kbps // _RATES_HZ[version][rate] + (head[2] >> 1 & 1)
    return _Mpeg(length, 1152 if first else 576, kbps, 4 + ((17 if mono else 32) if first else (9 if mono else 17)))


class _MpegFrames(NamedTuple):
    """Whole frames, whether all have one bit rate, whether the last is cut off, and bytes between them that are neither frames nor tags."""

    whole: int
    constant: bool
    cut: bool
    strange: int


def _mpeg_frames(content: mmap.mmap, start: int) -> _MpegFrames:
    place, count, rates, size = start, 0, set[int](), len(content)
    strange = since = 0
    while place + 4 <= size:
        frame = _mpeg_frame(content[place : place + 4])
        if tag := _tag_length(content, place):
            place += tag
        elif frame is None:
            found = content.find(b"\xff", place + 1)
            if found < 0:
                break
            # What follows the last frame may be anything.
            since, place = since + found - place, found
        elif place + frame.length > size:
            return _MpegFrames(count, len(rates) < 2, True, strange)
        else:
            strange, since = strange + since, 0
            count, place = count + 1, place + frame.length
            rates.add(frame.kbps)
    return _MpegFrames(count, len(rates) < 2, False, strange)


def _tag_length(content: mmap.mmap, place: int) -> int:
    """Bytes of the ID3 tag that begins at a place, as where files were joined; 0 where none does."""
    head = content[place : place + 10]
    if head[:3] == b"TAG":
        return 128
    return 10 + _synchsafe(head[6:10]) if head[:3] == b"ID3" and len(head) == 10 else 0


def _mp3(stream: BinaryIO, start: int, size: int) -> Header:
    """MPEG audio, layer III: frames are counted, since decoders go by a Xing tag or by an estimate that fails where bit rates vary."""
    head = _at(stream, start, 200)
    first = _mpeg_frame(head)
    if first is None:
        return Header("MP3")
    tagged = len(head) >= first.tag + 12 and head[first.tag : first.tag + 4] in (b"Xing", b"Info") and head[first.tag + 7] & 1 == 1
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        there, constant, cut, strange = _mpeg_frames(content, start + first.length if tagged else start)
    remarks = ("the last frame is cut off and not read",) if cut else ()
    if strange:
        remarks = (*remarks, f"{strange} bytes between its frames are none, and passed over: damaged, or other files among it")
    if not tagged:
        if constant:
            return Header("MP3", remarks=remarks)
        return Header("MP3", remarks=remarks, prefix=_xing_frame(head, there), start=start)
    count_at = first.tag + 8
    stated = int.from_bytes(head[count_at : count_at + 4], "big")
    truncated = f"{1 - there / stated:.1%} of what the header promises is missing" if there < stated else ""
    corrections = {}
    # Some encoders count the frame of the tag.
    if there > stated + 1:
        remarks = (*remarks, f"the header states {stated} MPEG frames, {there} are there; all are read")
        corrections = {start + count_at: there.to_bytes(4, "big")}
        if head[first.tag + 7] & 2:
            corrections[start + count_at + 4] = min(size - start, 2**32 - 1).to_bytes(4, "big")
    return Header("MP3", truncated=truncated, corrections=corrections, remarks=remarks)


def _xing_frame(head: bytes, frames: int) -> bytes:
    """A silent frame of the kind of another, long enough for a tag that states how many frames follow it."""
    # Without checksum and padding; 64 or 128 kbit/s, and so at least 96 bytes.
    header = bytes([0xFF, head[1] | 1, head[2] & 0x0C | 0x90, head[3]])
    frame = _mpeg_frame(header)
    assert frame is not None
    return (header.ljust(frame.tag, b"\0") + b"Xing" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big")).ljust(frame.length, b"\0")
