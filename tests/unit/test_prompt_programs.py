"""The programs of a prompt search over an adapter: apart in sources, the same after an interruption, and used downstream."""

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
import pytest
from shards import write_shard

import choose_prompt
import compare_prompts
import predict_prompts
import search_prompts
from earwitness.core.errors import InputError
from earwitness.core.files import sha256_of, write_json
from earwitness.leakage.tuning_records import load_tuning_record
from earwitness.model.engine.adapters import attach_adapter
from earwitness.model.engine.loading import load_model
from earwitness.model.identity import BASE_OF_ADAPTER, identified, identify_model
from earwitness.model.prediction_jobs import ModelSpec
from earwitness.model.tiny_base_questions import QUESTIONS
from earwitness.prompt_search import search_jobs
from earwitness.prompt_search.chosen_question import asked_prompt
from earwitness.prompt_search.search_jobs import FILES, SCORES
from earwitness.runtime.made_folders import FINGERPRINT
from earwitness.runtime.saved_state import SavedState
from earwitness.tables.files import read_table, write_table
from earwitness.tables.prompt_gains import PROMPT_CONDITIONS, PROMPT_GAINS
from earwitness.tables.prompts import PROMPT_SCORES
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI

SYSTEM = "attention-grouped-seed-1"
PROMPT = {"question": QUESTIONS[0], "answer_format": "letters", "audio_position": "before", "template": None}
SIZES = {"iterations": 2, "candidates": 3, "stimuli": 8, "development_stimuli": 8, "finalists": 2, "most_characters": 500}
PARTS = {"train": range(0, 2), "dev": range(2, 6), "test": range(6, 10)}


@pytest.fixture(scope="module")
def study(folder, tmp_path_factory):
    """Noise in the place of two stimuli each of ten sources per class, a split, and an adapter of the audio tower too."""
    path = tmp_path_factory.mktemp("study")
    part_of = {k: part for part, places in PARTS.items() for k in places}
    rows = [(f"{label[0]}{k}-{n}", f"{label[0]}{k}", label, part_of[k]) for label in ("SPEECH", "NONSPEECH") for k in part_of for n in range(2)]
    table = pd.DataFrame(rows, columns=["stimulus_id", "source_id", "label", "part"]).assign(clip_id=lambda t: t.source_id)
    shard = write_shard(path / "shard.parquet", table.stimulus_id.tolist())
    index = read_table(shard, STIMULI).drop(columns=["source_id", "label"]).merge(table[["stimulus_id", "source_id", "label"]])
    write_table(path / "index.parquet", index[list(STIMULI.columns)], STIMULI)
    write_table(path / "grouped.csv", table, SPLIT)
    wrapped = attach_adapter(load_model(identified(folder)), ["q_proj", "v_proj"], "published", 2, 4, 0.0)
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.1)
    wrapped.save_pretrained(str(path / "adapter"))
    write_json(path / "adapter" / BASE_OF_ADAPTER, identify_model(folder, "tiny", None))
    return path


def call(program, monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", [program.__name__, *map(str, arguments)])
    program.main()


def system_of(study, folder):
    model = ["--base", folder, "--identity", study / "adapter" / BASE_OF_ADAPTER, "--quantisation", "none"]
    model += ["--threads", 1, "--batch-size", 4, "--prompt", json.dumps(PROMPT)]
    return ["--system", SYSTEM, "--adapter", study / "adapter" / "adapter_config.json", "--shards", study / "shard.parquet", *model]


def search(study, folder, output, monkeypatch, seeds=(1,), **sizes):
    """Seed -> name -> content of the files that its search leaves in seed-SEED of a folder; the meaning of the code is a word."""
    folders = {seed: output / f"seed-{seed}" for seed in seeds}
    output.mkdir(parents=True, exist_ok=True)
    data = ["--index", study / "index.parquet", "--split", study / "grouped.csv", "--code", "code"]
    options = ["--proposer", "edits", "--settings", json.dumps(SIZES | sizes), "--seed", 1, "--search-seeds", *seeds]
    call(search_prompts, monkeypatch, *system_of(study, folder), *data, *options, "--scores", *(path / SCORES for path in folders.values()))
    return {seed: {name: (path / name).read_bytes() for name in (*FILES, FINGERPRINT)} for seed, path in folders.items()}


@pytest.fixture(scope="module")
def searched(study, folder):
    with pytest.MonkeyPatch.context() as monkeypatch:
        return search(study, folder, study / "prompts" / SYSTEM / "edits", monkeypatch)[1]


def test_a_search_over_an_adapter_uses_development_sources_alone(study, searched):
    record = json.loads(searched["prompts.tuning.json"])
    assert record["system"] == f"{SYSTEM}-edits-seed-1"
    assert set(record["sources"]) == {f"{label}{k}" for label in "SN" for k in PARTS["dev"]}


class Killed(Exception):
    pass


def test_an_interrupted_search_over_an_adapter_resumes_to_the_same_bytes(study, folder, searched, tmp_path, monkeypatch):
    saved = []

    def save_and_die(self, tensors, progress):
        save(self, tensors, progress)
        saved.append(progress["done"])
        raise Killed

    save = SavedState.save
    with monkeypatch.context() as dying, pytest.raises(Killed):
        dying.setattr(SavedState, "save", save_and_die)
        search(study, folder, tmp_path, dying)
    assert saved == [1] and not (tmp_path / "seed-1").exists()
    asked = []
    load = SavedState.load
    monkeypatch.setattr(SavedState, "load", lambda self: asked.append(load(self)) or asked[-1])
    assert search(study, folder, tmp_path, monkeypatch) == {1: searched}
    assert asked[0] is not None, "it went on from the saved state"
    assert [path.name for path in tmp_path.iterdir()] == ["seed-1"], "nothing waits any more"


@pytest.fixture
def at_work(monkeypatch):
    """What is loaded and searched, in order: "load", and the seed of each search."""
    done = []
    load, find = ModelSpec.load, search_jobs.search
    monkeypatch.setattr(ModelSpec, "load", lambda self, device: done.append("load") or load(self, device))

    def record(task, proposer, scorer, settings, random_stream, resume):
        done.append(resume.folder.name.split("-")[1])
        return find(task, proposer, scorer, settings, random_stream, resume)

    monkeypatch.setattr(search_jobs, "search", record)
    return done


@pytest.mark.slow
def test_searches_of_several_seeds_share_a_load_and_each_is_as_alone(study, folder, searched, tmp_path, monkeypatch, at_work):
    together = search(study, folder, tmp_path / "together", monkeypatch, (2, 1))
    assert at_work == ["load", "2", "1"]
    assert together[1] == searched
    assert together[2] == search(study, folder, tmp_path / "alone", monkeypatch, (2,))[2]
    assert together[2]["prompts.csv"] != searched["prompts.csv"]


@pytest.mark.slow
def test_another_seed_is_searched_alone_and_another_size_searches_all(study, folder, searched, tmp_path, monkeypatch, at_work):
    shutil.copytree(study / "prompts" / SYSTEM / "edits" / "seed-1", tmp_path / "seed-1")
    assert search(study, folder, tmp_path, monkeypatch, (1, 2))[1] == searched
    assert at_work == ["load", "2"]
    at_work.clear()
    search(study, folder, tmp_path, monkeypatch, (1, 2))
    assert at_work == [], "nothing is loaded where nothing is to be searched"
    search(study, folder, tmp_path, monkeypatch, (1, 2), iterations=1)
    assert at_work == ["load", "1", "2"]


def test_what_was_found_is_reported_on_test_sources_with_its_system(study, folder, searched, monkeypatch):
    found = study / "prompts" / SYSTEM
    best = found / "edits" / "seed-1"
    common = ["--searches", best / "prompts.csv", "--split", study / "grouped.csv"]
    named = ["--names", f"{SYSTEM}-edits-seed-1"]
    call(predict_prompts, monkeypatch, *system_of(study, folder), *common, "--output", found / "predictions.parquet")
    made_with = json.loads(parquet.read_schema(found / "predictions.parquet").metadata[b"earwitness"])
    assert made_with == {"base": identified(folder).sha256, "adapter": sha256_of(study / "adapter" / "adapter_model.safetensors")}
    outputs = ["--gains", study / "gains.csv", "--history", study / "history.csv", "--conditions", study / "conditions.csv"]
    options = ["--tuning", best / "prompts.tuning.json", "--index", study / "index.parquet", "--confidence", 0.95]
    call(compare_prompts, monkeypatch, found / "predictions.parquet", *common, *named, *options, *outputs)
    gains = read_table(study / "gains.csv", PROMPT_GAINS)
    scores = read_table(best / "prompts.csv", PROMPT_SCORES)
    assert gains.n_searched.tolist() == [(scores.origin == "searched").sum()] and gains.n_prompts.tolist() == [len(scores)]
    assert gains.origin.tolist() == scores.origin[scores.chosen].tolist()
    assert gains.system_id.tolist() == [SYSTEM] and gains.n_sources.tolist() == [8] and np.isfinite(gains.difference).all()
    assert set(read_table(study / "conditions.csv", PROMPT_CONDITIONS).system_id) == {SYSTEM}


def test_the_best_question_of_several_searches_is_what_is_asked_afterwards(study, searched, tmp_path, monkeypatch):
    searches, records = [], []
    for seed, accuracy in ((1, 0.6), (2, 0.9), (3, 0.9)):
        folder = tmp_path / "base" / "edits" / f"seed-{seed}"
        shutil.copytree(study / "prompts" / SYSTEM / "edits" / "seed-1", folder)
        table = pd.read_csv(folder / "prompts.csv")
        table.loc[table.chosen, ["question", "development_balanced_accuracy"]] = f'Is it "speech" {{{seed}}}? 🗣️', accuracy
        table.to_csv(folder / "prompts.csv", index=False)
        record = json.loads((folder / "prompts.tuning.json").read_text())
        write_json(folder / "prompts.tuning.json", record | {"system": f"base-edits-seed-{seed}"})
        searches.append(folder / "prompts.csv")
        records.append(folder / "prompts.tuning.json")
    outputs = ["--question", tmp_path / "chosen.json", "--record", tmp_path / "chosen.tuning.json"]
    names = [f"base-edits-seed-{seed}" for seed in (1, 2, 3)]
    options = ["--tuning", *records, "--split", study / "grouped.csv", *outputs]
    call(choose_prompt, monkeypatch, *searches, "--names", *names, *options)
    assert asked_prompt(PROMPT, tmp_path / "chosen.json") == {**PROMPT, "question": 'Is it "speech" {2}? 🗣️'}
    assert asked_prompt(PROMPT, None) == PROMPT
    record = load_tuning_record(tmp_path / "chosen.tuning.json")
    assert record["kinds"] == ["prompt"] and record["sources"] == load_tuning_record(records[0])["sources"]
    for wrong, message in ((names[:2], "2 for 3 searches"), (names[::-1], "the record of base-edits-seed-1, not of base-edits-seed-3")):
        with pytest.raises(SystemExit, match=message):
            call(choose_prompt, monkeypatch, *searches, "--names", *wrong, *options)
    (tmp_path / "chosen.json").write_text("{}")
    with pytest.raises(InputError, match=r"chosen.json: holds no chosen question \(KeyError\); run choose_prompt again"):
        asked_prompt(PROMPT, tmp_path / "chosen.json")
