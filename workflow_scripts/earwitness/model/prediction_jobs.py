"""One prediction job: the base is loaded once per device, adapters take turns on it, and the files of stimuli are shared out among the devices."""

from collections.abc import Sequence, Set
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from earwitness.audio.window import Level
from earwitness.core.errors import InputError
from earwitness.core.files import sha256_of
from earwitness.model.engine.adapters import adapted, can_merge, load_adapter
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.loading import Memory, load_model
from earwitness.model.engine.prompting import Prompt
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.feature_files import metadata_of
from earwitness.model.identity import ModelFolder, verify_base_of
from earwitness.model.measured_sizes import MeasuredSizes
from earwitness.model.prediction import StimulusSource, from_audio, from_features, prediction_rows
from earwitness.runtime.workers import end_with_parent
from earwitness.systems import System


@dataclass(frozen=True)
class StimulusFiles:
    """Stimuli on disk.

    paths: shards with audio, or, where `encoded`, files of features that the base made of them. level: of audio; None leaves it.
    """

    paths: tuple[Path, ...]
    encoded: bool
    level: Level | None = None

    def content(self) -> list[Any]:
        """What tells these stimuli from others: the digests of shards; of features, which are many times as large, what they were made of."""
        return [asdict(metadata_of(path)) if self.encoded else sha256_of(path) for path in self.paths]

    def source(self, loaded: LoadedModel) -> StimulusSource:
        """The stimuli as a model gets them."""
        return from_features(loaded, self.paths) if self.encoded else from_audio(loaded, self.paths, self.level)


@dataclass(frozen=True)
class ModelSpec:
    """What is asked: a base model, or the adapter of a folder on it. quantisation, memory: see
    earwitness.model.engine.loading.load_model."""

    base: ModelFolder
    adapter: Path | None
    quantisation: str
    memory: Memory

    def identity(self) -> dict[str, str | None]:
        """The SHA-256 of the base, and of the adapter's weights where there is one: what predictions record of their making."""
        return {"base": self.base.sha256, "adapter": None if self.adapter is None else sha256_of(self.adapter / "adapter_model.safetensors")}

    def load(self, device: torch.device) -> LoadedModel:
        """The model in memory, to be asked; raises InputError where the adapter was not trained on this base."""
        loaded = self.load_base(device)
        return loaded if self.adapter is None else load_adapter(loaded, self.adapter, can_merge(loaded, self.memory))

    def batches(self, size: int | None, device: torch.device) -> Batches:
        """Batches of a size; where that is None, of the size that was measured for this model on such a device, or is now."""
        return Batches(size, device, self.memory, MeasuredSizes(self.base, self.quantisation, self.memory, device))

    def load_base(self, device: torch.device) -> LoadedModel:
        """The base in memory; raises InputError where the adapter was not trained on it."""
        if self.adapter is not None:
            verify_base_of(self.adapter, self.base)
        return load_model(self.base, self.quantisation, device, self.memory)


@dataclass(frozen=True)
class Asked:
    """Who is asked, and about which stimuli; None: about all."""

    model: ModelSpec
    system: System
    only: Set[str] | None = None


@dataclass(frozen=True)
class PredictionJob:
    """Questions to ask models about stimuli.

    asked: a base, or adapters of one base, loaded alike. batch_size: None finds one. threads: CPU threads.
    """

    asked: tuple[Asked, ...]
    stimuli: StimulusFiles
    prompts: tuple[Prompt, ...]
    batch_size: int | None
    threads: int


def predict(job: PredictionJob, devices: Sequence[torch.device]) -> list[pd.DataFrame]:
    """Prediction rows (earwitness.tables.predictions.PREDICTIONS) of everybody asked, each table sorted by stimulus and then in the prompts'
    order; each device gets its share of the files, and loads the base once.

    Raises InputError where no stimulus, or not every wanted one, is there, and where an adapter was not trained on this base.
    """
    paths = job.stimuli.paths
    shares = [paths[start :: len(devices)] for start in range(min(len(devices), len(paths)))]
    if len(shares) == 1:
        parts = [_predict_on(job, devices[0])]
    else:
        jobs = [replace(job, stimuli=replace(job.stimuli, paths=share)) for share in shares]
        with ProcessPoolExecutor(len(shares), mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
            parts = list(pool.map(_predict_on, jobs, devices))
    return [_whole(asked, tables) for asked, *tables in zip(job.asked, *parts, strict=True)]


def _whole(asked: Asked, parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of one system; raises InputError as `predict` does."""
    table = pd.concat(parts, ignore_index=True).sort_values("stimulus_id", kind="stable", ignore_index=True)
    if table.empty:
        raise InputError("none of the stimuli to ask about is in the shards; make the split again from these stimuli")
    missing = sorted(set(asked.only or ()) - set(table.stimulus_id))
    if missing:
        raise InputError(f"stimulus {missing[0]} (and {len(missing) - 1} more) is in no shard; make the split again from these stimuli")
    return table


def available_devices() -> list[torch.device]:
    """The GPUs that torch sees, or the CPU."""
    return [torch.device("cuda", index) for index in range(torch.cuda.device_count())] or [torch.device("cpu")]


def _predict_on(job: PredictionJob, device: torch.device) -> list[pd.DataFrame]:
    torch.set_num_threads(job.threads)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    first, *others = [asked.model for asked in job.asked]
    for other in others:
        if other.adapter is not None:
            verify_base_of(other.adapter, other.base)
    base = first.load_base(device)
    batches = first.batches(job.batch_size, device)
    merge = can_merge(base, first.memory)
    tables = []
    for asked in job.asked:
        with nullcontext(base) if asked.model.adapter is None else adapted(base, asked.model.adapter, merge) as loaded:
            tables.append(prediction_rows(loaded, job.stimuli.source(loaded), job.prompts, asked.system, batches, asked.only))
    return tables
