"""Where the results of systems, searches and experiments lie; each list keeps the order of what it is asked for."""

from collections.abc import Iterable, Sequence

from earwitness.plan.values import Experiment, Search
from earwitness.systems import System


def chosen_question(model: str) -> str:
    """The question that was chosen for a model, which takes the place of the configured one."""
    return f"results/prompts/chosen/{model}.json"


def stimuli(stimulus_set: str, shards: Iterable[str]) -> list[str]:
    """The stimuli of a set, with audio."""
    return [f"results/stimuli/{stimulus_set}/shard-{shard}.parquet" for shard in shards]


def features(model: str, stimulus_set: str, shards: Iterable[str]) -> list[str]:
    """The stimuli of a set as a model's audio tower encodes them."""
    return [f"results/features/{model}/{stimulus_set}/shard-{shard}.parquet" for shard in shards]


def predictions(stimulus_set: str, systems: Iterable[System]) -> list[str]:
    """What systems answer to a set of stimuli; the ensembles of one recipe and split share a file."""
    return list(dict.fromkeys(f"results/predictions/{stimulus_set}/{_predictions_of(system)}.parquet" for system in systems))


def _predictions_of(system: System) -> str:
    if system.kind == "detector":
        return f"detectors/{system}"
    if system.kind == "base":
        return f"zeroshot/{system.model}"
    answering = system.members() if system.kind == "ensemble" else system
    return "/".join(filter(None, [f"{system.kind}s", system.model, str(answering.alone())]))


def controls(model: str, stimulus_set: str) -> list[str]:
    """The stimuli of a set as an untrained tower of a model's shape hears them."""
    return [f"results/features/{model}/{stimulus_set}/controls.parquet"]


def fitted_records(stimulus_sets: Iterable[str], systems: Sequence[System]) -> list[str]:
    """What was fitted for every detector and encoder probe, and on what."""
    return [path.removesuffix(".parquet") + ".tuning.json" for name in stimulus_sets for path in predictions(name, systems)]


def adapters(systems: Iterable[System], name: str) -> list[str]:
    """One file of every adapter among some systems."""
    trained = [system for system in systems if system.kind == "adapter"]
    return [f"results/adapters/{system.model}/{system.name}/{system.split}/seed-{system.seed}/{name}" for system in trained]


def searches(searches: Iterable[Search], name: str) -> list[str]:
    """One file of every prompt search."""
    return [f"results/prompts/{search.system}/{search.proposer}/seed-{search.seed}/{name}" for search in searches]


def calibration_records(systems: Iterable[System]) -> list[str]:
    """What was fitted to calibrate each system, and on what."""
    return [f"results/calibration/{system}.tuning.json" for system in systems]


def model_identity(model: str) -> str:
    """Which model is in the folder of one under study, or of the proposer."""
    return f"results/models/{model}.identity.json"


def checked_identity(model: str) -> str:
    """The same of a model that passed its preflight."""
    return f"results/models/{model}.checked.json"


def generation_checks(models: Iterable[str]) -> list[str]:
    """How often each model generates what its scores say."""
    return [f"results/tables/generation/{model}.csv" for model in models]


def counterfactuals(models: Iterable[str]) -> list[str]:
    """What each model answers to changed stimuli."""
    return [f"results/tables/counterfactuals/{model}.csv" for model in models]


def audit_reports(audits: Iterable[str]) -> list[str]:
    """The report of each audit; a gate that stops the run points to its own."""
    return [f"results/audit/{audit}/report.md" for audit in audits]


def draws(experiment: Experiment) -> list[str]:
    """The table and the figure of the draws; none where an experiment trains on no redrawn split."""
    return [f"results/tables/draws/{experiment}.csv", f"results/figures/draws/{experiment}.svg"] * experiment.is_redrawn


def experiment_results(experiments: Iterable[Experiment]) -> list[str]:
    """The tables, figures and audits of experiments."""
    return [
        path
        for experiment in experiments
        for path in [
            f"results/tables/experiments/{experiment}.csv",
            f"results/tables/learning_curves/{experiment}.csv",
            f"results/efficiency/{experiment}.csv",
            f"results/figures/experiments/{experiment}.svg",
            f"results/efficiency/{experiment}.svg",
            *draws(experiment),
            *audit_reports(experiment.splits),
        ]
    ]
