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
from earwitness.plan.recordings import Recordings
from earwitness.plan.study import BASELINE_FIGURES, PROMPT_FIGURES, Plan, expected_verdict
from earwitness.provenance.end_of_run import told_at_the_end
from earwitness.provenance.run_log import errors_since, record_run
from earwitness.provenance.watching import Watcher
from earwitness.systems import BASE, PROBES, System

try:
    config = complete_config(config)
    recordings = Recordings.find(config["sources"])
    config["sources"] = recordings.sources
    plan = Plan(config)
    NOISES_ON_DISK = {
        stimulus_set: list(map(str, noise_recordings(Path(folder))))
        for stimulus_set in plan.stimulus_sets
        if (folder := plan.stimulus_settings(stimulus_set)["noise_recordings"])
    }
    TIES = plan.ties
    HALVES_ON_DISK = {folder: sorted(map(str, half_files(Path(folder)))) for folder in plan.halves_on_disk}
    MODELS_ON_DISK = {name: list(map(str, model_files(Path(folder)))) for name, folder in plan.models_on_disk.items()}
except InputError as error:
    sys.exit(f"error: {error}")

# The embedded and the assembled base are of Qwen2-Audio's classes; which family a base from elsewhere is of, its own folder says.
NEVER_RUN = (
    files_of_other_families("qwen2_audio") if config["model"]["origin"] in ("tiny", "assembled") else frozenset()
)
CODE = code_identities(SCRIPTS.glob("*.py"), Path(".snakemake/code_meanings.json"), NEVER_RUN)
MODEL_MB = {"tiny": 4000, "assembled": 8000}.get(config["model"]["origin"], 32000)
WATCHER = Watcher(
    Path("results/logs"),
    Path("results/benchmarks"),
    STARTED,
    sys.stderr,
    sys.stderr.isatty() and os.environ.get("TERM") != "dumb",
)
AUDIO, ENCODED = paths.stimuli("factorial", plan.shards), paths.features("factorial", plan.shards)


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
    experiment="[a-z][a-z0-9_]*",
    recipe="[a-z][a-z0-9_]*",
    seed=r"\d+",
    detector="silero|webrtc|energy|firered|pyannote",
    probe="|".join(PROBES),
    proposer="edits|opro|paraphrases",
    system=r"base|[a-z][a-z0-9_]*-grouped-seed-\d+",
    stimulus_set="factorial|baseline",
    model="base|encoder|language_model|proposer",


def code(program):
    """What a job depends on of its program: the meaning of its code and of all that it imports."""
    return CODE[program]


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
    """The base or the proposer. The date of a folder on disk says nothing; its identity follows its files."""
    folder = plan.model_folder(model)
    return ancient(folder) if model in MODELS_ON_DISK else folder


def files_of_model(wildcards):
    """What the identity of a model depends on: every file of a folder on disk, or the folder that a rule makes."""
    return MODELS_ON_DISK.get(wildcards.model, plan.model_folder(wildcards.model))


def files_of_halves(wildcards):
    """What an assembled base is made of: every file of a folder on disk, or the folder that a rule makes; packages have none here."""
    return [path for folder in plan.folders_of_halves for path in HALVES_ON_DISK.get(folder, [folder])]


def writer_of(wildcards):
    """The language model that a proposer asks, and its identity; nothing for proposers without one."""
    return [model_folder("proposer"), paths.model_identity("proposer")] if wildcards.proposer == "opro" else []


def temporary_on_request(features):
    """Stimuli as the base encodes them, removed once no job needs them where the configuration says so."""
    return temp(features) if config["resources"]["temporary_features"] else features


def adapter_of(wildcards):
    """The adapter that the names of a rule's files stand for."""
    return System("adapter", wildcards.recipe, wildcards.split, int(wildcards.seed))


def system_of(wildcards):
    """The base or the adapter that the names of a rule's files stand for."""
    return System.parse(wildcards.system)
