"""The adapter that is handed over is chosen on development sources, and its folder is all that a detector needs besides the base."""

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
from earwitness.core.randomness import stream
from earwitness.detectors.folder import load_detector_folder
from earwitness.detectors.hand_over import select_adapter
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


def test_a_presentation_survives_its_own_record(detector):
    assert load_detector_folder(detector).presentation == PRESENTATION


def test_a_stretch_is_heard_with_the_16_bits_that_a_stimulus_is_stored_with():
    samples = np.concatenate([stream(1, "bits").uniform(-1, 1, 20_000), np.arange(-32768, 32768) / 32768 + 2**-16, [1.0, -1.0, 0.0]])
    assert as_coded(samples).tobytes() == decode_flac(coded(samples)).tobytes()
