"""Files whose headers lie: what is decoded is what is there, and what is wrong is told."""

import os
import re
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earwitness.audio.files import FORMATS, UnreadableAudio, describe, examine, read_frames
from earwitness.audio.io import dbfs, read_mono
from earwitness.core.errors import InputError
from earwitness.core.randomness import stream
from earwitness.corpora.file_checks import Limits, check_audio

LIMITS = Limits(min_duration_s=0.3, max_clipped_fraction=0.01, max_dc_offset=0.05, silence_dbfs=-60.0)
RATE = 16_000
LOSSY = ("VORBIS", "OPUS", "MPEG_LAYER_III")
UNSURE = 3_000
"""Samples before a cut in a lossy file whose decoding needs what comes after."""


def sound(seconds=1.0, level=0.2):
    n = round(seconds * RATE)
    return level * np.sin(np.arange(n) * 0.05) * stream(1, "audio files").uniform(0.3, 1, n)


def written(path, samples, container="WAV", subtype="PCM_16", rate=RATE):
    soundfile.write(path, samples, rate, format=container, subtype=subtype)
    return path


def kinds():
    """Every container and coding that soundfile writes and that is read."""
    for container in sorted(FORMATS):
        for subtype in sorted(soundfile.available_subtypes(container)):
            written_elsewhere = subtype in ("MPEG_LAYER_I", "MPEG_LAYER_II") or (container != "MP3" and subtype == "MPEG_LAYER_III")
            if not written_elsewhere and not subtype.startswith("DWVW") and (container, subtype) != ("AIFF", "GSM610"):
                yield container, subtype


class Library(dict):
    """Kind -> content of a file, and its samples."""

    def __repr__(self):
        return f"{len(self)} files"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A file of 0.4 s of every kind."""
    folder = tmp_path_factory.mktemp("library")
    samples = sound(6_400 / RATE)
    files = Library()
    for container, subtype in kinds():
        path = written(folder / f"{container}-{subtype}", samples, container, subtype, 8_000 if subtype == "GSM610" else RATE)
        decoded = read_frames(path)[:, 0]
        lossless = not subtype.startswith(LOSSY) and "ADPCM" not in subtype and not subtype.startswith(("G72", "GSM"))
        np.testing.assert_allclose(decoded[: len(samples)], samples, atol=0.02 if lossless else 0.3)
        files[container, subtype] = path.read_bytes(), decoded
    return files


def size_fields(content, container):
    """Where the header states a length: offset and struct's name of the number."""
    order = ">" if content[:4] == b"RIFX" else "<"
    at = content.find
    fields = {
        "WAV": [(4, "<I"), (at(b"data") + 4, order + "I"), *([(at(b"fact") + 8, "<I")] if b"fact" in content[:200] else [])],
        "RF64": [(20, "<Q"), (28, "<Q"), (36, "<Q"), (at(b"data") + 4, "<I")],
        "AIFF": [(4, ">I"), (at(b"SSND") + 4, ">I"), (at(b"COMM") + 10, ">I")],
        "AU": [(8, ">I")],
        "CAF": [(at(b"data") + 4, ">Q")],
        "W64": [(16, "<Q"), (at(b"data\xf3") + 16, "<Q")],
        "FLAC": [(22, ">I")],
    }
    return fields.get("WAV" if container == "WAVEX" else container, [])


def read_or_refused(path):
    """Samples and remarks, or None where the file is refused."""
    try:
        samples, about = read_frames(path), describe(path)
    except UnreadableAudio as error:
        assert "\n" not in str(error)
        with pytest.raises(InputError):
            read_mono(path)
        return None
    assert len(samples) == about.frames == examine(path)[0].frames
    np.testing.assert_array_equal(samples, read_frames(path), err_msg="what is read must not vary")
    return samples[:, 0], about.notes


@pytest.mark.parametrize(("container", "subtype"), list(kinds()))
@settings(max_examples=8, derandomize=True, suppress_health_check=list(HealthCheck))
@given(share=st.floats(0.001, 0.999))
def test_a_file_that_is_cut_gives_what_is_there_and_says_so(library, tmp_path, container, subtype, share):
    content, whole = library[container, subtype]
    path = tmp_path / f"{share}"
    path.write_bytes(content[: max(1, int(share * len(content)))])
    if (read := read_or_refused(path)) is None:
        return
    samples, notes = read
    sure = max(0, len(samples) - UNSURE) if subtype in LOSSY else len(samples)
    assert len(samples) <= len(whole)
    np.testing.assert_allclose(samples[:sure], whole[:sure], atol=1e-3 if subtype in LOSSY else 0)
    assert np.abs(samples).max(initial=0) < 2
    assert notes or len(samples) in (0, len(whole))


@pytest.mark.parametrize(("container", "subtype"), [kind for kind in kinds() if kind[0] not in ("MP3", "OGG", "NIST")])
@settings(max_examples=8, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_header_that_lies_about_a_length_loses_nothing_and_adds_nothing_in_silence(library, tmp_path, container, subtype, data):
    content, whole = library[container, subtype]
    offset, kind = data.draw(st.sampled_from(size_fields(content, container)))
    (stated,) = struct.unpack_from(kind, content, offset)
    most = 256 ** struct.calcsize(kind) - 1
    near = st.integers(-200, 200).map(lambda difference: stated + difference)
    lie = data.draw(st.one_of(near, st.integers(0, most), st.sampled_from([0, 1, stated // 2, 2 * stated, most // 2, most])))
    lying = bytearray(content)
    struct.pack_into(kind, lying, offset, min(max(lie, 0), most))
    path = tmp_path / f"{offset}-{lie}"
    path.write_bytes(lying)
    if (read := read_or_refused(path)) is None:
        return
    samples, notes = read
    # CAF pads what it holds to four bytes, and writers of ADPCM fill up the last block; only the header says what is sound.
    filling = 1_100 if container.startswith("WAV") and subtype in ("IMA_ADPCM", "MS_ADPCM") else 0
    assert len(samples) <= len(whole) + (filling or 4 * (container == "CAF"))
    shared = min(len(samples), len(whole))
    np.testing.assert_array_equal(samples[:shared], whole[:shared])
    # The last byte of an odd length may be padding, and so not enough for the last sample.
    assert (
        notes or len(whole) - len(samples) in (0, 1) or abs(len(whole) - len(samples)) < filling or (container == "CAF" and len(samples) > len(whole))
    )


@pytest.mark.parametrize("container", ["AIFF", "AU", "W64", "NIST", "CAF", "RF64", "FLAC", "MP3", "OGG"])
def test_a_quarter_of_a_file_is_truncated(tmp_path, container):
    subtype = {"MP3": "MPEG_LAYER_III", "OGG": "VORBIS"}.get(container, "PCM_16")
    path = written(tmp_path / "whole.wav", sound(16), container, subtype)
    assert check_audio(path, LIMITS).reason == ""
    content = path.read_bytes()
    cut = tmp_path / "cut.wav"
    cut.write_bytes(content[: len(content) // 4])
    report = check_audio(cut, LIMITS)
    assert report.reason.startswith("truncated: ")
    assert 2 < report.duration_s < 4.2


def mp3_tag(content):
    """Where the tag of a MP3 file begins, and the frames that it states."""
    place = max(content.find(b"Xing"), content.find(b"Info"))
    return place, struct.unpack_from(">I", content, place + 8)[0]


def test_an_mp3_file_that_states_too_few_frames_is_read_whole(tmp_path):
    content = bytearray(written(tmp_path / "x.mp3", sound(3), "MP3", "MPEG_LAYER_III").read_bytes())
    place, frames = mp3_tag(content)
    struct.pack_into(">I", content, place + 8, frames // 2)
    (tmp_path / "y.mp3").write_bytes(content)
    assert describe(tmp_path / "y.mp3").notes == f"the header states {frames // 2} MPEG frames, {frames} are there; all are read"
    np.testing.assert_allclose(read_frames(tmp_path / "y.mp3"), read_frames(tmp_path / "x.mp3"), atol=1e-6)
    np.testing.assert_allclose(read_frames(tmp_path / "y.mp3", 2.0, 2.5), read_frames(tmp_path / "x.mp3")[32_000:40_000], atol=1e-6)


def test_an_mp3_file_without_a_tag_or_of_two_files_is_read_whole(tmp_path):
    content = bytearray(written(tmp_path / "x.mp3", sound(3), "MP3", "MPEG_LAYER_III").read_bytes())
    (tmp_path / "twice.mp3").write_bytes(content + content)
    place, frames = mp3_tag(content)
    content[place : place + 4] = bytes(4)
    (tmp_path / "none.mp3").write_bytes(content)
    # The frame of a tag is a silent frame for who does not look for it; a frame has 576 samples, and 529 are the decoder's delay.
    assert describe(tmp_path / "none.mp3").frames == 576 * (frames + 1) - 529
    twice = read_frames(tmp_path / "twice.mp3")[:, 0]
    assert len(twice) > 6 * RATE
    assert dbfs(twice[-RATE:]) == pytest.approx(dbfs(twice[RATE : 2 * RATE]), abs=0.5)


def test_bytes_between_mpeg_frames_are_told_and_tags_are_not(tmp_path):
    content = written(tmp_path / "x.mp3", sound(3), "MP3", "MPEG_LAYER_III").read_bytes()
    place, _ = mp3_tag(content)
    untagged = content[:place] + bytes(4) + content[place + 4 :]
    middle = untagged.index(b"\xff\xf3", len(untagged) // 2)
    for name, between, told in (
        ("junk", bytes(300), "300 bytes between its frames are none, and passed over: damaged, or other files among it"),
        ("tags", b"TAG".ljust(128, b" ") + b"ID3\x04\0\0\0\0\0\x05hello", ""),
    ):
        path = tmp_path / f"{name}.mp3"
        path.write_bytes(untagged[:middle] + between + untagged[middle:])
        assert describe(path).notes == told


@pytest.mark.parametrize("damage", ["packets", "valid", "one length", "a block twice", "no table"])
def test_alac_whose_table_of_packets_does_not_fit_is_refused(tmp_path, damage):
    content = bytearray(written(tmp_path / "x.caf", sound(2), "CAF", "ALAC_16").read_bytes())
    table, data = content.find(b"pakt") + 12, content.find(b"data") + 16
    if damage == "packets":
        content[table + 7] += 1
    elif damage == "valid":
        content[table + 15] ^= 1
    elif damage == "one length":
        content[table + 25] ^= 1
    elif damage == "a block twice":
        content[data:data] = content[data : data + 4096]
        struct.pack_into(">Q", content, data - 12, len(content) - data + 4)
    else:
        content[table - 12 : table - 8] = b"free"
    (tmp_path / "y.caf").write_bytes(content)
    report = check_audio(tmp_path / "y.caf", LIMITS)
    assert "does not fit its audio; convert the file again" in report.reason or report.reason.startswith("ALAC without a table of packets")
    assert describe(tmp_path / "x.caf").frames == 2 * RATE


def test_damaged_packets_of_alac_that_give_another_length_are_told(tmp_path):
    content = written(tmp_path / "x.caf", sound(2), "CAF", "ALAC_16").read_bytes()
    told = []
    for seed in range(12):
        path = tmp_path / f"{seed}.caf"
        path.write_bytes(content[:-3000] + stream(seed, "damage").bytes(2900) + content[-100:])
        report = check_audio(path, LIMITS)
        assert report.reason or report.duration_s == 2.0
        told.append(report.reason)
    assert any("truncated: 32000 frames are promised" in reason for reason in told)


def test_sphere_that_does_not_state_its_length_is_told(tmp_path):
    content = written(tmp_path / "x.sph", sound(1), "NIST").read_bytes()
    (tmp_path / "y.sph").write_bytes(content.replace(b"sample_count", b"simple_count", 1))
    try:
        assert describe(tmp_path / "y.sph").notes == "the header does not state sample_count; all that is there is read"
    except UnreadableAudio as error:
        pytest.fail(str(error))


def test_a_page_of_an_ogg_file_that_is_damaged_is_told(tmp_path):
    path = written(tmp_path / "x.ogg", sound(4), "OGG", "VORBIS")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "damaged.ogg").write_bytes(content)
    assert check_audio(tmp_path / "damaged.ogg", LIMITS).reason == "truncated: 1 page is damaged"


@pytest.mark.parametrize(("first", "second"), [("VORBIS", "VORBIS"), ("OPUS", "OPUS"), ("VORBIS", "OPUS")])
def test_streams_that_follow_the_first_of_an_ogg_file_are_told(tmp_path, first, second):
    contents = [written(tmp_path / "x.ogg", sound(2), "OGG", subtype).read_bytes() for subtype in (first, second)]
    (tmp_path / "chained.ogg").write_bytes(b"".join(contents))
    report = check_audio(tmp_path / "chained.ogg", LIMITS)
    assert report.duration_s == pytest.approx(2, abs=0.01)
    assert report.reason == "truncated: another stream follows the first, which alone is decoded; write them as one"
    (tmp_path / "chained.ogg").write_bytes(b"".join([*contents, contents[0]]))
    assert check_audio(tmp_path / "chained.ogg", LIMITS).reason.startswith("truncated: 2 other streams follow the first")


def test_what_fills_up_the_last_block_of_adpcm_is_no_sound(tmp_path):
    """libsndfile writes the frames of MS ADPCM as they are, and those of IMA ADPCM with the filling."""
    frames = 2 * RATE
    assert describe(written(tmp_path / "x.wav", sound(2), "WAV", "MS_ADPCM")).frames == frames
    content = bytearray(written(tmp_path / "y.wav", sound(2), "WAV", "IMA_ADPCM").read_bytes())
    place = content.find(b"fact") + 8
    [filled] = struct.unpack_from("<I", content, place)
    assert describe(tmp_path / "y.wav").frames == filled > frames
    struct.pack_into("<I", content, place, frames)
    (tmp_path / "z.wav").write_bytes(content)
    np.testing.assert_array_equal(read_frames(tmp_path / "z.wav"), read_frames(tmp_path / "y.wav")[:frames])
    for wrong in (0, frames // 2, 10 * frames):
        struct.pack_into("<I", content, place, wrong)
        (tmp_path / "z.wav").write_bytes(content)
        assert describe(tmp_path / "z.wav").frames == filled


@pytest.mark.parametrize("excess", [8, 36, 44])
def test_a_header_that_counts_itself_misses_nothing(tmp_path, excess):
    content = bytearray(written(tmp_path / "x.wav", sound(1)).read_bytes())
    content[40:44] = struct.pack("<I", 2 * RATE + excess)
    (tmp_path / "y.wav").write_bytes(content)
    report = check_audio(tmp_path / "y.wav", LIMITS)
    assert (report.reason, report.duration_s) == ("", 1.0)
    assert report.remark == f"the header states {excess} bytes more than there are; nothing is missing"


@pytest.mark.parametrize("stated", [0, 16_000])
def test_what_a_header_does_not_state_is_read_and_told(tmp_path, stated):
    content = bytearray(written(tmp_path / "x.wav", sound(1)).read_bytes())
    content[40:44] = struct.pack("<I", stated)
    (tmp_path / "y.wav").write_bytes(content)
    report = check_audio(tmp_path / "y.wav", LIMITS)
    assert (report.reason, report.duration_s) == ("", 1.0)
    assert report.remark == f"the header states {stated} bytes of audio, 32000 are there; all are read"
    np.testing.assert_array_equal(read_mono(tmp_path / "y.wav"), read_mono(tmp_path / "x.wav"))
    np.testing.assert_array_equal(read_mono(tmp_path / "y.wav", 0.75, 0.9), read_mono(tmp_path / "x.wav", 0.75, 0.9))


@pytest.mark.parametrize("tail", [b"LIST\x06\0\0\0notes\0", b"TAG" + bytes(125), b"LIST\xff\0\0\0cut", b"ID3\x04" + bytes(60)])
def test_what_follows_the_audio_is_no_audio(tmp_path, tail):
    path = written(tmp_path / "x.wav", sound(1))
    path.write_bytes(path.read_bytes() + tail)
    report = check_audio(path, LIMITS)
    assert (report.reason, report.remark, report.duration_s) == ("", "", 1.0)


def test_flac_of_unknown_length_is_read_whole_and_in_part(tmp_path):
    content = bytearray(written(tmp_path / "x.flac", sound(2), "FLAC").read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    (tmp_path / "y.flac").write_bytes(content)
    report = check_audio(tmp_path / "y.flac", LIMITS)
    assert (report.reason, report.duration_s) == ("", 2.0)
    np.testing.assert_array_equal(read_mono(tmp_path / "y.flac", 1.3, 1.7), read_mono(tmp_path / "x.flac")[20_800:27_200])
    content[22:26] = struct.pack(">I", RATE)
    (tmp_path / "z.flac").write_bytes(content)
    report = check_audio(tmp_path / "z.flac", LIMITS)
    assert (report.reason, report.duration_s) == ("", 2.0)
    assert report.remark == f"the header states {RATE} frames, {2 * RATE} are there; all are read"


def ape_tag(items=b"x" * 40):
    return items + b"APETAGEX" + struct.pack("<IIII", 2000, 32 + len(items), 1, 0) + bytes(8)


@pytest.mark.parametrize("tail", [b"TAG" + bytes(125), ape_tag(), ape_tag() + b"TAG" + bytes(125)])
def test_a_tag_behind_flac_is_no_audio(tmp_path, tail):
    path = written(tmp_path / "x.flac", sound(2), "FLAC")
    whole = read_mono(path)
    path.write_bytes(path.read_bytes() + tail)
    report = check_audio(path, LIMITS)
    assert (report.reason, report.remark, report.duration_s) == ("", "", 2.0)
    np.testing.assert_array_equal(read_mono(path), whole)
    np.testing.assert_array_equal(read_mono(path, 1.5, 1.9), whole[24_000:30_400])


@pytest.mark.parametrize("lengths", ["right", "open", "open, as BW64"])
def test_rf64_whose_lengths_are_left_open_is_read_whole(tmp_path, lengths):
    content = bytearray(written(tmp_path / "x.wav", sound(2), "RF64").read_bytes())
    place = content.find(b"ds64") + 8
    if lengths != "right":
        content[place : place + 24] = b"\xff" * 24
    if "BW64" in lengths:
        content[:4] = b"BW64"
    (tmp_path / "y.wav").write_bytes(content)
    report = check_audio(tmp_path / "y.wav", LIMITS)
    assert (report.reason, report.remark, report.duration_s) == ("", "", 2.0)
    np.testing.assert_array_equal(read_mono(tmp_path / "y.wav"), read_mono(tmp_path / "x.wav"))


@pytest.mark.parametrize(("coding", "order"), [(b"NONE", ">"), (b"sowt", "<")])
@pytest.mark.parametrize("place", ["high", "low"])
def test_24_bits_in_4_bytes_of_aiff_are_the_same_sound(tmp_path, coding, order, place):
    samples = sound(1)
    integers = np.round(samples * 2**23).astype(np.int64) << (8 if place == "high" else 0)
    data = integers.astype(f"{order}i4").tobytes()
    common = struct.pack(">hIh", 1, len(samples), 24) + struct.pack(">HQ", 16_383 + 13, RATE << 50) + coding + b"\0\0"
    chunks = b"COMM" + struct.pack(">I", len(common)) + common + b"SSND" + struct.pack(">I", 8 + len(data)) + bytes(8) + data
    (tmp_path / "x.aifc").write_bytes(b"FORM" + struct.pack(">I", 4 + len(chunks)) + b"AIFC" + chunks)
    report = check_audio(tmp_path / "x.aifc", LIMITS)
    assert (report.reason, report.remark, report.duration_s) == ("", f"24 bits per sample, in the {place} bytes of 4", 1.0)
    np.testing.assert_allclose(read_mono(tmp_path / "x.aifc"), samples, atol=2**-22)


def with_padding(samples, place, bits=24, width=4):
    """A WAV file of `bits` per sample in `width` bytes, in the high or the low ones."""
    integers = np.round(samples * 2 ** (bits - 1)).astype("<i4") << (8 * width - bits if place == "high" else 0)
    data = integers.astype("<i4").tobytes()
    guid = bytes.fromhex("0100000000001000800000aa00389b71")
    form = struct.pack("<HHIIHHHHI", 0xFFFE, 1, RATE, width * RATE, width, bits, 22, bits, 4) + guid
    return b"RIFF" + struct.pack("<I", 60 + len(data)) + b"WAVEfmt " + struct.pack("<I", 40) + form + b"data" + struct.pack("<I", len(data)) + data


@pytest.mark.parametrize("place", ["high", "low"])
def test_24_bits_in_4_bytes_are_the_same_sound(tmp_path, place):
    path = tmp_path / "x.wav"
    path.write_bytes(with_padding(sound(1), place))
    report = check_audio(path, LIMITS)
    assert (report.reason, report.remark, report.duration_s) == ("", f"24 bits per sample, in the {place} bytes of 4", 1.0)
    np.testing.assert_allclose(read_mono(path), sound(1), atol=2**-23)


def test_a_block_align_that_fits_nothing_is_refused(tmp_path):
    content = bytearray(with_padding(sound(1), "low"))
    content[-32_000:] = stream(1, "noise").bytes(32_000)
    (tmp_path / "x.wav").write_bytes(content)
    assert check_audio(tmp_path / "x.wav", LIMITS).reason == "block align 4 does not fit 1 channel of 24 bits; convert the file again"


def wav_of(samples, tag, channels, bits, block, rate_bytes=None):
    form = struct.pack("<HHIIHH", tag, channels, RATE, RATE * block if rate_bytes is None else rate_bytes, block, bits)
    chunks = b"WAVEfmt \x10\0\0\0" + form + b"data" + struct.pack("<I", samples.nbytes) + samples.tobytes()
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


@pytest.mark.parametrize(("kind", "channels", "bits", "block"), [("<i2", 2, 16, 2), ("<f4", 1, 32, 8), ("<f4", 1, 64, 4), ("<f4", 2, 32, 4)])
def test_a_block_align_that_contradicts_the_samples_is_refused_unless_all_else_fits(tmp_path, kind, channels, bits, block):
    tag = 3 if "f" in kind else 1
    samples = sound() if tag == 3 else sound() * 2**15
    path = tmp_path / "x.wav"
    path.write_bytes(wav_of(samples.astype(kind), tag, channels, bits, block))
    with pytest.raises(UnreadableAudio, match=f"block align {block} does not fit {channels} .* of {bits} bits; convert the file again"):
        describe(path)
    right = samples.astype(kind if bits < 64 else "<f8")
    for align in (0, block):
        path.write_bytes(wav_of(right, tag, channels, bits, align, RATE * channels * bits // 8))
        np.testing.assert_allclose(read_frames(path).reshape(-1), sound(), atol=1e-3)
        assert describe(path).notes == (align > 0) * (
            f"block align {block} does not fit {channels} {'float samples' if tag == 3 else 'channels'} of {bits} bits, "
            f"which {RATE * channels * bits // 8} bytes per second do; it is passed over"
        )


@pytest.mark.parametrize("length", [3, 40_001])
def test_a_chunk_behind_an_odd_number_of_bytes_without_padding_is_no_audio(tmp_path, length):
    samples = (128 + 100 * sound()).astype("u1")[: RATE - 1]
    content = wav_of(samples, 1, 1, 8, 1) + b"LIST" + struct.pack("<I", length) + b"\x80\xff" * (length // 2) + b"x"
    (tmp_path / "x.wav").write_bytes(content)
    assert describe(tmp_path / "x.wav").frames == RATE - 1
    assert describe(tmp_path / "x.wav").notes == ""


def test_a_second_tag_before_mp3_does_not_hide_that_it_is_cut(tmp_path):
    content = written(tmp_path / "x.mp3", sound(3.0), "MP3", "MPEG_LAYER_III").read_bytes()
    tag = b"ID3\x04\0\0\0\0\x01\x0a" + bytes(138)
    (tmp_path / "x.mp3").write_bytes(tag + tag + content)
    assert describe(tmp_path / "x.mp3").truncated == ""
    (tmp_path / "x.mp3").write_bytes(tag + tag + content[: len(content) // 2])
    assert "of what the header promises is missing" in describe(tmp_path / "x.mp3").truncated


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "x.wav")
    assert check_audio(tmp_path / "x.wav", LIMITS).reason.startswith("is a pipe, a socket or a device, not a file")
    with pytest.raises(InputError, match="is a pipe"):
        read_mono(tmp_path / "x.wav")


@pytest.mark.parametrize(("bits", "subtype"), [(16, "FLOAT"), (24, "FLOAT"), (32, "DOUBLE")])
def test_integers_in_a_float_file_are_scaled_by_name(tmp_path, bits, subtype):
    samples = sound(1, level=0.4)
    path = written(tmp_path / "x.wav", samples * 2 ** (bits - 1), subtype=subtype)
    report = check_audio(path, LIMITS)
    assert report.reason == "" and f"the scale of {bits}-bit integers" in report.remark
    assert report.rms_dbfs == pytest.approx(dbfs(samples), abs=0.01)
    np.testing.assert_allclose(read_mono(path, 0.2, 0.6), samples[3_200:9_600], atol=1e-6)


def test_integers_that_are_clipped_at_their_own_scale_are_clipped(tmp_path):
    path = written(tmp_path / "x.wav", np.clip(sound(1, level=1) * 90_000, -32_768, 32_767), subtype="FLOAT")
    assert check_audio(path, LIMITS).reason.startswith("clipped")


def test_samples_beyond_every_scale_are_refused(tmp_path):
    path = written(tmp_path / "x.wav", sound(1) * 1e20, subtype="FLOAT")
    assert check_audio(path, LIMITS).reason.startswith("float samples reach")
    with pytest.raises(InputError, match="the scale of no integers"):
        read_mono(path)


def test_overshoot_is_not_clipping(tmp_path):
    path = written(tmp_path / "x.wav", sound(1, level=1.3), subtype="FLOAT")
    report = check_audio(path, LIMITS)
    assert (report.reason, report.remark) == ("", "") and report.peak > 1.2


def antiphase(share=1.0, ratio=1.0, noise=0.0):
    """Left; right is -ratio times left in the first share of the file, and equal to it after."""
    left = sound(2)
    right = np.where(np.arange(len(left)) < share * len(left), -ratio, 1.0) * left
    return np.stack([left, right + noise * stream(2, "right").standard_normal(len(left))], axis=1)


@pytest.mark.parametrize("samples", [antiphase(), antiphase(share=0.4), antiphase(ratio=0.8), antiphase(noise=0.01)])
def test_channels_that_cancel_are_not_averaged(tmp_path, samples):
    path = written(tmp_path / "x.wav", samples, subtype="PCM_16")
    report = check_audio(path, LIMITS)
    louder = int(np.argmax(np.square(samples).sum(axis=0)))
    assert report.reason == "" and re.match(r"channels cancel in their mean; channel [12] of 2, the loudest, is heard alone", report.remark)
    heard = read_mono(path)
    assert dbfs(heard) == pytest.approx(dbfs(samples[:, louder]), abs=0.1)
    np.testing.assert_array_equal(heard[16_000:24_000], read_mono(path, 1.0, 1.5), err_msg="a stretch is heard as in the whole file")


@pytest.mark.parametrize(("share", "remark"), [(0.05, r"channels cancel in their mean for 5% of the file's energy, which is not heard.*"), (0.0, "")])
def test_what_is_lost_where_channels_cancel_for_a_moment_is_told(tmp_path, share, remark):
    path = written(tmp_path / "x.wav", antiphase(share=share), subtype="PCM_16")
    report = check_audio(path, LIMITS)
    assert report.reason == "" and re.fullmatch(remark, report.remark)
    np.testing.assert_allclose(read_mono(path), antiphase(share=share).mean(axis=1), atol=1e-4)


def test_channels_that_differ_are_averaged(tmp_path):
    rng = stream(3, "channels")
    for name, samples in {
        "alike": np.stack([sound(1)] * 2, 1),
        "apart": 0.1 * rng.standard_normal((RATE, 6)),
        "one": np.eye(1, 3) * sound(1)[:, None],
    }.items():
        path = written(tmp_path / f"{name}.wav", samples)
        assert check_audio(path, LIMITS).remark == ""
        np.testing.assert_allclose(read_mono(path), samples.mean(axis=1), atol=1e-4)


@pytest.mark.parametrize(("subtype", "channels"), [("PCM_S8", 1), ("PCM_16", 2), ("PCM_24", 2)])
def test_flac_of_another_md5_is_told_and_of_none_is_not(tmp_path, subtype, channels):
    path = written(tmp_path / "x.flac", np.stack([sound(1)] * channels, axis=1), "FLAC", subtype)
    content = path.read_bytes()
    assert describe(path).notes == ""
    path = tmp_path / "unknown.flac"
    path.write_bytes(content[:26] + bytes(16) + content[42:])
    assert describe(path).notes == ""
    path = tmp_path / "other.flac"
    path.write_bytes(content[:41] + bytes([content[41] ^ 1]) + content[42:])
    assert describe(path).notes == "the samples have another MD5 than the header states: they are not, or not all, that was encoded"
    report = check_audio(path, LIMITS)
    assert (report.reason, report.duration_s) == ("", 1.0) and "MD5" in report.remark
    path = tmp_path / "unknown_length.flac"
    path.write_bytes(content[:21] + bytes([content[21] & 0xF0, 0, 0, 0, 0]) + content[26:41] + bytes([content[41] ^ 1]) + content[42:])
    assert "MD5" in describe(path).notes


@pytest.mark.parametrize(("rate_bytes", "hz"), [(88_200, "44100"), (RATE, "8000"), (RATE * 16, "128000")])
def test_bytes_per_second_that_contradict_the_rate_are_told(tmp_path, rate_bytes, hz):
    samples = np.round(sound() * 2**15).astype("<i2")
    path = tmp_path / "x.wav"
    path.write_bytes(wav_of(samples, 1, 1, 16, 2, rate_bytes))
    about = describe(path)
    assert about.notes == f"the header states {rate_bytes} bytes per second, which are {hz} Hz, and {RATE} Hz; read at {RATE} Hz"
    assert (about.sample_rate, about.frames) == (RATE, len(samples))
    for right in (0, 2 * RATE):
        path = tmp_path / f"{right}.wav"
        path.write_bytes(wav_of(samples, 1, 1, 16, 2, right))
        assert describe(path).notes == ""


def as_integers(path):
    """Let the header of a file of float samples say that they are integers of 32 bits."""
    content = bytearray(path.read_bytes())
    form = content.find(b"fmt ")
    if content[:4] == b"RIFF":
        content[form + 8 : form + 10] = b"\1\0"
    elif content[:4] == b"riff":
        content[form + 24 : form + 26] = b"\1\0"
    elif content[:4] == b"caff":
        content[content.find(b"desc") + 12 + 15] &= 0xFE
    elif content[:4] == b"FORM":
        at = content.find(b"FL32")
        content[at : at + 4] = b"NONE"
    else:
        content[12:16] = struct.pack(">I", 5) if content[:4] == b".snd" else struct.pack("<I", 5)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("container", ["WAV", "W64", "CAF", "AU"])
@pytest.mark.parametrize("channels", [1, 2])
def test_float_samples_in_the_name_of_integers_are_read_as_what_they_are(tmp_path, container, channels):
    samples = np.stack([np.pad(sound(1), (RATE, 0))] * channels, axis=1)
    path = as_integers(written(tmp_path / "x", samples, container, "FLOAT"))
    report = check_audio(path, LIMITS)
    assert (report.reason, report.duration_s) == ("", 2.0) and "32-bit integers" in report.remark and "read as floats" in report.remark
    np.testing.assert_allclose(read_frames(path), samples, atol=1e-6)


def test_float_samples_in_the_name_of_integers_of_aiff_are_refused(tmp_path):
    path = as_integers(written(tmp_path / "x", sound(1), "AIFF", "FLOAT"))
    assert check_audio(path, LIMITS).reason == "its 32-bit integers are float samples, by what they are; convert the file again"


@pytest.mark.parametrize("container", ["WAV", "W64", "CAF", "AU", "AIFF"])
def test_integers_of_32_bits_are_integers(tmp_path, container):
    square = np.where(np.arange(RATE) // 40 % 2, 0.5, -0.5)
    for name, samples in {"sound": sound(1), "loud": sound(1, 1.0), "square": square, "positive": np.abs(sound(1)), "noise": sound(1) * 1e-6}.items():
        path = written(tmp_path / name, samples, container, "PCM_32")
        assert describe(path).notes == ""
        np.testing.assert_allclose(read_frames(path)[:, 0], samples, atol=1e-7)


@pytest.mark.parametrize(("bits", "width"), [(12, 2), (10, 2), (20, 3)])
def test_integers_in_the_low_bits_of_more_are_as_loud_as_in_the_high_ones(tmp_path, bits, width):
    samples = sound(1)
    integers = np.round(samples * 2 ** (bits - 1)).astype("<i4")
    for name, shift in (("low", 0), ("high", 8 * width - bits)):
        data = np.ascontiguousarray((integers << shift).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :width])
        (tmp_path / f"{name}.wav").write_bytes(wav_of(data, 1, 1, bits, width))
        np.testing.assert_allclose(read_mono(tmp_path / f"{name}.wav"), samples, atol=2.0 ** (1 - bits))
    assert describe(tmp_path / "high.wav").notes == ""
    assert describe(tmp_path / "low.wav").notes == f"{bits} bits per sample, in the low bits of {8 * width}"
    full = np.round(samples * 2**15).astype("<i2")
    (tmp_path / "full.wav").write_bytes(wav_of(full, 1, 1, 12, 2))
    np.testing.assert_allclose(read_mono(tmp_path / "full.wav"), samples, atol=1e-4, err_msg="bits that only 16 have")
    assert describe(tmp_path / "full.wav").notes == ""


def test_a_chunk_behind_24_bits_in_4_bytes_is_no_sample(tmp_path):
    (tmp_path / "x.wav").write_bytes(with_padding(sound(1), "high") + b"LIST\x04\0\0\0\xff\xff\xff\xff")
    report = check_audio(tmp_path / "x.wav", LIMITS)
    assert (report.reason, report.remark, report.duration_s) == ("", "24 bits per sample, in the high bytes of 4", 1.0)


def test_gsm_cannot_be_sought_and_is_read(tmp_path):
    path = written(tmp_path / "x.wav", sound(2), "WAV", "GSM610", 8_000)
    report = check_audio(path, LIMITS)
    assert (report.reason, report.duration_s) == ("", 4.0)
    np.testing.assert_allclose(read_frames(path, 1.0, 1.5), read_frames(path)[8_000:12_000])


@pytest.mark.parametrize("container", ["PAF", "VOC", "MAT5", "AVR"])
def test_a_container_whose_header_is_not_checked_is_refused(tmp_path, container):
    path = written(tmp_path / "x.wav", sound(1), container)
    assert check_audio(path, LIMITS).reason == f"{container} files are not read; convert it to WAV or FLAC"


@pytest.mark.parametrize(("container", "size"), [("AU", 10), ("MP3", 20), ("MP3", 40), ("AIFF", 50), ("CAF", 70), ("W64", 30)])
def test_a_file_that_ends_in_its_header_is_refused(tmp_path, container, size):
    path = written(tmp_path / "x", sound(1), container, "MPEG_LAYER_III" if container == "MP3" else "PCM_16")
    path.write_bytes(path.read_bytes()[:size])
    assert check_audio(path, LIMITS).reason


def test_a_name_does_not_decide_what_a_file_is(tmp_path):
    path = written(tmp_path / "x.wav", sound(1)).rename(tmp_path / "x.raw")
    assert check_audio(path, LIMITS).reason == ""
