"""One prediction job: the model is loaded once per device, and the files of stimuli are shared out among the devices."""

from collections.abc import Sequence, Set
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import torch

from earwitness.audio.levels import Level
from earwitness.core.errors import InputError
from earwitness.model.engine.adapters import load_adapter
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.loading import LoadedModel, Memory, load_model
from earwitness.model.engine.prompting import Prompt
from earwitness.model.identity import ModelFolder, verify_base_of
from earwitness.model.prediction import ask, from_audio, from_features
from earwitness.runtime.workers import end_with_parent


@dataclass(frozen=True)
class PredictionJob:
    """files: shards of stimuli with audio, or features made from them where `features` is true. adapter: its folder, None
    for the base. batch_size: None finds one. threads: CPU threads. only: the stimuli to ask about, None for all. level: of
    stimuli with audio, None leaves them as they are."""

    files: tuple[Path, ...]
    features: bool
    base: ModelFolder
    adapter: Path | None
    quantisation: str
    memory: Memory
    prompt: Prompt
    system_id: str
    seed: int | None
    batch_size: int | None
    threads: int
    only: Set[str] | None = None
    level: Level | None = None


def predict(job: PredictionJob, devices: Sequence[torch.device]) -> pd.DataFrame:
    """Prediction rows (earwitness.tables.predictions.PREDICTIONS) of a job, sorted by stimulus_id; each device gets its share of the files.

    Raises InputError where no stimulus, or not every wanted one, is there.
    """
    shares = [job.files[start :: len(devices)] for start in range(min(len(devices), len(job.files)))]
    if len(shares) == 1:
        parts = [_predict_on(job, devices[0])]
    else:
        with ProcessPoolExecutor(len(shares), mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
            parts = list(pool.map(_predict_on, [replace(job, files=share) for share in shares], devices))
    table = pd.concat(parts, ignore_index=True).sort_values("stimulus_id", ignore_index=True)
    if table.empty:
        raise InputError("none of the stimuli to ask about is in the shards; make the split again from these stimuli")
    missing = sorted(set(job.only or ()) - set(table.stimulus_id))
    if missing:
        raise InputError(f"stimulus {missing[0]} (and {len(missing) - 1} more) is in no shard; make the split again from these stimuli")
    return table


def available_devices() -> list[torch.device]:
    """The GPUs that torch sees, or the CPU."""
    return [torch.device("cuda", index) for index in range(torch.cuda.device_count())] or [torch.device("cpu")]


def load_system(base: ModelFolder, adapter: Path | None, quantisation: str, device: torch.device, memory: Memory) -> LoadedModel:
    """The base model, or with the adapter of a folder.

    Raises InputError where the adapter was not trained on this base.
    """
    if adapter is not None:
        verify_base_of(adapter, base)
    loaded = load_model(base, quantisation, device, memory)
    return loaded if adapter is None else load_adapter(loaded, adapter)


def _predict_on(job: PredictionJob, device: torch.device) -> pd.DataFrame:
    torch.set_num_threads(job.threads)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    loaded = load_system(job.base, job.adapter, job.quantisation, device, job.memory)
    sounds = from_features(loaded, job.files) if job.features else from_audio(loaded, job.files, job.level)
    return ask(loaded, sounds, [job.prompt], job.system_id, job.seed, Batches(job.batch_size, device, job.memory), job.only)
