"""Helpers and wildcard constraints; no rules."""

import json
import os
import sys
import time
from functools import cache
from pathlib import Path

SCRIPTS = Path("workflow_scripts")
STARTED = time.time()
sys.path.insert(0, str(Path(workflow.basedir) / SCRIPTS))
# Jobs run the interpreter that runs Snakemake, activated or not; --sdm conda puts its own first.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))

from earwitness.config import adapters_of, complete_config
from earwitness.core.code_identity import code_identity
from earwitness.core.errors import InputError
from earwitness.audio.noise_folder import RECORDED_NOISES, noise_recordings
from earwitness.corpora.layouts import source_files
from earwitness.provenance.run_log import errors_since, record_run

try:
    for folder in (".", ".snakemake", "data", "results"):
        if Path(folder).is_dir() and not os.access(folder, os.W_OK):
            raise InputError(
                f"{Path(folder).resolve()}: cannot be written to; work in a folder that can be, or change its permissions"
            )
    config = complete_config(config)
    FOLDERS_ON_DISK = {name: source["path"] for name, source in config["sources"].items() if source["origin"] == "path"}
    FILES_ON_DISK = {name: source_files(name, Path(folder)) for name, folder in FOLDERS_ON_DISK.items()}
    NOISES_ON_DISK = {
        section: list(map(str, noise_recordings(Path(config["stimuli"]["noise_recordings"]))))
        for section in ("stimuli", "baseline")
        if config[section]["datasets"] and config[section]["noise"] in RECORDED_NOISES
    }
except InputError as error:
    sys.exit(f"error: {error}")

STUDIED, MEASURED = (
    [name for name in config["sources"] if name in config[section]["datasets"]] for section in ("stimuli", "baseline")
)
DATASETS = [name for name in config["sources"] if name in STUDIED + MEASURED]
SHARDS = [f"{shard:03d}" for shard in range(config["resources"]["stimulus_shards"])]
EXPERIMENTS = {
    name: adapters_of(settings, config["splits"]) for name, settings in config["finetuning"]["experiments"].items()
}
ENABLED = [name for name, settings in config["finetuning"]["experiments"].items() if settings["enabled"]]
ADAPTERS = list(dict.fromkeys(adapter for name in ENABLED for adapter in EXPERIMENTS[name]))
ARMS = [(recipe, split, seed) for recipe, split, seed in EXPERIMENTS["main"] if split in ("grouped", "row_random")]
SEARCHES = [
    (system, proposer, seed)
    for system in config["prompt_search"]["systems"]
    for proposer in config["prompt_search"]["proposers"] + ["paraphrases"] * bool(config["prompt_search"]["proposers"])
    for seed in config["prompt_search"]["seeds"]
]
CHOOSING = [search for search in SEARCHES if search[:2] == ("base", config["prompt_search"]["use_question_of"])]
SEARCHED = list(dict.fromkeys(system for system, _, _ in SEARCHES))
SEARCH_SIZES = ["iterations", "candidates", "stimuli", "development_stimuli", "finalists", "most_characters"]

HONEST = [(recipe, seed) for recipe, split, seed in ARMS if split == "grouped"]
ENSEMBLED = sorted({recipe for recipe, _ in HONEST if sum(recipe == other for other, _ in HONEST) > 1})

SPLITS = sorted({"grouped"} | {split for _, split, _ in ARMS})
AUDITED = sorted({"grouped"} | {split for _, split, _ in ADAPTERS})


wildcard_constraints:
    dataset="voxconverse|esc50|fsd50k",
    corpus="study|base",
    shard=r"\d{3}",
    split=r"grouped|row_random|fold_\d+|train_\d+",
    audit=r"grouped|row_random|fold_\d+|train_\d+|tuning",
    fold=r"\d+",
    sources=r"\d+",
    experiment="[a-z][a-z0-9_]*",
    recipe="[a-z][a-z0-9_]*",
    seed=r"\d+",
    detector="silero|webrtc|energy",
    proposer="edits|opro|paraphrases",
    system=r"base|[a-z][a-z0-9_]*-grouped-seed-\d+",
    stimulus_set="factorial|baseline",
    model="base|proposer",


@cache
def code(program):
    """What a job depends on of its program: the meaning of its code and of all that it imports."""
    return code_identity(SCRIPTS / program)


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


def dataset_folder(name):
    """Where a data set's files are, or will be."""
    source = config["sources"][name]
    corpus = "baseline" if name == "fsd50k" else "study"
    folders = {"embedded": f"data/embedded/{corpus}/{name}", "download": f"data/downloads/{name}"}
    return folders.get(source["origin"], source["path"])


def dataset_inputs(wildcards):
    """What the catalogue of a data set depends on: every file of a folder on disk, or the folder that a rule makes."""
    return FILES_ON_DISK.get(wildcards.dataset, dataset_folder(wildcards.dataset))


def corpus_size(prefix):
    """How many speakers and sounds an embedded corpus has."""
    return {size: config["embedded"][prefix + size] for size in ("speakers", "sounds")}


def base_folder():
    """The checkpoint of the base model."""
    folders = {"tiny": "data/models/tiny", "hub": "data/models/hub/base"}
    return folders.get(config["model"]["origin"], config["model"]["path"])


HUB_MODELS = {"base": "model", "proposer": "prompt_search.opro"}


def hub_source(wildcards):
    """Repository and revision of a model, from its section of the configuration."""
    section = config
    for key in HUB_MODELS[wildcards.model].split("."):
        section = section[key]
    return {key: section[key] for key in ("repository", "revision")}


def base_identity():
    """What the detector's folder says of the base model."""
    model = config["model"]
    hub, tiny = model["origin"] == "hub", model["origin"] == "tiny"
    return {
        "name": model["repository"] if hub else base_folder(),
        "revision": model["revision"] if hub else None,
        "licence": "MIT, made by Earwitness" if tiny else model["licence"],
        "tiny": tiny,
    }


def adapter_files(name, adapters=ADAPTERS):
    """One file of every adapter, by default of all enabled experiments."""
    return [f"results/adapters/{recipe}/{split}/seed-{seed}/{name}" for recipe, split, seed in adapters]


def experiment_files(experiment, name):
    """One file of every adapter of an experiment, whether it is enabled or not.

    Raises WorkflowError where there is no such experiment.
    """
    if experiment not in EXPERIMENTS:
        raise WorkflowError(f"no experiment {experiment}; finetuning.experiments has {', '.join(EXPERIMENTS)}")
    return [name.format(recipe=recipe, split=split, seed=seed) for recipe, split, seed in EXPERIMENTS[experiment]]


def experiment_predictions(wildcards):
    """What the base and the adapters of an experiment answer to the factorial set."""
    adapters = experiment_files(
        wildcards.experiment, "results/predictions/factorial/adapters/{recipe}-{split}-seed-{seed}.parquet"
    )
    return ["results/predictions/factorial/zeroshot.parquet", *adapters]


def experiment_splits(wildcards):
    """The splits that an experiment trains on, and the grouped one."""
    return sorted({"results/splits/grouped.csv", *experiment_files(wildcards.experiment, "results/splits/{split}.csv")})


def audit_reports(audits):
    """The report of each audit; a gate that stops the run points to its own."""
    return [f"results/audit/{audit}/report.md" for audit in sorted(set(audits))]


def fold_splits(split):
    """All folds of the cross-validation where a split is one of them."""
    folds = [f"results/splits/fold_{fold}.csv" for fold in range(config["splits"]["folds"])]
    return folds if split.startswith("fold_") else []


def experiment_costs(wildcards):
    """What the training of every adapter of an experiment took."""
    return experiment_files(wildcards.experiment, "results/adapters/{recipe}/{split}/seed-{seed}/costs.json")


def experiment_results(experiment):
    """The tables, figures and audits of an experiment, enabled or not; nothing where the configuration has none of that name."""
    tables = ["results/tables/experiments/{}.csv", "results/tables/learning_curves/{}.csv", "results/efficiency/{}.csv"]
    figures = ["results/figures/experiments/{}.svg", "results/efficiency/{}.svg"]
    made = [name.format(experiment) for name in tables + figures if experiment in EXPERIMENTS]
    return made + audit_reports(split for _, split, _ in EXPERIMENTS.get(experiment, []))


def search_files(name, searches=SEARCHES):
    """One file of every prompt search, or of some."""
    return [f"results/prompts/{system}/{proposer}/seed-{seed}/{name}" for system, proposer, seed in searches]


def chosen_question():
    """What is asked in the place of the configured question; none where the configuration keeps that."""
    return ["results/prompts/chosen.json"] * bool(CHOOSING)


def question_of_split(wildcards):
    """What an adapter is trained with and asked; not the chosen question for folds, which test sources that it was chosen on."""
    return [] if wildcards.split.startswith("fold_") else chosen_question()


def question_of_system(wildcards):
    """The question that a search over a system starts from: for an adapter, the one that it was trained with."""
    return [] if wildcards.system == "base" else chosen_question()


def searches_of_system(wildcards):
    """The questions of every search over a system."""
    return search_files("prompts.csv", [search for search in SEARCHES if search[0] == wildcards.system])


def adapter_of_system(name):
    """A file of the adapter that is searched over; none for the base."""

    def files(wildcards):
        recipe, _, seed = wildcards.system.partition("-grouped-seed-")
        return [f"results/adapters/{recipe}/grouped/seed-{seed}/{name}"] if seed else []

    return files


def recipe_of_system(wildcards):
    """The recipe of an adapter that is searched over; none for the base."""
    recipe, _, seed = wildcards.system.partition("-grouped-seed-")
    return config["finetuning"]["recipes"][recipe] if seed else None


def features_of_system(wildcards):
    """The features that a system hears; none where its adapter changes the audio tower."""
    recipe = recipe_of_system(wildcards)
    return feature_files("factorial") if recipe is None or recipe["scope"] == "language_model" else []


def shards_of_system(wildcards):
    """The audio that a system hears where it cannot hear features."""
    return [] if features_of_system(wildcards) else STIMULI


def level_of_system(wildcards):
    """The level at which a system hears audio."""
    return as_json_of(level_of(recipe_of_system(wildcards) or {}))


def proposer_folder(wildcards):
    """The checkpoint of the language model that proposes questions; none for proposers without one."""
    opro = config["prompt_search"]["opro"]
    folder = opro["path"] if opro["origin"] == "path" else "data/models/hub/proposer"
    return [folder] if wildcards.proposer == "opro" else []


def prediction_files(stimulus_set, splits):
    """What every system answers to a set of stimuli; adapters of the given splits."""
    folder = f"results/predictions/{stimulus_set}"
    return (
        [f"{folder}/zeroshot.parquet"]
        + [f"{folder}/detectors/{detector}.parquet" for detector in config["detectors"]]
        + [f"{folder}/adapters/{recipe}-{split}-seed-{seed}.parquet" for recipe, split, seed in ARMS if split in splits]
    )


def honest_adapters(name):
    """One file of every adapter of the grouped split."""
    return [f"results/adapters/{recipe}/grouped/seed-{seed}/{name}" for recipe, seed in HONEST]


def honest_predictions():
    """What every adapter of the grouped split answers to the factorial set."""
    return [f"results/predictions/factorial/adapters/{recipe}-grouped-seed-{seed}.parquet" for recipe, seed in HONEST]


def ensemble_files(stimulus_set):
    """What the ensembles of the seeds of every recipe of the grouped split answer."""
    return [f"results/predictions/{stimulus_set}/ensembles/{recipe}-grouped.parquet" for recipe in ENSEMBLED]


def calibrated_systems():
    """Every system and seed whose probabilities are calibrated."""
    adapters = [f"{recipe}-grouped-seed-{seed}" for recipe, seed in HONEST]
    return ["base", *config["detectors"], *adapters, *[f"{recipe}-grouped+mean" for recipe in ENSEMBLED]]


def stimulus_shards(stimulus_set):
    """The stimuli of a set, with audio."""
    return [f"results/stimuli/{stimulus_set}/shard-{shard}.parquet" for shard in SHARDS]


def feature_files(stimulus_set):
    """The stimuli of a set as the base model's audio tower encodes them."""
    return [f"results/features/{stimulus_set}/shard-{shard}.parquet" for shard in SHARDS]


def features_of_recipe(stimulus_set):
    """The features that a recipe trains on or is asked with; none where its adapter changes the audio tower."""

    def files(wildcards):
        scope = config["finetuning"]["recipes"][wildcards.recipe]["scope"]
        return feature_files(stimulus_set.format(**wildcards)) if scope == "language_model" else []

    return files


def level_of(recipe):
    """What a recipe says of the level of stimuli."""
    return {key: recipe[key] for key in ("normalisation", "level_dbfs") if key in recipe}


def level_of_recipe(wildcards):
    """The level at which a recipe's adapter hears stimuli."""
    return as_json_of(level_of(config["finetuning"]["recipes"][wildcards.recipe]))


def asked_of(split):
    """The split that an adapter trained on, and the other whose dev and test parts it is asked about; a fold's adapter
    trained on sources of the grouped split's test part."""
    return [split] if split == "grouped" or split.startswith("fold_") else [split, "grouped"]


def factorial_settings():
    """What the factorial set's stimuli depend on."""
    return {key: value for key, value in config["stimuli"].items() if key != "datasets"}


def baseline_settings():
    """What the baseline's stimuli depend on: its own section, and what it shares with the factorial set."""
    shared = ("noise_recordings", "window_ms", "floor_dbfs", "ramp_ms", "peak_dbfs", "rms_dbfs")
    own = {key: value for key, value in config["baseline"].items() if key != "datasets"}
    return {key: config["stimuli"][key] for key in shared} | own


STIMULUS_SETTINGS = {"factorial": factorial_settings, "baseline": baseline_settings}

RECORDINGS = expand("results/recordings/{dataset}.parquet", dataset=STUDIED)
CLIPS = expand("results/clips/{dataset}.parquet", dataset=STUDIED)
STIMULI = expand("results/stimuli/factorial/shard-{shard}.parquet", shard=SHARDS)

BASELINE = bool(MEASURED)
BASELINE_CLIPS = expand("results/clips/{dataset}.parquet", dataset=MEASURED)
BASELINE_INDEX = ["results/stimuli/baseline/index.parquet"] if BASELINE_CLIPS else []
PSYCHOMETRIC_FIGURES = ["duration_curves", "snr_curves", "sensitivity", "bands_and_rooms", "duration_by_snr"]
PROMPT_FIGURES = ["prompt_progress", "prompt_gains", "prompt_length", "prompt_conditions"]
STUDY_TABLES = ["ensembles", "power", "variance", "calibration", "error_rates"]
CALIBRATION_RECORDS = [f"results/calibration/{name}.tuning.json" for name in calibrated_systems()]
DETECTOR = (
    expand("results/detector/{file}", file=["README.md", "adapter_model.safetensors", "calibration.json"])
    if HONEST
    else []
)
PROMPT_TABLES = ["results/tables/prompts.csv"] if SEARCHES else []
BASELINE_TABLES = (
    expand("results/tables/{table}.csv", table=["thresholds", "mixed_model_effects", "mixed_model_fits"])
    + ["results/psychometrics/points.csv"]
    if BASELINE
    else []
)
