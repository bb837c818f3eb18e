"""Write docs/data_dictionary.md: every column of every table, from the schemas."""

import argparse
import ast
import inspect
from pathlib import Path
from typing import Any

import pandera.pandas as pa

from earwitness.core.errors import one_line_errors
from earwitness.core.files import atomic
from earwitness.leakage import proposal_files
from earwitness.provenance import run
from earwitness.tables import (
    accuracy,
    audit_evidence,
    calibration,
    claims,
    clips,
    comparisons,
    counterfactuals,
    detection,
    draws,
    ensembles,
    error_analysis,
    experiments,
    generation,
    mixed_models,
    phases,
    power,
    predictions,
    pretraining,
    prompt_gains,
    prompts,
    psychometrics,
    recordings,
    splits,
    stimuli,
    stimulus_summary,
    ties,
    training,
)

MODULES = (
    *(accuracy, audit_evidence, calibration, claims, clips, comparisons, counterfactuals, draws, ensembles, error_analysis, experiments),
    *(
        detection,
        generation,
        mixed_models,
        phases,
        power,
        predictions,
        pretraining,
        prompt_gains,
        prompts,
        psychometrics,
        recordings,
        splits,
        stimuli,
    ),
    *(stimulus_summary, ties, training, proposal_files, run),
)
"""Modules that hold a schema."""

PAGE = Path(__file__).parents[1] / "docs" / "data_dictionary.md"
NOTICE = "<!-- written by workflow_scripts/document_tables.py from the schemas of the tables, do not edit -->"
FILES = {
    "accuracy": "tables/accuracy.csv",
    "audio_check": "recordings/{dataset}_audio_check.csv",
    "calibration": "tables/calibration.csv",
    "calibration_fits": "calibration/fits.csv",
    "claims": "tables/claims.csv",
    "clips": "clips/{dataset}.parquet",
    "comparisons": "tables/comparisons.csv",
    "condition_accuracy": "tables/conditions.csv",
    "costs": "provenance/costs.csv",
    "counterfactuals": "tables/counterfactuals/{model}.csv",
    "curves": "psychometrics/curves.csv",
    "digests": "provenance/digests.csv",
    "draws": "tables/draws/{experiment}.csv",
    "efficiency": "efficiency/{experiment}.csv",
    "ensembles": "tables/ensembles.csv",
    "error_rates": "tables/error_rates.csv",
    "errors": "tables/errors.csv",
    "evidence": "audit/{split}/evidence.csv",
    "experiment": "tables/experiments/{experiment}.csv",
    "generation": "tables/generation/{model}.csv",
    "history": "adapters/{model}/{recipe}/{split}/seed-{seed}/history.csv",
    "leakage": "tables/leakage.csv",
    "learning_curve": "tables/learning_curves/{experiment}.csv",
    "mixed_model_effects": "tables/mixed_model_effects.csv",
    "mixed_model_fits": "tables/mixed_model_fits.csv",
    "detection": "tables/detection.csv",
    "detection_roc": "tables/detection_roc.csv",
    "detection_tracks": "detection/tracks.parquet",
    "phases": "tables/phases.csv",
    "points": "psychometrics/points.csv",
    "power": "tables/power.csv",
    "predictions": "predictions/{stimulus_set}/",
    "prompt_conditions": "prompts/conditions.csv",
    "prompt_gains": "tables/prompts.csv",
    "prompt_history": "prompts/history.csv",
    "prompt_scores": "prompts/{system}/{proposer}/seed-{seed}/prompts.csv",
    "recordings": "recordings/{dataset}.parquet",
    "reliability": "calibration/reliability.csv",
    "segments": "recordings/{dataset}_segments.parquet",
    "source_accuracy": "tables/sources.csv",
    "split": "splits/{split}.csv",
    "stimuli": "stimuli/{stimulus_set}/index.parquet",
    "stimulus_summary": "tables/stimuli.csv",
    "test_sizes": "tables/test_sizes.csv",
    "threshold_contrasts": "tables/threshold_contrasts.csv",
    "thresholds": "tables/thresholds.csv",
    "variance": "tables/variance.csv",
}
"""Table -> where a run writes it, below results/. Tables that a run does not write stand below NOT_OF_A_RUN."""

NOT_OF_A_RUN = {
    "moves": "`moves.csv`, written by `earwitness propose-split`",
    "pretraining_corpora": "`config/pretraining_corpora.csv`, read by the second audit",
    "ties": "`ties.csv`, written by `earwitness propose-split` and read by `splits: {ties: [...]}`",
}

INTRODUCTION = """Every column of every table, as it is checked when the table is written. Tables are Parquet or CSV; in a CSV file an
empty cell is no value. *Range* says what a column may hold; where a range says "or empty", a row may lack it. Files are below `results/`;
which rule makes each is in [results/README.md](../results/README.md).

A *system* is whatever answers "speech or not?". Its name is `base` (the model before fine-tuning); `tower_probe`, `untrained_probe` or
`acoustics_probe` (linear readouts of the base's audio encoder, of an untrained one, and of plain acoustics); a detector's, such as `silero`;
`{recipe}-{split}` for an adapter; and `{recipe}-{split}+vote` or `+mean` for an ensemble of its seeds.
A model with a name other than `base` stands in front: `voxtral.base`. Every interval is at the level `statistics.confidence`, unless the table has
a column `interval_confidence`."""


def schemas() -> dict[str, tuple[pa.DataFrameSchema, str]]:
    """Name of each table -> its schema, and what the code says of it."""
    found = {}
    for module in MODULES:
        body = ast.parse(inspect.getsource(module)).body
        for assigned, following in zip(body, [*body[1:], ast.Pass()], strict=True):
            if isinstance(assigned, ast.Assign) and isinstance(name := assigned.targets[0], ast.Name):
                value = vars(module)[name.id]
                if isinstance(value, pa.DataFrameSchema):
                    told = following.value.value if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant) else ""
                    found[str(value.name)] = value, " ".join(str(told).split())
    return found


def page(found: dict[str, tuple[pa.DataFrameSchema, str]]) -> str:
    """The data dictionary."""
    parts = [NOTICE, "# Data dictionary", INTRODUCTION]
    parts.append("\n".join(f"* [{name}](#{name}): {_where(name)}" for name in sorted(found)))
    for name, (schema, about) in sorted(found.items()):
        rows = [_row(column) for column in schema.columns.values()]
        parts.append(f"## {name}\n\n{about}\n\nIn {_where(name)}.")
        parts.append("\n".join(["| column | what it holds | unit | range |", "| --- | --- | --- | --- |", *rows]))
    return "\n\n".join(parts) + "\n"


def _where(name: str) -> str:
    return f"`{FILES[name]}`" if name in FILES else NOT_OF_A_RUN[name]


def _row(column: Any) -> str:
    unit = column.metadata["unit"]
    cells = [f"`{column.name}`", column.description, unit or "-", _range(column)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


_KINDS = {"int": "whole number", "Int": "whole number", "float": "number", "bool": "true or false", "str": "text"}


def _range(column: Any) -> str:
    """What a column may hold, in words."""
    kind = next(word for start, word in _KINDS.items() if str(column.dtype).startswith(start))
    words = [kind] if kind != "text" else []
    for check in column.checks:
        told = check.statistics
        if check.name == "isin":
            words = [f"one of {', '.join(f'`{value}`' for value in told['allowed_values'])}"]
        elif check.name == "in_range":
            words.append(f"{told['min_value']} to {told['max_value']}")
        elif check.name == "greater_than":
            words.append(f"above {told['min_value']}")
        elif check.name == "greater_than_or_equal_to":
            words.append(f"from {told['min_value']}")
        elif check.name == "str_length":
            words.append("text")
        elif check.name == "str_matches":
            words.append(f"text of the form `{str(getattr(told['pattern'], 'pattern', told['pattern'])).strip('^$')}`")
        else:
            raise AssertionError(f"no words for the check {check.name}")
    if kind == "text" and not column.checks:
        words.append("text" if column.nullable else "text, or empty")
    words += ["or empty"] if column.nullable else []
    words += ["each once"] if column.unique else []
    return ", ".join(words)


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path, nargs="?", default=PAGE, help="where the page goes (default: docs/data_dictionary.md)")
    args = parser.parse_args()

    with atomic(args.page) as temporary:
        temporary.write_text(page(schemas()), encoding="utf-8")


if __name__ == "__main__":
    main()
