"""Fine-tuning beyond one run of the workflow.

matrix: every recipe x seed x split on a finished study folder, without Snakemake: the programs of encode_stimuli,
train_adapter and predict_adapter, several at a time, writing what the workflow would write. What is there is not made again.

full-size: what one seed costs on the full-size architecture with random weights: 128 stimuli of 1 s, 3 epochs, batches of 16.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from engine import PROMPT, release, stimuli, vectors_of
from full_size import write_full_size, write_small

from earwitness.config import complete_config
from earwitness.model.engine.features import encode_waveforms
from earwitness.model.engine.loading import load_model
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.finetuning import train_adapter, training_set
from earwitness.model.identity import identified
from earwitness.model.prediction import StimulusSource
from earwitness.runtime.costs import Meter
from earwitness.runtime.saved_state import SavedState
from earwitness.systems import asked_splits

ROOT = Path(__file__).parents[1]
PUBLISHED_SEEDS = [42, 123, 456, 789, 2024]
ITEMS, EPOCHS = 128, 3
"""What an adapter of the published study trained on."""


@dataclass(frozen=True)
class Study:
    """A finished study and how to go on with it: its folder, completed configuration, sets of stimuli to ask about."""

    folder: Path
    config: dict[str, Any]
    sets: Sequence[str]

    def shards(self, stimulus_set: str) -> list[Path]:
        return sorted((self.folder / "results/stimuli" / stimulus_set).glob("shard-*.parquet"))

    def features(self, stimulus_set: str) -> list[Path]:
        return [self.folder / "results/features/base" / stimulus_set / shard.name for shard in self.shards(stimulus_set)]

    def split(self, name: str) -> Path:
        return self.folder / f"results/splits/{name}.csv"

    def gate(self, name: str) -> Path:
        return self.folder / f"results/audit/{name}/gate.json"

    def adapter(self, recipe: str, split: str, seed: int) -> Path:
        return self.folder / f"results/adapters/base/{recipe}/{split}/seed-{seed}"

    def predictions(self, stimulus_set: str, recipe: str, split: str, seed: int) -> Path:
        return self.folder / f"results/predictions/{stimulus_set}/adapters/base/{recipe}-{split}-seed-{seed}.parquet"

    def model_arguments(self) -> list[Any]:
        model = self.config["models"]["base"]
        base = model["path"] if model["origin"] == "path" else self.folder / "data/models" / model["origin"] / "base"
        identity = self.folder / "results/models/base.identity.json"
        options = ["--quantisation", model["quantisation"], "--memory", self.config["resources"]["memory"], "--threads", 1]
        return ["--base", base, "--identity", identity, *options]

    def in_tower(self, recipe: str) -> bool:
        return self.config["finetuning"]["recipes"][recipe]["scope"] != "language_model"


def run(program: str, arguments: Sequence[Any], log: Path) -> None:
    """One program of the workflow, its output in its log; raises CalledProcessError where it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, ROOT / "workflow_scripts" / program, *arguments]
    with log.open("w", encoding="utf-8") as stream:
        subprocess.run(list(map(str, command)), stdout=stream, stderr=stream, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def encode(study: Study, stimulus_set: str) -> None:
    """Features of every shard, for recipes outside the tower."""
    for shard, features in zip(study.shards(stimulus_set), study.features(stimulus_set), strict=True):
        if not features.exists():
            log = study.folder / f"results/logs/encode_stimuli/{stimulus_set}-{shard.stem.removeprefix('shard-')}.log"
            batch = study.config["resources"]["batch_size"]
            run("encode_stimuli.py", [shard, features, "--batch-size", batch, *study.model_arguments()], log)


def train(study: Study, recipe: str, split: str, seed: int) -> None:
    """One adapter as rule train_adapter makes it."""
    folder = study.adapter(recipe, split, seed)
    files = [folder / name for name in ("adapter_config.json", "adapter_model.safetensors", "base.json", "history.csv", "costs.json")]
    if all(file.exists() for file in files):
        return
    arguments = [*study.shards("factorial"), "--features", *([] if study.in_tower(recipe) else study.features("factorial"))]
    arguments += ["--split", study.split(split), "--gate", study.gate(split), "--seed", seed, *study.model_arguments()]
    arguments += ["--adapter", folder, "--recipe", json.dumps(study.config["finetuning"]["recipes"][recipe], sort_keys=True)]
    arguments += ["--prompt", json.dumps(study.config["prompt"], sort_keys=True)]
    run("train_adapter.py", arguments, study.folder / f"results/logs/train_adapter/{recipe}-{split}-seed-{seed}.log")


def predict(study: Study, stimulus_set: str, recipe: str, split: str, seed: int) -> None:
    """One adapter's answers as rule predict_adapter writes them."""
    output = study.predictions(stimulus_set, recipe, split, seed)
    if output.exists():
        return
    asked = asked_splits(split)
    settings = study.config["finetuning"]["recipes"][recipe]
    arguments = [*study.shards(stimulus_set), "--features", *([] if study.in_tower(recipe) else study.features(stimulus_set))]
    arguments += ["--study", *study.shards("factorial"), "--adapters", study.adapter(recipe, split, seed) / "adapter_config.json"]
    arguments += ["--names", *asked, "--splits", *map(study.split, asked), "--gates", *map(study.gate, asked)]
    arguments += ["--systems", f"{recipe}-{split}-seed-{seed}"]
    arguments += ["--prompt", json.dumps(study.config["prompt"], sort_keys=True)]
    arguments += ["--level", json.dumps({key: settings[key] for key in ("normalisation", "level_dbfs")}, sort_keys=True)]
    arguments += ["--batch-size", study.config["resources"]["batch_size"], "--outputs", output, *study.model_arguments()]
    run("predict_adapter.py", arguments, study.folder / f"results/logs/predict_adapter/{stimulus_set}-{recipe}-{split}-seed-{seed}.log")


def matrix(study: Study, recipes: Sequence[str], splits: Sequence[str], seeds: Sequence[int], jobs: int) -> int:
    """Train and ask every combination, `jobs` at a time; returns how many failed."""
    if not all(map(study.in_tower, recipes)):
        for stimulus_set in {"factorial", *study.sets}:
            encode(study, stimulus_set)

    def one(recipe: str, split: str, seed: int) -> str | None:
        started, name = time.perf_counter(), f"{recipe}-{split}-seed-{seed}"
        try:
            train(study, recipe, split, seed)
            for stimulus_set in study.sets:
                predict(study, stimulus_set, recipe, split, seed)
        except subprocess.CalledProcessError as error:
            print(f"{name}: {Path(error.cmd[1]).name} failed; see {study.folder}/results/logs", flush=True)
            return name
        print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
        return None

    # The seeds of all recipes advance together, so that what is there when time runs out can be compared.
    combinations = [(recipe, split, seed) for seed in seeds for recipe in recipes for split in splits]
    with ThreadPoolExecutor(jobs) as pool:
        failed = [name for name in pool.map(lambda combination: one(*combination), combinations) if name]
    print(f"{len(combinations) - len(failed)} of {len(combinations)} adapters trained and asked")
    return len(failed)


def full_size(base: Path, scratch: Path, recipes: dict[str, dict[str, Any]], seeds: Sequence[int]) -> None:
    """Print a row per recipe and seed: seconds, milliseconds per stimulus, adapter size, peak memory."""
    on_gpu = torch.cuda.is_available()
    print(f"{torch.cuda.get_device_name() if on_gpu else 'CPU'}; torch {torch.__version__}; {ITEMS} stimuli of 1 s, {EPOCHS} epochs")
    print("| recipe | seed | load, s | training, s | ms per stimulus | trainable parameters | adapter, MB | peak, GiB | last loss |")
    print("| --- |" + " ---: |" * 8)
    for name, recipe in recipes.items():
        for seed in seeds:
            loading = Meter()
            loaded = load_model(identified(base), "nf4" if on_gpu else "none")
            load_s = loading.wall_s()
            costs, loss = train_once(loaded, scratch / f"{name}-{seed}", recipe, seed)
            print(
                f"| {name} | {seed} | {load_s:.1f} | {costs['wall_s']:.1f} | {costs['ms_per_sample']:.1f} | {costs['trainable_parameters']:,}"
                f" | {costs['adapter_bytes'] / 1e6:.1f} | {costs['peak_memory_bytes'] / 2**30:.1f} | {loss:.3f} |",
                flush=True,
            )
            del loaded
            release()


def train_once(loaded: LoadedModel, folder: Path, recipe: dict[str, Any], seed: int) -> tuple[dict[str, Any], float]:
    """Costs from the waveforms to the adapter on disk, and the last loss."""
    names = [f"{number:03d}" for number in range(ITEMS)]
    split = pd.DataFrame({"stimulus_id": names, "label": ["SPEECH", "NONSPEECH"] * (ITEMS // 2), "part": "train"})
    waveforms = stimuli(ITEMS, 1.0)
    meter = Meter()
    items = waveforms if recipe["scope"] == "published" else vectors_of(loaded, waveforms)
    sounds = StimulusSource(lambda _: iter([(names, list(items))]), lambda batch: encode_waveforms(loaded, batch))
    data = training_set(loaded, sounds, split, recipe["scope"])
    model, history = train_adapter(loaded, data, PROMPT, recipe, seed, SavedState(folder / "state", {}))
    model.save_pretrained(str(folder))
    return meter.costs(model, len(history) * recipe["batch_size"], folder / "adapter_model.safetensors"), float(history.loss.iloc[-1])


def configuration(overlay: Path | None) -> dict[str, Any]:
    """The completed configuration, a file's keys laid over those of config.yaml as Snakemake does it."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    given = yaml.safe_load(overlay.read_text(encoding="utf-8")) if overlay else {}
    return complete_config(laid_over(config, given))


def laid_over(below: Any, above: Any) -> Any:
    """Nested keys merge, everything else replaces."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: laid_over(below[key], value) if key in below else value for key, value in above.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    whole = commands.add_parser("matrix", help="every recipe x seed x split on a finished study")
    whole.add_argument("study", type=Path, help="folder with data/models, results/stimuli, results/splits and results/audit/*/gate.json")
    whole.add_argument("--configfile", type=Path, help="what differs from config/config.yaml")
    whole.add_argument("--recipes", nargs="+", help="names; default: all of config finetuning.recipes")
    whole.add_argument("--splits", nargs="+", default=["grouped", "row_random"])
    whole.add_argument("--seeds", type=int, nargs="+", default=PUBLISHED_SEEDS)
    whole.add_argument("--sets", nargs="+", default=["factorial"], help="sets of stimuli to ask about: factorial, baseline")
    whole.add_argument("--jobs", type=int, default=1, help="adapters at a time")
    full = commands.add_parser("full-size", help="time, size and memory of one seed at full size")
    full.add_argument("--small", action="store_true", help="a small architecture instead, to try this program")
    full.add_argument("--seeds", type=int, nargs="+", default=PUBLISHED_SEEDS[:2])
    full.add_argument("--recipes", nargs="+", default=["attention", "attention_mlp", "language_model"])
    args = parser.parse_args()

    if args.command == "matrix":
        config = configuration(args.configfile)
        recipes = args.recipes or list(config["finetuning"]["recipes"])
        sys.exit(bool(matrix(Study(args.study.resolve(), config, args.sets), recipes, args.splits, args.seeds, args.jobs)))
    published = configuration(ROOT / "config/reproduction.yaml")["finetuning"]["recipes"]
    recipes = {name: {**published[name], "epochs": EPOCHS} for name in args.recipes}
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        (write_small if args.small else write_full_size)(scratch / "base")
        full_size(scratch / "base", scratch, recipes, args.seeds)


if __name__ == "__main__":
    main()
