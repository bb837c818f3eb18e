"""Clips to listen to: which, with whose answers, and their own audio."""

import base64

import numpy as np
import pandas as pd
import pytest

from earwitness.audio.io import decode_flac, encode_flac
from earwitness.report.listening import choose_clips, listening_matrices
from earwitness.systems import System
from earwitness.tables.audio import AudioTableWriter
from earwitness.tables.predictions import answered_by
from earwitness.tables.stimuli import STIMULI

DURATIONS, SNRS = (20, 40, 200, 400, 600, 1000), (-5.0, 0.0, 20.0)


def index(clips: int = 3) -> pd.DataFrame:
    rows = [
        (f"{label}{clip}-{duration}-{snr:g}", f"{label}{clip}", f"source {label}{clip}", label, duration, snr)
        for label in ("SPEECH", "NONSPEECH")
        for clip in range(clips)
        for duration in DURATIONS
        for snr in SNRS
    ]
    return pd.DataFrame(rows, columns=["stimulus_id", "clip_id", "source_id", "label", "duration_ms", "snr_db"])


def predictions(rows: pd.DataFrame) -> pd.DataFrame:
    """The base is right about clip k in k of every 3 conditions and says log-odds of 2 nats; two seeds say 1 and 3 nats of speech; silero 0."""
    clip = rows.clip_id.str[-1].astype(int)
    right = (rows.groupby("clip_id").cumcount() % 3) < clip
    sign = np.where((rows.label == "SPEECH") == right, 1.0, -1.0)
    given = {
        System.parse("base"): 2 * sign,
        System.parse("attention-grouped-seed-1"): np.full(len(rows), 1.0),
        System.parse("attention-grouped-seed-2"): np.full(len(rows), 3.0),
        System.parse("silero"): np.zeros(len(rows)),
    }
    tables = [
        answered_by(pd.DataFrame({"stimulus_id": rows.stimulus_id, "prompt_id": "-", "log_odds": values}), system) for system, values in given.items()
    ]
    return pd.concat(tables, ignore_index=True)


@pytest.fixture
def shards(tmp_path):
    rows = index().assign(recording_id="r", category="speech", noise_id="n", design="factorial", axis="duration_ms", band="full", room="none")
    rows = rows.assign(normalisation="peak", achieved_snr_db=rows.snr_db, achieved_level_dbfs=-20.0, segment_start_s=0.0, segment_end_s=1.0)
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path, part in zip(paths, (rows[::2], rows[1::2]), strict=True):
        with AudioTableWriter(path, STIMULI) as writer:
            writer.write(part, [encode_flac(np.zeros(100 + number, np.float32)) for number in part.index], list(part.stimulus_id))
    return paths


def test_a_matrix_holds_one_clip_at_the_ends_and_between_with_its_own_audio(shards):
    rows = index()
    speech, other = listening_matrices(shards, predictions(rows), 2)
    assert (speech.label, other.label) == ("SPEECH", "NONSPEECH")
    assert speech.durations_ms == (20, 200, 400, 1000) and speech.snrs_db == (20.0, 0.0, -5.0)
    numbers = dict(zip(rows.stimulus_id, rows.index, strict=True))
    for snr, line in zip(speech.snrs_db, speech.cells, strict=True):
        for duration, cell in zip(speech.durations_ms, line, strict=True):
            assert cell.stimulus_id.endswith(f"-{duration}-{snr:g}")
            assert len(decode_flac(base64.b64decode(cell.flac))) == 100 + numbers[cell.stimulus_id]
    assert len({cell.stimulus_id.split("-")[0] for matrix in (speech, other) for line in matrix.cells for cell in line}) == 2
    assert listening_matrices(shards, predictions(rows), 0) == []


def test_answers_are_probabilities_with_what_is_wrong_marked(shards):
    _, other = listening_matrices(shards, predictions(index()), 2)
    base, adapter, silero = other.cells[0][0].answers
    assert [str(answer.system) for answer in (base, adapter, silero)] == ["base", "attention-grouped", "silero"]
    assert adapter.probability == pytest.approx(0.8808, abs=1e-4) and not adapter.right, "the mean of 1 and 3 nats"
    assert silero.probability == 0.5 and not silero.right, "a detector says speech at its boundary"
    assert base.probability in (pytest.approx(0.1192, abs=1e-4), pytest.approx(0.8808, abs=1e-4))


def test_of_each_class_the_clip_that_is_as_hard_as_the_middle_one_is_chosen_whatever_the_order_of_rows():
    rows = index()
    answers = pd.DataFrame({"stimulus_id": rows.stimulus_id, "log_odds": predictions(rows).log_odds[: len(rows)], "system_id": "base"})
    chosen = choose_clips(rows, answers, 3)
    assert chosen[:2] == ["SPEECH1", "NONSPEECH1"] and len(chosen) == 3
    assert choose_clips(rows.sample(frac=1, random_state=0), answers.sample(frac=1, random_state=1), 3) == chosen


def test_a_stimulus_that_a_system_did_not_answer_is_not_shown(shards):
    rows = index()
    few = predictions(rows)
    few = few[(few.name != "silero") | few.stimulus_id.str.startswith(("SPEECH2", "NONSPEECH0"))]
    names = {cell.stimulus_id.split("-")[0] for matrix in listening_matrices(shards, few, 4) for line in matrix.cells for cell in line}
    assert names == {"SPEECH2", "NONSPEECH0"}
