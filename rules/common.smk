"""Helpers and wildcard constraints; no rules."""

import json
import os
import sys
import time
from pathlib import Path

STARTED = time.time()
# Jobs run the interpreter that runs Snakemake, activated or not; --sdm conda puts its own first.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))

from earwitness.config import complete_config
from earwitness.core.errors import InputError, one_line
from earwitness.corpora.data_sets import DESCRIPTION
from earwitness.model.job_inputs import Code, FilesOfModels
from earwitness.plan import paths
from earwitness.plan.figure_names import BASELINE_FIGURES, PROMPT_FIGURES
from earwitness.plan.models import Models
from earwitness.plan.recordings import Recordings
from earwitness.plan.study import Plan, expected_verdict
from earwitness.plan.wildcards import wildcard_constraints
from earwitness.provenance.end_of_run import told_at_the_end
from earwitness.provenance.run_log import errors_since, record_run
from earwitness.provenance.watching import Watcher
from earwitness.systems import System, with_model

try:
    config = complete_config(given_config)
    recordings = Recordings.find(config["sources"])
    config["sources"] = recordings.sources
    plan = Plan(config)
    models = Models.of(plan)
    NOISES = {stimulus_set: plan.noise_recordings(stimulus_set) for stimulus_set in plan.stimulus_sets}
    TIES = plan.ties
    FILES_OF_MODELS = FilesOfModels.find(models)
except InputError as error:
    sys.exit(f"error: {one_line(error)}")

CODE = Code(models, SCRIPTS.glob("*.py"), Path(".snakemake/code_meanings.json"))
ON_TERMINAL = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
WATCHER = Watcher(Path("results/logs"), Path("results/benchmarks"), STARTED, sys.stderr, ON_TERMINAL)
AUDIO = paths.stimuli("factorial", plan.shards)
PRIMARY = plan.primary_model

# --set-resources train_adapter:... (or predict_adapter, search_prompts) holds for each rule that runs it, as does --set-threads.
given = workflow.resource_settings
given.overwrite_resources = plan.for_each_rule(given.overwrite_resources)
given.overwrite_threads = plan.for_each_rule(given.overwrite_threads)


wildcard_constraints:
    **wildcard_constraints(plan, models),


def code(program, model=None):
    """The meaning of a program and of all that it imports. Jobs of a model that is made here do not depend on other families' code."""
    return CODE.of(program, model)


def code_for_model(program):
    """The same for a job of the model that its wildcards name."""
    return lambda wildcards: code(program, model_of(wildcards))


def of_model(key):
    """A setting of the model that a job's wildcards name."""
    return lambda wildcards: config["models"][model_of(wildcards)][key]


def model_mb(wildcards):
    """Memory for the model that a job's wildcards name."""
    return models.memory_mb(model_of(wildcards))


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
    return ancient(models.folder(model)) if model in models.on_disk else models.folder(model)


def base_of(wildcards):
    """The folder of the model that a job's wildcards name."""
    return model_folder(model_of(wildcards))


def identity_of(wildcards):
    """Which model is in that folder, known where its preflight let it pass."""
    return models.identity(model_of(wildcards))


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
