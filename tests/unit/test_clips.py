import json

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from programs import call_program

from earwitness.audio.io import read_mono
from earwitness.core.errors import InputError
from earwitness.corpora.clips import ClipSettings, activity, cut, select_clips, sound_starts, speech_starts
from earwitness.tables.audio import iterate_audio
from earwitness.tables.clips import CLIPS
from earwitness.tables.files import write_table
from earwitness.tables.recordings import RECORDINGS, SEGMENTS

DEFAULTS = {
    "duration_s": 1.0,
    "per_source": 2,
    "collar_s": 0.1,
    "min_gap_s": 0.25,
    "min_level_dbfs": -50.0,
    "min_active_fraction_speech": 0.6,
    "min_active_fraction_sound": 0.1,
}


def settings(**changes):
    return ClipSettings(**(DEFAULTS | changes))


def noise(seconds, rate, level=0.1, seed=1):
    return level * np.random.default_rng(seed).standard_normal(round(seconds * rate))


def corpus(folder, *recordings):
    """Write recordings given as (name, source, label, samples, rate, stretches) and return their two tables."""
    rows, segments = [], []
    for name, source, label, samples, rate, stretches in recordings:
        path = folder / f"{name}.wav"
        soundfile.write(path, samples, rate, subtype="PCM_16")
        row = {"recording_id": f"set:{name}", "dataset": "set", "path": str(path), "sha256": "0" * 64, "sample_rate": rate}
        rows.append(
            row
            | {"duration_s": len(samples) / rate, "source_id": source, "category": "c", "label": label, "licence": "x", "original": "", "session": ""}
        )
        whose = {"recording_id": f"set:{name}", "source_id": source, "label": label}
        segments += [whose | {"start_s": start, "end_s": end} for start, end in stretches]
    return pd.DataFrame(rows), pd.DataFrame(segments)


def speech(name, source=None, seconds=12.0, rate=16_000, stretches=((0.0, 12.0),), seed=1):
    return name, source or name, "SPEECH", noise(seconds, rate, seed=seed), rate, stretches


def sound(name, samples, source=None, rate=16_000):
    return name, source or name, "NONSPEECH", samples, rate, [(0.0, len(samples) / rate)]


def chosen(tables, seed=1, **changes):
    return [clip for _, clips, _ in select_clips(*tables, settings(**changes), seed) for clip in clips]


def ids(clips):
    return [clip.row["clip_id"] for clip in clips]


STRETCHES = st.lists(st.tuples(st.floats(0, 50), st.floats(0, 20)), min_size=1, max_size=6).map(
    lambda drawn: [(100 * k + start, 100 * k + start + length) for k, (start, length) in enumerate(drawn)]
)


@given(STRETCHES, st.sampled_from([0.3, 1.0, 2.5]), st.sampled_from([0.0, 0.25, 1.0]), st.integers(0, 99))
def test_candidates_lie_inside_their_stretches_apart_and_fill_them(stretches, duration, gap, seed):
    starts = np.array(speech_starts(stretches, settings(duration_s=duration, min_gap_s=gap), np.random.default_rng(seed))) / 1000
    for start, end in stretches:
        own = np.sort(starts[(starts >= start) & (starts <= end)])
        assert (own + duration <= end + 1e-9).all()
        assert (np.diff(own) >= duration + gap - 1e-9).all()
        assert len(own) >= np.floor((end - start - 0.002 + gap) / (duration + gap))
    assert sum(((starts >= start) & (starts <= end)).sum() for start, end in stretches) == len(starts)


def test_speech_clips_keep_the_collar_and_the_gap_and_come_from_everywhere(tmp_path):
    stretches = [(0.0, 3.0), (3.0, 6.0), (9.0, 12.0), (12.0, 13.1), (20.0, 60.0)]
    tables = corpus(tmp_path, speech("a", seconds=60, stretches=stretches))
    starts = []
    for seed in range(20):
        clips = chosen(tables, seed=seed, per_source=6, min_gap_s=0.8)
        assert len(clips) == 6
        own = sorted(clip.row["start_s"] for clip in clips)
        assert all(any(start + 0.1 <= first and first + 1 <= end - 0.1 for start, end in stretches) for first in own)
        assert (np.diff(own) >= 1.8 - 1e-9).all()
        starts += own
    assert not any(12 <= start < 13.1 for start in starts), "too short with its collar"
    assert min(starts) < 3 and max(starts) > 45 and any(3 <= start < 6 for start in starts)


def test_the_gap_holds_between_stretches_too(tmp_path):
    tables = corpus(tmp_path, speech("a", stretches=[(0.0, 1.3), (1.35, 2.65)]))
    assert len(chosen(tables, min_gap_s=0.5)) == 1
    assert len(chosen(tables, min_gap_s=0.0)) == 2


def test_active_speech_comes_before_pauses_and_a_pause_is_no_clip(tmp_path):
    samples = noise(12, 16_000)
    samples[4 * 16_000 : 8 * 16_000] *= 1e-4
    tables = corpus(tmp_path, ("a", "a", "SPEECH", samples, 16_000, [(0.0, 12.0)]))
    for seed in range(5):
        clips = chosen(tables, seed=seed, per_source=4)
        assert len(clips) == 4
        assert all(clip.row["active_fraction"] == 1 for clip in clips)
        assert all(clip.row["end_s"] <= 4 or clip.row["start_s"] >= 8 for clip in clips)


def test_too_quiet_and_too_short_recordings_give_no_clip_and_are_counted(tmp_path):
    tables = corpus(
        tmp_path,
        sound("quiet", noise(3, 16_000, level=1e-4), source="s"),
        sound("short", noise(0.99, 16_000), source="s"),
        sound("click", np.where(np.arange(48_000) == 24_000, 0.9, 0.0), source="s"),
        speech("brief", source="s", seconds=2, stretches=[(0.0, 1.1)]),
    )
    ((source, clips, idle), (_, no_clips, brief)) = select_clips(*tables, settings(), 1)
    assert (source, clips, no_clips) == ("s", [], [])
    assert idle == {"too short": 1, "not active enough": 2}
    assert brief == {"too short": 1}


def test_a_sound_clip_has_the_event_in_its_middle(tmp_path):
    samples = noise(6, 16_000, level=1e-3)
    samples[int(3.9 * 16_000) : int(4.1 * 16_000)] += noise(0.2, 16_000, level=0.3)
    clips = chosen(corpus(tmp_path, sound("dog", samples)), per_source=1)
    assert clips[0].row["start_s"] == pytest.approx(3.5, abs=0.03)
    assert clips[0].row["active_fraction"] == pytest.approx(0.2, abs=0.05)


def test_sound_windows_stay_in_the_file_and_apart(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(7.013, 44_100), 44_100)
    starts = np.sort(list(sound_starts(path, [(0.0, 7.013)], settings()))) / 1000
    assert len(starts) >= 3
    assert starts[0] >= 0 and starts[-1] + 1 <= 7.013
    assert (np.diff(starts) >= 1.25).all()


def test_a_file_of_exactly_one_clip_gives_it_whole(tmp_path):
    for rate in (16_000, 44_100, 22_050):
        clips = chosen(corpus(tmp_path, sound("x", noise(1.0, rate), rate=rate)))
        assert [(clip.row["start_s"], len(clip.samples)) for clip in clips] == [(0.0, 16_000)]


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 37_123])
def test_a_clip_equals_the_same_stretch_of_the_resampled_whole(tmp_path, rate):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(6, rate, level=0.2), rate, subtype="FLOAT")
    whole = read_mono(path)
    for start_ms in (0, 1, 777, 2_345, 5_000):
        clip = cut(path, rate, start_ms, 1.0)
        assert clip.shape == (16_000,)
        expected = whole[start_ms * 16 : start_ms * 16 + 16_000]
        inner = slice(0, None if start_ms < 5_000 else -16)
        np.testing.assert_allclose(clip[inner], expected[inner][: len(clip[inner])], atol=1e-3)


def test_only_the_needed_part_of_a_long_file_is_read(tmp_path, monkeypatch):
    tables = corpus(tmp_path, speech("a", seconds=120, rate=44_100, stretches=[(0.0, 120.0)]))
    read = []

    def spy(path, start_s=0.0, end_s=None):
        read.append(end_s - start_s)
        return read_mono(path, start_s, end_s)

    monkeypatch.setattr("earwitness.corpora.clips.read_mono", spy)
    assert len(chosen(tables)) == 2
    assert max(read) < 1.2
    assert sum(read) < 20


def test_a_clip_that_overshoots_full_scale_is_scaled_not_clipped(tmp_path):
    path = tmp_path / "x.wav"
    square = np.sign(np.sin(2 * np.pi * 440 * np.arange(2 * 44_100) / 44_100)) * 0.998
    soundfile.write(path, square, 44_100, subtype="PCM_16")
    clip = cut(path, 44_100, 500, 1.0)
    whole = read_mono(path)[8_000:24_000]
    assert np.abs(whole).max() > 1
    np.testing.assert_allclose(clip, whole / np.abs(whole).max(), atol=1e-3)


def test_a_file_that_shrank_since_it_was_catalogued_is_named(tmp_path):
    recordings, segments = corpus(tmp_path, speech("a", seconds=3, stretches=[(2.0, 12.0)]))
    with pytest.raises(InputError, match=r"a\.wav: ends before .* run the catalogue again"):
        chosen((recordings, segments))


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 1.0])
def test_active_fraction_counts_frames_within_30_db_of_the_loudest(fraction):
    level = np.where(np.arange(50) < round(50 * fraction), 0.5, 0.5 * 10 ** (-31 / 20))
    samples = np.repeat(level, 320).astype(np.float32)
    loudest, active = activity(samples)
    assert loudest == pytest.approx(20 * np.log10(0.5), abs=1e-4)
    assert active == pytest.approx(round(50 * fraction) / 50)
    assert activity(np.zeros(16_000, np.float32)) == (-np.inf, 0.0)


def test_a_new_recording_changes_no_clip_of_another_source_and_the_seed_changes_some(tmp_path):
    one = [speech("a"), speech("b", seed=2), sound("dog", noise(5, 44_100, seed=3), rate=44_100)]
    before = chosen(corpus(tmp_path, *one))
    after = chosen(corpus(tmp_path, speech("0", seed=9), one[2], one[1], sound("cat", noise(5, 16_000)), one[0]))
    kept = {clip.row["clip_id"]: clip for clip in after if clip.row["source_id"] not in ("0", "cat")}
    assert set(kept) == set(ids(before))
    for clip in before:
        assert np.array_equal(clip.samples, kept[clip.row["clip_id"]].samples)
    assert len(after) == len(before) + 4
    assert set(ids(chosen(corpus(tmp_path, *one), seed=2))) != set(ids(before))


def test_a_source_gives_at_most_per_source_clips_from_as_many_recordings_as_it_can(tmp_path):
    tables = corpus(tmp_path, *(sound(f"take{k}", noise(5, 16_000, seed=k), source="7") for k in range(4)))
    for count in (1, 2, 3, 6):
        clips = chosen(tables, per_source=count)
        assert len(clips) == count
        assert len({clip.row["recording_id"] for clip in clips}) == min(count, 4)
    quiet = corpus(tmp_path, sound("loud", noise(5, 16_000), source="7"), sound("hush", noise(5, 16_000, level=1e-5), source="7"))
    assert len(chosen(quiet)) == 2


def run(folder, tables):
    write_table(folder / "r.parquet", tables[0], RECORDINGS)
    write_table(folder / "s.parquet", tables[1], SEGMENTS)
    return call_program("select_clips", "r.parquet", "s.parquet", "out/c.parquet", "--settings", json.dumps(DEFAULTS), "--seed", 1, folder=folder)


def test_the_program_writes_the_clips_with_their_audio_and_the_same_bytes_again(tmp_path):
    tables = corpus(tmp_path, speech("a", rate=44_100), sound("it's a dog", noise(3, 22_050), rate=22_050), sound("short", noise(0.5, 16_000)))
    done = run(tmp_path, tables)
    assert done.returncode == 0, done.stderr
    assert "4 clips from 2 sources; recordings without a clip: 1 too short" in done.stderr
    path = tmp_path / "out" / "c.parquet"
    content = path.read_bytes()
    ((rows, audio),) = iterate_audio(path, CLIPS)
    expected = chosen(tables)
    assert list(rows.clip_id) == ids(expected)
    assert rows.clip_id.tolist() == [f"{row.recording_id}@{round(row.start_s * 1000)}" for row in rows.itertuples()]
    for clip, decoded in zip(expected, audio, strict=True):
        np.testing.assert_allclose(decoded, clip.samples, atol=2**-23)
    assert [audio["path"] for audio in pd.read_parquet(path).audio] == [f"{name}.flac" for name in rows.clip_id]
    assert run(tmp_path, tables).returncode == 0
    assert path.read_bytes() == content


def test_no_clip_at_all_is_one_line_and_no_file(tmp_path):
    done = run(tmp_path, corpus(tmp_path, sound("short", noise(0.5, 16_000))))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "error: r.parquet: no clip of clips.duration_s = 1 s in 1 recordings (1 too short); lower clips.duration_s"
    )
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "out").glob("*"))
