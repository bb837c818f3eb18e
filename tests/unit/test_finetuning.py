"""Adapters learn, draw what they say they draw, and survive interruption."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from earwitness.audio.io import encode_flac
from earwitness.core.errors import InputError
from earwitness.core.files import atomic
from earwitness.model.engine import optimisation
from earwitness.model.engine.adapters import base_of
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.loading import load_model
from earwitness.model.engine.prompting import Prompt
from earwitness.model.families.qwen2_audio import Qwen2Audio
from earwitness.model.feature_files import encode_shard
from earwitness.model.finetuning import presentation_order, train_adapter, training_set
from earwitness.model.identity import identified
from earwitness.model.prediction import from_audio, from_features, prediction_rows
from earwitness.runtime.saved_state import SavedState
from earwitness.systems import System
from earwitness.tables.audio import AudioTableWriter
from earwitness.tables.stimuli import STIMULI

CPU = torch.device("cpu")
PROMPT = Prompt("Does this sound contain human speech?")
YES_NO = Prompt("Does this sound contain human speech?", "yes_no")
RECIPE = {
    "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    "rank": 16,
    "alpha": 32,
    "dropout": 0.05,
    "learning_rate": 0.01,
    "steps": 12,
    "epochs": None,
    "batch_size": 8,
    "micro_batch_size": 4,
    "scope": "published",
    "loss_on": "answer",
    "focal_gamma": 0.0,
    "warmup_fraction": 0.1,
    "weight_decay": 0.0,
    "max_gradient_norm": 1.0,
}


class Cut(Exception):
    pass


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Low tones are SPEECH, high tones are not; the last two stimuli test."""
    shard = tmp_path_factory.mktemp("study") / "shard.parquet"
    rows, audio = [], []
    for number in range(10):
        speech = number % 2 == 0
        tone = 0.3 * np.sin(2 * np.pi * (200 if speech else 3000) * (1 + 0.05 * number) * np.arange(3200) / 16_000)
        audio.append(encode_flac(tone.astype(np.float32)))
        rows.append(
            {
                "stimulus_id": f"s{number}",
                **dict.fromkeys(("clip_id", "recording_id", "source_id", "category", "noise_id"), f"x{number}"),
                "label": "SPEECH" if speech else "NONSPEECH",
                "design": "factorial",
                "axis": "duration_x_snr",
                "duration_ms": 200,
                "snr_db": 20.0,
                "band": "clean",
                "room": "none",
                "normalisation": "peak",
                "achieved_snr_db": 20.0,
                "achieved_level_dbfs": -1.0,
                "segment_start_s": 0.0,
                "segment_end_s": 0.2,
            }
        )
    index = pd.DataFrame(rows)
    with atomic(shard) as temporary, AudioTableWriter(temporary, STIMULI) as writer:
        writer.write(index, audio, [f"{name}.flac" for name in index.stimulus_id])
    split = index[["stimulus_id", "clip_id", "source_id", "label"]].assign(part=["train"] * 8 + ["test"] * 2)
    return shard, split


def train(folder, study, resume, steps=RECIPE["steps"], prompt=PROMPT, **changes):
    loaded = load_model(identified(folder))
    data = training_set(loaded, from_audio(loaded, [study[0]]), study[1], "published")
    model, history = train_adapter(loaded, data, prompt, {**RECIPE, "steps": steps, **changes}, 5, SavedState(resume, {"steps": steps}))
    return replace(loaded, model=base_of(model)), history


def answers_of(loaded, study, prompt):
    return prediction_rows(loaded, from_audio(loaded, [study[0]]), [prompt], System("adapter", "x", "grouped", 5), Batches(4, CPU))


def adapter_weights(loaded):
    return torch.cat([parameter.detach().flatten() for name, parameter in loaded.model.named_parameters() if "lora_" in name])


def test_training_lowers_the_loss_and_moves_the_answers(folder, study, tmp_path):
    trained, history = train(folder, study, tmp_path, steps=60, prompt=YES_NO, micro_batch_size=None)
    assert history.loss.iloc[-5:].mean() < 0.3 * history.loss.iloc[:3].mean()
    untrained = answers_of(load_model(identified(folder)), study, YES_NO)
    answers = answers_of(trained, study, YES_NO)
    assert answers.coverage.min() > 10 * untrained.coverage.max(), "probability moves onto the two answers"
    speech = (study[1].label == "SPEECH").to_numpy()
    assert answers.log_odds[speech].min() > answers.log_odds[~speech].max(), "low and high tones are told apart"


def test_an_interrupted_adapter_equals_an_uninterrupted_one(folder, study, tmp_path, monkeypatch):
    monkeypatch.setattr(optimisation, "CHECKPOINT_INTERVAL_S", -1.0)
    whole, history = train(folder, study, tmp_path / "whole")
    norms = iter(range(10_000))
    clip = optimisation.nn.utils.clip_grad_norm_

    def cut_at_seven(*arguments):
        if next(norms) == 7:
            raise Cut
        return clip(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(optimisation.nn.utils, "clip_grad_norm_", cut_at_seven)
        with pytest.raises(Cut):
            train(folder, study, tmp_path / "cut")
    resumed, again = train(folder, study, tmp_path / "cut")
    torch.testing.assert_close(adapter_weights(resumed), adapter_weights(whole), rtol=0, atol=0)
    pd.testing.assert_frame_equal(again, history)


def test_an_adapter_outside_the_tower_trains_on_features_as_on_sounds(folder, study, tmp_path):
    """Encoding once and encoding at every step are the same where the tower does not change."""
    features = tmp_path / "features.parquet"
    loaded = load_model(identified(folder))
    encode_shard(loaded, study[0], features, Batches(4, CPU))
    recipe = {**RECIPE, "scope": "language_model", "dropout": 0.0}
    on_features = training_set(loaded, from_features(loaded, [features]), study[1], "language_model")
    model, history = train_adapter(loaded, on_features, PROMPT, recipe, 5, SavedState(tmp_path / "a", {}))
    assert not [name for name, parameter in model.named_parameters() if parameter.requires_grad and "audio_tower" in name]

    again = load_model(identified(folder))
    on_sounds = training_set(again, from_audio(again, [study[0]]), study[1], "published")
    _, other = train_adapter(again, on_sounds, PROMPT, recipe, 5, SavedState(tmp_path / "b", {}))
    np.testing.assert_allclose(history.loss, other.loss, rtol=1e-4)
    assert history.loss.iloc[-1] < history.loss.iloc[0]


@pytest.mark.slow
def test_rows_per_pass_change_no_result(folder, study, tmp_path):
    one, history = train(folder, study, tmp_path / "one", dropout=0.0, micro_batch_size=None)
    two, other = train(folder, study, tmp_path / "two", dropout=0.0, micro_batch_size=3)
    np.testing.assert_allclose(history.loss, other.loss, rtol=1e-3)
    torch.testing.assert_close(adapter_weights(one), adapter_weights(two), rtol=0.02, atol=2e-3)


@pytest.mark.slow
def test_compact_memory_gives_the_same_adapter(folder, study, tmp_path):
    """Activations that are computed again, dropout included, are the same activations."""
    loaded = load_model(identified(folder))
    data = training_set(loaded, from_audio(loaded, [study[0]]), study[1], "published")
    model, history = train_adapter(loaded, data, PROMPT, RECIPE, 5, SavedState(tmp_path / "compact", {}), "compact")
    plain, other = train(folder, study, tmp_path / "fast")
    np.testing.assert_allclose(history.loss, other.loss, rtol=1e-5)
    torch.testing.assert_close(adapter_weights(Qwen2Audio(base_of(model), None, "")), adapter_weights(plain), rtol=1e-3, atol=1e-5)


def test_only_the_train_part_is_read_and_a_missing_stimulus_is_named(folder, study):
    loaded = load_model(identified(folder))
    sounds = from_audio(loaded, [study[0]])
    data = training_set(loaded, sounds, study[1], "published")
    assert data.is_speech.tolist() == [True, False] * 4
    assert data.collect(np.arange(8)).n_tokens == (5,) * 8
    with pytest.raises(InputError, match=r"stimulus gone .* is in no shard"):
        training_set(loaded, sounds, study[1].replace({"stimulus_id": {"s3": "gone"}}), "published")
    with pytest.raises(InputError, match="fewer than two classes"):
        training_set(loaded, sounds, study[1][study[1].label == "SPEECH"], "published")


@given(is_speech=st.lists(st.booleans(), min_size=2, max_size=40).filter(lambda labels: len(set(labels)) == 2), n_draws=st.integers(0, 200))
def test_the_classes_take_turns_and_none_of_a_class_repeats_before_all_were_seen(is_speech, n_draws):
    labels = np.array(is_speech)
    order = presentation_order(labels, n_draws, seed=3)
    assert labels[order].tolist() == [turn % 2 == 0 for turn in range(n_draws)]
    for label in (True, False):
        counts = np.bincount(order[labels[order] == label], minlength=len(labels))[labels == label]
        assert counts.max() - counts.min() <= 1
