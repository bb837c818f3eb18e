"""The model card of the adapter that is handed over: everything that a user must know, out of the run's own tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from earwitness.report import formats
from earwitness.report.style import headline, in_order, rows_of, system_name
from earwitness.systems import System
from earwitness.tables.columns import LABELS


@dataclass(frozen=True)
class CardInputs:
    """detector: the content of detector.json. licence: of the base model; tiny: whether that is
    the embedded one. recipe, prompt, stimuli, statistics: slices of the configuration.
    embedded: data sets that are synthesised here. split, recordings, accuracy, calibration, comparisons: tables of earwitness.tables."""

    detector: Mapping[str, Any]
    licence: str
    tiny: bool
    recipe: Mapping[str, Any]
    prompt: Mapping[str, Any]
    stimuli: Mapping[str, Any]
    statistics: Mapping[str, Any]
    calibration_method: str
    informative: bool
    split: pd.DataFrame
    recordings: pd.DataFrame
    embedded: Sequence[str]
    certificate_sha256: str
    checks: int
    waived: Sequence[str]
    weights_sha256: str
    accuracy: pd.DataFrame
    calibration: pd.DataFrame
    comparisons: pd.DataFrame


def render_card(inputs: CardInputs, template: Path) -> str:
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
    selected = inputs.detector["selected"]
    system, seed = selected["system_id"], selected["seed"]
    trained = inputs.split[inputs.split.part == "train"]
    datasets = _datasets(inputs, trained)
    return environment.get_template(template.name).render(
        base=inputs.detector["base"],
        quantisation=inputs.detector["quantisation"],
        presentation=inputs.detector["presentation"],
        licence=inputs.licence,
        recipe=inputs.recipe,
        prompt=inputs.prompt,
        stimuli=inputs.stimuli,
        confidence=f"{100 * inputs.statistics['confidence']:g} %",
        method={"temperature": "temperature", "platt": "Platt's map"}[inputs.calibration_method],
        informative=inputs.informative,
        system=system,
        seed=seed,
        candidates=[
            {"system": name, "mean": sum(seeds.values()) / len(seeds), "seeds": seeds}
            for name, seeds in selected["development_balanced_accuracy"].items()
        ],
        parts=_parts(inputs.split),
        datasets=datasets,
        not_commercial=[row["dataset"] for row in datasets if "NC" in row["licence"]],
        certificate_sha256=inputs.certificate_sha256,
        checks=inputs.checks,
        waived=inputs.waived,
        weights_sha256=inputs.weights_sha256,
        metrics=_metrics(inputs.accuracy, system, seed),
        calibrated=_calibrated(inputs.calibration, system, seed, inputs.calibration_method),
        against_base=next(
            (row for row in rows_of(inputs.comparisons) if (row.system_a, row.system_b, row.test_set) == (system, "base", "unseen")), None
        ),
        tiny=inputs.tiny,
    )


def _datasets(inputs: CardInputs, trained: pd.DataFrame) -> list[dict[str, Any]]:
    used = inputs.recordings[inputs.recordings.source_id.isin(trained.source_id)]
    return [
        {
            "dataset": dataset,
            "licence": "synthesised by Earwitness" if dataset in inputs.embedded else ", ".join(sorted(rows.licence.unique())),
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


def _metrics(accuracy: pd.DataFrame, system: str, seed: str) -> list[dict[str, Any]]:
    """Rows of the card's table: this adapter, the mean over the recipe's seeds, the base and the detectors."""
    unseen = accuracy[accuracy.test_set == "unseen"]
    wanted = [("this adapter", system, seed)]
    if "all" in set(unseen.seed[unseen.system_id == system]):
        wanted.append(("mean over the recipe's seeds", system, "all"))
    seeds = headline(unseen).set_index("system_id").seed
    wanted += [(system_name(other), str(other), seeds[str(other)]) for other in in_order(unseen.system_id) if other.kind in ("base", "detector")]
    rows = []
    for name, system_id, its_seed in wanted:
        of_system = unseen[(unseen.system_id == system_id) & (unseen.seed == its_seed)].set_index("metric")
        rows.append({"name": name} | {str(metric): row for metric, row in zip(of_system.index, rows_of(of_system), strict=True)})
    return rows


def _calibrated(calibration: pd.DataFrame, system: str, seed: str, method: str) -> list[Any]:
    rows = calibration[(calibration.system_id == system) & (calibration.seed == seed) & calibration.method.isin(["none", method])]
    return rows_of(rows)
