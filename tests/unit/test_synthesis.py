"""The embedded corpora: they differ in kind, the annotation is true, and the same seed gives the same bytes."""

import hashlib
import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from earwitness.core.errors import InputError
from earwitness.core.files import MADE
from earwitness.corpora.catalogue import catalogue
from earwitness.corpora.data_sets import DataSet
from earwitness.corpora.file_checks import Limits
from earwitness.corpora.rttm import Turn
from earwitness.corpora.synthesis import corpus, fsd50k, rooms, sounds, voices
from earwitness.corpora.vocabularies import FSD50K_HUMAN_VOICE

SEED = 7
SCRIPT = Path(__file__).parents[2] / "workflow_scripts" / "make_embedded_corpus.py"
HUMAN = {"crying_baby", "sneezing", "clapping", "breathing", "coughing", "laughing", "brushing_teeth", "snoring", "drinking_sipping"}


def digests(*folders: Path) -> dict[str, str]:
    """Digest of every file below some folders."""
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    return {f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def make(folder: Path, speakers: int, sources: int, threads: int) -> dict[str, str]:
    """Run the program as the workflow does; digests of what it wrote."""
    settings = {"speakers": speakers, "sounds": sources}
    command = [sys.executable, str(SCRIPT), str(folder / "voxconverse"), str(folder / "esc50"), "--corpus", "study"]
    subprocess.run([*command, "--settings", json.dumps(settings), "--seed", str(SEED), "--threads", str(threads)], check=True, capture_output=True)
    return digests(folder / "voxconverse", folder / "esc50")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    make(folder, speakers=3, sources=3, threads=2)
    return folder


@pytest.fixture(scope="module")
def dialogue() -> tuple[np.ndarray, list[Turn]]:
    """The first recording of two speakers."""
    for index in range(20):
        samples, turns = corpus.synthesise_recording("study", index, SEED)
        if len({turn.speaker for turn in turns}) == 2:
            return samples, turns
    raise AssertionError("no dialogue among 20 recordings")


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(corpus.CORPORA, 2)))
def test_the_corpora_share_no_language_and_no_variant(one: str, other: str):
    left, right = (pd.DataFrame([voices.speaker(name, index, SEED) for index in range(200)]) for name in (one, other))
    for column in ("language", "variant"):
        assert not set(left[column]) & set(right[column])
    # en-us and en-gb would be one language.
    assert not {name.split("-")[0] for name in left.language} & {name.split("-")[0] for name in right.language}


def test_the_base_shares_no_category_with_the_others_and_none_is_human():
    categories = {name: {corpus.sound_source(name, index, SEED).category for index in range(100)} for name in corpus.CORPORA}
    assert not categories["base"] & (categories["study"] | categories["baseline"])
    for found in categories.values():
        assert len(found) >= 15
        assert not found & HUMAN


def test_sounds_of_one_kind_are_other_sounds_in_other_corpora():
    kinds = [{corpus.sound_source(name, index, SEED).category: index for index in range(20)} for name in ("study", "baseline")]
    category = "siren"
    takes = [corpus.synthesise_sound(name, indices[category], SEED)[0] for name, indices in zip(("study", "baseline"), kinds, strict=True)]
    spectra = [np.abs(np.fft.rfft(take)) for take in takes]
    assert np.corrcoef(*spectra)[0, 1] < 0.5


@pytest.mark.parametrize("quantity", ["rt60_s", "side_m", "highpass_hz", "lowpass_hz", "background_slope_db"])
def test_the_corpora_share_no_room_or_channel(quantity: str):
    ranges = sorted(getattr(rooms.ACOUSTICS[name], quantity) for name in corpus.CORPORA)
    for (low, high), (next_low, next_high) in itertools.pairwise(ranges):
        assert low < high <= next_low < next_high


def test_every_speaker_and_every_partner_is_another_voice():
    for name in corpus.CORPORA:
        who = [voices.speaker(name, index, SEED) for index in range(2 * corpus.MOST_SPEAKERS)]
        assert len({(speaker.language, speaker.variant) for speaker in who}) == len(who)
        assert len({speaker.pitch for speaker in who[:24]}) > 10


@pytest.mark.parametrize("name", corpus.CORPORA)
def test_every_voice_speaks(name: str):
    for index in range(max(len(voices.LANGUAGES[name]), len(voices.VARIANTS[name]))):
        who = voices.speaker(name, index, SEED)
        (samples,) = voices.speak(who, voices.pseudo_sentences(who, 1, SEED), SEED)
        stretches = voices.active_stretches(samples, voices.RATE)
        assert 0.5 < sum(end - start for start, end in stretches) < 8, who


@pytest.mark.parametrize("name", corpus.CORPORA)
def test_a_voice_does_not_depend_on_what_was_said_before(name: str):
    """Every variant once; some breathe, and their breath is drawn."""
    for index in range(len(voices.VARIANTS[name])):
        who = voices.speaker(name, index, SEED)
        text = voices.pseudo_sentences(who, 1, SEED)
        first, again = voices.speak(who, text, SEED), voices.speak(who, text, SEED)
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True)), who


def test_same_seed_same_bytes_whatever_the_threads_and_the_number(made: Path, tmp_path: Path):
    more = digests(made / "voxconverse", made / "esc50")
    fewer = make(tmp_path, speakers=2, sources=2, threads=1)
    lists = {"meta/esc50.csv", *(f"{layout}/{MADE}" for layout in ("voxconverse", "esc50"))}
    assert {name: more[name] for name in fewer if name not in lists} == {name: digest for name, digest in fewer.items() if name not in lists}
    assert len(fewer) > len(lists)


def test_the_folders_are_in_the_layouts_that_the_readers_expect(made: Path):
    rows = pd.read_csv(made / "esc50" / "meta" / "esc50.csv")
    assert list(rows.columns) == ["filename", "fold", "target", "category", "esc10", "src_file", "take"]
    assert set(rows.filename) == {path.name for path in (made / "esc50" / "audio").iterdir()}
    assert rows.src_file.nunique() == 3
    for path in (made / "esc50" / "audio").iterdir():
        info = soundfile.info(path)
        assert (info.samplerate, info.duration, info.subtype) == (44_100, 5.0, "PCM_16")
    for path in (made / "voxconverse" / "audio").iterdir():
        info = soundfile.info(path)
        assert (info.samplerate, info.subtype) == (16_000, "PCM_16")
        assert 7 < info.duration < 16
        for line in (made / "voxconverse" / "rttm" / f"{path.stem}.rttm").read_text().splitlines():
            fields = line.split()
            assert (fields[0], fields[1], len(fields)) == ("SPEAKER", path.stem, 10)
            assert 0 <= float(fields[3]) < float(fields[3]) + float(fields[4]) <= info.duration


@pytest.mark.parametrize(("dataset", "sources"), [("voxconverse", 3), ("esc50", 3)])
def test_the_readers_of_the_real_data_sets_find_every_source_usable(made: Path, dataset: str, sources: int):
    limits = Limits(min_duration_s=0.3, max_clipped_fraction=0.01, max_dc_offset=0.05, silence_dbfs=-60)
    found = catalogue(DataSet(dataset, made / dataset, "embedded", dataset), limits, strict=True)
    assert set(found.check.verdict) == {"ok"}
    assert found.recordings.source_id.nunique() == sources


def test_no_file_clips_and_none_is_silent(made: Path):
    for path in [*(made / "esc50" / "audio").iterdir(), *(made / "voxconverse" / "audio").iterdir()]:
        samples = soundfile.read(path)[0]
        assert np.abs(samples).max() < 10 ** (-1 / 20)
        assert np.sqrt(np.mean(samples**2)) > 10 ** (-50 / 20)


def test_two_speakers_overlap_and_the_annotation_says_where(dialogue: tuple[np.ndarray, list[Turn]]):
    samples, turns = dialogue
    frames = np.zeros((2, len(samples) // 160), dtype=bool)
    for turn in turns:
        frames[int(turn.speaker[-2:]), round(turn.start_s * 100) : round(turn.end_s * 100)] = True
    assert frames.all(axis=0).mean() > 0.01
    assert (frames.sum(axis=0) == 1).mean() > 0.4
    # Where someone is annotated it is loud; the pauses hold reverberation and background only.
    power = np.square(samples[: frames.shape[1] * 160]).reshape(-1, 160).mean(axis=1)
    assert np.median(power[frames.any(axis=0)]) > 10 * np.median(power[~frames.any(axis=0)])


@given(st.lists(st.tuples(st.floats(0.15, 1.0), st.floats(0.3, 1.0)), min_size=1, max_size=4))
def test_active_stretches_finds_bursts_and_leaves_out_long_pauses(plan: list[tuple[float, float]]):
    rate, parts, wanted, now = 16_000, [], [], 0.0
    for burst_s, pause_s in plan:
        burst, pause = round(burst_s, 2), round(pause_s, 2)
        parts += [np.sin(np.arange(round(burst * rate))), np.zeros(round(pause * rate))]
        wanted.append((now, now + burst))
        now += burst + pause
    found = voices.active_stretches(np.concatenate(parts), rate)
    assert len(found) == len(wanted)
    assert np.allclose(found, wanted, atol=0.011)


def test_short_gaps_are_bridged():
    tone = np.sin(np.arange(8_000))
    assert len(voices.active_stretches(np.concatenate([tone, np.zeros(3_000), tone]), 16_000)) == 1
    assert voices.active_stretches(np.zeros(16_000), 16_000) == []


@pytest.mark.parametrize("name", corpus.CORPORA)
def test_rooms_reverberate_as_long_as_they_say(name: str):
    acoustics = rooms.ACOUSTICS[name]
    rng = np.random.default_rng(SEED)
    for _ in range(5):
        room = rooms.draw_room(acoustics, rng)
        response = rooms.impulse_response(room, 1.0, 16_000, rng)
        decay = 10 * np.log10(np.cumsum(np.square(response)[::-1])[::-1] / np.sum(np.square(response)))
        # T20: the slope from -5 to -25 dB of Schroeder's backward integral.
        first, last = np.argmax(decay < -5), np.argmax(decay < -25)
        assert 3 * (last - first) / 16_000 == pytest.approx(room.rt60_s, rel=0.35)


@pytest.mark.parametrize("category", [name for kinds in sounds.SOUNDS.values() for name in kinds])
def test_every_sound_is_finite_audible_and_its_own(category: str):
    maker = next(kinds[category] for kinds in sounds.SOUNDS.values() if category in kinds)
    length = 2 * sounds.RATE
    one, same, other = (maker(np.random.default_rng(seed), length) for seed in (1, 1, 2))
    assert one.shape == (length,)
    assert np.isfinite(one).all()
    assert np.sqrt(np.mean(one**2)) > 1e-3
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)


@pytest.fixture(scope="module")
def uploaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The baseline corpus, small, in FSD50K's layout."""
    folder = tmp_path_factory.mktemp("fsd50k")
    fsd50k.write_fsd50k(folder, 2, 6, SEED, 2)
    return folder


def test_the_reader_of_fsd50k_finds_every_source_of_the_baseline_corpus_usable(uploaded: Path):
    limits = Limits(min_duration_s=0.3, max_clipped_fraction=0.01, max_dc_offset=0.05, silence_dbfs=-60)
    found = catalogue(DataSet("fsd50k", uploaded, "embedded", "fsd50k"), limits, strict=True)
    assert set(found.check.verdict) == {"ok"}
    assert found.remarks == []
    assert found.recordings.groupby("label").source_id.nunique().to_dict() == {"SPEECH": 2, "NONSPEECH": 6}
    assert found.recordings.groupby("source_id").size().max() == 2
    assert found.recordings.sample_rate.eq(44_100).all()
    assert {Path(path).parent.name for path in found.recordings.path} == {"FSD50K.dev_audio", "FSD50K.eval_audio"}


def test_the_baseline_corpus_is_the_same_whatever_the_number_of_jobs(uploaded: Path, tmp_path: Path):
    fsd50k.write_fsd50k(tmp_path, 1, 2, SEED, 1)
    fewer, more = digests(tmp_path), digests(uploaded)
    recordings = {name for name in fewer if name.endswith(".wav")}
    assert len(recordings) >= 3
    assert {name: fewer[name] for name in recordings} == {name: more[name] for name in recordings}


def test_every_sound_of_the_baseline_has_labels_of_fsd50k_that_count_as_no_speech():
    assert set(sounds.SOUNDS["baseline"]) == set(sounds.FSD50K_LABELS)
    for labels in sounds.FSD50K_LABELS.values():
        assert not set(labels.split(",")) & FSD50K_HUMAN_VOICE


def test_too_many_speakers_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="at most 200"):
        corpus.write_corpus("study", tmp_path, tmp_path, 201, 24, SEED, 1)
    with pytest.raises(InputError, match="at most 200"):
        fsd50k.write_fsd50k(tmp_path, 201, 24, SEED, 1)
