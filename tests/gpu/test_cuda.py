"""The engine on a CUDA device: the same answers as the CPU, NF4 training, and the full-size architecture."""

import gc
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from full_size import write_full_size
from shards import write_shard

from earwitness.model import finetuning
from earwitness.model.engine import four_bits, loading
from earwitness.model.engine.adapters import base_of, load_adapter
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.features import encode_waveforms
from earwitness.model.engine.loading import keep_in_4_bits, load_model
from earwitness.model.engine.prompting import Prompt, tokenise
from earwitness.model.engine.scoring import Scorer, score
from earwitness.model.families.qwen2_audio import Qwen2Audio
from earwitness.model.families.tiny.qwen2_audio import build_model, build_processor
from earwitness.model.feature_files import encode_shard
from earwitness.model.finetuning import train_adapter, training_set
from earwitness.model.identity import identified
from earwitness.model.prediction import StimulusSource
from earwitness.model.prediction_jobs import Asked, ModelSpec, PredictionJob, StimulusFiles, available_devices, predict
from earwitness.model.tiny_base_questions import QUESTIONS
from earwitness.runtime.determinism import compute_deterministically, reserve_workspace
from earwitness.runtime.saved_state import SavedState
from earwitness.systems import BASE

reserve_workspace()  # before CUDA starts
pytestmark = pytest.mark.gpu
PROMPT = Prompt(QUESTIONS[0])
RECIPE = {
    "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"],
    "rank": 16,
    "alpha": 32,
    "dropout": 0.05,
    "learning_rate": 0.01,
    "steps": 30,
    "epochs": None,
    "batch_size": 8,
    "micro_batch_size": 8,
    "warmup_fraction": 0.1,
    "weight_decay": 0.0,
    "max_gradient_norm": 1.0,
    "scope": "published",
    "loss_on": "answer",
    "focal_gamma": 0.0,
}


@pytest.fixture(scope="module", autouse=True)
def device():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(1)
    processor = build_processor([*QUESTIONS, "A: speech\nB: no speech\nAnswer A or B."])
    path = tmp_path_factory.mktemp("checkpoint")
    build_model(processor).save_pretrained(path)
    processor.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def in_16_bits(folder, tmp_path_factory):
    loaded = load_model(identified(folder), device=torch.device("cpu"))
    path = tmp_path_factory.mktemp("in 16 bits")
    loaded.model.bfloat16().save_pretrained(path)
    loaded.processor.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def full_size(tmp_path_factory):
    path = tmp_path_factory.mktemp("full size") / "checkpoint"
    write_full_size(path)
    return path


def tones(count):
    hertz = [200 if number % 2 == 0 else 3000 for number in range(count)]
    return [(0.3 * np.sin(2 * np.pi * f * (1 + 0.02 * k) * np.arange(19_200) / 16_000)).astype(np.float32) for k, f in enumerate(hertz)]


def tones_to_learn(loaded, count):
    names = [f"{number:02d}" for number in range(count)]
    sounds = StimulusSource(lambda _: iter([(names, tones(count))]), lambda waveforms: encode_waveforms(loaded, waveforms))
    split = pd.DataFrame({"stimulus_id": names, "label": ["SPEECH", "NONSPEECH"] * (count // 2), "part": "train"})
    return training_set(loaded, sounds, split, "published")


def test_the_device_answers_as_the_cpu_does(folder):
    on_cpu = score(load_model(identified(folder), device=torch.device("cpu")), tones(16), PROMPT)
    on_device = score(load_model(identified(folder)), tones(16), PROMPT)
    np.testing.assert_allclose(on_device.log_odds, on_cpu.log_odds, atol=2e-3)
    assert on_device.n_audio_tokens.tolist() == on_cpu.n_audio_tokens.tolist()


def test_an_adapter_trains_on_nf4_weights_and_reloads(folder, tmp_path):
    loaded = load_model(identified(folder), "nf4", memory="compact")
    quantised = [name for name, module in loaded.model.named_modules() if type(module).__name__ == "Linear4bit"]
    assert quantised
    assert not [name for name in quantised if name.startswith(tuple(Qwen2Audio.unquantised()))]
    model, history = train_adapter(loaded, tones_to_learn(loaded, 16), PROMPT, RECIPE, 3, SavedState(tmp_path / "state", {}))
    assert history.loss.iloc[-3:].mean() < 0.5 * history.loss.iloc[0]
    model.save_pretrained(str(tmp_path / "adapter"))
    trained = score(replace(loaded, model=base_of(model)), tones(4), PROMPT).log_odds
    loaded = score(load_adapter(load_model(identified(folder), "nf4", memory="compact"), tmp_path / "adapter"), tones(4), PROMPT).log_odds
    np.testing.assert_allclose(loaded, trained, atol=1e-3)
    dequantised = load_model(identified(folder), "nf4")
    assert not [module for module in dequantised.model.modules() if type(module).__name__ == "Linear4bit"]
    once = score(load_adapter(dequantised, tmp_path / "adapter"), tones(4), PROMPT).log_odds
    np.testing.assert_allclose(once, trained, rtol=0.05, atol=0.2)


@pytest.mark.parametrize("loss_on", ["answer", "text"])
def test_recorded_passes_train_the_same_adapter(folder, tmp_path, monkeypatch, loss_on):
    """Dropout included."""

    def trained(name):
        loaded = load_model(identified(folder))
        recipe = {**RECIPE, "steps": 12, "micro_batch_size": 4, "loss_on": loss_on}
        model, history = train_adapter(loaded, tones_to_learn(loaded, 16), PROMPT, recipe, 3, SavedState(tmp_path / name, {}))
        return torch.cat([parameter.detach().flatten() for key, parameter in model.named_parameters() if "lora_" in key]), history

    replayed = []
    replay = torch.cuda.CUDAGraph.replay
    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", lambda graph: (replayed.append(graph), replay(graph)))
    weights, history = trained("recorded")
    assert len(replayed) == 12 * 2 - 2
    assert len(set(replayed)) == 1
    monkeypatch.setattr(finetuning, "_records", lambda model, memory: False)
    unrecorded, expected = trained("unrecorded")
    pd.testing.assert_frame_equal(history, expected, rtol=1e-5)
    torch.testing.assert_close(weights, unrecorded, rtol=1e-3, atol=1e-6)


def test_the_full_size_architecture_scores_and_trains(full_size, tmp_path):
    """8.4 billion random weights in bfloat16; its answers mean nothing, that it runs does."""
    loaded = load_model(identified(full_size))
    scores = score(loaded, tones(64), PROMPT)
    assert np.isfinite(scores.log_odds).all()
    assert scores.n_audio_tokens.tolist() == [30] * 64
    data = tones_to_learn(loaded, 16)
    _, history = train_adapter(loaded, data, PROMPT, {**RECIPE, "steps": 10, "learning_rate": 1e-3}, 3, SavedState(tmp_path / "state", {}))
    assert history.loss.iloc[-1] < history.loss.iloc[0]


@pytest.mark.parametrize("memory", ["fast", "compact"])
@pytest.mark.parametrize("weights", ["folder", "in_16_bits"])
def test_a_copy_in_4_bits_gives_the_bits_that_quantising_gives(request, tmp_path, monkeypatch, capsys, weights, memory):
    monkeypatch.setattr(four_bits, "PAYS_FROM_BYTES", 0)
    base = identified(shutil.copytree(request.getfixturevalue(weights), tmp_path / "base"))
    quantised = load_model(base, "nf4", memory=memory).model.state_dict()
    assert keep_in_4_bits(base, torch.device("cuda"))[0]
    monkeypatch.setattr(loading, "nf4", None)
    capsys.readouterr()
    read = load_model(base, "nf4", memory=memory).model.state_dict()
    assert capsys.readouterr().err == "", "the base was not read again"
    assert read.keys() == quantised.keys()
    assert [name for name, weight in read.items() if not torch.equal(weight, quantised[name])] == []


@pytest.mark.parametrize("kept", [False, True])
def test_the_full_size_architecture_fits_into_compact_memory(full_size, tmp_path, kept):
    """Loading, asking and training in NF4 with the peak of an 8 GB card; from all files, and from the copy in 4 bits."""
    base = identified(full_size)
    if kept:
        assert keep_in_4_bits(base, torch.device("cuda"))[0]
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    loaded = load_model(base, "nf4", memory="compact")
    batches = Batches(None, torch.device("cuda"), "compact")
    orders = tokenise(loaded, PROMPT)
    batches.run(lambda batch: Scorer(loaded, [orders])(encode_waveforms(loaded, batch)), tones(64))
    data = tones_to_learn(loaded, 16)
    recipe = {**RECIPE, "steps": 3, "batch_size": 16, "micro_batch_size": None}
    train_adapter(loaded, data, PROMPT, recipe, 3, SavedState(tmp_path / "state", {}), "compact")
    assert torch.cuda.max_memory_allocated() < 7.5 * 2**30


@pytest.fixture
def deterministic():
    compute_deterministically()
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    ("weights", "quantisation", "memory"),
    [("folder", "none", "fast"), ("in_16_bits", "none", "fast"), ("folder", "nf4", "fast"), ("folder", "nf4", "compact")],
)
@pytest.mark.usefixtures("deterministic")
def test_an_adapter_and_its_answers_are_the_same_bytes_twice(request, tmp_path, weights, quantisation, memory):
    """Attention with masks, recorded passes and dropout included."""
    path = request.getfixturevalue(weights)

    def bytes_of(name):
        loaded = load_model(identified(path), quantisation, memory=memory)
        recipe = {**RECIPE, "micro_batch_size": 4}
        model, history = train_adapter(loaded, tones_to_learn(loaded, 16), PROMPT, recipe, 3, SavedState(tmp_path / name, {}), memory)
        weights = [parameter.detach().cpu().numpy().tobytes() for key, parameter in model.named_parameters() if "lora_" in key]
        answers = score(replace(loaded, model=base_of(model)), [*tones(7), tones(1)[0][:4000]], PROMPT).log_odds
        return [*weights, history.to_csv(), answers.tobytes()]

    assert bytes_of("once") == bytes_of("twice")


def test_two_devices_give_the_answers_of_one(folder, tmp_path):
    devices = available_devices()
    if len(devices) < 2:
        pytest.skip("one CUDA device only")
    loaded = load_model(identified(folder))
    shards = [write_shard(tmp_path / f"{k}.parquet", [f"s{k}-{number:02d}" for number in range(40)]) for k in range(4)]
    features = [tmp_path / f"features-{k}.parquet" for k in range(4)]
    for shard, file in zip(shards, features, strict=True):
        encode_shard(loaded, shard, file, Batches(16, devices[0]))
    asked = Asked(ModelSpec(identified(folder), None, "none", "fast"), BASE)
    job = PredictionJob((asked,), StimulusFiles(tuple(features), encoded=True), (PROMPT,), 16, 1)
    [one], [two] = predict(job, devices[:1]), predict(job, devices)
    assert one.stimulus_id.tolist() == two.stimulus_id.tolist()
    np.testing.assert_allclose(one.log_odds, two.log_odds, atol=1e-4)
