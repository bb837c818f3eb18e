"""The adapter that is handed over is chosen on development sources, and its folder is all that a detector needs besides the base."""

import csv
import io
import json
import os
import shutil
import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from small_study import predictions, study
from transformers import Qwen2AudioForConditionalGeneration

import detect_speech as program
from earwitness.core.errors import InputError
from earwitness.core.files import write_json
from earwitness.core.randomness import stream
from earwitness.detectors.folder import Selection, adapter_config_for, detector_record, load_detector_folder, select_adapter
from earwitness.detectors.presentation import presentation_of
from earwitness.evaluation.calibration import Calibration
from earwitness.model.engine.adapters import attach_adapter
from earwitness.model.engine.loading import load_model
from earwitness.model.identity import identified, identify_model
from earwitness.systems import System

STIMULI = {
    "durations_ms": [200, 400], "snrs_db": [40], "window_ms": 600, "floor_dbfs": -80.0, "ramp_ms": 5.0, "normalisation": "peak",
    "peak_dbfs": -1.0, "rms_dbfs": -34.0, "noise": "white", "noise_recordings": None,
}  # fmt: skip
RECIPE = {"normalisation": "stimuli", "level_dbfs": -34.0}
PRESENTATION = presentation_of(STIMULI, RECIPE)
RATE = 16_000


def test_the_best_mean_on_development_sources_wins_and_hands_over_its_median_seed():
    index, splits = study(8, 3)
    dev = index.stimulus_id.isin(splits["grouped"].query("part == 'dev'").stimulus_id).to_numpy()

    def right(share):
        return lambda table: np.where(dev, np.arange(len(table)) % 12 < 12 * share, True)

    lucky = [predictions(index, "lucky-grouped", (seed,), right(share)) for seed, share in ((1, 1.0), (2, 0.5), (3, 0.25))]
    steady = [predictions(index, "steady-grouped", (seed,), right(share)) for seed, share in ((7, 0.75), (8, 0.9), (9, 0.6))]
    found = select_adapter(pd.concat(lucky + steady, ignore_index=True), index, splits["grouped"])
    assert found.system == System("adapter", "steady", "grouped", 7)
    assert found.development[System("adapter", "lucky", "grouped", 1)] == 1


def test_the_recipe_s_own_level_is_the_detector_s():
    rms = presentation_of(STIMULI, {"normalisation": "rms", "level_dbfs": -20.0})
    samples = (0.3 * np.sin(np.arange(0.2 * RATE) * 0.2)).astype(np.float32)
    segment = rms.present(samples)[round(0.2 * RATE) : round(0.4 * RATE)]
    assert 20 * np.log10(np.sqrt(np.mean(segment**2))) == pytest.approx(-20, abs=0.05)


@pytest.mark.parametrize("n_samples", [320, 6400, 6401, 20_000, 100_000])
def test_stretches_cover_a_file_and_none_is_longer_than_a_training_stimulus(n_samples):
    stretches = PRESENTATION.stretches(n_samples)
    assert stretches[0][0] == 0 and stretches[-1][1] == n_samples
    assert all(0 < end - start <= PRESENTATION.longest for start, end in stretches)
    assert all(after[0] <= before[1] for before, after in pairwise(stretches))


@pytest.fixture(scope="module")
def detector(folder, tmp_path_factory):
    """A detector's folder of an adapter with random weights for the tiny base."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("detector")
    model = attach_adapter(load_model(identified(folder)), ["q_proj", "k_proj", "v_proj", "o_proj"], "published", 4, 8, 0.0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    model.save_pretrained(str(path))
    base = identify_model(folder, "tiny", None)
    config = json.loads((path / "adapter_config.json").read_text())
    write_json(path / "adapter_config.json", adapter_config_for(config, base))
    write_json(
        path / "prompt.json",
        {"question": "Does this sound contain human speech?", "answer_format": "letters", "audio_position": "before", "template": None},
    )
    fitted_on = {"part": "dev", "split_sha256": "0" * 64, "sources": ["s"]}
    fit = {"method": "platt", "slope": 2.0, "intercept": 0.5, "temperature": 0.5, "threshold_log_odds": -0.25, "fitted_on": fitted_on}
    write_json(path / "calibration.json", fit)
    selection = Selection(System("adapter", "attention", "grouped", 1), {System("adapter", "attention", "grouped", 1): 0.9})
    write_json(path / "detector.json", detector_record(base, "none", PRESENTATION, selection))
    return path


@pytest.fixture
def sounds(tmp_path):
    rng = stream(1, "sounds")
    lengths = {"short": 0.1, "whole": 0.4, "long": 1.5}
    for name, seconds in lengths.items():
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * rng.standard_normal(int(seconds * RATE)), RATE)
    soundfile.write(tmp_path / "stereo.flac", 0.1 * rng.standard_normal((22_050 // 2, 2)), 44_100)
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    return tmp_path


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["detect_speech", *map(str, arguments)])
    program.main()
    return capsys.readouterr().out


def test_the_folder_and_the_base_are_enough_to_say_speech_or_not(detector, folder, sounds, monkeypatch, capsys):
    names = ["short.wav", "whole.wav", "long.wav", "stereo.flac", "silent.wav"]
    files = [sounds / name for name in names]
    rows = list(csv.DictReader(io.StringIO(run(monkeypatch, capsys, detector, *files, "--base", folder))))
    assert [row["file"] for row in rows] == list(map(str, files))
    assert [row["note"] for row in rows] == ["shorter than any training stimulus", "", "", "", "silent"]
    for row in rows[:4]:
        expected = Calibration(2.0, 0.5).probability(float(row["log_odds"]))
        assert float(row["probability"]) == pytest.approx(float(expected), abs=1e-5)
        assert row["answer"] == ("SPEECH" if expected >= 0.5 else "NONSPEECH")
    assert (rows[4]["answer"], rows[4]["probability"]) == ("NONSPEECH", "")

    every = json.loads(run(monkeypatch, capsys, detector, sounds / "long.wav", "--base", folder, "--stretches", "--format", "json"))
    assert len(every) == 7, "1.5 s in stretches of 0.4 s, each 0.2 s after the one before"
    assert max(row["probability"] for row in every) == pytest.approx(float(rows[2]["probability"]))
    rare = json.loads(run(monkeypatch, capsys, detector, sounds / "whole.wav", "--base", folder, "--prevalence", "0.01", "--format", "json"))
    assert rare[0]["probability"] < float(rows[1]["probability"])


def test_channels_that_cancel_are_answered_as_one_of_them_with_a_note(detector, folder, sounds, monkeypatch, capsys):
    mono = np.round(20_000 * soundfile.read(sounds / "whole.wav")[0]).astype(np.int16)
    soundfile.write(sounds / "mono.wav", mono, RATE)
    soundfile.write(sounds / "antiphase.wav", np.stack([mono, -mono], axis=1), RATE)
    rows = json.loads(run(monkeypatch, capsys, detector, sounds / "mono.wav", sounds / "antiphase.wav", "--base", folder, "--format", "json"))
    assert rows[1]["log_odds"] == pytest.approx(rows[0]["log_odds"], abs=1e-4)
    assert (rows[0]["note"], rows[1]["note"]) == ("", "channels cancel in their mean; channel 1 of 2, the loudest, is heard alone")


def test_what_comes_before_and_beside_a_clip_does_not_change_its_answer(detector, folder, sounds, monkeypatch, capsys):
    alone = json.loads(run(monkeypatch, capsys, detector, sounds / "whole.wav", "--base", folder, "--format", "json"))
    later = json.loads(run(monkeypatch, capsys, detector, sounds / "long.wav", sounds / "whole.wav", "--base", folder, "--format", "json"))
    assert later[1]["log_odds"] == pytest.approx(alone[0]["log_odds"], abs=1e-4)


def test_stock_peft_loads_the_folder(detector, folder):
    PeftModel.from_pretrained(Qwen2AudioForConditionalGeneration.from_pretrained(folder), str(detector))


def test_another_base_is_refused_in_one_line(detector, folder, sounds, tmp_path, monkeypatch, capsys):
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    weights = load_file(other / "model.safetensors")
    name = min(weights)
    save_file(weights | {name: weights[name] + 0.001}, other / "model.safetensors", {"format": "pt"})
    with pytest.raises(SystemExit, match=r"not the base that the adapter in .* was trained on; give tiny"):
        run(monkeypatch, capsys, detector, sounds / "whole.wav", "--base", other)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: (path / "prompt.json").unlink(), r"prompt\.json: no such file; run hand_over_adapter again"),
        (lambda path: (path / "calibration.json").write_text('{"method": "platt"}'), r"calibration\.json: not a file of a detector"),
        (lambda path: (path / "adapter_model.safetensors").unlink(), "no detector here"),
    ],
)
def test_a_broken_folder_is_refused_by_file(detector, tmp_path, spoil, message):
    copy = tmp_path / "copy"
    shutil.copytree(detector, copy)
    spoil(copy)
    with pytest.raises(InputError, match=message):
        load_detector_folder(copy)


def spoilt_clips(folder):
    """Files that cannot be heard, each with what is said of it."""
    (folder / "text.wav").write_bytes(b"hello")
    (folder / "link.wav").symlink_to("nowhere.wav")
    (folder / "folder.wav").mkdir()
    soundfile.write(folder / "blip.wav", np.zeros(160), RATE)
    soundfile.write(folder / "nan.wav", np.full(RATE, np.nan), RATE, "FLOAT")
    latin = folder / os.fsdecode(b"caf\xe9.wav")
    soundfile.write(folder / "cafe.wav", np.ones(RATE) / 8, RATE)
    (folder / "cafe.wav").rename(latin)
    return {
        folder / "missing.wav": "missing.wav: no such file",
        folder / "text.wav": "text.wav: cannot be read as audio",
        folder / "link.wav": "link.wav: a link without content",
        folder / "folder.wav": "folder.wav: cannot be opened (Is a directory)",
        folder / "blip.wav": "blip.wav: lasts 10 ms; at least 20 ms are needed",
        folder / "nan.wav": "nan.wav: has samples that are not finite numbers",
        latin: "caf\\xe9.wav is not UTF-8 text; rename the file",
    }


def test_files_that_cannot_be_heard_are_a_line_each_and_stop_no_other(detector, folder, sounds, monkeypatch, capsys):
    spoilt = spoilt_clips(sounds)
    files = [sounds / "whole.wav", *spoilt, sounds / "short.wav"]
    monkeypatch.setattr(sys, "argv", ["detect_speech", *map(str, [detector, *files, "--base", folder])])
    with pytest.raises(SystemExit) as end:
        program.main()
    printed = capsys.readouterr()
    assert end.value.code == program.SOME_HEARD == 3
    told = [line for line in printed.err.splitlines() if line.startswith("error: ")]
    assert len(told) == len(spoilt) and all(message in line for message, line in zip(spoilt.values(), told, strict=True))
    rows = list(csv.DictReader(io.StringIO(printed.out)))
    assert [bool(row["answer"]) for row in rows] == [True] * 2 + [False] * len(spoilt)
    assert all(row["note"].startswith("not heard: ") and not row["probability"] for row in rows[2:])


def test_where_no_file_can_be_heard_no_model_is_loaded(detector, tmp_path, monkeypatch, capsys):
    spoilt = spoilt_clips(tmp_path)
    monkeypatch.setattr(sys, "argv", ["detect_speech", *map(str, [detector, *spoilt, "--base", tmp_path / "no base"])])
    with pytest.raises(SystemExit) as end:
        program.main()
    printed = capsys.readouterr()
    assert (end.value.code, printed.out, printed.err.count("error: ")) == (1, "", len(spoilt))


def test_a_presentation_survives_its_own_record(detector):
    assert load_detector_folder(detector).presentation == PRESENTATION
