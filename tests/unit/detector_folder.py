"""A detector's folder of an adapter with random weights."""

import json
import os

import torch

from earwitness.core.files import write_json
from earwitness.detectors.hand_over import Selection, adapter_config_for, detector_record
from earwitness.detectors.presentation import presentation_of
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
SLOPE, INTERCEPT = 2.0, 0.5


def write_detector(path, base_folder):
    """Make a detector of the base in base_folder; returns its path."""
    torch.manual_seed(3)
    model = attach_adapter(load_model(identified(base_folder)), ["q_proj", "k_proj", "v_proj", "o_proj"], "published", 4, 8, 0.0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    model.save_pretrained(str(path))
    base = identify_model(base_folder, "tiny", None)
    config = json.loads((path / "adapter_config.json").read_text())
    write_json(path / "adapter_config.json", adapter_config_for(config, base))
    question = {"question": "Does this sound contain human speech?", "answer_format": "letters", "audio_position": "before", "template": None}
    write_json(path / "prompt.json", question)
    fitted_on = {"part": "dev", "split_sha256": "0" * 64, "sources": ["s"]}
    fit = {"method": "platt", "slope": SLOPE, "intercept": INTERCEPT, "temperature": 0.5, "threshold_log_odds": -0.25, "fitted_on": fitted_on}
    write_json(path / "calibration.json", fit)
    selection = Selection(System("adapter", "attention", "grouped", 1), {System("adapter", "attention", "grouped", 1): 0.9})
    write_json(path / "detector.json", detector_record(base, os.path.relpath(base_folder, path), "none", PRESENTATION, selection))
    return path
