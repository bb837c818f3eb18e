"""Stimuli on disk: encoded once, asked about in any order, on one device or shared out among several."""

import contextlib
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from shards import MILLISECONDS, write_shard

from earwitness.core.errors import InputError
from earwitness.core.files import write_json
from earwitness.model import prediction_jobs
from earwitness.model.engine.adapters import adapted, attach_adapter, base_of
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.loading import load_model
from earwitness.model.engine.prompting import Prompt
from earwitness.model.feature_files import encode_shard, read_features, stimuli_of, verify_features
from earwitness.model.identity import BASE_OF_ADAPTER, identified, identify_model
from earwitness.model.prediction import from_audio, from_features, prediction_rows
from earwitness.model.prediction_jobs import Asked, ModelSpec, PredictionJob, StimulusFiles, predict
from earwitness.model.tiny_base_questions import QUESTIONS
from earwitness.systems import BASE

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    return [write_shard(folder / f"{k}.parquet", [f"s{k}-{number:02d}" for number in range(8 + k)]) for k in range(3)]


@pytest.fixture(scope="module")
def features(folder, shards, tmp_path_factory):
    loaded = load_model(identified(folder))
    files = [tmp_path_factory.mktemp("features") / shard.name for shard in shards]
    for shard, file in zip(shards, files, strict=True):
        assert encode_shard(loaded, shard, file, Batches(3, CPU)) == len(stimuli_of(file))
    return files


def everything(folder, files, features, adapter=None, only=None):
    asked = Asked(ModelSpec(identified(folder), adapter, "none", "fast"), BASE, only)
    return PredictionJob((asked,), StimulusFiles(tuple(files), features), (Prompt(QUESTIONS[0]),), batch_size=4, threads=1)


def test_features_on_disk_score_as_the_sounds_do(folder, shards, features):
    n_tokens = load_model(identified(folder)).n_tokens
    [heard], [read] = predict(everything(folder, shards, False), [CPU]), predict(everything(folder, features, True), [CPU])
    assert heard.stimulus_id.tolist() == read.stimulus_id.tolist() == sorted(heard.stimulus_id)
    assert heard.n_audio_tokens.tolist() == [n_tokens(16 * MILLISECONDS[int(name[3:]) % 6]) for name in heard.stimulus_id]
    np.testing.assert_allclose(heard.log_odds, read.log_odds, atol=2e-4)


def test_two_encodings_have_the_same_bytes(folder, shards, features, tmp_path):
    encode_shard(load_model(identified(folder)), shards[0], tmp_path / "again.parquet", Batches(3, CPU))
    assert (tmp_path / "again.parquet").read_bytes() == features[0].read_bytes()


class ProcessesHere(contextlib.nullcontext):
    """Tasks that are sent as to other processes, and done in this one."""

    def __init__(self, most, mp_context, initializer):
        super().__init__(self)
        self.most, self.shares = most, []

    def map(self, function, jobs, devices):
        for job, device in zip(jobs, devices, strict=True):
            function, job = pickle.loads(pickle.dumps((function, job)))
            self.shares.append(job.stimuli.paths)
            yield pickle.loads(pickle.dumps(function(job, device)))
        assert len(self.shares) == self.most


def test_devices_share_the_files_and_give_the_answers_of_one(folder, features, monkeypatch):
    [one] = predict(everything(folder, features, True), [CPU])
    started = []
    monkeypatch.setattr(prediction_jobs, "ProcessPoolExecutor", lambda *given, **named: started.append(ProcessesHere(*given, **named)) or started[-1])
    [two] = predict(everything(folder, features, True), [CPU, CPU])
    pd.testing.assert_frame_equal(one, two)
    assert [sorted(share) for share in started[0].shares] == [[features[0], features[2]], [features[1]]]


@pytest.mark.slow
def test_processes_of_two_devices_give_the_answers_of_one(folder, features):
    [one], [two] = (predict(everything(folder, features, True), devices) for devices in ([CPU], [CPU, CPU]))
    pd.testing.assert_frame_equal(one, two)


def test_exactly_what_was_wanted_is_asked_and_a_missing_stimulus_is_named(folder, features):
    [some] = predict(everything(folder, features, True, only=frozenset({"s0-01", "s2-09"})), [CPU])
    assert some.stimulus_id.tolist() == ["s0-01", "s2-09"]
    with pytest.raises(InputError, match="stimulus nowhere"):
        predict(everything(folder, features, True, only=frozenset({"s0-01", "nowhere"})), [CPU])
    with pytest.raises(InputError, match="none of the stimuli"):
        predict(everything(folder, features, True, only=frozenset({"nowhere"})), [CPU])


def test_several_prompts_are_asked_of_one_hearing(folder, shards):
    loaded = load_model(identified(folder))
    prompts = [Prompt(question) for question in QUESTIONS[:3]]
    together = prediction_rows(loaded, from_audio(loaded, shards[:1]), prompts, BASE, Batches(4, CPU))
    for prompt in prompts:
        alone = prediction_rows(loaded, from_audio(loaded, shards[:1]), [prompt], BASE, Batches(4, CPU))
        same = together[together.prompt_id == prompt.prompt_id].reset_index(drop=True)
        assert same.stimulus_id.tolist() == alone.stimulus_id.tolist()
        np.testing.assert_allclose(same.log_odds, alone.log_odds, atol=2e-4)


def test_features_of_another_base_or_of_other_stimuli_are_refused(folder, shards, features, tmp_path):
    shutil.copytree(folder, tmp_path / "other")
    weights = load_file(tmp_path / "other" / "model.safetensors")
    name = min(weights)
    save_file(weights | {name: weights[name] + 0.001}, tmp_path / "other" / "model.safetensors", {"format": "pt"})
    other = load_model(identified(tmp_path / "other"))
    with pytest.raises(InputError, match="features of another base model"):
        list(read_features(other, features[:1]))
    with pytest.raises(InputError, match="not a file of features"):
        list(read_features(other, shards[:1]))
    verify_features(features, shards)
    with pytest.raises(InputError, match="not made from these shards"):
        verify_features(features, [*shards[:2], write_shard(tmp_path / "other.parquet", ["a", "b"])])
    with pytest.raises(InputError, match="none given"):
        verify_features([], shards)


@pytest.mark.parametrize(("scope", "refused"), [("published", True), ("language_model", False)])
def test_an_adapter_of_the_audio_tower_is_not_asked_about_features(folder, features, scope, refused):
    loaded = load_model(identified(folder))
    adapted = replace(loaded, model=base_of(attach_adapter(loaded, ["q_proj"], scope, 2, 4, 0.0)))
    with pytest.raises(InputError, match="which this adapter changes") if refused else contextlib.nullcontext():
        list(read_features(adapted, features[:1]))


def test_an_adapter_is_asked_with_the_base_that_it_was_trained_on_alone(folder, shards, tmp_path):
    attach_adapter(load_model(identified(folder)), ["q_proj"], "published", 2, 4, 0.0).save_pretrained(str(tmp_path))
    write_json(tmp_path / BASE_OF_ADAPTER, identify_model(folder, "the base", None))
    assert len(predict(everything(folder, shards, False, adapter=tmp_path), [CPU])[0])
    write_json(tmp_path / BASE_OF_ADAPTER, identify_model(folder, "the base", None) | {"sha256": "0" * 64})
    with pytest.raises(InputError, match=r"not the base that the adapter in .* was trained on \(the base\)"):
        predict(everything(folder, shards, False, adapter=tmp_path), [CPU])


def trained(folder, place, seed=1):
    """An adapter that changes answers, on disk."""
    torch.manual_seed(seed)
    wrapped = attach_adapter(load_model(identified(folder)), ["q_proj", "v_proj", "up_proj"], "published", 4, 8, 0.0)
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    wrapped.save_pretrained(str(place))
    write_json(place / BASE_OF_ADAPTER, identify_model(folder, "the base", None))
    return place


def test_adapters_that_share_a_load_answer_as_each_does_alone(folder, shards, tmp_path):
    """The base between them answers as it did before."""
    adapters = [trained(folder, tmp_path / str(seed), seed) for seed in (1, 2)]
    alone = [everything(folder, shards, False, adapter) for adapter in (*adapters, None)]
    together = predict(replace(alone[0], asked=tuple(job.asked[0] for job in alone)), [CPU])
    for table, job in zip(together, alone, strict=True):
        pd.testing.assert_frame_equal(table, predict(job, [CPU])[0], check_exact=True)
    assert not np.allclose(together[0].log_odds, together[1].log_odds) and not np.allclose(together[0].log_odds, together[2].log_odds)


def test_a_merged_adapter_answers_as_its_products_apart_do_and_leaves_the_base_as_it_was_to_the_bit(folder, shards, tmp_path):
    """In 16 bits merging rounds the weights once: its answers are as near to those in 32 bits as those of the products apart."""
    adapter = trained(folder, tmp_path)

    def answers(dtype, merge):
        loaded = load_model(identified(folder))
        loaded.model.to(dtype)
        before = {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}
        with adapted(loaded, adapter, merge) as asked:
            assert asked.adapts_audio_tower
            rows = prediction_rows(asked, from_audio(asked, shards), [Prompt(QUESTIONS[0])], BASE, Batches(8, CPU))
        after = loaded.model.state_dict()
        assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
        return rows.log_odds.to_numpy()

    exact, merged = answers(torch.float32, False), answers(torch.float32, True)
    np.testing.assert_allclose(merged, exact, atol=1e-4)
    apart, rounded = (np.abs(answers(torch.bfloat16, merge) - exact).mean() for merge in (False, True))
    base = load_model(identified(folder))
    without = prediction_rows(base, from_audio(base, shards), [Prompt(QUESTIONS[0])], BASE, Batches(8, CPU))
    assert rounded < 2 * apart and max(rounded, apart) < np.abs(without.log_odds - exact).mean() / 2


def test_a_tower_without_its_adapter_reads_features(folder, features):
    loaded = load_model(identified(folder))
    sounds = from_features(loaded, features[:1])
    [(names, vectors)] = sounds.blocks({"s0-00", "s0-04"})
    assert names == ["s0-00", "s0-04"]
    assert sounds.encode(vectors).n_tokens == [0, 25]
