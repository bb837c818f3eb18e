"""The whole way, once, for real: what it leaves, what a second run does, what a leak does."""

import json
import re
import shutil
import subprocess
import sys
import zipfile

import pandas as pd
import pytest
from datasets import load_dataset
from peft import PeftModel
from small_settings import DEMO
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

from earwitness.systems import PROBES
from earwitness.tables.accuracy import ACCURACY
from earwitness.tables.comparisons import COMPARISONS, LEAKAGE
from earwitness.tables.files import read_table
from earwitness.tables.predictions import PREDICTIONS
from earwitness.tables.stimuli import STIMULI

pytestmark = pytest.mark.slow


def test_every_promised_file_is_there_and_nothing_half_written(run):
    results = run.folder / "results"
    for name in (
        "report.html",
        "tables/accuracy.csv",
        "tables/comparisons.csv",
        "tables/test_sizes.csv",
        "tables/experiments/main.csv",
        "efficiency/main.csv",
        "tables/baseline_stimuli.csv",
        "stimuli/baseline/index.parquet",
        "audit/grouped/certificate.json",
        "audit/row_random/certificate.json",
        "predictions/factorial/zeroshot/base.parquet",
        "provenance/run.json",
    ):
        assert (results / name).stat().st_size, name
    kept = {".snakemake_timestamp", ".earwitness-sha256", ".earwitness-made"}
    hidden = [path for part in ("results", "data") for path in (run.folder / part).rglob(".*") if path.name not in kept]
    assert hidden == []


def test_a_second_run_has_nothing_to_do(run):
    result = run.study("config/demo.yaml")
    assert "Nothing to be done" in result.stdout + result.stderr


def test_the_tables_hold_every_system_and_test_set(run):
    accuracy = read_table(run.folder / "results/tables/accuracy.csv", ACCURACY)
    unseen = accuracy[(accuracy.test_set == "unseen") & (accuracy.metric == "balanced_accuracy")]
    ensembles = {"attention-grouped+mean", "attention-grouped+vote"}
    answering = {"base", *PROBES, "attention-grouped", "attention-row_random", "silero", "webrtc", "energy"}
    assert set(unseen.system_id) == answering | ensembles
    assert set(unseen[unseen.system_id == "attention-grouped"].seed) == {"42", "123", "all"}
    comparisons = read_table(run.folder / "results/tables/comparisons.csv", COMPARISONS)
    assert {("attention-grouped", "base"), ("attention-grouped", "attention-row_random")} <= set(
        zip(comparisons.system_a, comparisons.system_b, strict=True)
    )
    assert set(read_table(run.folder / "results/tables/leakage.csv", LEAKAGE).system_id) == {"attention-row_random"}


def test_the_baseline_has_its_clips_under_every_condition(run):
    index = read_table(run.folder / "results/stimuli/baseline/index.parquet", STIMULI)
    grid = index[index.design == "grid"]
    clips = DEMO["baseline"]["speech_clips"] + DEMO["baseline"]["sound_clips"]
    assert len(grid) == (5 + 3 + 3 + 3 + 1) * clips, "durations, SNRs, bands, rooms and the reference"
    assert len(index) - len(grid) == 3 * 3 * clips
    assert not set(index.clip_id) & set(read_table(run.folder / "results/stimuli/factorial/index.parquet", STIMULI).clip_id)


def test_adapters_answer_only_what_they_did_not_train_on(run):
    grouped = pd.read_csv(run.folder / "results/splits/grouped.csv")
    leaky = pd.read_csv(run.folder / "results/splits/row_random.csv")
    for split, name in ((grouped, "grouped"), (leaky, "row_random")):
        trained = set(split.stimulus_id[split.part == "train"])
        predictions = read_table(run.folder / f"results/predictions/factorial/adapters/base/attention-{name}-seed-42.parquet", PREDICTIONS)
        assert not trained & set(predictions.stimulus_id)
        assert set(grouped.stimulus_id[grouped.part == "test"]) <= set(predictions.stimulus_id)


def test_the_honest_split_passes_its_audit_and_the_leaky_one_fails_by_name(run):
    audits = {name: json.loads((run.folder / f"results/audit/{name}/certificate.json").read_text()) for name in ("grouped", "row_random")}
    assert audits["grouped"]["status"] == "pass"
    failed = {check["name"]: check for check in audits["row_random"]["checks"] if check["status"] == "fail"}
    assert {"source_overlap", "recording_overlap"} <= set(failed)
    leaky = pd.read_csv(run.folder / "results/splits/row_random.csv")
    shared = leaky.groupby("source_id").part.nunique().loc[lambda parts: parts > 1].index
    assert set(failed["source_overlap"]["offending_sources"]) <= set(shared)


def test_stock_libraries_load_what_was_made(run):
    base = run.folder / "data/models/tiny/base"
    model = Qwen2AudioForConditionalGeneration.from_pretrained(base)
    PeftModel.from_pretrained(model, run.folder / "results/adapters/base/attention/grouped/seed-42")
    assert AutoProcessor.from_pretrained(base).audio_token == "<|AUDIO|>"
    shards = sorted(map(str, (run.folder / "results/stimuli/factorial").glob("shard-*.parquet")))
    stimuli = load_dataset("parquet", data_files=shards, split="train", cache_dir=str(run.folder / "cache"))
    assert type(stimuli.features["audio"]).__name__ == "Audio"
    shutil.rmtree(run.folder / "cache")


def test_the_report_stands_alone(run):
    page = (run.folder / "results/report.html").read_text()
    assert re.findall(r'src="(?!data:)[^"]*"', page) == []
    links = set(re.findall(r'href="(?!data:|#|https://(?:doi|arxiv)\.org/)([^"]*)"', page))
    assert len(links) > 40 and [link for link in links if not (run.folder / "results" / link).exists()] == []
    assert page.count("<audio") == 2 * 3 * 3 + 6, "a clip of each class at every duration and SNR, and six that the adapter gets wrong"
    for words in ("embedded tiny base", "row-random", "Provenance", *DEMO["report"]["note"].split(". ")):
        assert words.lower() in page.lower()


def test_the_demos_base_has_learned_to_hear(run):
    """Else its report would show nothing but chance."""
    accuracy = read_table(run.folder / "results/tables/accuracy.csv", ACCURACY)
    (base,) = accuracy[(accuracy.system_id == "base") & (accuracy.test_set == "unseen") & (accuracy.metric == "balanced_accuracy")].low
    assert base > 0.5


def test_snakemakes_own_report_can_be_packed(run, tmp_path):
    result = run.snakemake("--cores", "1", "--configfile", "config/demo.yaml", "--report", str(tmp_path / "report.zip"))
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "report.zip").stat().st_size


def test_the_results_can_be_packed_and_verified(run, tmp_path):
    packed = run.copy(tmp_path / "study")
    result = packed.snakemake("--cores", "1", "archive", "--configfile", "config/demo.yaml")
    assert result.returncode == 0, result.stdout + result.stderr
    with zipfile.ZipFile(packed.folder / "results/archive/earwitness.crate.zip") as crate:
        crate.extractall(tmp_path / "crate")
    described = {part["@id"] for part in json.loads((tmp_path / "crate/ro-crate-metadata.json").read_text())["@graph"]}
    files = {str(path.relative_to(tmp_path / "crate")) for path in (tmp_path / "crate").rglob("*") if path.is_file()}
    assert files - {"ro-crate-metadata.json"} <= described
    assert any(name.endswith("tables/accuracy.csv") for name in files)
    program = [sys.executable, packed.folder / "workflow_scripts/verify_results.py", "results", "--against", run.folder / "results"]
    verified = subprocess.run(program, cwd=packed.folder, capture_output=True, text=True)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert verified.stdout.count(" 0 differences") == 2


def test_a_planted_duplicate_stops_training_at_the_gate(run, tmp_path):
    """A speaker copied under other names: the copies land on other sides of the split, and the gate says so."""
    leaky = run.copy(tmp_path)
    corpus = leaky.folder / "corpus"
    shutil.move(leaky.folder / "data/embedded/study", corpus)
    shutil.rmtree(leaky.folder / "results")
    original = sorted((corpus / "voxconverse/audio").glob("*.wav"))[0]
    turns = (corpus / "voxconverse/rttm" / f"{original.stem}.rttm").read_text()
    for number in range(8):
        shutil.copy(original, original.with_name(f"copy{number}.wav"))
        (corpus / f"voxconverse/rttm/copy{number}.rttm").write_text(turns.replace(original.stem, f"copy{number}"))
    sources = {name: {"origin": "path", "path": f"corpus/{name}"} for name in ("voxconverse", "esc50")}
    wanted = "results/audit/grouped/report.md", "results/adapters/base/attention/grouped/seed-42/adapter_model.safetensors"
    result = leaky.study(leaky.overlay({**DEMO, "sources": sources}), *wanted)
    assert result.returncode != 0
    log = (leaky.folder / "results/logs/gate_leakage/grouped.log").read_text()
    assert "exact_duplicate_audio" in log
    assert re.search(r"voxconverse:copy\d", log)
    (error,) = log.splitlines()
    assert error.startswith("error: ")
    assert error in result.stderr, "the user sees the reason without opening a log"
    certificate = json.loads((leaky.folder / "results/audit/grouped/certificate.json").read_text())
    assert certificate["status"] == "fail"
    assert (leaky.folder / "results/audit/grouped/report.md").exists()
    assert not (leaky.folder / "results/adapters/base/attention/grouped").exists()


@pytest.mark.parametrize("table", ["accuracy", "conditions", "comparisons", "leakage"])
def test_no_table_holds_a_share_outside_its_range(run, table):
    numbers = pd.read_csv(run.folder / f"results/tables/{table}.csv").select_dtypes("number")
    shares = numbers[[name for name in numbers if name.startswith("p_") or name in ("estimate", "balanced_accuracy", "own_test")]]
    assert not shares.empty
    assert ((shares >= 0) & (shares <= 1) | shares.isna()).all(axis=None)
