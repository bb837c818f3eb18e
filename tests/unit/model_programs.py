"""Every program that loads a base, and a small study for each to work on."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import soundfile
import torch
from recipe import RECIPE
from shards import write_shard

import check_generation
import detect_speech
import encode_stimuli
import identify_model
import predict_adapter
import predict_zeroshot
import probe_counterfactuals
import search_prompts
import train_adapter
from earwitness.audio.window import Level, Window
from earwitness.core.files import sha256_of, write_json
from earwitness.detectors.hand_over import Selection, detector_record
from earwitness.detectors.presentation import Presentation
from earwitness.model.engine.adapters import attach_adapter
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.loading import load_model
from earwitness.model.feature_files import encode_shard
from earwitness.model.identity import BASE_OF_ADAPTER, identified
from earwitness.model.tiny_base_questions import QUESTIONS
from earwitness.systems import System
from earwitness.tables.files import read_table, write_table
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI

CPU = torch.device("cpu")
PROMPT = json.dumps({"question": QUESTIONS[0], "answer_format": "letters", "audio_position": "before"})
SYSTEM = "attention-grouped-seed-1"
PROGRAMS = (encode_stimuli, predict_zeroshot, check_generation, probe_counterfactuals, search_prompts, train_adapter, predict_adapter, detect_speech)


def make_study(base: Path, path: Path) -> Path:
    """Stimuli with their features, a split with its gate, an adapter and a detector's folder of a base, in a folder."""
    parts = ("train", "train", "dev", "dev", "test", "test")
    rows = [(f"{label[0]}{k}", f"{label[0]}{k}", label, part) for label in ("SPEECH", "NONSPEECH") for k, part in enumerate(parts)]
    table = pd.DataFrame(rows, columns=["stimulus_id", "source_id", "label", "part"]).assign(clip_id=lambda t: t.source_id)
    write_shard(path / "shard.parquet", table.stimulus_id.tolist())
    index = read_table(path / "shard.parquet", STIMULI).drop(columns=["source_id", "label"]).merge(table[["stimulus_id", "source_id", "label"]])
    write_table(path / "index.parquet", index[list(STIMULI.columns)], STIMULI)
    write_table(path / "split.csv", table, SPLIT)
    loaded = load_model(identified(base))
    encode_shard(loaded, path / "shard.parquet", path / "features.parquet", Batches(4, CPU))
    subject = [{"role": role, "name": file, "sha256": sha256_of(path / file)} for role, file in (("split", "split.csv"), ("shards", "shard.parquet"))]
    write_json(path / "gate.json", {"subject": subject, "certificate_sha256": "0" * 64, "status": "pass", "expected": "pass"})
    attach_adapter(loaded, ["q_proj", "v_proj"], "published", 2, 4, 0.0).save_pretrained(str(path / "adapter"))
    write_json(path / "adapter" / "prompt.json", json.loads(PROMPT) | {"template": None})
    fit = {"method": "platt", "slope": 1.0, "intercept": 0.0, "temperature": 1.0, "threshold_log_odds": 0.0}
    write_json(path / "adapter" / "calibration.json", fit | {"fitted_on": {"part": "dev", "split_sha256": "0" * 64, "sources": ["s"]}})
    soundfile.write(path / "sound.wav", torch.rand(8000).numpy() - 0.5, 16_000)
    return path


def arguments(program, study: Path, base: Path, made: Path) -> list[object]:
    """A right command line of a program, but for its base."""
    common = ["--base", base, "--quantisation", "none", "--threads", 1]
    asked, batch = [*common, "--prompt", PROMPT], ["--batch-size", 4]
    shards, features, split = study / "shard.parquet", study / "features.parquet", ["--split", study / "split.csv"]
    recipe = {**RECIPE, "rank": 2, "alpha": 4, "dropout": 0.0, "steps": 1, "batch_size": 4, "normalisation": "peak", "level_dbfs": -1.0}
    sizes = {"iterations": 1, "candidates": 2, "stimuli": 4, "development_stimuli": 4, "finalists": 1, "most_characters": 500}
    return {
        encode_stimuli: [shards, made / "features.parquet", *common, *batch],
        predict_zeroshot: [features, "--model", "base", "--output", made / "table.parquet", *asked, *batch],
        check_generation: [features, "--table", made / "table.csv", *asked, "--most", 4, "--seed", 1],
        probe_counterfactuals: [shards, *split, "--output", made / "table.csv", *asked, *batch, "--seed", 1],
        search_prompts: [
            *("--system", "base", "--features", features, "--index", study / "index.parquet", *split, "--proposer", "edits"),
            *("--scores", made / "search/prompts.csv", "--search-seeds", 1, "--settings", json.dumps(sizes), *asked, *batch, "--seed", 1),
        ],
        train_adapter: [
            *(shards, "--systems", SYSTEM, "--adapters", made / "adapter" / "adapter_config.json", "--names", "grouped"),
            *("--splits", study / "split.csv", "--gates", study / "gate.json", "--recipe", json.dumps(recipe), *asked),
        ],
        predict_adapter: [
            *(shards, "--adapters", study / "adapter" / "adapter_config.json", "--study", shards, "--names", "grouped"),
            *("--splits", study / "split.csv", "--gates", study / "gate.json", "--systems", SYSTEM),
            *("--outputs", made / "table.parquet", *asked, *batch),
            *("--level", '{"normalisation": "peak", "level_dbfs": -1.0}'),
        ],
        detect_speech: [study / "sound.wav", "--detector", study / "adapter", "--base", base],
        identify_model: [base, made / "identity.json", "--name", "base"],
    }[program]


def write_detector(study: Path, identity: dict[str, Any]) -> None:
    """Make of the study's adapter a detector whose base has an identity."""
    level = Level("peak", -1.0)
    selection = Selection(System.parse(SYSTEM), {System.parse(SYSTEM): 0.9})
    write_json(study / "adapter" / BASE_OF_ADAPTER, identity)
    record = detector_record(identity, None, "none", Presentation(Window(600, 5.0, -80.0, level), 200, 400, level), selection)
    write_json(study / "adapter" / "detector.json", record)
