import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet as parquet
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from programs import call_program

from earwitness.audio.acoustics import active_samples, mean_square, peak_dbfs, power_ratio_db, raised_cosine_ramp
from earwitness.audio.io import SAMPLE_RATE, dbfs, decode_flac, encode_flac, read_mono
from earwitness.audio.window import window_of
from earwitness.config import complete_config
from earwitness.core.errors import InputError
from earwitness.core.files import atomic
from earwitness.core.randomness import stream_seed
from earwitness.plan.study import Plan
from earwitness.stimuli.audit import audit_stimuli
from earwitness.stimuli.design import (
    Condition,
    StimulusDesign,
    baseline_design,
    choose_clips,
    factorial,
    factorial_design,
    shard_clips,
    shard_of,
)
from earwitness.stimuli.mixing import heard_stimulus, make_clip_stimuli, write_shard
from earwitness.stimuli.summary import summarise_stimuli
from earwitness.tables.audio import AudioTableWriter, iterate_audio, iterate_encoded_audio
from earwitness.tables.clips import CLIPS
from earwitness.tables.files import read_table, validate
from earwitness.tables.stimuli import STIMULI

WINDOW = {"window_ms": 1200, "ramp_ms": 5.0, "floor_dbfs": -80.0, "normalisation": "peak", "peak_dbfs": -1.0, "rms_dbfs": -26.0}
DESIGN = StimulusDesign(factorial([200, 1000], [0.0, 20.0]), "white", window_of(WINDOW))


def baseline_settings() -> dict:
    """The default baseline's settings, as the workflow passes them to its programs."""
    return Plan(complete_config({})).stimulus_settings("baseline")


BASELINE = baseline_design(baseline_settings())


def asking(durations_ms: Sequence[int] = (200, 1000), snrs_db: Sequence[float] = (0.0, 20.0), noise: str = "white", **changes) -> StimulusDesign:
    """DESIGN with other conditions, another noise, or other settings of the window."""
    recordings = changes.pop("noise_recordings", None)
    return StimulusDesign(factorial(durations_ms, snrs_db), noise, window_of(WINDOW | changes), recordings)


def write(clip_file: Path, output: Path, design: StimulusDesign, shard: int = 0, shards: int = 1) -> int:
    """One shard of every clip of a file."""
    return write_shard([clip_file], output, design, 1, shard_clips(read_table(clip_file, CLIPS).clip_id, shard, shards))


def clip_row(clip_id: str = "rec:a@0", label: str = "SPEECH", start_s: float = 0.0, end_s: float = 1.0) -> pd.Series:
    recording = clip_id.split("@")[0]
    row = (clip_id, recording, recording, label, "talk", start_s, end_s, 1.0)
    return pd.Series(dict(zip(CLIPS.columns, row, strict=True)))


def burst(seed: int = 0, seconds: float = 1.0) -> np.ndarray:
    """A quiet noise with a loud tone from 0.5 s to 0.7 s."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tone = 0.3 * np.sin(2 * np.pi * 440 * time) * ((time >= 0.5) & (time < 0.7))
    return (tone + 0.003 * np.random.default_rng(seed).standard_normal(len(time))).astype(np.float32)


def write_clips(path: Path, clips: list[tuple[pd.Series, np.ndarray]]) -> Path:
    rows = pd.DataFrame([row for row, _ in clips])
    with atomic(path) as temporary, AudioTableWriter(temporary, CLIPS) as writer:
        writer.write(rows, [encode_flac(samples, "PCM_24") for _, samples in clips], [f"{name}.flac" for name in rows.clip_id])
    return path


def both_classes(n: int) -> list[tuple[pd.Series, np.ndarray]]:
    return [(clip_row(f"{label.lower()}:{k}@0", label), burst(k)) for label in ("SPEECH", "NONSPEECH") for k in range(n)]


def make(samples: np.ndarray, design: StimulusDesign = DESIGN, clip: pd.Series | None = None, seed: int = 1) -> tuple[pd.DataFrame, list[np.ndarray]]:
    made = list(make_clip_stimuli(clip_row() if clip is None else clip, samples, design, seed))
    return validate(pd.DataFrame([row for row, _ in made]), STIMULI), [decode_flac(audio) for _, audio in made]


def test_every_condition_is_made_once_in_the_window_as_16_bit_flac_at_16_khz():
    made = list(make_clip_stimuli(clip_row(), burst(), DESIGN, 1))
    rows = pd.DataFrame([row for row, _ in made])
    assert set(zip(rows.duration_ms, rows.snr_db, strict=True)) == {(200, 0), (200, 20), (1000, 0), (1000, 20)}
    assert rows.stimulus_id.is_unique and rows.noise_id.is_unique
    assert not rows.stimulus_id.str.contains("/").any()
    for _, audio in made:
        info = soundfile.info(io.BytesIO(audio))
        assert (info.format, info.subtype, info.samplerate, info.channels, info.frames) == ("FLAC", "PCM_16", 16000, 1, 19200)


def test_the_segment_is_the_loudest_stretch_and_the_row_says_where_in_the_recording_it_lies():
    rows, _ = make(burst(), clip=clip_row(start_s=40.0, end_s=41.0))
    short = rows[rows.duration_ms == 200]
    assert short.segment_start_s.tolist() == pytest.approx([40.5, 40.5], abs=0.002)
    assert (short.segment_end_s - short.segment_start_s).tolist() == pytest.approx([0.2, 0.2])
    assert rows.segment_start_s[rows.duration_ms == 1000].eq(40.0).all()


def test_a_stimulus_that_is_only_heard_is_the_one_that_would_be_stored_to_the_bit():
    design = asking(snrs_db=[-10.0, 5.0], noise="pink")
    _, stored = make(burst(), design)
    heard = [heard_stimulus("rec:a@0", burst(), condition, design, 1) for condition in design.conditions]
    assert [waveform.tobytes() for waveform in heard] == [waveform.tobytes() for waveform in stored]


@pytest.mark.parametrize("snr_db", [0.0, 10.0])
def test_the_decoded_mixture_has_the_snr_of_the_segment_that_the_row_names(snr_db):
    """Independent of the program's own bookkeeping: the segment is cut again from the clip, and the rest is what least squares leaves."""
    samples = burst()
    rows, decoded = make(samples, asking(snrs_db=[snr_db]))
    for row, stimulus in zip(rows.itertuples(), decoded, strict=True):
        length = row.duration_ms * 16
        start = round(row.segment_start_s * SAMPLE_RATE)
        segment = samples[start : start + length] * raised_cosine_ramp(length, 80)
        during = stimulus[(19200 - length) // 2 :][:length].astype(np.float64)
        heard = segment * (during @ segment) / (segment @ segment)
        assert power_ratio_db(heard[active_samples(segment)], during - heard) == pytest.approx(snr_db, abs=0.4)
        assert row.achieved_snr_db == pytest.approx(snr_db, abs=0.1)


@pytest.mark.parametrize("normalisation", ["peak", "rms"])
@pytest.mark.parametrize("duration_ms", [20, 33, 57, 400, 1000])
def test_a_window_presents_a_segment_as_the_stimulus_that_is_made_of_it_to_the_bit(normalisation, duration_ms):
    window = window_of(WINDOW | {"normalisation": normalisation})
    reference = Condition("reference", "grid", "reference", duration_ms)
    segment = burst(seconds=duration_ms / 1000)
    _, [stimulus] = make(segment, StimulusDesign((reference,), "white", window), seed=7)
    same_floor = np.random.default_rng(stream_seed(7, "stimuli", "rec:a@0", "reference"))
    np.testing.assert_array_equal(window.presented(segment, same_floor), stimulus.astype(np.float32))


@pytest.mark.parametrize("length", [321, 1_601, 6_399])
def test_an_odd_segment_lies_in_the_middle_and_meets_the_level(length):
    segment = burst()[:length]
    presented = window_of(WINDOW | {"normalisation": "rms"}).presented(segment, np.random.default_rng(1))
    first = (19_200 - length) // 2
    assert dbfs(presented[first : first + length]) == pytest.approx(-26, abs=0.05)
    assert dbfs(np.delete(presented, slice(first, first + length))) == pytest.approx(-80, abs=0.5)


def test_what_is_too_loud_for_its_level_is_presented_at_full_scale():
    click = np.zeros(3_200, np.float32)
    click[1_600] = 1
    presented = window_of(WINDOW | {"normalisation": "rms", "rms_dbfs": -10.0}).presented(click, np.random.default_rng(1))
    assert np.abs(presented).max() == pytest.approx(1, abs=1e-4)


def test_outside_the_segment_there_is_only_the_floor():
    rows, decoded = make(burst())
    for row, stimulus in zip(rows.itertuples(), decoded, strict=True):
        first = (19200 - row.duration_ms * 16) // 2
        rest = np.concatenate([stimulus[:first], stimulus[-first:]])
        assert dbfs(rest) == pytest.approx(-80, abs=0.5)
        assert abs(peak_dbfs(rest) - -80) < 16


def test_the_level_is_the_same_at_every_duration_and_snr():
    rows, decoded = make(burst())
    assert [peak_dbfs(stimulus) for stimulus in decoded] == pytest.approx([-1.0] * 4, abs=0.01)
    assert rows.achieved_level_dbfs.tolist() == pytest.approx([-1.0] * 4, abs=0.01)
    rows, decoded = make(burst(), asking(normalisation="rms"))
    for row, stimulus in zip(rows.itertuples(), decoded, strict=True):
        assert dbfs(stimulus[(19200 - row.duration_ms * 16) // 2 :][: row.duration_ms * 16]) == pytest.approx(-26, abs=0.01)


@st.composite
def clips_of_any_kind(draw: st.DrawFn) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["noise", "tone", "clicks"]))
    samples = {
        "noise": lambda: rng.standard_normal(16000) / 6,
        "tone": lambda: np.sin(2 * np.pi * draw(st.floats(50, 7000)) * np.arange(16000) / SAMPLE_RATE),
        "clicks": lambda: np.where(rng.random(16000) < 0.002, 1.0, 0.0) + 1e-3 * rng.standard_normal(16000),
    }[kind]()
    return (samples * 10 ** (draw(st.floats(-50, 0)) / 20)).astype(np.float32)


@given(clips_of_any_kind(), st.sampled_from(["white", "pink", "speech_shaped"]), st.sampled_from(["peak", "rms"]), st.integers(0, 1000))
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_snr_and_level_are_met_within_a_tenth_of_a_db_for_any_clip(samples, noise, normalisation, seed):
    design = asking([20, 200, 1000], [-20.0, 0.0, 20.0], noise=noise, normalisation=normalisation, rms_dbfs=-34.0)
    rows, _ = make(samples, design, seed=seed)
    assert (rows.achieved_snr_db - rows.snr_db).abs().max() <= 0.1
    assert (rows.achieved_level_dbfs - design.window.level.level_dbfs).abs().max() <= 0.1


def test_a_stimulus_depends_on_its_clip_condition_and_seed_alone():
    rows, decoded = make(burst())
    fewer, fewer_decoded = make(burst(), asking([1000], [20]))
    assert fewer.stimulus_id.tolist() == rows.stimulus_id.tolist()[3:]
    assert fewer.noise_id.tolist() == rows.noise_id.tolist()[3:]
    np.testing.assert_array_equal(fewer_decoded[0], decoded[3])
    other_seed, _ = make(burst(), seed=2)
    other_clip, _ = make(burst(), clip=clip_row("rec:b@0"))
    assert not set(rows.noise_id) & (set(other_seed.noise_id) | set(other_clip.noise_id))


@pytest.mark.parametrize(
    ("samples", "changes", "complaint"),
    [
        (np.zeros(16000, np.float32), {}, "stimulus rec:a@0@200ms@0dB@white: its clip is silent"),
        (burst(seconds=0.9), {}, r"clip rec:a@0 lasts 0.900 s, .* clips.duration_s"),
        (burst(), {"normalisation": "rms", "rms_dbfs": -3.0}, r"would clip.*: its peak is .* stimuli.rms_dbfs = -3; set that to -\d+"),
        (burst(), {"snrs_db": [60.0]}, r"stimulus .*60dB.*the achieved SNR is .*floor_dbfs"),
        (burst(), {"peak_dbfs": -70.0}, r"floor alone reaches the peak level of -70 dBFS"),
        (burst(), {"normalisation": "rms", "rms_dbfs": -85.0}, r"floor alone reaches the RMS level of -85 dBFS"),
        (burst(), {"normalisation": "rms", "rms_dbfs": -85.0, "floor_dbfs": -90.0, "snrs_db": [0.0]}, "achieved"),
    ],
)
def test_what_cannot_be_made_is_refused_by_name(samples, changes, complaint):
    with pytest.raises(InputError, match=complaint):
        make(samples, asking(**changes))


@pytest.mark.parametrize(
    ("changes", "key"), [({"floor_dbfs": -120.0}, "floor_dbfs"), ({"ramp_ms": 101.0}, "ramp_ms"), ({"window_ms": 900}, "window_ms")]
)
def test_settings_that_cannot_work_are_refused_before_any_audio_is_read(changes, key):
    with pytest.raises(InputError, match=f"stimuli.{key}"):
        asking(**changes)


def test_a_clip_one_sample_short_still_makes_the_longest_stimulus():
    rows, _ = make(burst()[:-1])
    assert len(rows) == 4


def test_a_rounded_rms_remedy_is_enough():
    loud = asking([200], [0.0], normalisation="rms", rms_dbfs=-3.0)
    with pytest.raises(InputError) as refused:
        make(burst(), loud)
    remedy = float(str(refused.value).split("set that to ")[1].split()[0])
    assert len(make(burst(), asking([200], [0.0], normalisation="rms", rms_dbfs=remedy))[0]) == 1


def test_one_level_suits_all_stimuli_that_would_clip(tmp_path):
    clips = [(clip_row(f"rec:{k}@0"), (0.9 / (k + 1) * burst(k)).astype(np.float32)) for k in range(3)]
    click = np.zeros_like(burst())
    click[8000:8008] = 0.9
    table = write_clips(tmp_path / "clips.parquet", [*clips, (clip_row("rec:click@0"), click)])
    names = [row.clip_id for row, _ in clips] + ["rec:click@0"]
    loud = asking([200, 1000], [20.0], normalisation="rms", rms_dbfs=-3.0)
    with pytest.raises(InputError, match=r"stimulus rec:click@0@1000ms@20dB@white would clip \(and \d more, by less\)") as refused:
        write_shard([table], tmp_path / "shard.parquet", loud, 1, names)
    assert not (tmp_path / "shard.parquet").exists()
    remedy = float(str(refused.value).split("set that to ")[1].split()[0])
    quiet = asking([200, 1000], [20.0], normalisation="rms", rms_dbfs=remedy)
    assert write_shard([table], tmp_path / "shard.parquet", quiet, 1, names) == 8


def test_the_same_run_gives_the_same_bytes_and_a_new_clip_moves_no_other(tmp_path):
    clips = both_classes(6)
    before = write_clips(tmp_path / "before.parquet", clips)
    after = write_clips(tmp_path / "after.parquet", [(clip_row("new:x@0"), burst(99)), *clips])
    shards = [[tmp_path / f"{run}-{shard}.parquet" for shard in range(2)] for run in ("first", "again", "after")]
    for source, run in zip((before, before, after), shards, strict=True):
        for shard in range(2):
            write(source, run[shard], DESIGN, shard, 2)
    for first, again, added in zip(*shards, strict=True):
        assert first.read_bytes() == again.read_bytes()
        old, new = pd.read_parquet(first), pd.read_parquet(added)
        new = new[new.clip_id != "new:x@0"].reset_index(drop=True)
        pd.testing.assert_frame_equal(old.drop(columns="audio"), new.drop(columns="audio"))
        assert old.audio.map(lambda audio: audio["bytes"]).tolist() == new.audio.map(lambda audio: audio["bytes"]).tolist()
    assert sum(len(read_table(path, STIMULI)) for path in shards[0]) == 12 * 4


def test_a_shard_without_clips_is_a_valid_table_without_rows(tmp_path):
    clips = write_clips(tmp_path / "clips.parquet", [(clip_row(), burst())])
    mine = shard_of("rec:a@0", 7)
    full, empty = tmp_path / "full.parquet", tmp_path / "empty.parquet"
    assert write(clips, full, DESIGN, mine, 7) == 4
    assert write(clips, empty, DESIGN, (mine + 1) % 7, 7) == 0
    assert parquet.read_schema(full).equals(parquet.read_schema(empty), check_metadata=True)
    assert sum(len(rows) for rows, _ in iterate_audio(empty, STIMULI)) == 0
    assert read_table(empty, STIMULI).empty
    with pytest.raises(InputError, match="there are no stimuli"):
        audit_stimuli([empty], DESIGN)


@pytest.mark.parametrize(
    "read",
    [
        lambda path: iterate_audio(path, CLIPS, batch_rows=32),
        lambda path: iterate_encoded_audio(path, "clip_id", {f"clip{group}-{k}@0" for group in range(12) for k in range(32)}, batch_rows=32),
    ],
    ids=["decoded", "encoded"],
)
def test_reading_clips_does_not_keep_what_was_read_in_memory(tmp_path, read):
    flac = [encode_flac(noisy_clip(k), "PCM_24") for k in range(32)]
    path = tmp_path / "clips.parquet"
    with AudioTableWriter(path, CLIPS) as writer:
        for group in range(12):
            rows = pd.DataFrame([clip_row(f"clip{group}-{k}@0") for k in range(32)])
            writer.write(rows, flac, list(rows.clip_id))
    before = pyarrow.total_allocated_bytes()
    held = [pyarrow.total_allocated_bytes() - before for _ in read(path)]
    assert len(held) == 12
    assert max(held) < 8 * sum(map(len, flac))


def test_a_broken_clip_leaves_no_file(tmp_path):
    clips = write_clips(tmp_path / "clips.parquet", [(clip_row(), burst()), (clip_row("rec:b@0"), np.zeros(16000, np.float32))])
    with pytest.raises(InputError, match=r"rec:b@0.*silent"):
        write(clips, tmp_path / "out" / "shard.parquet", DESIGN)
    assert list((tmp_path / "out").iterdir()) == []


def test_shards_load_with_hugging_face_datasets(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    clips = write_clips(tmp_path / "clips.parquet", both_classes(1))
    empty = next(shard for shard in range(9) if shard not in {shard_of(f"{label}:0@0", 9) for label in ("speech", "nonspeech")})
    paths = [tmp_path / "full.parquet", tmp_path / "empty.parquet"]
    write(clips, paths[0], DESIGN)
    write(clips, paths[1], DESIGN, empty, 9)
    loaded = datasets.load_dataset("parquet", data_files=list(map(str, paths)), split="train", cache_dir=str(tmp_path / "cache"))
    assert isinstance(loaded.features["audio"], datasets.Audio)
    assert loaded.features["audio"].sampling_rate == 16000
    assert loaded.num_rows == 8
    raw = loaded.cast_column("audio", datasets.Audio(decode=False))
    assert all(len(decode_flac(row["audio"]["bytes"])) == 19200 and row["audio"]["path"] == f"{row['stimulus_id']}.flac" for row in raw)


@pytest.fixture
def shards(tmp_path) -> list[Path]:
    clips = write_clips(tmp_path / "clips.parquet", both_classes(3))
    paths = [tmp_path / f"shard-{shard:03d}.parquet" for shard in range(2)]
    for shard, path in enumerate(paths):
        write(clips, path, DESIGN, shard, 2)
    return paths


def test_the_audit_indexes_all_shards_and_counts_every_cell(shards):
    index = audit_stimuli(shards, DESIGN)
    assert index.stimulus_id.is_monotonic_increasing and len(index) == 24
    summary = summarise_stimuli(index, {"peak": -1.0, "rms": -26.0})
    assert len(summary) == 8
    assert summary.n.eq(3).all() and summary.n_sources.eq(3).all()
    assert summary.max_abs_snr_error_db.le(0.1).all() and summary.max_abs_level_error_db.le(0.1).all()


def test_the_audit_names_what_is_missing_doubled_or_off(shards, tmp_path):
    with pytest.raises(InputError, match="was made more than once"):
        audit_stimuli([*shards, shards[0]], DESIGN)
    with pytest.raises(InputError, match="there is no NONSPEECH stimulus at 200 ms, 10 dB, band clean, room none"):
        audit_stimuli(shards, asking(snrs_db=[0.0, 10.0, 20.0]))
    with pytest.raises(InputError, match="stimuli at 200 ms, 0 dB, band clean, room none, which the design does not ask for"):
        audit_stimuli(shards, asking([1000]))
    with pytest.raises(InputError, match=r"its level is 2.00 dB from the request, 24 stimuli"):
        audit_stimuli(shards, asking(peak_dbfs=-3.0))
    tampered = pd.read_parquet(shards[0])
    tampered.loc[2, "achieved_snr_db"] += 0.2
    tampered.to_parquet(tmp_path / "tampered.parquet")
    with pytest.raises(InputError, match=f"stimulus {tampered.stimulus_id[2]}: its SNR is 0.20 dB"):
        audit_stimuli([tmp_path / "tampered.parquet", shards[1]], DESIGN)
    speech = pd.read_parquet(shards[0]).query("label == 'SPEECH'")
    speech.to_parquet(tmp_path / "speech.parquet")
    with pytest.raises(InputError, match="there is no NONSPEECH stimulus"):
        audit_stimuli([tmp_path / "speech.parquet"], DESIGN)


def test_the_program_ends_with_one_line_where_a_clip_is_silent(tmp_path):
    clips = write_clips(tmp_path / "clips.parquet", [(clip_row(), np.zeros(16000, np.float32))])
    command = ["make_factorial_stimuli", clips, "--output", tmp_path / "shard.parquet", "--shard", "000", "--shards", "1"]
    settings = json.dumps(Plan(complete_config({})).stimulus_settings("factorial"))
    done = call_program(*command, "--settings", settings, "--seed", 1, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("error: stimulus rec:a@0@200ms@0dB@white: its clip is silent")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "shard.parquet").exists()


def test_real_recordings_meet_snr_and_level(real_data):
    files = sorted((real_data / "ESC-50" / "audio").glob("*.wav"))[::20] + sorted((real_data / "voxconverse" / "audio").glob("*.wav"))[::10]
    made = 0
    for path in files:
        samples = read_mono(path, 0, 1)
        if peak_dbfs(samples) > -60:
            rows, _ = make(samples, clip=clip_row(f"{path.stem}@0"))
            made += len(rows)
            assert (rows.achieved_snr_db - rows.snr_db).abs().max() <= 0.1
    assert made


def noisy_clip(seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(SAMPLE_RATE)).astype(np.float32)


def segments(rows: pd.DataFrame, decoded: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Condition's name -> what sounds during the segment."""
    cut = [
        stimulus[(len(stimulus) - row.duration_ms * 16) // 2 :][: row.duration_ms * 16]
        for row, stimulus in zip(rows.itertuples(), decoded, strict=True)
    ]
    return {name.split("@", 2)[2]: samples.astype(np.float64) for name, samples in zip(rows.stimulus_id, cut, strict=True)}


@pytest.fixture(scope="module")
def baseline() -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """The baseline's stimuli of one clip of noise, whole band."""
    rows, decoded = make(noisy_clip(), BASELINE)
    return rows, segments(rows, decoded)


def test_the_grid_has_the_published_twenty_conditions_and_the_stratified_set_every_cell(baseline):
    rows, _ = baseline
    on_grid = rows[rows.design == "grid"]
    assert on_grid.axis.value_counts().to_dict() == {"duration": 7, "snr": 6, "band": 3, "room": 3, "reference": 1}
    assert on_grid.duration_ms[on_grid.axis == "duration"].tolist() == [20, 40, 80, 160, 500, 800, 1000]
    assert on_grid.duration_ms[on_grid.axis != "duration"].eq(1000).all()
    assert on_grid.snr_db[on_grid.axis == "snr"].tolist() == [-10, -5, 0, 5, 10, 20]
    assert on_grid[on_grid.axis != "snr"][["snr_db", "achieved_snr_db"]].isna().all(axis=None)
    assert on_grid.noise_id[on_grid.axis != "snr"].eq("none").all()
    assert on_grid.band[on_grid.axis != "band"].eq("clean").all() and on_grid.room[on_grid.axis != "room"].eq("none").all()
    cells = rows[rows.design == "factorial"][["duration_ms", "snr_db"]]
    assert len(cells) == 24 and not cells.duplicated().any()
    assert rows.axis[rows.design == "factorial"].eq("duration_x_snr").all()


def test_no_condition_is_louder_than_another(baseline):
    rows, heard = baseline
    assert [dbfs(samples) for samples in heard.values()] == pytest.approx([-34.0] * len(rows), abs=0.01)


def test_what_equals_the_reference_by_construction_differs_in_its_floor_alone(baseline):
    _, heard = baseline
    for name in ("duration@1000ms", "band@clean", "room@anechoic"):
        difference = heard[name] - heard["reference"]
        assert dbfs(difference) == pytest.approx(-77, abs=1), name


@pytest.mark.parametrize(("name", "low_hz", "high_hz"), [("band@telephone", 300, 3400), ("band@am_radio", 100, 5000)])
def test_a_limited_band_is_silent_outside_and_untouched_inside(baseline, name, low_hz, high_hz):
    _, heard = baseline
    limited, whole = (np.abs(np.fft.rfft(heard[condition])) ** 2 for condition in (name, "reference"))
    frequencies = np.fft.rfftfreq(SAMPLE_RATE, 1 / SAMPLE_RATE)
    outside = (frequencies < low_hz / 2) | (frequencies > min(1.5 * high_hz, 7600))
    inside = (frequencies > 1.4 * low_hz) & (frequencies < high_hz / 1.2)
    ratio_db = 10 * np.log10([limited[part].sum() / whole[part].sum() for part in (outside, inside)])
    assert ratio_db[0] - ratio_db[1] < -35
    phase = np.angle(np.sum(np.fft.rfft(heard[name])[inside] * np.conj(np.fft.rfft(heard["reference"])[inside])))
    assert abs(phase) < 0.01


def test_a_room_smears_the_sound_but_moves_no_onset_and_does_not_ring_on():
    samples = np.zeros(SAMPLE_RATE, np.float32)
    samples[4000:4400] = 0.5 * np.random.default_rng(1).standard_normal(400)
    rows, decoded = make(samples, BASELINE)
    heard = segments(rows, decoded)
    for name in ("room@anechoic", "room@small_room", "room@large_hall"):
        assert np.argmax(np.abs(heard[name]) > 0.1 * np.abs(heard[name]).max()) == pytest.approx(4000, abs=8), name
    tail = {name: dbfs(heard[name][8000:12000]) for name in ("room@anechoic", "room@small_room", "room@large_hall")}
    assert tail["room@anechoic"] < -75
    assert tail["room@large_hall"] > tail["room@small_room"] + 6 > tail["room@anechoic"] + 12
    window = decoded[list(heard).index("room@large_hall")]
    assert dbfs(window[17600:]) < -75


def test_the_segment_of_a_duration_is_the_same_whatever_the_band_room_and_noise():
    rows, _ = make(burst(), BASELINE)
    assert rows.groupby("duration_ms").segment_start_s.nunique().eq(1).all()


def clip_table(sources: dict[str, int]) -> pd.DataFrame:
    """Source -> number of its clips; sources whose name begins with "s" speak."""
    rows = [clip_row(f"{source}@{k}", "SPEECH" if source.startswith("s") else "NONSPEECH") for source, count in sources.items() for k in range(count)]
    return pd.DataFrame(rows).reset_index(drop=True)


@given(st.dictionaries(st.from_regex(r"[sn][a-z]{1,4}", fullmatch=True), st.integers(1, 4), min_size=2), st.integers(1, 6), st.integers(0, 99))
def test_clips_are_drawn_one_per_source_before_a_second_of_any_and_whatever_their_order(sources, count, seed):
    clips = clip_table(sources)
    counts = {"SPEECH": count, "NONSPEECH": count}
    if (clips.label.value_counts().reindex(list(counts), fill_value=0) < count).any():
        with pytest.raises(InputError, match=r"the baseline needs \d+ (NON)?SPEECH clips, its data sets have \d+;"):
            choose_clips(clips, counts, seed)
        return
    chosen = choose_clips(clips, counts, seed)
    assert sorted(choose_clips(clips.sample(frac=1, random_state=1), counts, seed)) == sorted(chosen)
    taken = clips[clips.clip_id.isin(chosen)]
    assert taken.label.value_counts().to_dict() == counts
    for label, rows in taken.groupby("label"):
        of_source = clips[clips.label == label].groupby("source_id").size()
        used = rows.groupby("source_id").size().reindex(of_source.index, fill_value=0)
        assert not ((used.max() - used > 1) & (used < of_source)).any()


def test_another_source_moves_at_most_one_clip():
    sources = {f"s{k}": 1 for k in range(20)} | {f"n{k}": 1 for k in range(20)}
    counts = {"SPEECH": 8, "NONSPEECH": 8}
    before = set(choose_clips(clip_table(sources), counts, 1))
    for newcomer in range(20):
        after = set(choose_clips(clip_table(sources | {f"snew{newcomer}": 1}), counts, 1))
        assert len(before - after) <= 1


def test_the_audit_of_the_baseline_counts_conditions_without_noise(tmp_path):
    clips = write_clips(
        tmp_path / "clips.parquet", [(clip_row(f"{label}@0", label), noisy_clip(k)) for k, label in enumerate(("SPEECH", "NONSPEECH"))]
    )
    assert write(clips, tmp_path / "shard.parquet", BASELINE) == 2 * 44
    index = audit_stimuli([tmp_path / "shard.parquet"], BASELINE)
    summary = summarise_stimuli(index, {BASELINE.window.level.normalisation: BASELINE.window.level.level_dbfs})
    assert index.stimulus_id.nunique() == 88 and len(summary) == 88
    assert summary.max_abs_snr_error_db.isna().sum() == 2 * 14
    assert summary.max_abs_snr_error_db.max() <= 0.1
    fewer = baseline_design(baseline_settings() | {"rooms": ["anechoic"]})
    with pytest.raises(InputError, match="stimuli at 1000 ms, no noise, band clean, room large_hall, which the design does not ask for"):
        audit_stimuli([tmp_path / "shard.parquet"], fewer)


def noise_folder(folder: Path, count: int) -> Path:
    folder.mkdir()
    for k in range(count):
        samples = 0.1 * np.random.default_rng(k).standard_normal(3 * 22_050)
        soundfile.write(folder / f"street{k}.wav", samples, 22_050)
    return folder


def test_noises_can_be_listed_in_a_table(tmp_path):
    folder = noise_folder(tmp_path / "noises", 4)
    table = tmp_path / "mine.csv"
    table.write_text("path;label\nnoises/street1.wav;street\n noises/street3.wav;street\n")
    rows, _ = make(noisy_clip(), asking([20, 1000], [-10.0, 0.0, 10.0], noise="recorded", noise_recordings=str(table)))
    assert set(rows.noise_id) == {"recorded:noises/street1.wav", "recorded:noises/street3.wav"}
    (folder / "street3.wav").unlink()
    with pytest.raises(InputError, match=r"mine\.csv:3: no file .*street3\.wav; correct the path"):
        make(noisy_clip(), asking(noise="recorded", noise_recordings=str(table)))


@pytest.mark.parametrize(("noise", "files"), [("recorded", 1), ("babble", 6)])
def test_recorded_noise_meets_the_snr_and_names_the_files_it_came_from(tmp_path, noise, files):
    folder = noise_folder(tmp_path / "noises", 8)
    design = asking([20, 1000], [-10.0, 10.0], noise=noise, noise_recordings=str(folder), normalisation="rms", rms_dbfs=-34.0)
    rows, decoded = make(noisy_clip(), design)
    assert (rows.achieved_snr_db - rows.snr_db).abs().max() <= 0.1
    for noise_id in rows.noise_id:
        kind, _, names = noise_id.partition(":")
        assert kind == noise
        assert len(set(names.split("//"))) == files
        assert all((folder / name).is_file() for name in names.split("//"))
    again, decoded_again = make(noisy_clip(), design)
    assert again.noise_id.tolist() == rows.noise_id.tolist()
    assert all(np.array_equal(one, other) for one, other in zip(decoded, decoded_again, strict=True))


def test_recorded_noise_that_cannot_be_had_is_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"no data set has the role noise, but noise is recorded"):
        make(noisy_clip(), asking(noise="recorded"))
    with pytest.raises(InputError, match=r"role noise: no folder .*nowhere"):
        make(noisy_clip(), asking(noise="recorded", noise_recordings=str(tmp_path / "nowhere")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty holds no \*\.wav"):
        make(noisy_clip(), asking(noise="babble", noise_recordings=str(tmp_path / "empty")))
    with pytest.raises(InputError, match="holds 5 recordings; babble needs at least 6"):
        make(noisy_clip(), asking(noise="babble", noise_recordings=str(noise_folder(tmp_path / "five", 5))))
    soundfile.write(tmp_path / "empty" / "short.wav", np.ones(1000), SAMPLE_RATE)
    with pytest.raises(InputError, match=r"short\.wav: lasts 0\.06 s, shorter than a noise of 0\.2 s"):
        make(noisy_clip(), asking(noise="recorded", noise_recordings=str(tmp_path / "empty")))
    soundfile.write(tmp_path / "empty" / "short.wav", np.zeros(32000), SAMPLE_RATE)
    with pytest.raises(InputError, match=r"short\.wav is silent for 0\.2 s"):
        make(noisy_clip(), asking(noise="recorded", noise_recordings=str(tmp_path / "empty")))


def test_a_click_keeps_the_snr_of_its_active_part():
    """A quarter of a second of noise in a second of silence: the pause does not make the noise softer."""
    samples = np.zeros(SAMPLE_RATE, np.float32)
    samples[:4000] = noisy_clip()[:4000]
    rows, decoded = make(samples, asking([1000], [0.0]))
    during = decoded[0][1600:17600].astype(np.float64)
    speech_and_noise, noise = mean_square(during[200:3800]), mean_square(during[8000:15800])
    # Active are the 250 ms and the 200 ms after them.
    assert 10 * np.log10((speech_and_noise - noise) / noise) == pytest.approx(10 * np.log10(450 / 250), abs=0.6)
    assert rows.achieved_snr_db[0] == pytest.approx(0, abs=0.1)


def test_the_factorial_set_asks_for_every_duration_at_every_snr():
    design = factorial_design(Plan(complete_config({})).stimulus_settings("factorial"))
    assert {(condition.duration_ms, condition.snr_db) for condition in design.conditions} == {
        (duration, snr) for duration in (200, 400, 600, 800, 1000) for snr in (0, 5, 10, 15, 20)
    }
    assert not {condition.name for condition in design.conditions} & {condition.name for condition in BASELINE.conditions}
