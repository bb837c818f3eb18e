"""The report: one HTML page that needs nothing else."""

import base64
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from earwitness.core.errors import InputError
from earwitness.evaluation.comparison import BETWEEN_MODELS
from earwitness.leakage.certificate import blocking_checks
from earwitness.model.families.registry import FAMILIES
from earwitness.plan.figure_names import BASELINE_FIGURES, PROMPT_FIGURES, figures_of
from earwitness.report import formats
from earwitness.report.claims_text import claims_content
from earwitness.report.comparison_text import VARIANCE_COLUMNS, comparison_rows, conclusion_sentences, variance_rows, verdict_words
from earwitness.report.detection_text import detection_rows, detection_sentence
from earwitness.report.draws_text import DrawsSection, draws_sentences
from earwitness.report.error_text import calibration_sentence, error_sentences
from earwitness.report.experiment_text import ExperimentSection, cost_rows, cost_sentence, experiment_rows, experiment_sentences, size_sentences
from earwitness.report.hearing_text import hearing_sentences
from earwitness.report.listening import ListeningMatrix
from earwitness.report.mixed_model_table import left_out_sentence, mixed_model_rows, mixed_model_sentences
from earwitness.report.models_text import model_rows, model_sentences, threshold_curves
from earwitness.report.numbering import Numbering
from earwitness.report.origins import figure_origin, table_origin
from earwitness.report.prompt_text import asked_name, prompt_rows, prompt_sentences, proposer_name
from earwitness.report.style import LABEL_NAMES, headline, in_order, look_of, models_in, system_name
from earwitness.report.summary import answer_sentences, audit_sentences, audit_warnings, kind_of_numbers
from earwitness.report.threshold_text import base_sentence, contrast_rows, contrast_sentences, threshold_rows
from earwitness.systems import LEAKY_SPLIT, System, leaks
from earwitness.tables.one_model import of_model

_MOST_SOURCES = 12
_MOST_CATEGORIES = 5
_SPLIT_NAMES = {"grouped": "grouped (honest)", LEAKY_SPLIT: "row-random (leaky)", "-": formats.MISSING}
_STATISTIC_UNITS = {
    "L01": "shared sources",
    "L02": "shared recordings",
    "L03": "shared pieces of audio",
    "L04": "similarity, 0 to 1",
    "L05": "shared noises",
    "L06": "s between segments",
    "L07": "faults",
    "L08": "faults",
    "L09": "faults",
    "L10": "AUC",
    "L11": "drop of balanced accuracy",
    "L12": "data sets in question",
    "L13": "sources of a class, at least",
    "L14": "clips",
    "L15": "lines of code",
    "L16": "pairs of sources",
    "L17": "AUC",
    "L18": "pairs of names",
    "L19": "AUC",
}
"""Check of the audit -> the unit of the number that decides."""


@dataclass(frozen=True)
class SystemTables:
    """Every system by itself: earwitness.tables ACCURACY, CALIBRATION, DETECTION, ERROR_RATES and TEST_SIZES."""

    accuracy: pd.DataFrame
    calibration: pd.DataFrame
    detection: pd.DataFrame
    error_rates: pd.DataFrame
    test_sizes: pd.DataFrame


@dataclass(frozen=True)
class ComparisonTables:
    """Systems against each other: earwitness.tables COMPARISONS, POWER, VARIANCE, ENSEMBLES and LEAKAGE."""

    comparisons: pd.DataFrame
    power: pd.DataFrame
    variance: pd.DataFrame
    ensembles: pd.DataFrame
    leakage: pd.DataFrame


@dataclass(frozen=True)
class BaselineTables:
    """The baseline set: earwitness.tables THRESHOLDS, CONTRASTS, POINTS, MIXED_MODEL_EFFECTS and MIXED_MODEL_FITS."""

    thresholds: pd.DataFrame
    threshold_contrasts: pd.DataFrame
    points: pd.DataFrame
    mixed_model_effects: pd.DataFrame
    mixed_model_fits: pd.DataFrame


@dataclass(frozen=True)
class MaterialTables:
    """What was heard, and how answers were read: AUDIO_CHECK by data set, STIMULUS_SUMMARY, and GENERATION by model, of earwitness.tables."""

    checks: Mapping[str, pd.DataFrame]
    stimuli: pd.DataFrame
    generation: Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Listening:
    """Stimuli to listen to, as earwitness.report.listening returns them: clips by duration and SNR, and what one system gets wrong."""

    matrices: Sequence[ListeningMatrix]
    errors: Sequence[dict[str, Any]]
    errors_of: System


@dataclass(frozen=True)
class RunRecord:
    """How the numbers came to be: versions and hardware; the resolved configuration, and its text; digests of files; the identity of every
    model (earwitness.model.identity.IDENTITY)."""

    run: dict[str, Any]
    config: dict[str, Any]
    config_text: str
    digests: pd.DataFrame
    identities: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Report:
    """Everything that the page shows. figures: SVG by name. certificates: as `load_certificate` returns them. claims: CLAIMS.
    baseline: None without the baseline set. prompts: PROMPT_GAINS, None without a prompt search. draws: of enabled experiments on
    redrawn splits. note: what stands above the answer, nothing where empty."""

    title: str
    figures: Mapping[str, str]
    systems: SystemTables
    comparison: ComparisonTables
    experiments: Sequence[ExperimentSection]
    material: MaterialTables
    certificates: Sequence[dict[str, Any]]
    listening: Listening
    claims: pd.DataFrame
    record: RunRecord
    baseline: BaselineTables | None = None
    prompts: pd.DataFrame | None = None
    draws: Sequence[DrawsSection] = ()
    note: str = ""

    @property
    def models(self) -> list[str]:
        """The names of the models under study."""
        return list(self.record.identities)

    @property
    def primary_model(self) -> str:
        """The model whose adapter is handed over, and that the claims are judged by."""
        return self.record.config["primary_model"]

    @property
    def expected_figures(self) -> tuple[str, ...]:
        """The names of the figures that the page shows, in order."""
        return figures_of(len(self.models) > 1, self.baseline is not None, self.prompts is not None)


def render_page(report: Report, template: Path) -> str:
    """Fill the template; every text is escaped, so that names out of the data stay text.

    It is rendered twice, since references need the numbers of figures and tables further down.
    template: the page's template; the parts that it includes and its style lie beside it.
    Raises InputError where a figure is missing.
    """
    missing = [name for name in report.expected_figures if name not in report.figures]
    if missing:
        drawn_together = dict.fromkeys(BASELINE_FIGURES, "plot_psychometrics") | dict.fromkeys(PROMPT_FIGURES, "plot_prompts")
        program = drawn_together.get(missing[0], f"plot_{missing[0]}")
        raise InputError(f"report: no figure {missing[0]}.svg; run {program}")
    page = _environment(template.parent).get_template(template.name)
    with models_in(report.systems.accuracy.system_id):
        content = _content(report)
        first = Numbering()
        page.render(content, numbering=first)
        return page.render(content, numbering=Numbering(first.numbers))


@functools.cache
def _environment(folder: Path) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        percent=formats.percent,
        points=formats.points,
        p_value=formats.p_value,
        chance=formats.chance,
        decimal=formats.decimal,
        counted=formats.counted,
        system=lambda text: system_name(System.parse(text)),
        glyph=lambda text: look_of(System.parse(text)).glyph,
        label=lambda label: LABEL_NAMES[label],
        proposer=proposer_name,
        asked=lambda text: asked_name(System.parse(text)),
        split=lambda split: _SPLIT_NAMES.get(split, split),
        words=lambda name: name.replace("_", " ").replace(".", ": "),
    )
    environment.globals.update(
        percent_range=formats.percent_range, points_range=formats.points_range, figure_origin=figure_origin, table_origin=table_origin
    )
    return environment


def _content(report: Report) -> dict[str, Any]:
    """Everything that the template names."""
    config, statistics = report.record.config, report.record.config["statistics"]
    certificates = sorted(report.certificates, key=lambda certificate: certificate["split"]["name"])
    accuracy, comparisons = report.systems.accuracy, report.comparison.comparisons
    thresholds = None if report.baseline is None else report.baseline.thresholds
    several = len(report.models) > 1
    return {
        "title": report.title,
        "note": report.note,
        "several": several,
        "primary_model": report.primary_model,
        "kinds": {model: kind_of_numbers(config["models"][model]) for model in report.models},
        "answer": _answer(report, thresholds, statistics),
        "models": _models(report.models, accuracy, comparisons, thresholds, statistics) if several else {},
        "warnings": audit_warnings(certificates),
        "confidence": f"{100 * statistics['confidence']:g} %",
        "margin": f"{100 * statistics['equivalence_margin']:g}",
        "figures": {name: _embedded(report.figures[name]) for name in report.expected_figures},
        "hearing": {model: hearing_sentences(of_model(accuracy, model), of_model(comparisons, model), statistics) for model in report.models},
        "experiments": [_experiment(section, statistics["confidence"]) for section in report.experiments],
        "cost_sentence": cost_sentence(report.experiments[0].efficiency) if report.experiments else "",
        "claims": claims_content(report.claims),
        "draws": [_draws(section, statistics["confidence"]) for section in report.draws],
        "prompts": _prompts(report.prompts, statistics["confidence"], config["prompt_search"]["use_question_of"]),
        "listening": report.listening,
        "errors_of": str(report.listening.errors_of),
        **_of_audits(certificates),
        **_of_systems(report.systems, statistics),
        **_of_comparison(report.comparison, statistics, accuracy),
        **_of_material(report.material, config),
        **_of_baseline(report.baseline, statistics["confidence"]),
        **_of_run(report.record),
    }


def _answer(report: Report, thresholds: pd.DataFrame | None, statistics: Mapping[str, float]) -> list[str]:
    """What the page answers at its top: of one model in three sentences, of several which hears best, then a line for each."""
    found = {}
    draws = report.draws[0].draws if report.draws and len(report.models) == 1 else None
    for model in report.models:
        accuracy, comparisons = of_model(report.systems.accuracy, model), of_model(report.comparison.comparisons, model)
        own_thresholds = None if thresholds is None else of_model(thresholds, model)
        found[model] = answer_sentences(accuracy, comparisons, of_model(report.comparison.leakage, model), own_thresholds, statistics, draws)
    if len(found) == 1:
        return found.popitem()[1]
    return [
        *model_sentences(report.comparison.comparisons, statistics),
        *(f"{model}: {' '.join(sentences)}" for model, sentences in found.items()),
    ]


def _models(
    models: Sequence[str], accuracy: pd.DataFrame, comparisons: pd.DataFrame, thresholds: pd.DataFrame | None, statistics: Mapping[str, float]
) -> dict[str, Any]:
    between = comparisons[comparisons.question.isin(BETWEEN_MODELS)]
    return {
        "sentences": model_sentences(comparisons, statistics),
        "rows": model_rows(models, accuracy, comparisons, thresholds),
        "curves": threshold_curves(thresholds),
        "pairs": comparison_rows(between),
    }


def _of_audits(certificates: Sequence[dict[str, Any]]) -> dict[str, Any]:
    audits = [_audit(certificate) for certificate in certificates]
    return {"audits": audits, "audit_sentences": audit_sentences(certificates), "waivers": _used_waivers(certificates)}


def _of_systems(tables: SystemTables, statistics: Mapping[str, float]) -> dict[str, Any]:
    systems = _system_rows(tables.accuracy)
    return {
        "sources": list(dict.fromkeys(row["sources"] for row in systems)),
        "few_sources_on": sorted(set(tables.accuracy.test_set[tables.accuracy.reliability != "ok"])),
        "systems": systems,
        "calibration": _calibration_rows(tables.calibration),
        "calibration_sentence": calibration_sentence(tables.calibration),
        "detection": detection_rows(tables.detection),
        "detection_sentence": detection_sentence(tables.detection),
        "error_rates": _error_rate_rows(tables.error_rates),
        "error_sentences": error_sentences(tables.error_rates),
        "test_sizes": size_sentences(tables.test_sizes, statistics["confidence"], statistics["power"]),
    }


def _of_comparison(tables: ComparisonTables, statistics: Mapping[str, float], accuracy: pd.DataFrame) -> dict[str, Any]:
    pairs = comparison_rows(tables.comparisons[~tables.comparisons.question.isin(BETWEEN_MODELS)])
    return {
        "comparisons": pairs,
        "of_detectors": [row for row in pairs if "detector" in row["kinds"] and "encoder_probe" not in row["kinds"]],
        "of_training": [row for row in pairs if not {"detector", "encoder_probe"} & row["kinds"]],
        "conclusions": conclusion_sentences(tables.comparisons, tables.power, statistics),
        "variance": {"columns": VARIANCE_COLUMNS, "rows": variance_rows(tables.variance)},
        "ensembles": [row | {"verdict": verdict_words(row)} for row in tables.ensembles.to_dict("records")],
        "leakage": _leakage_rows(tables.leakage, accuracy),
    }


def _of_material(tables: MaterialTables, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "checks": [_check_summary(name, table, config) for name, table in tables.checks.items()],
        "stimuli": _stimulus_summary(tables.stimuli),
        "generation": {model: table.to_dict("records") for model, table in tables.generation.items()},
        "least_coverage": min(float(table.median_coverage.min()) for table in tables.generation.values()),
    }


def _of_baseline(tables: BaselineTables | None, confidence: float) -> dict[str, Any]:
    if tables is None:
        return {
            "thresholds": [],
            "contrasts": {"rows": [], "sentences": []},
            "mixed_models": {"rows": [], "sentences": [], "left_out": ""},
            "base_thresholds": "",
        }
    effects, fits = tables.mixed_model_effects, tables.mixed_model_fits
    models = {
        "rows": mixed_model_rows(effects, fits),
        "sentences": mixed_model_sentences(effects, fits, confidence),
        "left_out": left_out_sentence(effects, fits),
    }
    contrasts = {"rows": contrast_rows(tables.threshold_contrasts), "sentences": contrast_sentences(tables.threshold_contrasts, confidence)}
    rows = threshold_rows(tables.thresholds)
    return {"thresholds": rows, "contrasts": contrasts, "mixed_models": models, "base_thresholds": base_sentence(rows)}


def _of_run(record: RunRecord) -> dict[str, Any]:
    families = {model: FAMILIES[identity["model_type"]] for model, identity in record.identities.items()}
    digests = record.digests.to_dict("records")
    return {"run": record.run, "config": record.config, "config_text": record.config_text, "digests": digests, "families": families}


def _prompts(gains: pd.DataFrame | None, confidence: float, used: str) -> dict[str, Any]:
    if gains is None:
        return {"rows": [], "sentences": []}
    return {"rows": prompt_rows(gains), "sentences": prompt_sentences(gains, confidence, used)}


def _experiment(section: ExperimentSection, confidence: float) -> dict[str, Any]:
    return {
        "name": section.name,
        "rows": experiment_rows(section.experiment),
        "sentences": experiment_sentences(section.experiment, section.learning_curve, confidence),
        "figure": _embedded(section.figure),
        "costs": cost_rows(section.efficiency),
        "devices": sorted(set(section.efficiency.device)),
        "efficiency": _embedded(section.efficiency_figure),
    }


def _draws(section: DrawsSection, confidence: float) -> dict[str, Any]:
    return {"name": section.name, "sentences": draws_sentences(section.draws, confidence), "figure": _embedded(section.figure)}


def _leakage_rows(leakage: pd.DataFrame, accuracy: pd.DataFrame) -> list[dict[Any, Any]]:
    """Per leaky system: balanced accuracy, then each class; of test sets with too few sources without an interval."""
    measures = {"balanced_accuracy": "", "speech_accuracy": LABEL_NAMES["SPEECH"], "nonspeech_accuracy": LABEL_NAMES["NONSPEECH"]}
    few = set(accuracy.system_id[(accuracy.test_set == LEAKY_SPLIT) & (accuracy.reliability == "descriptive_only")])
    rows = [row for name in measures for row in headline(leakage[leakage.metric == name]).to_dict("records")]
    return [{**row, "label": measures[row["metric"]], "few": row["system_id"] in few} for row in sorted(rows, key=lambda row: str(row["system_id"]))]


def _embedded(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")


def _system_rows(accuracy: pd.DataFrame) -> list[dict[Any, Any]]:
    unseen = accuracy[accuracy.test_set == "unseen"]
    metrics = {metric: headline(rows).set_index("system_id") for metric, rows in unseen.groupby("metric")}
    rows: list[dict[Any, Any]] = []
    for system in in_order(metrics["balanced_accuracy"].index):
        per_metric: dict[Any, Any] = {metric: table.loc[str(system)].to_dict() for metric, table in metrics.items() if str(system) in table.index}
        main = per_metric["balanced_accuracy"]
        few = {"few_sources": " (few)", "descriptive_only": " (descriptive only)"}.get(main["reliability"], "")
        sources = f"{main['n_speech_sources']} + {main['n_nonspeech_sources']}{few}"
        rows.append({"system_id": str(system), "leaky": system.is_leaky, "sources": sources, **per_metric})
    return rows


def _calibration_rows(calibration: pd.DataFrame) -> list[dict[Any, Any]]:
    """One row per system and method, all seeds together."""
    per_method = {method: headline(rows).set_index("system_id") for method, rows in calibration.groupby("method")}
    return [
        per_method[method].loc[str(system)].to_dict() | {"system_id": str(system), "method": method}
        for system in in_order(calibration.system_id)
        for method in ("none", "temperature", "platt")
    ]


def _error_rate_rows(rates: pd.DataFrame) -> list[dict[str, Any]]:
    """One row per system and class: the rate overall, and per factor its values, categories by how often they are wrong."""
    rows = []
    for system in in_order(rates.system_id):
        for label in LABEL_NAMES:
            chosen = rates[(rates.system_id == str(system)) & (rates.label == label)]
            by_factor = {str(factor): table.to_dict("records") for factor, table in chosen.groupby("factor")}
            worst = chosen[chosen.factor == "category"].sort_values("error_rate", ascending=False, kind="stable").head(_MOST_CATEGORIES)
            rows.append({"system_id": str(system), "label": label, **by_factor, "all": by_factor["all"][0], "category": worst.to_dict("records")})
    return rows


def _used_waivers(certificates: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per check that a waiver let through and split: the numbers on this page rest on these."""
    rows = []
    for certificate in certificates:
        waivers = {waiver["check"]: waiver for waiver in certificate["waivers"]}
        rows += [
            waivers[check["id"]] | {"name": check["name"].replace("_", " "), "found": check["reason"], "split": certificate["split"]["name"]}
            for check in certificate["checks"]
            if check["waived"]
        ]
    return rows


def _audit(certificate: dict[str, Any]) -> dict[str, Any]:
    blocking = {check["id"] for check in blocking_checks(certificate["checks"])}
    checks = []
    for check in certificate["checks"]:
        sources = check["offending_sources"]
        checks.append(
            check
            | {"unit": _STATISTIC_UNITS.get(check["id"], ""), "title": check["name"].replace("_", " ")}
            | {"blocks": check["id"] in blocking, "sources": sources[:_MOST_SOURCES], "more_sources": max(0, len(sources) - _MOST_SOURCES)}
        )
    return {
        "name": certificate["split"]["name"],
        "leaky": leaks(certificate["split"]["name"]),
        "status": certificate["status"],
        "parts": certificate["parts"],
        "failed": [check for check in checks if check["status"] not in ("pass", "not_applicable") or check["blocks"]],
        "passed": [check for check in checks if check["status"] in ("pass", "not_applicable") and not check["blocks"]],
    }


def _check_summary(dataset: str, table: pd.DataFrame, config: dict[str, Any]) -> dict[str, Any]:
    source = config["sources"].get(dataset, {})
    counts = table.verdict.value_counts()
    faults = pd.concat([table[table.verdict == "broken"], table[(table.verdict == "ok") & (table.reason != "")]])
    return {
        "dataset": dataset,
        "origin": source.get("origin", formats.MISSING),
        "licence": "synthesised here" if source.get("origin") == "embedded" else source.get("licence", formats.MISSING),
        **{verdict: int(counts.get(verdict, 0)) for verdict in ("ok", "broken", "excluded")},
        "faults": faults[["path", "reason"]].head(_MOST_SOURCES).to_dict("records"),
        "more_faults": max(0, len(faults) - _MOST_SOURCES),
    }


def _stimulus_summary(summary: pd.DataFrame) -> list[dict[Any, Any]]:
    grouped = summary.groupby("label", as_index=False).agg(
        n=("n", "sum"),
        n_sources=("n_sources", "max"),
        conditions=("n", "size"),
        fewest=("n", "min"),
        snr_error=("max_abs_snr_error_db", "max"),
        level_error=("max_abs_level_error_db", "max"),
    )
    return grouped.to_dict("records")
