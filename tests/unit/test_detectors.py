import numpy as np
import pandas as pd
import pytest
from programs import call_program

from earwitness.audio.io import SAMPLE_RATE, encode_flac, read_mono
from earwitness.core.errors import InputError
from earwitness.core.files import atomic
from earwitness.core.randomness import stream
from earwitness.detectors.classic import DETECTORS, WEBRTC_LEVELS_DBFS, detect, webrtc
from earwitness.systems import System
from earwitness.tables.audio import AudioTableWriter
from earwitness.tables.files import read_table, validate, write_table
from earwitness.tables.predictions import PREDICTIONS, by_system
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


def in_window(segment):
    """The segment, at a peak of -1 dBFS, in the middle of 1.2 s of very low noise."""
    window = stream(0, "floor", len(segment)).normal(0, 1e-4, round(1.2 * SAMPLE_RATE))
    start = (len(window) - len(segment)) // 2
    window[start : start + len(segment)] += 0.89 * segment / np.abs(segment).max()
    return window.astype(np.float32)


def syllables(rng, n):
    """A harmonic tone of speech-like pitch that swells and fades a few times a second."""
    t = np.arange(n) / SAMPLE_RATE
    pitch = rng.uniform(90, 220)
    tone = sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 12))
    return tone * (1.02 + np.sin(2 * np.pi * rng.uniform(4, 6) * t)) ** 2


def stationary(rng, n):
    return rng.normal(0, 1, n)


def installed(name):
    try:
        DETECTORS[name]()
    except InputError as error:
        return str(error)
    return ""


INSTALLED = [pytest.param(name, marks=pytest.mark.skipif(bool(why := installed(name)), reason=why or "installed")) for name in sorted(DETECTORS)]


def make_shards(folder, sources=8, batches=2):
    """Two shards of swelling tones (SPEECH) and steady noise (NONSPEECH), and a split with a quarter of the sources in dev."""
    parts, paths = [], []
    for shard in range(batches):
        rows, flac = [], []
        for number in range(shard, sources, batches):
            for label, make in (("SPEECH", syllables), ("NONSPEECH", stationary)):
                for duration in (400, 1000):
                    name = f"{label.lower()}{number}-{duration}"
                    flac.append(encode_flac(in_window(make(stream(1, name), round(duration * SAMPLE_RATE / 1000)))))
                    rows.append((name, f"{label}{number}", label, duration))
                    parts.append((name, f"{label}{number}", label, "dev" if number < sources // 4 else "test"))
        table = pd.DataFrame(rows, columns=["stimulus_id", "source_id", "label", "duration_ms"]).assign(
            clip_id=lambda x: x.source_id,
            recording_id=lambda x: x.source_id,
            category="made",
            noise_id="noise",
            design="factorial",
            axis="duration_x_snr",
            snr_db=20.0,
            band="full",
            room="none",
            normalisation="peak",
            achieved_snr_db=20.0,
            achieved_level_dbfs=-1.0,
            segment_start_s=0.0,
            segment_end_s=1.0,
        )
        for column in set(STIMULI.columns) - set(table):
            pytest.fail(f"the tables of stimuli have a new column, {column}: add it here")
        path = folder / f"shard-{shard:03d}.parquet"
        with atomic(path) as temporary, AudioTableWriter(temporary, STIMULI) as writer:
            writer.write(table, flac, [f"{name}.flac" for name in table.stimulus_id])
        paths.append(path)
    split = pd.DataFrame(parts, columns=["stimulus_id", "source_id", "label", "part"]).assign(clip_id=lambda x: x.source_id)
    return paths, validate(split, SPLIT)


@pytest.mark.parametrize("name", INSTALLED)
def test_every_stimulus_gets_one_answer_that_agrees_with_its_log_odds(name, tmp_path):
    shards, split = make_shards(tmp_path)
    table = validate(detect(name, shards, split, shards)[0], PREDICTIONS)
    assert sorted(table.stimulus_id) == sorted(split.stimulus_id)
    assert [system for system, _ in by_system(table)] == [System("detector", name)]
    assert ((table.log_odds >= 0) == (table.answer == "SPEECH")).all()
    assert table.log_odds.abs().max() <= 15
    assert table[["seed", "coverage", "letter_bias", "n_audio_tokens"]].isna().all(axis=None)


@pytest.mark.parametrize("name", INSTALLED)
def test_answers_do_not_depend_on_the_run_or_on_how_stimuli_are_sharded(name, tmp_path):
    shards, split = make_shards(tmp_path)
    first, second = (detect(name, order, split, order)[0].set_index("stimulus_id").sort_index() for order in (shards, shards[::-1]))
    np.testing.assert_allclose(first.log_odds, second.log_odds, atol=1e-4)
    pd.testing.assert_frame_equal(detect(name, shards, split, shards)[0], detect(name, shards, split, shards)[0])


def test_the_energy_detector_hears_swelling_against_steady_sound_on_sources_it_was_not_tuned_on(tmp_path):
    shards, split = make_shards(tmp_path)
    table = detect("energy", shards, split, shards)[0].merge(split, on="stimulus_id")
    test = table[table.part == "test"]
    assert (test.answer == test.label).mean() > 0.9


@pytest.mark.parametrize("name", ["energy", "webrtc"])
def test_labels_of_test_sources_are_never_used_to_tune(name, tmp_path):
    shards, split = make_shards(tmp_path)
    before = detect(name, shards, split, shards)[0]
    swapped = {"SPEECH": "NONSPEECH", "NONSPEECH": "SPEECH"}
    for shard in shards:
        rows = pd.read_parquet(shard)
        test = rows.stimulus_id.isin(split.loc[split.part == "test", "stimulus_id"])
        rows.loc[test, "label"] = rows.label[test].map(swapped)
        audio = [content["bytes"] for content in rows.audio]
        with AudioTableWriter(shard, STIMULI) as writer:
            writer.write(rows.drop(columns="audio"), audio, list(rows.stimulus_id))
    pd.testing.assert_frame_equal(detect(name, shards, split, shards)[0], before)


@pytest.mark.parametrize("name", INSTALLED)
def test_another_set_of_stimuli_is_answered_as_tuned_on_the_study(name, tmp_path):
    shards, split = make_shards(tmp_path)
    together = detect(name, shards, split, shards)[0].set_index("stimulus_id").log_odds
    only_first = split[split.stimulus_id.isin(pd.read_parquet(shards[0], columns=["stimulus_id"]).stimulus_id)]
    elsewhere = detect(name, shards[1:], split, shards)[0].set_index("stimulus_id").log_odds
    assert not set(elsewhere.index) & set(only_first.stimulus_id)
    np.testing.assert_allclose(elsewhere, together[elsewhere.index], atol=1e-4)


def test_the_study_is_not_heard_where_nothing_is_tuned(tmp_path):
    shards, split = make_shards(tmp_path)
    [answers, fitted, used] = detect("silero", shards[1:], split, [tmp_path / "none.parquet"])
    assert (len(answers), fitted, len(used)) == (len(pd.read_parquet(shards[1], columns=["stimulus_id"])), {}, 0)


@pytest.mark.parametrize("name", ["energy", "webrtc"])
def test_one_class_in_development_is_refused(name, tmp_path):
    shards, split = make_shards(tmp_path)
    split.loc[split.label == "SPEECH", "part"] = "test"
    with pytest.raises(InputError, match="does not hold both classes"):
        detect(name, shards, split, shards)


@pytest.mark.parametrize("name", INSTALLED)
def test_silence_and_very_short_sounds_get_an_answer(name):
    features = DETECTORS[name]().measure([np.zeros(19200, np.float32), in_window(np.ones(320)), np.zeros(320, np.float32)])
    assert np.isfinite(features).all()


def test_silero_hears_a_stimulus_alone_as_it_does_in_a_batch():
    waveforms = [in_window(syllables(stream(2, k), 8000)) for k in range(3)] + [in_window(syllables(stream(2, "long"), 16000))[:-700]]
    measure = DETECTORS["silero"]().measure
    np.testing.assert_allclose(measure(waveforms), np.concatenate([measure([waveform]) for waveform in waveforms]), atol=1e-4)


def test_the_program_writes_the_table_or_one_line(tmp_path):
    shards, split = make_shards(tmp_path)
    write_table(tmp_path / "grouped.csv", split, SPLIT)
    command = [*shards, "--study", *shards, "--split", tmp_path / "grouped.csv"]
    command += ["--detector", "energy", "--output", tmp_path / "out.parquet", "--tuning", tmp_path / "out.tuning.json"]
    done = call_program("detect_reference", *command, folder=tmp_path)
    assert len(read_table(tmp_path / "out.parquet", PREDICTIONS)) == len(split)
    assert "ms each" in done.stderr
    (tmp_path / "out.parquet").unlink()
    write_table(tmp_path / "grouped.csv", split.assign(part="train"), SPLIT)
    failed = call_program("detect_reference", *command, folder=tmp_path)
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("error: the development part")
    assert not (tmp_path / "out.parquet").exists()


def loudest_second(samples):
    energy = np.convolve(np.square(samples), np.ones(SAMPLE_RATE), "valid")
    start = int(energy.argmax())
    return samples[start : start + SAMPLE_RATE]


def test_silero_tells_real_speech_from_rain(real_data):
    speech = [loudest_second(read_mono(path, 0, 20)) for path in sorted((real_data / "voxconverse" / "audio").glob("*.wav"))[:8]]
    catalogue = pd.read_csv(real_data / "ESC-50" / "meta" / "esc50.csv")
    rain = [loudest_second(read_mono(real_data / "ESC-50" / "audio" / name)) for name in catalogue.filename[catalogue.category == "rain"]]
    if not speech or not rain:
        pytest.skip("the real recordings hold no speech or no rain")
    measure = DETECTORS["silero"]().measure
    assert np.mean(measure([in_window(x) for x in speech]) > 0) >= 0.75
    assert np.mean(measure([in_window(x) for x in rain]) > 0) <= 0.25


def test_the_level_that_tells_the_classes_apart_is_the_one_that_is_recorded():
    """Of four presentation levels only the third separates: it is chosen, and the record names it."""
    speech = np.arange(40) % 2 == 0
    shares = np.full((40, 4), 0.5)
    shares[:, 2] = np.where(speech, 0.9, 0.1)
    log_odds, fitted = webrtc().decide(shares, np.ones(40, bool), speech)
    assert fitted["level_dbfs"] == WEBRTC_LEVELS_DBFS[2] == -38.0
    assert ((log_odds > 0) == speech).all()
