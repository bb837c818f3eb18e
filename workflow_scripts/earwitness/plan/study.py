"""The study plan: what is trained, asked, searched, compared, calibrated, audited and drawn, from a configuration."""

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from earwitness.audio.noise_names import RECORDED_NOISES
from earwitness.core.errors import InputError
from earwitness.corpora.inputs import BASELINE, STUDY
from earwitness.plan import paths
from earwitness.plan.values import AskedTogether, Experiment, Search
from earwitness.systems import BASE, BY_ROW, BY_SOURCE, HONEST_SPLIT, PROBES, TOWER_PROBE, System, is_fold, leaks

SHIPPED_PROJECTORS = Path("workflow_scripts/earwitness/model/projectors")
"""Folder of the projectors that come with Earwitness."""

STIMULUS_SETS = {"factorial": "stimuli", "baseline": "baseline"}
"""Set of stimuli -> its section of the configuration."""

ROLES = {"factorial": STUDY, "baseline": BASELINE}
"""Set of stimuli -> roles of the data sets that it is drawn from."""

HUB_MODELS = {
    "base": ("model",),
    "encoder": ("model", "encoder"),
    "language_model": ("model", "language_model"),
    "proposer": ("prompt_search", "opro"),
}
"""Model, or half of an assembled one, that may be fetched -> where the configuration has its repository and revision."""

HALVES = ("encoder", "language_model")

PACKAGED_HALVES = {"encoder": "the encoder of Whisper tiny.en", "language_model": "SmolLM2-135M-Instruct"}

LICENCES_OF_PACKAGES = "MIT (Whisper tiny.en), Apache 2.0 (SmolLM2-135M-Instruct) and MIT (the projector, made by Earwitness)"

STUDY_FIGURES = ["accuracy", "phases", "conditions", "leakage", "reliability", "training", "test_sizes"]
BASELINE_FIGURES = ["duration_curves", "snr_curves", "sensitivity", "bands_and_rooms", "duration_by_snr", "hearing_and_saying"]
PROMPT_FIGURES = ["prompt_progress", "prompt_gains", "prompt_length", "prompt_conditions"]


def adapters_of(experiment: dict[str, Any], splits: dict[str, Any]) -> tuple[System, ...]:
    """Every adapter of an experiment: each recipe on each split with each seed, seeds varying fastest.

    experiment: one of the completed config finetuning.experiments. splits: the completed config splits, which says what
    "folds" (fold_0, fold_1, ...) and "learning_curve" (train_3, ..., grouped) stand for; the experiment's draws say it of
    "by_row" and "by_source" (by_row_0, ...).
    """
    stand_for = {
        **{kind: [f"{kind}_{draw}" for draw in range(experiment["draws"])] for kind in (BY_ROW, BY_SOURCE)},
        "folds": [f"fold_{fold}" for fold in range(splits["folds"])],
        "learning_curve": [*(f"train_{count}" for count in sorted(splits["training_sources"])), HONEST_SPLIT],
    }
    trained_on = dict.fromkeys(split for name in experiment["splits"] for split in stand_for.get(name, [name]))
    return tuple(System("adapter", recipe, split, seed) for recipe in experiment["recipes"] for split in trained_on for seed in experiment["seeds"])


@dataclass(frozen=True)
class Plan:
    """What a study does.

    config: the completed configuration (earwitness.config.complete_config).
    """

    config: dict[str, Any]

    @property
    def stimulus_sets(self) -> list[str]:
        """The sets of stimuli that there are: factorial, and baseline unless it is left out."""
        return [name for name in STIMULUS_SETS if self.datasets(name)]

    def datasets(self, *stimulus_sets: str) -> list[str]:
        """The data sets that sets of stimuli are drawn from, in the configuration's order of sources."""
        roles = {role for stimulus_set in stimulus_sets for role in ROLES[stimulus_set]}
        return [name for name, source in self.config["sources"].items() if source["role"] in roles and source["origin"] != "none"]

    def clip_settings(self, dataset: str) -> dict[str, Any]:
        """How clips are cut from a data set's recordings."""
        own = self.config["sources"][dataset]["clips_per_source"]
        return self.config["clips"] | ({} if own is None else {"per_source": own})

    @property
    def shards(self) -> list[str]:
        """The names of the files that each set of stimuli is divided into."""
        return [f"{shard:03d}" for shard in range(self.config["resources"]["stimulus_shards"])]

    def stimulus_settings(self, stimulus_set: str) -> dict[str, Any]:
        """What a set's stimuli depend on; the baseline has its window, floor, ramps and levels from the factorial set.

        noise_recordings: the folder of the data set of role noise where the set's noise is cut from recordings, else None.
        """
        shared = ("window_ms", "floor_dbfs", "ramp_ms", "peak_dbfs", "rms_dbfs")
        own = self.config[STIMULUS_SETS[stimulus_set]]
        noises = [source["path"] for source in self.config["sources"].values() if source["role"] == "noise" and source["origin"] != "none"]
        folder = next(iter(noises), None) if own["noise"] in RECORDED_NOISES else None
        return {"noise_recordings": folder} | {key: self.config["stimuli"][key] for key in shared} | own

    @cached_property
    def experiments(self) -> dict[str, Experiment]:
        """Name -> experiment, enabled or not."""
        return {
            name: Experiment(name, settings["enabled"], adapters_of(settings, self.config["splits"]))
            for name, settings in self.config["finetuning"]["experiments"].items()
        }

    @property
    def enabled_experiments(self) -> list[Experiment]:
        """The experiments that the report shows."""
        return [experiment for experiment in self.experiments.values() if experiment.enabled]

    def experiment(self, name: str) -> Experiment:
        """The experiment of a name; raises InputError where there is none."""
        if name not in self.experiments:
            raise InputError(f"no experiment {name}; finetuning.experiments has {', '.join(self.experiments)}")
        return self.experiments[name]

    def named(self, name: str) -> list[Experiment]:
        """The experiment of a name, enabled or not; none where the configuration has none."""
        return [experiment for experiment in self.experiments.values() if experiment.name == name]

    @property
    def adapters(self) -> list[System]:
        """Every adapter of the enabled experiments, once."""
        return list(dict.fromkeys(adapter for experiment in self.enabled_experiments for adapter in experiment.adapters))

    @property
    def arms(self) -> list[System]:
        """The adapters that the report compares: the main experiment's on the grouped split and on rows drawn at random."""
        return [adapter for adapter in self.experiments["main"].adapters if adapter.is_honest or adapter.is_leaky]

    @property
    def honest_arms(self) -> list[System]:
        """The arms of the grouped split."""
        return [adapter for adapter in self.arms if adapter.is_honest]

    @cached_property
    def asked_together(self) -> list[AskedTogether]:
        """The jobs that ask adapters, enabled or not, about stimuli: at most resources.adapters_per_job of them at a time.

        Together are adapters of one recipe, trained with one question, that every experiment needs all or none of: none is trained only because
        it is asked with another. Those of a later seed or experiment come after those before, which are not asked again for them.
        """
        disabled = [experiment for experiment in self.experiments.values() if not experiment.enabled]
        kin: dict[tuple[Any, ...], list[System]] = defaultdict(list)
        for experiment in [*self.enabled_experiments, *disabled]:
            for adapter in experiment.by_seed():
                if not any(adapter in others for others in kin.values()):
                    alike = tuple(other.name for other in disabled if adapter in other.adapters)
                    kin[experiment.name, adapter.name, adapter.is_fold, alike].append(adapter)
        honest = [adapter for adapter in self.experiments["main"].by_seed() if adapter.is_honest] * ("baseline" in self.stimulus_sets)
        baseline = [[adapter for adapter in honest if adapter.name == recipe] for recipe in dict.fromkeys(adapter.name for adapter in honest)]
        enabled = [group for (name, *_), group in kin.items() if self.experiments[name].enabled]
        most = self.config["resources"]["adapters_per_job"]
        jobs = [
            (stimulus_set, tuple(group[start : start + most]))
            for stimulus_set, groups in (("factorial", enabled), ("baseline", baseline), ("factorial", list(kin.values())[len(enabled) :]))
            for group in groups
            for start in range(0, len(group), most)
        ]
        return [AskedTogether(number, *job) for number, job in enumerate(jobs, 1)]

    @property
    def ensembles(self) -> list[System]:
        """The seeds of a recipe of the grouped split as one system, by vote and by mean; of recipes with more than one seed."""
        recipes = [adapter.name for adapter in self.honest_arms]
        several = sorted({recipe for recipe in recipes if recipes.count(recipe) > 1})
        return [System("ensemble", recipe, HONEST_SPLIT, combination=rule) for recipe in several for rule in ("vote", "mean")]

    def seeds_of(self, recipe: str, split: str) -> list[System]:
        """The arms of one recipe and split."""
        return [arm for arm in self.arms if (arm.name, arm.split) == (recipe, split)]

    @property
    def detectors(self) -> list[System]:
        """The classic detectors."""
        return [System("detector", name) for name in self.config["detectors"]]

    @property
    def probes(self) -> list[System]:
        """The linear readouts of the base's ear and of controls."""
        return [System("encoder_probe", name) for name in PROBES]

    def vectors_of(self, probe: str, stimulus_set: str) -> list[str]:
        """The encoded stimuli that a probe reads."""
        return paths.features(stimulus_set, self.shards) if probe == str(TOWER_PROBE) else paths.controls(stimulus_set)

    def predictions(self, stimulus_set: str) -> list[System]:
        """Every system that answers a set; the leaky arm only the factorial set, whose rows it trained on."""
        return [BASE, *self.probes, *self.detectors, *(self.arms if stimulus_set == "factorial" else self.honest_arms)]

    @property
    def compared(self) -> list[System]:
        """Every system that the tables of accuracy and of comparisons hold."""
        return [*self.predictions("factorial"), *self.ensembles]

    @property
    def honest_systems(self) -> list[System]:
        """What is compared, without the leaky arm, and without the probes, which are no phase of the study."""
        return [system for system in self.compared if not system.is_leaky and system not in self.probes]

    @property
    def calibrated_systems(self) -> list[System]:
        """Every system whose probabilities are calibrated; votes have none."""
        return [system for system in self.honest_systems if system.combination != "vote"]

    @property
    def splits(self) -> list[str]:
        """The splits that the report compares on: the grouped one, and the leaky arm's."""
        return sorted({HONEST_SPLIT} | {arm.split for arm in self.arms})

    @property
    def audited_splits(self) -> list[str]:
        """Every split that something trains on, and the grouped one."""
        return sorted({HONEST_SPLIT} | {adapter.split for adapter in self.adapters})

    @property
    def ties(self) -> list[str]:
        """The tables of sources that no split may divide. Raises InputError where one is not there, or is a result of this study's own splits."""
        for table in self.config["splits"]["ties"]:
            if Path(os.path.normpath(table)).parts[:1] == ("results",):
                raise InputError(
                    f"splits.ties: {table} follows from the split that it is to change; copy it to a place outside results/, and name that"
                )
            if not Path(table).is_file():
                raise InputError(f"splits.ties: no file {table}; name a table with the columns source_a, source_b and why")
        return self.config["splits"]["ties"]

    def audit_policy(self, split: str) -> dict[str, Any]:
        """What the audit of a split tolerates; of the published design by source, as few test sources as it has."""
        redrawn = self.config["splits"]["redrawn"]
        fewest = min(redrawn["test_speech_sources"], redrawn["test_sound_sources"], self.config["audit"]["min_sources_per_class"])
        return self.config["audit"] | ({"min_sources_per_class": fewest} if split.startswith(f"{BY_SOURCE}_") else {})

    def siblings_of(self, split: str) -> list[str]:
        """All folds of the cross-validation where a split is one of them."""
        return [f"fold_{fold}" for fold in range(self.config["splits"]["folds"])] if is_fold(split) else []

    @cached_property
    def searches(self) -> list[Search]:
        """Every prompt search; paraphrases are the control of every proposer."""
        settings = self.config["prompt_search"]
        proposers = settings["proposers"] + ["paraphrases"] * bool(settings["proposers"])
        return [
            Search(System.parse(system), proposer, seed) for system in settings["systems"] for proposer in proposers for seed in settings["seeds"]
        ]

    def searches_of(self, system: System) -> list[Search]:
        """The searches for a system."""
        return [search for search in self.searches if search.system == system]

    @property
    def searched_systems(self) -> list[System]:
        """The systems that questions are searched for."""
        return list(dict.fromkeys(search.system for search in self.searches))

    @property
    def choosing_searches(self) -> list[Search]:
        """The searches that the question in the configured one's place is chosen from; none where that one stays."""
        return [search for search in self.searches_of(BASE) if search.proposer == self.config["prompt_search"]["use_question_of"]]

    @property
    def chosen_question(self) -> list[str]:
        """The file of the question that is asked in the configured one's place; none where that one stays."""
        return [paths.CHOSEN_QUESTION] * bool(self.choosing_searches)

    def question_trained_with(self, system: System) -> list[str]:
        """The file of the question that a system is trained with in the configured one's place.

        None for a fold's adapter: folds test sources that the question was chosen on. None for the base, which is not trained.
        """
        return [] if system.is_fold or system == BASE else self.chosen_question

    @property
    def search_settings(self) -> dict[str, Any]:
        """The sizes of every search."""
        sizes = ("iterations", "candidates", "stimuli", "development_stimuli", "finalists", "most_characters")
        return {key: self.config["prompt_search"][key] for key in sizes}

    def writer_folder(self, proposer: str) -> list[str]:
        """The folder of the language model that a proposer asks; none for proposers without one."""
        settings = self.config["prompt_search"]["opro"]
        return [settings["path"] if settings["origin"] == "path" else "data/models/hub/proposer"] * (proposer == "opro")

    def writer_quantisation(self, proposer: str) -> str:
        """How that model is quantised; "none" too for proposers without one."""
        return self.config["prompt_search"]["opro"]["quantisation"] if proposer == "opro" else "none"

    def recipe_of(self, system: System) -> dict[str, Any] | None:
        """The settings of an adapter's training; None for the base."""
        return None if system == BASE else self.config["finetuning"]["recipes"][system.name]

    def recipes_of(self, systems: Sequence[System]) -> dict[str, Any]:
        """Name -> settings of the recipes of adapters."""
        return {system.name: self.recipe_of(system) for system in systems}

    def hears_features(self, system: System) -> bool:
        """Can a system hear stimuli as the base's audio tower encoded them? Not where its adapter changes the tower."""
        recipe = self.recipe_of(system)
        return recipe is None or recipe["scope"] == "language_model"

    def features_of(self, system: System, stimulus_set: str) -> list[str]:
        """The encoded stimuli that a system hears; none where it hears audio."""
        return paths.features(stimulus_set, self.shards) if self.hears_features(system) else []

    def audio_of(self, system: System, stimulus_set: str) -> list[str]:
        """The stimuli that a system hears as audio; none where it hears features."""
        return [] if self.hears_features(system) else paths.stimuli(stimulus_set, self.shards)

    def level_of(self, system: System) -> dict[str, Any]:
        """The level at which a system hears audio; empty where that is the stimuli's own."""
        recipe = self.recipe_of(system)
        return {} if recipe is None else {key: recipe[key] for key in ("normalisation", "level_dbfs")}

    @property
    def base_folder(self) -> str:
        """The folder of the base model."""
        model = self.config["model"]
        made = {"tiny": "data/models/tiny", "assembled": "data/models/assembled", "hub": "data/models/hub/base"}
        return made.get(model["origin"], model["path"])

    @property
    def base_identity(self) -> str:
        """What tells jobs that load the base which it is: of any but the tiny one, only where its preflight let it pass."""
        return paths.model_identity("base") if self.config["model"]["origin"] == "tiny" else paths.checked_identity("base")

    @property
    def training_rows(self) -> int:
        """Rows that the adapters of all enabled experiments are shown in training; of recipes in epochs, as if they had the rows of the
        split by row, since no split is made yet."""
        recipes = [self.config["finetuning"]["recipes"][adapter.name] for adapter in self.adapters]
        drawn = self.config["splits"]["row_random"]["stimuli"]
        return sum(round(recipe["epochs"] * drawn) if recipe["epochs"] else recipe["steps"] * recipe["batch_size"] for recipe in recipes)

    def half(self, half: str) -> str:
        """Where a half of an assembled base comes from: a folder, or "package" for an installed one."""
        settings = self.config["model"][half]
        return {"package": "package", "hub": f"data/models/hub/{half}"}.get(settings["origin"], settings["path"])

    @property
    def folders_of_halves(self) -> list[str]:
        """The folders that the halves of an assembled base are read from; the installed packages have none here."""
        return [self.half(half) for half in HALVES if self.half(half) != "package"]

    @property
    def halves_on_disk(self) -> list[str]:
        """Those of these folders that are the user's own."""
        assembled = self.config["model"]["origin"] == "assembled"
        return [self.half(half) for half in HALVES if assembled and self.config["model"][half]["origin"] == "path"]

    @property
    def projectors(self) -> list[str]:
        """The projectors among which that of the two halves is: the one that is trained here, or those that come with Earwitness."""
        trained = self.config["model"]["projector"]["origin"] == "trained"
        return ["data/models/projector.safetensors"] if trained else sorted(map(str, SHIPPED_PROJECTORS.glob("*.safetensors")))

    @property
    def projector_training(self) -> dict[str, Any]:
        """How a projector is trained."""
        return {key: value for key, value in self.config["model"]["projector"].items() if key != "origin"}

    @property
    def base_terms(self) -> dict[str, Any]:
        """What the model card says of the base model: its licence, and whether it is the tiny one."""
        model = self.config["model"]
        licence = "MIT, made by Earwitness" if model["origin"] == "tiny" else model["licence"]
        if model["origin"] == "assembled" and not self.folders_of_halves:
            licence = LICENCES_OF_PACKAGES
        return {"licence": licence, "tiny": model["origin"] == "tiny"}

    @property
    def declared_base(self) -> str:
        """The name under which config/pretraining_corpora.csv tells what the base was trained on."""
        model = self.config["model"]
        if model["origin"] in ("tiny", "assembled"):
            return f"{model['origin']} base"
        name = model["repository"] if model["origin"] == "hub" else Path(model["path"]).name
        return "Qwen2-Audio" if "qwen2-audio" in name.lower() else name

    def model_folder(self, model: str) -> str:
        """Where a model is, or will be: the base, or the proposer."""
        return self.base_folder if model == "base" else self.writer_folder("opro")[0]

    @property
    def models_on_disk(self) -> dict[str, str]:
        """The models of the study that are neither made nor fetched here, and their folders."""
        used = ["base"] + ["proposer"] * any(search.proposer == "opro" for search in self.searches)
        return {model: self.model_folder(model) for model in used if self._section_of(model)["origin"] == "path"}

    @property
    def models_from_hub(self) -> list[str]:
        """The models of the study, and the halves of an assembled base, that are fetched."""
        halves = list(HALVES) * (self.config["model"]["origin"] == "assembled")
        used = ["base", *halves] + ["proposer"] * any(search.proposer == "opro" for search in self.searches)
        return [model for model in used if self._section_of(model)["origin"] == "hub"]

    def model_name(self, model: str) -> list[str]:
        """What people know a model by: its repository and revision on the hub, the halves that it is joined of, or its folder, of which
        only the last part means something elsewhere where it is named from the root of this machine."""
        section = self._section_of(model)
        if section["origin"] == "hub":
            return [section["repository"], section["revision"]]
        if section["origin"] == "assembled":
            return [" with ".join(self._name_of_half(half) for half in HALVES)]
        return [_name_of_folder(self.model_folder(model))]

    def _name_of_half(self, half: str) -> str:
        settings = self.config["model"][half]
        names = {"package": PACKAGED_HALVES[half], "hub": f"{settings['repository']} at {settings['revision']}"}
        return names[settings["origin"]] if settings["origin"] in names else _name_of_folder(settings["path"])

    def hub_source(self, model: str) -> dict[str, str]:
        """Section of the configuration, repository and revision of a model that is fetched."""
        section = self._section_of(model)
        return {"section": ".".join(HUB_MODELS[model]), "repository": section["repository"], "revision": section["revision"]}

    def _section_of(self, model: str) -> dict[str, Any]:
        section = self.config
        for key in HUB_MODELS[model]:
            section = section[key]
        return section

    def corpus_size(self, corpus: str) -> dict[str, int]:
        """How many speakers and sounds an embedded corpus has: study, base or baseline."""
        prefix = "" if corpus == "study" else f"{corpus}_"
        return {size: self.config["embedded"][prefix + size] for size in ("speakers", "sounds")}

    @property
    def figures(self) -> list[str]:
        """The names of the figures that the report shows, in order."""
        return [*STUDY_FIGURES, *BASELINE_FIGURES * ("baseline" in self.stimulus_sets), *PROMPT_FIGURES * bool(self.searches)]

    @property
    def claim_tables(self) -> dict[str, str]:
        """Name -> file of the tables of the run that the claims of the published study are judged by."""
        names = ["accuracy", "ensembles", "generation", "leakage", "test_sizes"]
        names += ["thresholds", "threshold_contrasts", "mixed_model_effects"] * ("baseline" in self.stimulus_sets) + ["prompts"] * bool(self.searches)
        for experiment in self.enabled_experiments:
            kinds = ["experiments", "learning_curves"] + ["draws"] * experiment.is_redrawn
            names += [f"{kind}/{experiment.name}" for kind in kinds]
        tables = {name: f"results/tables/{name}.csv" for name in names}
        if "baseline" in self.stimulus_sets:
            tables["points"] = "results/psychometrics/points.csv"
        if self.searches:
            tables |= {"history": "results/prompts/history.csv", "prompt_conditions": "results/prompts/conditions.csv"}
        return tables

    @property
    def baseline_and_prompt_tables(self) -> list[str]:
        """The tables of the baseline and of the prompt searches, where there are any."""
        thresholds = [f"results/tables/{table}.csv" for table in ("thresholds", "threshold_contrasts", "mixed_model_effects", "mixed_model_fits")]
        baseline = [*thresholds, "results/psychometrics/points.csv"] * ("baseline" in self.stimulus_sets)
        return baseline + ["results/tables/prompts.csv"] * bool(self.searches)

    @property
    def detector_files(self) -> list[str]:
        """What is handed over of the selected adapter; nothing where none trained on the grouped split."""
        return [f"results/detector/{name}" for name in ("README.md", "adapter_model.safetensors", "calibration.json", "segments.json")] * bool(
            self.honest_arms
        )


def expected_verdict(split: str) -> str:
    """What the audit of a split must say for training to go on: those by row must fail."""
    return "fail" if leaks(split) else "pass"


def _name_of_folder(folder: str) -> str:
    return Path(folder).name if Path(folder).is_absolute() else folder
