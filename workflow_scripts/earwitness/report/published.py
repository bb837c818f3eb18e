"""Published numbers beside ours, and whether the two may be compared."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from earwitness.report.formats import MISSING, percent
from earwitness.report.style import headline, rows_of
from earwitness.report.threshold_text import interval_words, threshold_words
from earwitness.systems import BASE, LEAKY_SPLIT, System

PUBLISHED_MODEL = "Qwen/Qwen2-Audio-7B-Instruct"
_ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
_MLP = {"gate_proj", "up_proj", "down_proj"}


def published_beside_ours(
    published: pd.DataFrame,
    accuracy: pd.DataFrame,
    config: dict[str, Any],
    thresholds: pd.DataFrame | None = None,
    points: pd.DataFrame | None = None,
) -> list[dict[str, str]]:
    """One row per published quantity: quantity, published, stated, ours, ours_is, comparable.

    published: columns quantity, value, unit, stated. accuracy: table of earwitness.tables.accuracy.ACCURACY. config: the resolved configuration.
    thresholds, points: tables of THRESHOLDS and POINTS where the baseline set was run.
    `comparable` is "yes" only where model and data are the same; otherwise it says what differs.
    """
    ours = {
        quantity: (percent(value), meaning, _comparable(config, same_stimuli, ["voxconverse", "esc50"]))
        for quantity, (value, meaning, same_stimuli) in _our_accuracies(accuracy, config).items()
    }
    if thresholds is not None and points is not None:
        comparable = _comparable(config, True, ["fsd50k"])
        ours |= {quantity: (value, meaning, comparable) for quantity, (value, meaning) in _our_baseline(thresholds, points).items()}
    rows = []
    for row in rows_of(published):
        value, meaning, comparable = ours.get(row.quantity, (MISSING, "not measured in this run", MISSING))
        rows.append(
            {
                "quantity": row.quantity,
                "published": f"{row.value} {row.unit}",
                "stated": row.stated,
                "ours": value,
                "ours_is": meaning,
                "comparable": comparable,
            }
        )
    return rows


def recipe_scope(recipe: dict[str, Any]) -> str:
    """What a recipe adapts, in the published study's words: "attention only", "attention and MLP", or "other"."""
    targets = set(recipe["target_modules"])
    if targets and targets <= _ATTENTION:
        return "attention only"
    return "attention and MLP" if targets & _ATTENTION and targets & _MLP and targets <= _ATTENTION | _MLP else "other"


def _our_accuracies(accuracy: pd.DataFrame, config: dict[str, Any]) -> dict[str, tuple[float, str, bool]]:
    """Published quantity -> our value, what it is, and whether it was measured on the published kind of stimuli."""
    rows = accuracy[accuracy.metric == "accuracy"]
    unseen = headline(rows[rows.test_set == "unseen"])
    leaked = headline(rows[rows.test_set == LEAKY_SPLIT])
    found: dict[str, tuple[float, str, bool]] = {}
    for row in rows_of(unseen[unseen.system_id == str(BASE)]):
        found["zero-shot accuracy"] = (row.estimate, "base model, factorial stimuli of unseen sources", False)
    for row in rows_of(unseen):
        system = System.parse(row.system_id)
        if system.kind == "adapter" and not system.is_leaky:
            scope = recipe_scope(config["finetuning"]["recipes"][system.name])
            found.setdefault(f"accuracy, unseen speakers, {scope}", (row.estimate, "honest arm, unseen sources", True))
    for row in rows_of(leaked):
        system = System.parse(row.system_id)
        if system.is_leaky:
            scope = recipe_scope(config["finetuning"]["recipes"][system.name])
            found.setdefault(f"accuracy, speakers shared, {scope}", (row.estimate, "leaky arm, its own test rows", True))
    return found


def _our_baseline(thresholds: pd.DataFrame, points: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Published quantity -> the base model's value on the baseline set, in words, and what it is."""
    found: dict[str, tuple[str, str]] = {}
    grid = points[(points.system_id == str(BASE)) & (points.design == "grid")]
    if len(grid):
        right = (grid.hits + grid.n_nonspeech - grid.false_alarms).sum()
        accuracy = float(right / (grid.n_speech + grid.n_nonspeech).sum())
        found["zero-shot accuracy"] = percent(accuracy), "base model, all conditions of the psychoacoustic grid"
    ours = thresholds[(thresholds.system_id == str(BASE)) & (thresholds.measure == "balanced_accuracy") & (thresholds.target == 0.75)]
    for row in rows_of(ours):
        value = f"{threshold_words(row)} {interval_words(row)}".strip()
        if row.axis == "duration":
            found["DT75"] = value, "base model, balanced accuracy without noise"
        elif row.design == "factorial":
            found[f"SNR-75 at {row.held_duration_ms} ms"] = value, "base model, balanced accuracy, stratified set"
    return found


def _comparable(config: dict[str, Any], same_stimuli: bool, datasets: Sequence[str]) -> str:
    """datasets: those of the published study, which must be all that have their role."""
    model = config["model"]
    same_model = model["origin"] == "hub" and model["repository"] == PUBLISHED_MODEL
    used = {name: source for name, source in config["sources"].items() if source["origin"] != "none"}
    roles = {used[name]["role"] for name in datasets if name in used}
    same_role = [name for name, source in used.items() if source["role"] in roles]
    same_data = set(same_role) == set(datasets) and all(used[name]["origin"] == "download" for name in datasets)
    differs = [name for name, same in (("model", same_model), ("data", same_data), ("stimuli", same_stimuli)) if not same]
    return f"no: other {' and '.join(differs)}" if differs else "yes"
