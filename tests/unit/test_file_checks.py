import struct

import numpy as np
import pytest
import soundfile

from earwitness.corpora.file_checks import Limits, check_audio

LIMITS = Limits(min_duration_s=0.3, max_clipped_fraction=0.01, max_dc_offset=0.05, silence_dbfs=-60.0)
RATE = 22_050


def tone(seconds=1.0, level=0.1):
    return level * np.sin(2 * np.pi * 441 * np.arange(round(seconds * RATE)) / RATE)


def wav(folder, samples, subtype="PCM_16", rate=RATE):
    path = folder / "x.wav"
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def test_a_sound_file_is_measured_and_passes(tmp_path):
    report = check_audio(wav(tmp_path, np.stack([tone(), np.zeros(RATE) + 0.01], axis=1)), LIMITS)
    assert report.reason == ""
    assert (report.sample_rate, report.channels, report.duration_s, report.non_finite_samples) == (RATE, 2, 1.0, 0)
    assert report.rms_dbfs == pytest.approx(10 * np.log10((0.1**2 / 2 + 0.01**2) / 2), abs=0.01)
    assert report.peak == pytest.approx(0.1, abs=1e-3)
    assert report.dc_offset == pytest.approx(0.01, abs=1e-4)
    assert report.clipped_fraction == 0


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.clip(tone(level=3.0), -1, 1), "clipped: "),
        (tone(level=1e-4), "silent: -83"),
        (np.zeros(RATE), "silent: -inf dBFS"),
        (np.full(RATE, 0.03125), "silent: -inf dBFS"),
        (np.stack([np.full(RATE, 0.03125), np.full(RATE, -0.015625)], axis=1), "silent: -inf dBFS"),
        (tone(level=1e-4) + 0.04, "silent: -83"),
        (tone() + 0.1, "DC offset 0.100"),
        (tone(seconds=0.2), "too short: 0.200 s"),
        (np.zeros(0), "no samples"),
        (np.where(np.arange(RATE) == 7, np.nan, tone()), "1 samples are NaN or infinite"),
        (np.where(np.arange(RATE) == RATE - 1, np.inf, tone()), "1 samples are NaN or infinite"),
    ],
)
def test_a_defect_is_named(tmp_path, samples, reason):
    assert check_audio(wav(tmp_path, samples, "FLOAT"), LIMITS).reason.startswith(reason)


def test_measures_do_not_depend_on_the_block_size(tmp_path, monkeypatch):
    samples = np.random.default_rng(1).normal(0.02, 0.4, (RATE, 2)).clip(-1, 1)
    path = wav(tmp_path, samples)
    whole = check_audio(path, LIMITS)
    monkeypatch.setattr("earwitness.audio.files.BLOCK_FRAMES", 1000)
    pieces = check_audio(path.rename(tmp_path / "same.wav"), LIMITS)
    assert pieces.row() == pytest.approx(whole.row())
    assert whole.clipped_fraction == pytest.approx(np.mean(np.abs(samples) >= 0.999), abs=1e-4)


@pytest.mark.parametrize("keep", [0.5, 0.999])
def test_a_truncated_file_is_broken_though_it_still_opens(tmp_path, keep):
    path = wav(tmp_path, tone())
    content = path.read_bytes()
    path.write_bytes(content[: 44 + int((len(content) - 44) * keep)])
    assert check_audio(path, LIMITS).reason.startswith("truncated")


def test_a_header_alone_that_promises_samples_is_truncated(tmp_path):
    path = wav(tmp_path, tone())
    path.write_bytes(path.read_bytes()[:44])
    assert check_audio(path, LIMITS).reason.startswith("truncated")


def test_a_file_written_to_a_pipe_has_no_stated_length_and_is_whole(tmp_path):
    path = wav(tmp_path, tone())
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = struct.pack("<L", 0xFFFFFFFF)
    path.write_bytes(content)
    report = check_audio(path, LIMITS)
    assert report.reason == ""
    assert report.duration_s == pytest.approx(1.0)


def test_chunks_before_the_data_and_long_form_headers_are_no_defect(tmp_path):
    path = wav(tmp_path, tone())
    content = path.read_bytes()
    path.write_bytes(content[:12] + b"LIST" + struct.pack("<L", 5) + b"notes\0" + content[12:])
    assert check_audio(path, LIMITS).reason == ""
    soundfile.write(path, tone(), RATE, format="RF64", subtype="PCM_16")
    assert check_audio(path, LIMITS).reason == ""
    path.write_bytes(path.read_bytes()[:-1000])
    assert check_audio(path, LIMITS).reason.startswith("truncated")


@pytest.mark.parametrize(("content", "reason"), [(b"", "empty file"), (b"this is a text, not a sound\n" * 50, "cannot be read as audio")])
def test_what_is_no_audio_is_named(tmp_path, content, reason):
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    report = check_audio(path, LIMITS)
    assert report.reason.startswith(reason)
    assert report.duration_s is None


def test_a_folder_or_a_dangling_link_named_wav_is_broken(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "link.wav").symlink_to(tmp_path / "nowhere.wav")
    for name in ("folder.wav", "link.wav"):
        assert check_audio(tmp_path / name, LIMITS).reason
