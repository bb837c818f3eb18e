"""One adapter from files to files: trained, resumed after an interruption, and written with its base, history and costs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from earwitness.audio.window import Level
from earwitness.core.files import atomic_folder, sha256_of, write_json
from earwitness.model.engine.prompting import Prompt
from earwitness.model.feature_files import verify_features
from earwitness.model.finetuning import train_adapter, training_set
from earwitness.model.identity import BASE_OF_ADAPTER
from earwitness.model.prediction_jobs import ModelSpec, StimulusFiles, available_devices
from earwitness.runtime.costs import Meter
from earwitness.runtime.saved_state import SavedState, loaded_code_identity
from earwitness.tables.files import read_table
from earwitness.tables.splits import SPLIT


@dataclass(frozen=True)
class AdapterJob:
    """An adapter to train.

    model: the base. shards: stimuli with audio, and features: the same as the base encodes them, which recipes of scope
    "language_model" train on. split: the file of a split (earwitness.tables.splits.SPLIT), whose train part is learned. recipe: of
    config finetuning.recipes.
    """

    model: ModelSpec
    shards: tuple[Path, ...]
    features: tuple[Path, ...]
    split: Path
    recipe: Mapping[str, Any]
    prompt: Prompt
    seed: int

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
            "code": loaded_code_identity(),
        }


def make_adapter(job: AdapterJob, base: Mapping[str, Any], folder: Path) -> None:
    """Train an adapter and write its folder, which appears whole: adapter_config.json and adapter_model.safetensors (peft's layout),
    base.json, history.csv (step, loss, learning_rate, accuracy) and costs.json.

    base: the base's identity (earwitness.model.identity.IDENTITY).
    Raises InputError as `training_set` and `train_adapter` do.
    """
    resume = SavedState(folder.with_name(f".{folder.name}-in-progress"), job.fingerprint())
    loading = Meter()
    loaded = job.model.load(available_devices()[0])
    data = training_set(loaded, job.stimuli.source(loaded), read_table(job.split, SPLIT), job.recipe["scope"])
    load_s = loading.wall_s()
    training, resumed = Meter(), resume.load()
    model, history = train_adapter(loaded, data, job.prompt, job.recipe, job.seed, resume, job.model.memory)
    with atomic_folder(folder) as temporary:
        model.save_pretrained(str(temporary))
        (temporary / "README.md").unlink()
        write_json(temporary / BASE_OF_ADAPTER, base)
        history.to_csv(temporary / "history.csv", index=False)
        samples = (len(history) - (len(resumed[1]) if resumed else 0)) * job.recipe["batch_size"]
        costs = training.costs(model, samples, temporary / "adapter_model.safetensors")
        write_json(temporary / "costs.json", {"load_s": load_s, **costs})
    resume.remove()
