"""Write the report: one HTML page that works offline."""

import argparse
import json
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

import pandas as pd
import yaml

from earwitness.core.arguments import by_name, json_object
from earwitness.core.errors import InputError, one_line_errors
from earwitness.core.files import atomic
from earwitness.leakage.certificate import load_certificate
from earwitness.model.identity import load_identity
from earwitness.provenance.run import DIGESTS
from earwitness.report.draws_text import DrawsSection
from earwitness.report.experiment_text import ExperimentSection
from earwitness.report.listening import error_examples, listening_matrices
from earwitness.report.page import (
    BaselineTables,
    ComparisonTables,
    Listening,
    MaterialTables,
    Report,
    RunRecord,
    SystemTables,
    render_page,
)
from earwitness.report.style import in_order
from earwitness.systems import System
from earwitness.tables.accuracy import ACCURACY
from earwitness.tables.calibration import CALIBRATION
from earwitness.tables.claims import CLAIMS
from earwitness.tables.comparisons import COMPARISONS, LEAKAGE
from earwitness.tables.detection import DETECTION
from earwitness.tables.draws import DRAWS
from earwitness.tables.ensembles import ENSEMBLES
from earwitness.tables.error_analysis import ERROR_RATES, ERRORS
from earwitness.tables.experiments import EFFICIENCY, EXPERIMENT, LEARNING_CURVE, TEST_SIZES
from earwitness.tables.files import read_table
from earwitness.tables.generation import GENERATION
from earwitness.tables.mixed_models import MIXED_MODEL_EFFECTS, MIXED_MODEL_FITS
from earwitness.tables.power import POWER, VARIANCE
from earwitness.tables.predictions import read_predictions
from earwitness.tables.prompt_gains import PROMPT_GAINS
from earwitness.tables.psychometrics import CONTRASTS, POINTS, THRESHOLDS
from earwitness.tables.recordings import AUDIO_CHECK
from earwitness.tables.stimulus_summary import STIMULUS_SUMMARY

Part = TypeVar("Part", SystemTables, ComparisonTables, BaselineTables)

TABLES = {
    "accuracy": ACCURACY,
    "calibration": CALIBRATION,
    "comparisons": COMPARISONS,
    "detection": DETECTION,
    "ensembles": ENSEMBLES,
    "error_rates": ERROR_RATES,
    "leakage": LEAKAGE,
    "power": POWER,
    "stimuli": STIMULUS_SUMMARY,
    "test_sizes": TEST_SIZES,
    "variance": VARIANCE,
}
BASELINE_TABLES = {
    "thresholds": THRESHOLDS,
    "threshold_contrasts": CONTRASTS,
    "points": POINTS,
    "mixed_model_effects": MIXED_MODEL_EFFECTS,
    "mixed_model_fits": MIXED_MODEL_FITS,
}
"""Only there where the baseline set was run."""
SEARCH_TABLES = {"prompts": PROMPT_GAINS}
"""Only there where a prompt search was run."""


def tables_by_name(paths: list[Path]) -> dict[str, pd.DataFrame]:
    """The tables by the name of their file, each as its schema says.

    Raises InputError where one that every study has is missing.
    """
    found = {path.stem: path for path in paths}
    missing = sorted(set(TABLES) - set(found))
    if missing:
        raise InputError(f"--tables: no {missing[0]}.csv among them; name all of {', '.join(TABLES)}")
    return {name: read_table(found[name], schema) for name, schema in (TABLES | BASELINE_TABLES | SEARCH_TABLES).items() if name in found}


def part_of(kind: type[Part], tables: dict[str, pd.DataFrame]) -> Part:
    """One of the page's groups of tables, whose fields have the tables' names."""
    return kind(**{field.name: tables[field.name] for field in fields(kind)})


def experiment_sections(args: argparse.Namespace) -> list[ExperimentSection]:
    """Experiments by their names, in whose order all files stand.

    Raises InputError where there are more or fewer files of a kind than names.
    """
    names = args.experiment_names
    tables, curves, costs, figures, cost_figures = (
        by_name("--experiment-names", names, paths)
        for paths in (args.experiments, args.learning_curves, args.efficiency, args.experiment_figures, args.efficiency_figures)
    )
    return [
        ExperimentSection(
            name,
            read_table(tables[name], EXPERIMENT),
            read_table(curves[name], LEARNING_CURVE),
            read_table(costs[name], EFFICIENCY),
            figures[name].read_text(encoding="utf-8"),
            cost_figures[name].read_text(encoding="utf-8"),
        )
        for name in names
    ]


def draws_sections(names: list[str], tables: list[Path], figures: list[Path]) -> list[DrawsSection]:
    """Experiments on the published design by their names, in whose order both kinds of files stand.

    Raises InputError where there are more or fewer files of a kind than names.
    """
    of_kind = [by_name("--draws-names", names, paths) for paths in (tables, figures)]
    return [DrawsSection(name, read_table(of_kind[0][name], DRAWS), of_kind[1][name].read_text(encoding="utf-8")) for name in names]


def material(args: argparse.Namespace, tables: dict[str, pd.DataFrame]) -> MaterialTables:
    """What was heard: the checks of every data set, and the stimuli."""
    checks = {name: read_table(path, AUDIO_CHECK) for name, path in by_name("--datasets", args.datasets, args.checks).items()}
    generation = {model: read_table(path, GENERATION) for model, path in by_name("--models", args.models, args.generation).items()}
    return MaterialTables(checks, tables["stimuli"], generation)


def listening(args: argparse.Namespace, model: str) -> Listening:
    """Clips with every system's answers, and what a model's first honest adapter gets wrong, or the model as it is where there is none."""
    errors = read_table(args.errors, ERRORS)
    systems = [system for system in in_order(errors.system_id) if system.model == model]
    listened = next((system for system in systems if system.is_honest), System("base", "base", model=model))
    predictions = read_predictions(args.predictions)
    return Listening(
        listening_matrices(args.shards, predictions, args.settings["listening_clips"]),
        error_examples(args.shards, errors[errors.system_id == str(listened)], args.settings["listening_errors"]),
        listened,
    )


def run_record(args: argparse.Namespace) -> RunRecord:
    """How the numbers came to be."""
    config_text = args.config.read_text(encoding="utf-8")
    run = json.loads(args.run.read_text(encoding="utf-8"))
    identities = {model: load_identity(path) for model, path in by_name("--models", args.models, args.identities).items()}
    return RunRecord(run, yaml.safe_load(config_text), config_text, read_table(args.digests, DIGESTS), identities)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path, help="where the page goes (HTML)")
    parser.add_argument("--template", type=Path, required=True, help="the page's Jinja template; its parts lie beside it")
    parser.add_argument("--figures", type=Path, nargs="+", required=True, help="figures (SVG), each named by its file")
    parser.add_argument(
        "--tables",
        type=Path,
        nargs="+",
        required=True,
        help=f"tables (CSV): {', '.join(TABLES)}; if run, {', '.join(BASELINE_TABLES | SEARCH_TABLES)}",
    )
    parser.add_argument("--experiments", type=Path, nargs="+", required=True, help="table of every experiment (CSV)")
    parser.add_argument("--experiment-names", nargs="+", required=True, help="the experiments, in the order of all their files")
    parser.add_argument("--learning-curves", type=Path, nargs="+", required=True, help="their learning curves (CSV)")
    parser.add_argument("--efficiency", type=Path, nargs="+", required=True, help="what their adapters cost (CSV)")
    parser.add_argument("--experiment-figures", type=Path, nargs="+", required=True, help="their figures (SVG)")
    parser.add_argument("--efficiency-figures", type=Path, nargs="+", required=True, help="their figures of costs (SVG)")
    parser.add_argument("--checks", type=Path, nargs="+", required=True, help="what was found of the audio files of every data set (CSV)")
    parser.add_argument("--datasets", nargs="+", required=True, help="the data sets, in the order of --checks")
    parser.add_argument("--certificates", type=Path, nargs="+", required=True, help="leakage certificates (JSON)")
    parser.add_argument("--claims", type=Path, required=True, help="the published study's claims with their verdicts (CSV)")
    parser.add_argument("--draws", type=Path, nargs="*", default=[], help="accuracy per draw of experiments on the published design (CSV)")
    parser.add_argument("--draws-names", nargs="*", default=[], help="these experiments, in the order of their files")
    parser.add_argument("--draws-figures", type=Path, nargs="*", default=[], help="their figures (SVG)")
    parser.add_argument("--models", nargs="+", required=True, help="the models under study, as the configuration names them")
    parser.add_argument("--identities", type=Path, nargs="+", required=True, help="their identities, in the same order (JSON)")
    parser.add_argument("--generation", type=Path, nargs="+", required=True, help="how often each generates what it scores, in that order (CSV)")
    parser.add_argument("--run", type=Path, required=True, help="versions, hardware and revision (JSON)")
    parser.add_argument("--config", type=Path, required=True, help="the resolved configuration (YAML)")
    parser.add_argument("--digests", type=Path, required=True, help="digests of inputs and results (CSV)")
    parser.add_argument("--shards", type=Path, nargs="+", required=True, help="stimuli with audio (Parquet)")
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="what every honest system answers to them (Parquet)")
    parser.add_argument("--errors", type=Path, required=True, help="what systems get wrong (CSV)")
    parser.add_argument("--settings", type=json_object, required=True, help="the configuration's report section (JSON)")
    return parser.parse_args()


@one_line_errors
def main() -> None:
    args = parse_arguments()
    tables = tables_by_name(args.tables)
    record = run_record(args)
    report = Report(
        title=args.settings["title"],
        figures={path.stem: path.read_text(encoding="utf-8") for path in args.figures},
        systems=part_of(SystemTables, tables),
        comparison=part_of(ComparisonTables, tables),
        experiments=experiment_sections(args),
        material=material(args, tables),
        certificates=[load_certificate(path) for path in args.certificates],
        listening=listening(args, record.config["primary_model"]),
        claims=read_table(args.claims, CLAIMS),
        record=record,
        baseline=part_of(BaselineTables, tables) if set(BASELINE_TABLES) <= set(tables) else None,
        prompts=tables.get("prompts"),
        draws=draws_sections(args.draws_names, args.draws, args.draws_figures),
        note=args.settings["note"],
    )
    with atomic(args.page) as temporary:
        temporary.write_text(render_page(report, args.template), encoding="utf-8")


if __name__ == "__main__":
    main()
