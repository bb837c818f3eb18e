"""Helpers and wildcard constraints; no rules."""

import json
import os
import re
import sys
import time
from pathlib import Path

STARTED = time.time()
# Jobs run the interpreter that runs Snakemake, activated or not; --sdm conda puts its own first.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))

from earwitness.config import complete_config
from earwitness.core.code_identity import code_identities
from earwitness.core.errors import InputError
from earwitness.corpora.data_sets import DESCRIPTION
from earwitness.corpora.noise_recordings import noise_recordings
from earwitness.model.families.registry import files_of_other_families
from earwitness.model.identity import half_files, model_files
from earwitness.plan import paths
from earwitness.plan.figure_names import BASELINE_FIGURES, PROMPT_FIGURES
from earwitness.plan.models import Models
from earwitness.plan.recordings import Recordings
from earwitness.plan.study import Plan, expected_verdict
from earwitness.provenance.end_of_run import told_at_the_end
from earwitness.provenance.run_log import errors_since, record_run
from earwitness.provenance.watching import Watcher
from earwitness.systems import MODEL_PROBES, System, with_model

try:
    config = complete_config(config)
    recordings = Recordings.find(config["sources"])
    config["sources"] = recordings.sources
    plan = Plan(config)
    models = Models.of(plan)
    NOISES_ON_DISK = {
        stimulus_set: list(map(str, noise_recordings(Path(folder))))
        for stimulus_set in plan.stimulus_sets
        if (folder := plan.stimulus_settings(stimulus_set)["noise_recordings"])
    }
    TIES = plan.ties
    HALVES_ON_DISK = {folder: sorted(map(str, half_files(Path(folder)))) for folder in models.halves_on_disk}
    MODELS_ON_DISK = {name: list(map(str, model_files(Path(folder)))) for name, folder in models.on_disk.items()}
except InputError as error:
    sys.exit(f"error: {error}")

# Family -> program -> the meaning of its code, without that of other families; "any" has that of all.
CODE = {
    family: code_identities(
        SCRIPTS.glob("*.py"),
        Path(".snakemake/code_meanings.json"),
        frozenset() if family == "any" else files_of_other_families(family),
    )
    for family in {"qwen2_audio", *map(models.known_family, plan.models)}
}
WATCHER = Watcher(
    Path("results/logs"),
    Path("results/benchmarks"),
    STARTED,
    sys.stderr,
    sys.stderr.isatty() and os.environ.get("TERM") != "dumb",
)
AUDIO = paths.stimuli("factorial", plan.shards)
PRIMARY = plan.primary_model

# --set-resources train_adapter:... (or predict_adapter, search_prompts) holds for each rule that runs it, unless it is named there itself.
SET = workflow.resource_settings.overwrite_resources
workflow.resource_settings.overwrite_resources = {
    name: SET[name.partition("__")[0]]
    for name in [
        *(f"train_adapter__{together.first}" for together in plan.trained_together),
        *(f"predict_adapter__{together.stimulus_set}_{together.first}" for together in plan.asked_together),
        *(f"search_prompts__{together.first}" for together in plan.searched_together),
    ]
    if name.partition("__")[0] in SET
} | dict(SET)


wildcard_constraints:
    dataset="|".join(map(re.escape, config["sources"])),
    corpus="study|base",
    shard=r"\d{3}",
    split=r"grouped|row_random|(fold|train|by_row|by_source)_\d+",
    audit=r"grouped|row_random|(fold|train|by_row|by_source)_\d+|tuning",
    kind="by_row|by_source",
    draw=r"\d+",
    fold=r"\d+",
    sources=r"\d+",
    experiment=r"([a-z0-9_]+\.)?[a-z][a-z0-9_]*",
    recipe="[a-z][a-z0-9_]*",
    detector="silero|webrtc|energy|firered|pyannote",
    probe="|".join(MODEL_PROBES),
    system=r"([a-z0-9_]+\.)?(base|[a-z][a-z0-9_]*-grouped-seed-\d+)",
    stimulus_set="factorial|baseline",
    model="|".join(plan.models),
    checkpoint="|".join(models.fetchable),


def code(program, model=None):
    """What a job depends on of its program: the meaning of its code and of all that it imports.

    Jobs of a model that is made here never run other families than its own.
    """
    return CODE["qwen2_audio" if model is None else models.known_family(model)][program]


def code_for_model(program):
    """The same for a job of the model that its wildcards name."""
    return lambda wildcards: code(program, model_of(wildcards))


def of_model(*keys):
    """A setting of the model that a job's wildcards name."""

    def setting(wildcards):
        value = config["models"][model_of(wildcards)]
        for key in keys:
            value = value[key]
        return value

    return setting


def mb_of(model):
    """Memory for a model."""
    return {"tiny": 4000, "assembled": 8000}.get(config["models"][model]["origin"], 32000)


def model_mb(wildcards):
    """Memory for the model that a job's wildcards name."""
    return mb_of(model_of(wildcards))


def as_json_of(value):
    """A parameter that is the same text for equal values."""
    return json.dumps(value, sort_keys=True)


def as_json(*keys):
    """One sorted, brace-safe slice of the configuration, as a job's tracked parameter."""

    def slice_of_config(wildcards):
        value = config
        for key in keys:
            value = value[key.format(**wildcards)]
        return as_json_of(value)

    return slice_of_config


def model_folder(model):
    """A model under study or the proposer. The date of a folder on disk says nothing; its identity follows its files."""
    folder = models.folder(model)
    return ancient(folder) if model in MODELS_ON_DISK else folder


def base_of(wildcards):
    """The folder of the model that a job's wildcards name."""
    return model_folder(model_of(wildcards))


def identity_of(wildcards):
    """Which model is in that folder, known where its preflight let it pass."""
    return models.identity(model_of(wildcards))


def files_of_checkpoint(wildcards):
    """What the identity of a model depends on: every file of a folder on disk, or the folder that a rule makes."""
    return MODELS_ON_DISK.get(wildcards.checkpoint, models.folder(wildcards.checkpoint))


def files_of_halves(wildcards):
    """What an assembled model is made of: every file of a folder on disk, or the folder that a rule makes; packages have none here."""
    return [
        path for folder in models.folders_of_halves(wildcards.model) for path in HALVES_ON_DISK.get(folder, [folder])
    ]


def writer_of(proposer):
    """The language model that a proposer asks, and its identity; nothing for proposers without one."""
    return [model_folder("proposer"), paths.model_identity("proposer")] if proposer == "opro" else []


def temporary_on_request(features):
    """Stimuli as the base encodes them, removed once no job needs them where the configuration says so."""
    return temp(features) if config["resources"]["temporary_features"] else features


def growing(minutes):
    """The time of a job, with more for each further attempt, up to a day."""
    return lambda wildcards, attempt: min(1440, minutes * attempt)


def system_of(wildcards):
    """The base or the adapter that the names of a rule's files stand for."""
    return System.parse(wildcards.system)


def model_of(wildcards):
    """The model that the names of a rule's files stand for, or that of their system."""
    return wildcards.get("model") or system_of(wildcards).model
