"""Several adapters trained by one load, as files: each as it is alone, none trained twice, none half there."""

from dataclasses import replace

import pytest
from model_programs import RECIPE, make_study

from earwitness.model import adapter_training
from earwitness.model.adapter_training import FILES, AdapterJob, make_adapters
from earwitness.model.engine.prompting import Prompt
from earwitness.model.identity import identified, identify_model
from earwitness.model.prediction_jobs import ModelSpec
from earwitness.model.tiny_base_questions import QUESTIONS
from earwitness.runtime.made_folders import FINGERPRINT

SMALL = {**RECIPE, "rank": 2, "steps": 2, "batch_size": 4, "dropout": 0.1, "normalisation": "stimuli", "level_dbfs": -1.0}


@pytest.fixture(scope="module")
def jobs(folder, tmp_path_factory):
    """Seed -> a job; the meaning of the code is a word."""
    study = make_study(folder, tmp_path_factory.mktemp("study"))
    model = ModelSpec(identified(folder), None, "none", "fast")
    shared = {"shards": (study / "shard.parquet",), "features": (), "split": study / "split.csv", "prompt": Prompt(QUESTIONS[0])}
    return {seed: AdapterJob(model, **shared, recipe=SMALL, seed=seed, code="code") for seed in (1, 2)}


@pytest.fixture(scope="module")
def base(folder):
    return identify_model(folder, "the base", None)


@pytest.fixture
def trained(monkeypatch):
    """The seeds that are trained, in order; a training of a seed in `broken` stops in the middle."""
    seeds, broken = [], set()
    train = adapter_training.train_adapter

    def record(loaded, data, prompt, recipe, seed, resume, memory):
        seeds.append(seed)
        if seed in broken:
            raise KeyboardInterrupt
        return train(loaded, data, prompt, recipe, seed, resume, memory)

    monkeypatch.setattr(adapter_training, "train_adapter", record)
    return seeds, broken


def content(folder):
    return {name: (folder / name).read_bytes() for name in (*FILES, FINGERPRINT) if name != "costs.json"}


def test_adapters_that_share_a_load_are_each_as_alone(jobs, base, tmp_path, trained):
    make_adapters({tmp_path / str(seed): job for seed, job in jobs.items()}, base)
    for seed, job in jobs.items():
        make_adapters({tmp_path / f"alone-{seed}": job}, base)
        assert content(tmp_path / str(seed)) == content(tmp_path / f"alone-{seed}")
    assert content(tmp_path / "1")["adapter_model.safetensors"] != content(tmp_path / "2")["adapter_model.safetensors"]
    assert trained[0] == [1, 2, 1, 2]


def test_what_is_made_of_the_same_is_kept_and_what_is_not_is_trained_again(jobs, base, tmp_path, trained):
    seeds, _ = trained
    folders = {tmp_path / str(seed): job for seed, job in jobs.items()}
    make_adapters({tmp_path / "1": jobs[1]}, base)
    make_adapters(folders, base)
    assert seeds == [1, 2], "a seed that came later is trained alone"
    before = content(tmp_path / "1")
    for changed in (
        {"recipe": SMALL | {"rank": 4}},
        {"code": "other code"},
        {"prompt": Prompt(QUESTIONS[1])},
    ):
        seeds.clear()
        make_adapters(folders | {tmp_path / "2": replace(jobs[2], **changed)}, base)
        assert seeds == [2]
    assert content(tmp_path / "1") == before
    (tmp_path / "1" / "history.csv").unlink()
    seeds.clear()
    make_adapters({tmp_path / "1": jobs[1]}, base)
    assert seeds == [1] and content(tmp_path / "1") == before, "what is not whole is made again"


def test_an_interruption_leaves_no_adapter_and_what_was_finished_is_not_trained_again(jobs, base, tmp_path, trained):
    seeds, broken = trained
    folders = {tmp_path / str(seed): job for seed, job in jobs.items()}
    broken.add(2)
    with pytest.raises(KeyboardInterrupt):
        make_adapters(folders, base)
    assert [path for path in tmp_path.iterdir() if not path.name.startswith(".")] == []
    broken.clear()
    make_adapters(folders, base)
    assert seeds == [1, 2, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"], "nothing waits any more"
    broken.add(2)
    changed = {path: replace(job, code="new code") for path, job in folders.items()}
    with pytest.raises(KeyboardInterrupt):
        make_adapters(changed, base)
    make_adapters({path: job for path, job in folders.items() if path.name == "1"}, base)
    assert content(tmp_path / "1")["fingerprint.json"].count(b"new code") == 0, "what another code finished is not taken"
