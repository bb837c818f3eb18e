"""Training loops that are cut off go on as if they had not been."""

import dataclasses

import pandas as pd
import pytest
import torch
from torch import nn

from earwitness.core.errors import InputError
from earwitness.model.engine import optimisation
from earwitness.model.engine.losses import BatchLoss
from earwitness.model.engine.optimisation import Schedule, learning_rate, optimise
from earwitness.model.engine.training_pass import PassInputs, TrainingPass
from earwitness.runtime.saved_state import SavedState
from earwitness.tables.files import validate
from earwitness.tables.training import HISTORY

SCHEDULE = Schedule(steps=12, batch_size=8, micro_batch_size=4, learning_rate=0.05, warmup_fraction=0.25, weight_decay=0.01, max_gradient_norm=1.0)


class Cut(Exception):
    pass


def run(folder, stamp, stop_before=None, most_rows=8, schedule=SCHEDULE):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.3), nn.Linear(8, 1))
    visited = []

    def inputs(step, rows):
        if step == stop_before:
            raise Cut
        if rows.stop - rows.start > most_rows:
            raise torch.OutOfMemoryError
        visited.append(step)
        return PassInputs({"x": torch.linspace(-1, 1, 24).reshape(8, 3)[rows] + 0.1 * step})

    def loss(given):
        x = given.tensors["x"]
        return BatchLoss((model(x) - x.sum(1, keepdim=True)).square().mean(), torch.tensor(0.5))

    history = optimise(
        dict(model.named_parameters()), inputs, TrainingPass(loss, recording=False), schedule, seed=7, resume=SavedState(folder, stamp)
    )
    return history, torch.cat([parameter.detach().flatten() for parameter in model.parameters()]), visited


@pytest.fixture(autouse=True)
def save_every_step(monkeypatch):
    monkeypatch.setattr(optimisation, "CHECKPOINT_INTERVAL_S", -1.0)


@pytest.mark.parametrize("stop_before", [1, 5, 11])
def test_an_interrupted_run_ends_with_the_same_bits(tmp_path, stop_before):
    history, weights, _ = run(tmp_path / "whole", {"seed": 7})
    with pytest.raises(Cut):
        run(tmp_path / "cut", {"seed": 7}, stop_before)
    resumed, again, visited = run(tmp_path / "cut", {"seed": 7})
    assert min(visited) == stop_before
    torch.testing.assert_close(again, weights, rtol=0, atol=0)
    pd.testing.assert_frame_equal(resumed, history)


def test_a_history_is_whole_whether_or_not_it_was_saved_on_the_way(tmp_path, monkeypatch):
    saved, *_ = run(tmp_path / "saved", {})
    monkeypatch.setattr(optimisation, "CHECKPOINT_INTERVAL_S", float("inf"))
    unsaved, *_ = run(tmp_path / "unsaved", {})
    pd.testing.assert_frame_equal(unsaved, saved)
    assert unsaved.step.tolist() == list(range(1, SCHEDULE.steps + 1))


def test_a_history_is_the_table_that_the_data_dictionary_explains(tmp_path):
    history, _, _ = run(tmp_path, {"seed": 7})
    assert list(validate(history, HISTORY).columns) == list(history.columns)


def test_a_state_of_other_settings_is_never_resumed(tmp_path):
    with pytest.raises(Cut):
        run(tmp_path, {"learning_rate": 0.1}, stop_before=5)
    _, _, visited = run(tmp_path, {"learning_rate": 0.2})
    assert min(visited) == 0


def test_running_out_of_memory_halves_the_rows_per_pass_and_keeps_the_result(tmp_path, capsys):
    """The dropout mask depends on how rows are grouped, so the comparison is with the smaller groups from the start."""
    whole = dataclasses.replace(SCHEDULE, micro_batch_size=8)
    halved, weights, _ = run(tmp_path / "halved", {}, most_rows=2, schedule=whole)
    assert capsys.readouterr().err.count("out of memory") == 2
    small, expected, _ = run(tmp_path / "small", {}, schedule=dataclasses.replace(SCHEDULE, micro_batch_size=2))
    torch.testing.assert_close(weights, expected, rtol=0, atol=0)
    pd.testing.assert_frame_equal(halved, small)


def test_a_row_that_does_not_fit_ends_the_training_in_words(tmp_path):
    with pytest.raises(InputError, match="does not hold a single training row"):
        run(tmp_path, {}, most_rows=0)


def test_the_rate_rises_to_its_peak_and_falls():
    rates = [learning_rate(SCHEDULE, step) for step in range(SCHEDULE.steps)]
    assert rates[:3] == pytest.approx([0.05 / 3, 0.1 / 3, 0.05])
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert 0 < rates[-1] < 0.005
