"""The adapter that is handed over is chosen on development sources, and its folder is all that a detector needs besides the base."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from detector_folder import PRESENTATION, STIMULI, write_detector
from peft import PeftModel
from safetensors.torch import load_file
from small_study import predictions, study
from transformers import Qwen2AudioForConditionalGeneration

from earwitness.audio.io import decode_flac
from earwitness.audio.window import as_coded, coded
from earwitness.core.errors import InputError
from earwitness.core.files import MADE, write_json
from earwitness.core.randomness import stream
from earwitness.detectors.folder import DETECTOR_FILES, SEGMENTS_NAME, load_detector_folder, untuned
from earwitness.detectors.hand_over import hand_over, select_adapter, selected_detector
from earwitness.detectors.presentation import presentation_of
from earwitness.systems import System

RATE = 16_000


@pytest.fixture(scope="module")
def detector(folder, tmp_path_factory):
    return write_detector(tmp_path_factory.mktemp("detector"), folder)


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


def test_stock_peft_loads_the_folder(detector, folder):
    loaded = PeftModel.from_pretrained(Qwen2AudioForConditionalGeneration.from_pretrained(folder), str(detector)).state_dict()
    trained = load_file(detector / "adapter_model.safetensors")
    assert len(trained) > 4
    assert [name for name, weight in trained.items() if not torch.equal(loaded[name.replace(".weight", ".default.weight")], weight)] == []


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


def test_what_is_handed_over_is_what_was_selected_wherever_it_goes(detector, tmp_path):
    selected = tmp_path / "results" / "selected"
    shutil.copytree(detector, selected)
    record = json.loads((detector / "detector.json").read_text())
    base = tmp_path / "models" / "base"
    seeds = {"123": 0.75, "42": 0.5}
    record["selected"] |= {"development_balanced_accuracy": {"rms-grouped": {"7": 0.5}, "attention-grouped": seeds}}
    write_json(selected / "detector.json", record | {"base_folder": "../../models/base"})
    with pytest.raises(InputError, match=r"segments\.json: no such file; run follow_recordings again"):
        hand_over(tmp_path / "out", selected, "A card.")
    following = untuned(PRESENTATION)
    write_json(selected / "segments.json", {"schema": SEGMENTS_NAME, "following": following.record(), "tuned": {}})
    read = selected_detector(selected)
    assert read.selection.system == System("adapter", "attention", "grouped", 1) and read.base_folder == base and read.method == "platt"
    assert list(read.selection.development.items()) == [
        (System("adapter", "attention", "grouped", 123), 0.75),
        (System("adapter", "attention", "grouped", 42), 0.5),
        (System("adapter", "rms", "grouped", 7), 0.5),
    ]
    out = tmp_path / "far" / "from" / "there" / "out"
    hand_over(out, selected, "A card.")
    assert (out / "README.md").read_text() == "A card."
    assert json.loads((out / "detector.json").read_text()) == record | {"base_folder": "../../../../models/base"}
    for name in {*DETECTOR_FILES, "segments.json"} - {"detector.json"}:
        assert (out / name).read_bytes() == (selected / name).read_bytes()
    assert {path.name for path in out.iterdir()} == {*DETECTOR_FILES, "segments.json", "README.md", MADE}


def test_a_presentation_survives_its_own_record(detector):
    assert load_detector_folder(detector).presentation == PRESENTATION


def test_a_stretch_is_heard_with_the_16_bits_that_a_stimulus_is_stored_with():
    samples = np.concatenate([stream(1, "bits").uniform(-1, 1, 20_000), np.arange(-32768, 32768) / 32768 + 2**-16, [1.0, -1.0, 0.0]])
    assert as_coded(samples).tobytes() == decode_flac(coded(samples)).tobytes()
