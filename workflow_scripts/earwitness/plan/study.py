"""The study plan: what is trained, asked, searched, compared, calibrated, audited and drawn, from a configuration."""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from earwitness.audio.noise_names import RECORDED_NOISES
from earwitness.core.errors import InputError
from earwitness.corpora.inputs import BASELINE, STUDY
from earwitness.corpora.noise_recordings import noise_recordings
from earwitness.plan import paths
from earwitness.plan.figure_names import figures_of
from earwitness.plan.values import AdapterGroup, Experiment, Search, SearchGroup
from earwitness.systems import (
    ACOUSTICS_PROBE,
    BY_ROW,
    BY_SOURCE,
    COMBINATIONS,
    HONEST_SPLIT,
    MODEL_PROBES,
    TOWER_PROBE,
    UNNAMED_MODEL,
    System,
    is_fold,
    leaks,
)

Done = TypeVar("Done")

STIMULUS_SETS = {"factorial": "stimuli", "baseline": "baseline"}
"""Set of stimuli -> its section of the configuration."""

ROLES = {"factorial": STUDY, "baseline": BASELINE}
"""Set of stimuli -> roles of the data sets that it is drawn from."""


def adapters_of(experiment: dict[str, Any], splits: dict[str, Any], model: str = UNNAMED_MODEL) -> tuple[System, ...]:
    """Every adapter of an experiment on a model: each recipe on each split with each seed, seeds varying fastest.

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
    recipes, seeds = experiment["recipes"], experiment["seeds"]
    return tuple(System("adapter", recipe, split, seed, model=model) for recipe in recipes for split in trained_on for seed in seeds)


@dataclass(frozen=True)
class Plan:
    """What a study does.

    config: the completed configuration (earwitness.config.complete_config).
    """

    config: dict[str, Any]

    @property
    def models(self) -> list[str]:
        """The names of the models under study."""
        return list(self.config["models"])

    @property
    def primary_model(self) -> str:
        """The model whose adapter is handed over, and that the claims of the published study are judged by."""
        return self.config["primary_model"]

    @property
    def bases(self) -> list[System]:
        """Every model as it is."""
        return [System("base", "base", model=model) for model in self.models]

    @property
    def stimulus_sets(self) -> list[str]:
        """The sets of stimuli that there are: factorial, and baseline unless it is left out."""
        return [name for name in STIMULUS_SETS if self.datasets(name)]

    def datasets(self, *stimulus_sets: str) -> list[str]:
        """The data sets that sets of stimuli are drawn from, in the configuration's order of sources."""
        roles = {role for stimulus_set in stimulus_sets for role in ROLES[stimulus_set]}
        return [name for name, source in self.config["sources"].items() if source["role"] in roles and source["origin"] != "none"]

    @property
    def learned_from(self) -> list[str]:
        """The data sets that the projector of an assembled model learns from, beside the embedded base corpus."""
        return [name for name, source in self.config["sources"].items() if source["role"] == "projector" and source["origin"] != "none"]

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

    def noise_recordings(self, stimulus_set: str) -> list[str]:
        """The recordings that a set's noise is cut from; none where it is made here. Raises InputError where they are not on disk."""
        folder = self.stimulus_settings(stimulus_set)["noise_recordings"]
        return [] if folder is None else list(map(str, noise_recordings(Path(folder))))

    @cached_property
    def experiments(self) -> dict[str, Experiment]:
        """Name in files -> experiment, enabled or not: every one of the configuration with every model."""
        found = [
            Experiment(name, settings["enabled"], adapters_of(settings, self.config["splits"], model), model)
            for model in self.models
            for name, settings in self.config["finetuning"]["experiments"].items()
        ]
        return {str(experiment): experiment for experiment in found}

    @property
    def enabled_experiments(self) -> list[Experiment]:
        """The experiments that the report shows."""
        return [experiment for experiment in self.experiments.values() if experiment.enabled]

    def experiment(self, name: str) -> Experiment:
        """The experiment that files name so; raises InputError where there is none."""
        if name not in self.experiments:
            raise InputError(f"no experiment {name}; finetuning.experiments has {', '.join(self.experiments)}")
        return self.experiments[name]

    def named(self, name: str) -> list[Experiment]:
        """The experiments of a name, enabled or not, one per model; none where the configuration has none."""
        return [experiment for experiment in self.experiments.values() if experiment.name == name]

    @property
    def adapters(self) -> list[System]:
        """Every adapter of the enabled experiments, once."""
        return list(dict.fromkeys(adapter for experiment in self.enabled_experiments for adapter in experiment.adapters))

    @property
    def arms(self) -> list[System]:
        """The adapters that the report compares: the main experiments' on the grouped split and on rows drawn at random."""
        trained = [adapter for experiment in self.named("main") for adapter in experiment.adapters]
        return [adapter for adapter in trained if adapter.is_honest or adapter.is_leaky]

    @property
    def honest_arms(self) -> list[System]:
        """The arms of the grouped split."""
        return [adapter for adapter in self.arms if adapter.is_honest]

    def of(self, model: str, systems: Sequence[System]) -> list[System]:
        """The systems among these that belong to a model."""
        return [system for system in systems if system.model == model]

    @cached_property
    def trained_together(self) -> list[AdapterGroup]:
        """The jobs that train adapters: those of enabled experiments, of searches, and of experiments that are not enabled.

        A job trains at most resources.adapters_per_job adapters, all of one recipe and with one question. An experiment needs either all adapters
        of a job or none, so no adapter is trained without need. Later seeds, experiments and models add jobs behind these.
        """
        return self._adapter_jobs([("factorial", group) for model in self.models for group in self._needed_together(model)])

    @cached_property
    def asked_together(self) -> list[AdapterGroup]:
        """The jobs that ask adapters about stimuli: about the factorial set those that are trained together, about the baseline the honest arms of
        each recipe."""
        jobs: list[tuple[str, list[System]]] = []
        for model in self.models:
            honest = self.of(model, self.honest_arms) if "baseline" in self.stimulus_sets else []
            by_recipe: dict[str, list[System]] = defaultdict(list)
            for adapter in self._main(model).by_seed():
                if adapter in honest:
                    by_recipe[adapter.name].append(adapter)
            jobs += [("baseline", group) for group in by_recipe.values()]
            jobs += [("factorial", group) for group in self._needed_together(model)]
        return self._adapter_jobs(jobs)

    def _main(self, model: str) -> Experiment:
        return next(experiment for experiment in self.experiments.values() if (experiment.model, experiment.name) == (model, "main"))

    def _needed_together(self, model: str) -> list[list[System]]:
        own = [experiment for experiment in self.experiments.values() if experiment.model == model]
        disabled = [experiment for experiment in own if not experiment.enabled]
        searched = [system for system in self.of(model, self.searched_systems) if system.kind == "adapter"]
        needed = [(experiment.name, experiment.by_seed()) for experiment in own if experiment.enabled]
        needed += [("", searched), *((experiment.name, experiment.by_seed()) for experiment in disabled)]
        groups: dict[tuple[Any, ...], list[System]] = defaultdict(list)
        for name, adapters in needed:
            for adapter in adapters:
                if not any(adapter in others for others in groups.values()):
                    alike = tuple(experiment.name for experiment in disabled if adapter in experiment.adapters)
                    groups[name, adapter.name, adapter.is_fold, alike].append(adapter)
        return list(groups.values())

    def _adapter_jobs(self, groups: Sequence[tuple[str, list[System]]]) -> list[AdapterGroup]:
        return [AdapterGroup(stimulus_set, part) for stimulus_set, group in groups for part in self._parts(group)]

    def _parts(self, group: Sequence[Done]) -> list[tuple[Done, ...]]:
        """What is done by one load, cut into jobs."""
        most = self.config["resources"]["adapters_per_job"]
        return [tuple(group[start : start + most]) for start in range(0, len(group), most)]

    @property
    def ensembles(self) -> list[System]:
        """All seeds of a recipe on the grouped split as one system, by vote and by mean; recipes with a single seed have none."""
        trained = [adapter.of_all_seeds() for adapter in self.honest_arms]
        several = [adapter for model in self.models for adapter in sorted(set(self.of(model, trained)), key=str) if trained.count(adapter) > 1]
        return [adapter.combined(rule) for adapter in several for rule in COMBINATIONS]

    def seeds_of(self, trained: System) -> list[System]:
        """The arms of one model, recipe and split."""
        return [arm for arm in self.arms if arm.of_all_seeds() == trained.of_all_seeds()]

    @property
    def detectors(self) -> list[System]:
        """The classic detectors."""
        return [System("detector", name) for name in self.config["detectors"]]

    @property
    def probes(self) -> list[System]:
        """The linear readouts of every model's ear and of controls."""
        return [*(System("encoder_probe", name, model=model) for model in self.models for name in MODEL_PROBES), ACOUSTICS_PROBE]

    def vectors_of(self, model: str, probe: str, stimulus_set: str) -> list[str]:
        """The encoded stimuli that a probe reads."""
        heard, controls = paths.features(model, stimulus_set, self.shards), paths.controls(model, stimulus_set)
        return heard if probe == TOWER_PROBE.name else controls

    def predictions(self, stimulus_set: str) -> list[System]:
        """Every system that answers a set. The leaky arm answers the factorial set alone, whose rows it trained on."""
        return [*self.bases, *self.probes, *self.detectors, *(self.arms if stimulus_set == "factorial" else self.honest_arms)]

    @property
    def compared(self) -> list[System]:
        """Every system that the tables of accuracy and of comparisons hold."""
        return [*self.predictions("factorial"), *self.ensembles]

    @property
    def honest_systems(self) -> list[System]:
        """The compared systems without the leaky arm and without the probes, which are no phase of the study."""
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
        """The tables of sources that no split may divide. Raises InputError where one is missing, or lies in results/ and so follows from a split."""
        for table in self.config["splits"]["ties"]:
            if Path(os.path.normpath(table)).parts[:1] == ("results",):
                raise InputError(
                    f"splits.ties: {table} follows from the split that it is to change; copy it to a place outside results/, and name that"
                )
            if not Path(table).is_file():
                raise InputError(f"splits.ties: no file {table}; name a table with the columns source_a, source_b and why")
        return self.config["splits"]["ties"]

    def audit_policy(self, split: str) -> dict[str, Any]:
        """What the audit of a split tolerates. A redrawn split by source may have as few test sources as the published design."""
        redrawn = self.config["splits"]["redrawn"]
        fewest = min(redrawn["test_speech_sources"], redrawn["test_sound_sources"], self.config["audit"]["min_sources_per_class"])
        return self.config["audit"] | ({"min_sources_per_class": fewest} if split.startswith(f"{BY_SOURCE}_") else {})

    def siblings_of(self, split: str) -> list[str]:
        """All folds of the cross-validation if a split is one of them, else none."""
        return [f"fold_{fold}" for fold in range(self.config["splits"]["folds"])] if is_fold(split) else []

    @cached_property
    def searches(self) -> list[Search]:
        """Every prompt search, of every model; paraphrases are the control of every proposer."""
        settings = self.config["prompt_search"]
        proposers = settings["proposers"] + ["paraphrases"] * bool(settings["proposers"])
        systems = [replace(System.parse(system), model=model) for model in self.models for system in settings["systems"]]
        return [Search(system, proposer, seed) for system in systems for proposer in proposers for seed in settings["seeds"]]

    @cached_property
    def searched_together(self) -> list[SearchGroup]:
        """The jobs that search for questions: the seeds of one proposer for one system, at most resources.adapters_per_job of them at a time."""
        groups: dict[tuple[System, str], list[Search]] = defaultdict(list)
        for search in self.searches:
            groups[search.system, search.proposer].append(search)
        return [SearchGroup(part) for group in groups.values() for part in self._parts(group)]

    def for_each_rule(self, given: Mapping[str, Done]) -> dict[str, Done]:
        """Settings for a program, such as --set-resources train_adapter:mem_mb=64000, repeated for each rule that runs it, unless the rule has
        its own."""
        rules = {f"train_adapter__{job.first}": "train_adapter" for job in self.trained_together}
        rules |= {f"predict_adapter__{job.stimulus_set}_{job.first}": "predict_adapter" for job in self.asked_together}
        rules |= {f"search_prompts__{job.first}": "search_prompts" for job in self.searched_together}
        return {rule: given[program] for rule, program in rules.items() if program in given} | dict(given)

    def searches_of(self, system: System) -> list[Search]:
        """The searches for a system."""
        return [search for search in self.searches if search.system == system]

    @property
    def searched_systems(self) -> list[System]:
        """The systems that questions are searched for."""
        return list(dict.fromkeys(search.system for search in self.searches))

    def choosing_searches(self, model: str) -> list[Search]:
        """The searches from which a model's question is chosen; none where the configured question is asked."""
        searches = self.searches_of(System("base", "base", model=model))
        return [search for search in searches if search.proposer == self.config["prompt_search"]["use_question_of"]]

    def chosen_question(self, model: str) -> list[str]:
        """The file of the question that was chosen for a model; none where the configured question is asked."""
        return [paths.chosen_question(model)] * bool(self.choosing_searches(model))

    @property
    def chosen_questions(self) -> list[str]:
        """The files of the questions that were chosen, of all models."""
        return [path for model in self.models for path in self.chosen_question(model)]

    def question_trained_with(self, system: System) -> list[str]:
        """The file of the chosen question that a system is trained with; none where that is the configured question.

        The adapter of a fold has the configured one, because folds test sources that the question was chosen on. The base is not trained.
        """
        return [] if system.is_fold or system.kind == "base" else self.chosen_question(system.model)

    @property
    def search_settings(self) -> dict[str, Any]:
        """The sizes of every search."""
        sizes = ("iterations", "candidates", "stimuli", "development_stimuli", "finalists", "most_characters")
        return {key: self.config["prompt_search"][key] for key in sizes}

    def writer_quantisation(self, proposer: str) -> str:
        """How the language model that a proposer asks is quantised; "none" for proposers without one too."""
        return self.config["prompt_search"]["opro"]["quantisation"] if proposer == "opro" else "none"

    def recipe_of(self, system: System) -> dict[str, Any] | None:
        """The settings of an adapter's training; None for the base."""
        return None if system.kind == "base" else self.config["finetuning"]["recipes"][system.name]

    def recipes_of(self, systems: Sequence[System]) -> dict[str, Any]:
        """Name -> settings of the recipes of adapters."""
        return {system.name: self.recipe_of(system) for system in systems}

    def hears_features(self, system: System) -> bool:
        """Can a system hear stimuli as the base's audio tower encoded them? Not where its adapter changes the tower."""
        recipe = self.recipe_of(system)
        return recipe is None or recipe["scope"] == "language_model"

    def features_of(self, system: System, stimulus_set: str) -> list[str]:
        """The encoded stimuli that a system hears; none where it hears audio."""
        return paths.features(system.model, stimulus_set, self.shards) if self.hears_features(system) else []

    def audio_of(self, system: System, stimulus_set: str) -> list[str]:
        """The stimuli that a system hears as audio; none where it hears features."""
        return [] if self.hears_features(system) else paths.stimuli(stimulus_set, self.shards)

    def level_of(self, system: System) -> dict[str, Any]:
        """The level at which a system hears audio; empty where that is the stimuli's own."""
        recipe = self.recipe_of(system)
        return {} if recipe is None else {key: recipe[key] for key in ("normalisation", "level_dbfs")}

    def training_rows(self, model: str) -> int:
        """How many rows a model's adapters of all enabled experiments are shown in training.

        Recipes in epochs count as if they trained on the split by row, since no split is made yet.
        """
        recipes = [self.config["finetuning"]["recipes"][adapter.name] for adapter in self.of(model, self.adapters)]
        drawn = self.config["splits"]["row_random"]["stimuli"]
        return sum(round(recipe["epochs"] * drawn) if recipe["epochs"] else recipe["steps"] * recipe["batch_size"] for recipe in recipes)

    def corpus_size(self, corpus: str) -> dict[str, int]:
        """How many speakers and sounds an embedded corpus has: study, base or baseline."""
        prefix = "" if corpus == "study" else f"{corpus}_"
        return {size: self.config["embedded"][prefix + size] for size in ("speakers", "sounds")}

    @property
    def figures(self) -> list[str]:
        """The names of the figures that the report shows, in order."""
        return list(figures_of(len(self.models) > 1, "baseline" in self.stimulus_sets, bool(self.searches)))

    @property
    def claim_tables(self) -> dict[str, str]:
        """Name -> file of the tables of the run that the claims of the published study are judged by."""
        names = ["accuracy", "ensembles", "leakage", "test_sizes"]
        names += ["thresholds", "threshold_contrasts", "mixed_model_effects"] * ("baseline" in self.stimulus_sets) + ["prompts"] * bool(self.searches)
        tables = {name: f"results/tables/{name}.csv" for name in names}
        tables["generation"] = paths.generation_checks([self.primary_model])[0]
        for experiment in self.enabled_experiments:
            kinds = (["experiments", "learning_curves"] + ["draws"] * experiment.is_redrawn) * (experiment.model == self.primary_model)
            tables |= {f"{kind}/{experiment.name}": f"results/tables/{kind}/{experiment}.csv" for kind in kinds}
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
            self.of(self.primary_model, self.honest_arms)
        )


def expected_verdict(split: str) -> str:
    """What the audit of a split must say for training to go on: those by row must fail."""
    return "fail" if leaks(split) else "pass"
