import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile
from programs import call_program
from test_assembled_base import write_language_model, write_whisper
from test_fetch_model import write_base_corpus

from earwitness.core.errors import InputError
from earwitness.model import training_stimuli
from earwitness.model.learned_recordings import learned_stretches
from earwitness.model.projector import provenance_of
from earwitness.model.training_stimuli import CLIP_S, BaseCorpus, draw_stimuli
from earwitness.tables.files import write_table
from earwitness.tables.recordings import RECORDINGS, SEGMENTS


def tables(root, dataset, names, **changes):
    """A data set of loud tones, each of 3 s and a source of its own: its recordings and their stretches."""
    recordings, segments = [], []
    for place, name in enumerate(names):
        label, path = ("SPEECH", "NONSPEECH")[place % 2], root / f"{dataset}-{name}.wav"
        soundfile.write(path, 0.5 * np.sin(2 * np.pi * 1000 * np.arange(48_000) / 16_000), 16_000)
        who = {"recording_id": f"{dataset}:{name}", "source_id": f"{dataset}:{name}", "label": label}
        about = {"dataset": dataset, "path": str(path), "sha256": f"{len(dataset)}{place}" * 32, "sample_rate": 16_000, "duration_s": 3.0}
        recordings.append(who | about | {"category": "tone", "licence": "own", "original": "", "session": ""} | changes)
        segments.append(who | {"start_s": 0.0, "end_s": 3.0})
    return pd.DataFrame(recordings)[list(RECORDINGS.columns)], pd.DataFrame(segments)[list(SEGMENTS.columns)]


@pytest.mark.parametrize("change", [{"source_id": "studied:a"}, {"sha256": "70" * 32}, {"session": "monday"}, {"original": "tape"}])
def test_what_the_study_hears_too_is_not_learned_from(tmp_path, change):
    learned, segments = tables(tmp_path, "learned_", "xy")
    studied, _ = tables(tmp_path, "studied", "abc")
    assert len(learned_stretches(learned, segments, studied, CLIP_S)) == 2
    [(column, value)] = change.items()
    studied.loc[0, column] = learned.loc[0, column] = value
    with pytest.raises(InputError, match=r"^learned_: role is projector, but the study has the same source: .* \(1 in all\)"):
        learned_stretches(learned, segments, studied, CLIP_S)


def test_stretches_shorter_than_a_clip_are_left_out(tmp_path):
    learned, segments = tables(tmp_path, "learned_", "xy")
    studied, _ = tables(tmp_path, "studied", "ab")
    segments.loc[0, "end_s"] = 0.9
    assert learned_stretches(learned, segments, studied, CLIP_S).source_id.tolist() == ["learned_:y"]
    with pytest.raises(InputError, match="no stretch of it lasts 4 s"):
        learned_stretches(learned, segments, studied, 4.0)


def test_half_of_the_stimuli_of_a_class_are_cut_from_its_recordings(tmp_path, monkeypatch):
    write_base_corpus(tmp_path)
    learned, segments = tables(tmp_path, "learned_", "x")
    studied, _ = tables(tmp_path, "studied", "ab")
    bare = BaseCorpus(tmp_path / "voxconverse", tmp_path / "esc50", 1000)
    given = replace(bare, recorded=learned_stretches(learned, segments, studied, CLIP_S))
    cut, read = [], training_stimuli._of_recording
    monkeypatch.setattr(training_stimuli, "_of_recording", lambda *about: cut.append(read(*about)) or cut[-1])
    without, with_it = (list(draw_stimuli(corpus, 160, 1, "test")) for corpus in (bare, given))
    assert 25 <= len(cut) <= 55  # of 80
    assert all(np.abs(np.fft.rfft(tone)).argmax() == round(1000 * len(tone) / 16_000) for tone in cut)
    sounds = [(one.waveform, other.waveform) for one, other in zip(without, with_it, strict=True) if not one.is_speech]
    assert all(np.array_equal(one, other) for one, other in sounds)


@pytest.mark.slow
def test_a_projector_says_how_many_sources_it_heard_and_learns_otherwise(tmp_path):
    write_base_corpus(tmp_path)
    write_whisper(tmp_path / "encoder")
    write_language_model(tmp_path / "language_model", "llama")
    for name, (recordings, segments) in {"l": tables(tmp_path, "learned_", "xy"), "s": tables(tmp_path, "studied", "ab")}.items():
        write_table(tmp_path / f"{name}.parquet", recordings, RECORDINGS)
        write_table(tmp_path / f"{name}_segments.parquet", segments, SEGMENTS)
    halves = ["--encoder", tmp_path / "encoder", "--language-model", tmp_path / "language_model"]
    settings = json.dumps({"steps": 1, "batch_size": 2, "pool": 8, "learning_rate": 0.01, "rank": 0})
    options = ["--history", tmp_path / "history.csv", "--settings", settings, "--window-ms", 1000, "--seed", 1, "--threads", 1]
    recorded = ["--recordings", tmp_path / "l.parquet", "--segments", tmp_path / "l_segments.parquet", "--studied", tmp_path / "s.parquet"]
    made = []
    for name, further in (("bare", []), ("given", recorded)):
        path = tmp_path / f"{name}.safetensors"
        done = call_program("train_projector", tmp_path / "voxconverse", tmp_path / "esc50", path, *halves, *options, *further, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        made.append(provenance_of(path))
    assert [one.get("recorded_sources") for one in made] == [None, "2"]
    assert made[0]["corpus"] != made[1]["corpus"]
