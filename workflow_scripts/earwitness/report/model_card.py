"""The model card of the adapter that is handed over: everything that a user must know, out of the run's own tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from earwitness.core.files import sha256_of
from earwitness.detectors.hand_over import Detector
from earwitness.evaluation.scored_answers import ALL_SEEDS
from earwitness.leakage.certificate import load_certificate
from earwitness.model.families.registry import FAMILIES
from earwitness.report import formats
from earwitness.report.style import headline, in_order, rows_of, system_name
from earwitness.systems import System
from earwitness.tables.columns import LABELS


@dataclass(frozen=True)
class BaseTerms:
    """licence: of the base model. tiny: whether that is the embedded one."""

    licence: str
    tiny: bool


@dataclass(frozen=True)
class TrainingData:
    """split, recordings: earwitness.tables SPLIT and RECORDINGS. embedded: data sets that are synthesised here. stimuli: the
    configuration's section."""

    split: pd.DataFrame
    recordings: pd.DataFrame
    embedded: Sequence[str]
    stimuli: Mapping[str, Any]


@dataclass(frozen=True)
class PassedAudit:
    """The leakage certificate of the split: its digest, how many checks ran, and which of them were waived."""

    sha256: str
    checks: int
    waived: Sequence[str]


@dataclass(frozen=True)
class Performance:
    """accuracy, calibration, comparisons: earwitness.tables ACCURACY, CALIBRATION and COMPARISONS. confidence: of their intervals."""

    accuracy: pd.DataFrame
    calibration: pd.DataFrame
    comparisons: pd.DataFrame
    confidence: float


@dataclass(frozen=True)
class ModelCard:
    """What the card tells. recipe: the configuration's of the adapter."""

    detector: Detector
    recipe: Mapping[str, Any]
    terms: BaseTerms
    data: TrainingData
    audit: PassedAudit
    performance: Performance


def passed_audit(path: Path) -> PassedAudit:
    """What a certificate says of the audit; raises InputError where the file is no certificate."""
    checks = load_certificate(path)["checks"]
    return PassedAudit(sha256_of(path), sum(check["status"] != "not_run" for check in checks), [check["id"] for check in checks if check["waived"]])


def render_card(card: ModelCard, template: Path) -> str:
    """Fill the template (Markdown with the metadata block of Hugging Face model cards)."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent), autoescape=False, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        percent=formats.percent,
        points=formats.points,
        decimal=formats.decimal,
        counted=formats.counted,
        system=lambda text: system_name(System.parse(text)),
    )
    environment.globals.update(percent_range=formats.percent_range, points_range=formats.points_range)
    detector, data, performance = card.detector, card.data, card.performance
    system = detector.selection.system
    datasets = _datasets(data)
    return environment.get_template(template.name).render(
        base=detector.base,
        family=FAMILIES[detector.base["model_type"]],
        quantisation=detector.quantisation,
        presentation=detector.presentation,
        licence=card.terms.licence,
        tiny=card.terms.tiny,
        recipe=card.recipe,
        prompt=detector.prompt,
        stimuli=data.stimuli,
        confidence=f"{100 * performance.confidence:g} %",
        method={"temperature": "temperature", "platt": "Platt's map"}[detector.method],
        informative=detector.calibration.informative,
        seed=system.seed,
        candidates=_candidates(detector.selection.development),
        parts=_parts(data.split),
        datasets=datasets,
        not_commercial=[row["dataset"] for row in datasets if "NC" in row["licence"]],
        audit=card.audit,
        weights_sha256=sha256_of(detector.adapter / "adapter_model.safetensors"),
        metrics=_metrics(performance.accuracy, system),
        calibrated=_calibrated(performance.calibration, system, detector.method),
        against_base=_against_base(performance.comparisons, system.of_all_seeds()),
    )


def _candidates(development: Mapping[System, float]) -> list[dict[str, Any]]:
    """A row per recipe: its name, the mean of its seeds' balanced accuracies, and each seed's."""
    by_recipe: dict[System, dict[int | None, float]] = {}
    for system, value in development.items():
        by_recipe.setdefault(system.of_all_seeds(), {})[system.seed] = value
    return [{"system": str(system), "mean": sum(seeds.values()) / len(seeds), "seeds": seeds} for system, seeds in by_recipe.items()]


def _against_base(comparisons: pd.DataFrame, system: System) -> Any:
    """The comparison of the recipe, mean over its seeds, with the base on unseen sources; None where there is none."""
    pair = (str(system), str(system.base), "unseen")
    return next((row for row in rows_of(comparisons) if (row.system_a, row.system_b, row.test_set) == pair), None)


def _datasets(data: TrainingData) -> list[dict[str, Any]]:
    """A row per data set that something of the train part came from: its licences, and its number of training sources."""
    trained = data.split.source_id[data.split.part == "train"]
    used = data.recordings[data.recordings.source_id.isin(trained)]
    return [
        {
            "dataset": dataset,
            "licence": "synthesised by Earwitness" if dataset in data.embedded else ", ".join(sorted(rows.licence.unique())),
            "sources": rows.source_id.nunique(),
        }
        for dataset, rows in used.groupby("dataset")
    ]


def _parts(split: pd.DataFrame) -> list[dict[str, Any]]:
    rows = []
    for part in ("train", "dev", "test"):
        of_part = split[split.part == part]
        sources = of_part.groupby("label").source_id.nunique()
        rows.append({"part": part, "stimuli": len(of_part), **{label.lower(): int(sources.get(label, 0)) for label in LABELS}})
    return rows


def _metrics(accuracy: pd.DataFrame, system: System) -> list[dict[str, Any]]:
    """Rows of the card's table: this adapter, the mean over the recipe's seeds, the base and the detectors."""
    unseen = accuracy[accuracy.test_set == "unseen"]
    recipe = str(system.of_all_seeds())
    wanted = [("this adapter", recipe, str(system.seed))]
    if (unseen.seed[unseen.system_id == recipe] == ALL_SEEDS).any():
        wanted.append(("mean over the recipe's seeds", recipe, ALL_SEEDS))
    seeds = headline(unseen).set_index("system_id").seed
    wanted += [(system_name(other), str(other), seeds[str(other)]) for other in in_order(unseen.system_id) if other.kind in ("base", "detector")]
    rows = []
    for name, system_id, seed in wanted:
        of_system = unseen[(unseen.system_id == system_id) & (unseen.seed == seed)].set_index("metric")
        rows.append({"name": name} | {str(metric): row for metric, row in zip(of_system.index, rows_of(of_system), strict=True)})
    return rows


def _calibrated(calibration: pd.DataFrame, system: System, method: str) -> list[Any]:
    own = calibration[(calibration.system_id == str(system.of_all_seeds())) & (calibration.seed == str(system.seed))]
    return rows_of(own[own.method.isin(["none", method])])
