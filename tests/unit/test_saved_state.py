"""Interrupted work goes on only where everything that its result depends on is the same."""

import json
import sys
import types
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from earwitness.core.errors import InputError
from earwitness.model.adapter_training import AdapterJob
from earwitness.model.engine.prompting import Prompt
from earwitness.model.identity import ModelFolder
from earwitness.model.prediction_jobs import ModelSpec, StimulusFiles
from earwitness.prompt_search.search_jobs import ProposerChoice, SearchJob
from earwitness.runtime.made_folders import FINGERPRINT, make_folders
from earwitness.runtime.saved_state import SavedState, loaded_code_identity

RECIPE = {"scope": "published", "rank": 4}
SIZES = {"iterations": 2, "stimuli": 8}


@pytest.fixture
def files(tmp_path):
    """A shard, a split, an index, and an adapter's folder; their content does not matter."""
    for name in ("shard.parquet", "split.csv", "index.parquet", "adapter/adapter_config.json", "adapter/adapter_model.safetensors"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def training(folder: Path) -> AdapterJob:
    model = ModelSpec(ModelFolder(folder / "base", "a" * 64), None, "none", "fast")
    return AdapterJob(model, (folder / "shard.parquet",), (), folder / "split.csv", RECIPE, Prompt("Is it speech?"), seed=1)


def search(folder: Path) -> SearchJob:
    asked = ModelSpec(ModelFolder(folder / "base", "a" * 64), folder / "adapter", "none", "fast")
    stimuli, proposer = StimulusFiles((folder / "shard.parquet",), encoded=False), ProposerChoice("opro", ModelFolder(folder, "b" * 64))
    tables = folder / "index.parquet", folder / "split.csv"
    return SearchJob("base", asked, stimuli, Prompt("Is it speech?"), proposer, *tables, SIZES, search_seed=1, seed=1, batch_size=None)


def edited(folder: Path, name: str) -> None:
    (folder / name).write_text("other content")


def other_base(job):
    part = "model" if isinstance(job, AdapterJob) else "asked"
    spec = getattr(job, part)
    return replace(job, **{part: replace(spec, base=replace(spec.base, sha256="c" * 64))})


CHANGES = {
    "nothing": lambda job, folder: job,
    "the place of the base": lambda job, folder: replace(
        job, model=replace(job.model, base=replace(job.model.base, path=folder / "moved"))
    ) if isinstance(job, AdapterJob) else job,
    "the base": lambda job, folder: other_base(job),
    "the question": lambda job, folder: replace(job, prompt=Prompt("Is it a voice?")),
    "the seed": lambda job, folder: replace(job, seed=2),
    "a shard": lambda job, folder: edited(folder, "shard.parquet") or job,
    "the split": lambda job, folder: edited(folder, "split.csv") or job,
}  # fmt: skip
OF_TRAINING = {
    "the recipe": lambda job, folder: replace(job, recipe=RECIPE | {"rank": 8}),
    "the quantisation": lambda job, folder: replace(job, model=replace(job.model, quantisation="nf4")),
}
OF_SEARCH = {
    "the index": lambda job, folder: edited(folder, "index.parquet") or job,
    "the adapter": lambda job, folder: edited(folder, "adapter/adapter_model.safetensors") or job,
    "the adapter's scale": lambda job, folder: edited(folder, "adapter/adapter_config.json") or job,
    "the sizes": lambda job, folder: replace(job, sizes=SIZES | {"iterations": 3}),
    "the proposer": lambda job, folder: replace(job, proposer=ProposerChoice("edits")),
    "the writer": lambda job, folder: replace(job, proposer=ProposerChoice("opro", ModelFolder(folder, "d" * 64))),
    "the search's seed": lambda job, folder: replace(job, search_seed=2),
}


@pytest.mark.parametrize(
    ("job_of", "what", "change"),
    [(training, what, change) for what, change in (CHANGES | OF_TRAINING).items()]
    + [(search, what, change) for what, change in (CHANGES | OF_SEARCH).items()],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", ""),
)
def test_work_is_resumed_only_where_nothing_that_counts_has_changed(files, tmp_path, job_of, what, change):
    job = job_of(files)
    SavedState(tmp_path / "state", job.fingerprint()).save({"weight": torch.ones(2)}, {"done": 3})
    found = SavedState(tmp_path / "state", change(job, files).fingerprint()).load()
    assert (found is not None) == (what in ("nothing", "the place of the base"))
    if found is not None:
        assert found[0]["weight"].tolist() == [1, 1] and found[1] == {"done": 3}


def test_a_comment_in_loaded_code_lets_work_be_resumed_and_another_number_does_not(tmp_path, monkeypatch):
    def identity_with(name: str, code: str) -> str:
        path = tmp_path / f"{name}.py"
        path.write_text(code)
        module = types.ModuleType("earwitness.planted")
        module.__file__ = str(path)
        monkeypatch.setitem(sys.modules, "earwitness.planted", module)
        return loaded_code_identity()

    before = identity_with("before", "RATE = 1\n")
    assert identity_with("comment", "# Per second.\nRATE = 1\n") == before
    assert identity_with("number", "RATE = 2\n") != before


def made(folder, fingerprint, fill=lambda temporary: (temporary / "result.txt").write_text("made")):
    make_folders({folder: fingerprint}, ["result.txt"], lambda temporary, _, resume: fill(temporary))


def test_folders_that_were_made_are_made_again_of_another_fingerprint_and_those_of_the_users_are_left_alone(tmp_path):
    folder = tmp_path / "made"
    for seed in (1, 2):
        made(folder, {"seed": seed})
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"made: holds notes\.txt, which was not made here"):
        made(folder, {"seed": 3}, lambda temporary: pytest.fail("worked for a folder that it may not replace"))
    assert (folder / "notes.txt").exists() and json.loads((folder / FINGERPRINT).read_text()) == {"seed": 2}


def test_a_state_of_another_fingerprint_is_removed(tmp_path):
    old = tmp_path / "state"
    old.mkdir()
    (old / "state.json").write_text('{"fingerprint": {"seed": 1}, "progress": 1}')
    state = SavedState(old, {"seed": 2})
    assert state.load() is None
    state.save({"x": torch.zeros(1)}, 5)
    assert state.load()[1] == 5
