"""Adapters from files to files: trained, resumed after an interruption, and written with their base, history and costs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from earwitness.audio.window import Level
from earwitness.core.files import sha256_of, write_json
from earwitness.model.engine.prompting import Prompt
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.feature_files import verify_features
from earwitness.model.finetuning import TrainingSet, train_adapter, training_set
from earwitness.model.identity import BASE_OF_ADAPTER
from earwitness.model.prediction_jobs import ModelSpec, StimulusFiles, available_devices
from earwitness.runtime.costs import Meter
from earwitness.runtime.made_folders import make_folders
from earwitness.runtime.saved_state import SavedState, loaded_code_identity
from earwitness.tables.files import read_table
from earwitness.tables.splits import SPLIT

FILES = ("adapter_config.json", "adapter_model.safetensors", BASE_OF_ADAPTER, "history.csv", "costs.json")


@dataclass(frozen=True)
class AdapterJob:
    """An adapter to train.

    model: the base. shards: stimuli with audio, and features: the same as the base encodes them, which recipes of scope
    "language_model" train on. split: the file of a split (earwitness.tables.splits.SPLIT), whose train part is learned. recipe: of
    config finetuning.recipes. code: the meaning of the code that trains, as Snakemake follows it; None takes that of the modules loaded now.
    """

    model: ModelSpec
    shards: tuple[Path, ...]
    features: tuple[Path, ...]
    split: Path
    recipe: Mapping[str, Any]
    prompt: Prompt
    seed: int
    code: str | None = None

    @property
    def stimuli(self) -> StimulusFiles:
        """What the recipe trains on; raises InputError where the features are not those of the shards."""
        if self.recipe["scope"] == "language_model":
            verify_features(self.features, self.shards)
            return StimulusFiles(self.features, encoded=True)
        return StimulusFiles(self.shards, encoded=False, level=Level(self.recipe["normalisation"], self.recipe["level_dbfs"]))

    def fingerprint(self) -> dict[str, Any]:
        """Everything that the result depends on: a state saved under another fingerprint is not resumed."""
        return {
            "recipe": dict(self.recipe),
            "prompt": asdict(self.prompt),
            "quantisation": self.model.quantisation,
            "memory": self.model.memory,
            "seed": self.seed,
            "split": sha256_of(self.split),
            "base": self.model.base.sha256,
            "stimuli": [sha256_of(path) for path in self.shards],
            "code": self.code or loaded_code_identity(),
        }


def make_adapters(jobs: Mapping[Path, AdapterJob], base: Mapping[str, Any]) -> None:
    """Train adapters of one base and recipe by one load, and write their folders as `make_folders` does: adapter_config.json and
    adapter_model.safetensors (peft's layout), base.json, fingerprint.json, history.csv (step, loss, learning_rate, accuracy) and costs.json.

    jobs: by the adapter's folder. base: the base's identity (earwitness.model.identity.IDENTITY).
    Raises InputError as `training_set` and `train_adapter` do.
    """
    loaded: LoadedModel | None = None
    sets: dict[Path, TrainingSet] = {}

    def make(temporary: Path, folder: Path, resume: SavedState) -> None:
        nonlocal loaded
        job, loading = jobs[folder], Meter()
        if loaded is None:
            loaded = job.model.load(available_devices()[0])
        if job.split not in sets:
            sets[job.split] = training_set(loaded, job.stimuli.source(loaded), read_table(job.split, SPLIT), job.recipe["scope"])
        _train(loaded, sets[job.split], job, resume, temporary, loading.wall_s())
        write_json(temporary / BASE_OF_ADAPTER, base)

    make_folders({folder: job.fingerprint() for folder, job in jobs.items()}, FILES, make)


def _train(loaded: LoadedModel, data: TrainingSet, job: AdapterJob, resume: SavedState, folder: Path, load_s: float) -> None:
    """Train one adapter on a base, which is as it was afterwards, and write it with its history and costs."""
    training, resumed = Meter(), resume.load()
    model, history = train_adapter(loaded, data, job.prompt, job.recipe, job.seed, resume, job.model.memory)
    model.save_pretrained(str(folder))
    (folder / "README.md").unlink()
    history.to_csv(folder / "history.csv", index=False)
    samples = (len(history) - (len(resumed[1]) if resumed else 0)) * job.recipe["batch_size"]
    costs = training.costs(model, samples, folder / "adapter_model.safetensors")
    write_json(folder / "costs.json", {"load_s": load_s, **costs})
    model.unload()
