"""What a training's costs count."""

import time

import pytest
import torch
from torch import nn

from earwitness.runtime.costs import Meter


def test_costs_count_what_is_trained_what_is_written_and_the_time_since_the_meter_was_made(tmp_path):
    weights = tmp_path / "adapter_model.safetensors"
    weights.write_bytes(b"x" * 1234)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model[0].requires_grad_(False)
    meter = Meter()
    time.sleep(0.05)
    costs = meter.costs(model, 10, weights)
    assert (costs["trainable_parameters"], costs["adapter_bytes"], costs["samples"]) == (10, 1234, 10)
    assert costs["wall_s"] >= 0.05 > costs["processor_s"]
    assert costs["ms_per_sample"] == pytest.approx(100 * costs["wall_s"], rel=0.05)
    assert costs["peak_memory_bytes"] > 50 * 2**20 or torch.cuda.is_available()
    assert costs["device"]


def test_an_adapter_that_was_finished_before_an_interruption_has_no_time_per_sample(tmp_path):
    (tmp_path / "weights").touch()
    assert Meter().costs(nn.Linear(1, 1), 0, tmp_path / "weights")["ms_per_sample"] is None
