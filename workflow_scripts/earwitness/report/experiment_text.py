"""Experiments and test sizes in words and table rows, as the page prints them."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from earwitness.report.experiment_figure import arm_name
from earwitness.report.formats import percent, percent_range, points, points_range
from earwitness.report.style import rows_of, system_name
from earwitness.systems import ALL_FOLDS, HONEST_SPLIT, System


@dataclass(frozen=True)
class ExperimentSection:
    """One experiment on the page: its tables (EXPERIMENT, LEARNING_CURVE and EFFICIENCY of earwitness.tables) and figures (SVG)."""

    name: str
    experiment: pd.DataFrame
    learning_curve: pd.DataFrame
    efficiency: pd.DataFrame
    figure: str
    efficiency_figure: str


def experiment_rows(experiment: pd.DataFrame) -> list[dict[Any, Any]]:
    """A row per recipe, split and test set over all its seeds, with the range over single seeds."""
    rows = []
    for (recipe, split, test_set), arm in experiment.groupby(["recipe", "split", "test_set"], sort=False):
        seeds = arm[arm.seed != "all"]
        together = arm[arm.seed == "all"] if (arm.seed == "all").any() else arm
        spread = percent_range(seeds.balanced_accuracy.min(), seeds.balanced_accuracy.max()) if len(seeds) > 1 else ""
        rows.append(
            together.iloc[0].to_dict() | {"name": arm_name(str(recipe), str(split), str(test_set)), "n_seeds": len(seeds), "seed_range": spread}
        )
    return rows


def cost_rows(efficiency: pd.DataFrame) -> list[dict[str, Any]]:
    """What one adapter of each recipe took, mean over splits and seeds, with how many there are.

    efficiency: earwitness.tables.experiments.EFFICIENCY.
    """
    return [
        {
            "recipe": str(recipe).replace("_", " "),
            "n": len(rows),
            "parameters": round(rows.trainable_parameters.mean()),
            "megabytes": float(rows.adapter_bytes.mean() / 1e6),
            "seconds": float(rows.wall_s.mean()),
            "total_s": float(rows.wall_s.sum()),
            "gibibytes": float(rows.peak_memory_bytes.max() / 2**30),
        }
        for recipe, rows in efficiency.groupby("recipe", sort=False)
    ]


def cost_sentence(efficiency: pd.DataFrame) -> str:
    """What one adapter of the first recipe took; efficiency: as for `cost_rows`."""
    row = cost_rows(efficiency)[0]
    return (
        f"An adapter ({row['recipe']}) has {row['parameters']:,} trainable parameters, {row['megabytes']:.2g} MB on disk;"
        f" training it took {row['seconds']:.0f} s and {row['gibibytes']:.1f} GiB."
    )


def experiment_sentences(experiment: pd.DataFrame, curves: pd.DataFrame, confidence: float) -> list[str]:
    """What folds add to the single split, and what more training speakers would give; nothing where neither was run."""
    level = f"{100 * confidence:g} % interval"
    rows = {(row["recipe"], row["split"]): row for row in experiment_rows(experiment[experiment.test_set.isin(["unseen", "every_source"])])}
    sentences = []
    for (recipe, split), row in rows.items():
        if split != ALL_FOLDS:
            continue
        name = recipe.replace("_", " ")
        text = (
            f"Every source tested once, by an adapter that never heard it: {name} reaches {percent(row['balanced_accuracy'])}"
            f" ({level} {percent_range(row['low'], row['high'])}) on {row['n_speech_sources']} speakers and {row['n_nonspeech_sources']} sounds"
        )
        if single := rows.get((recipe, HONEST_SPLIT)):
            text += (
                f"; the single split says {percent(single['balanced_accuracy'])} {percent_range(single['low'], single['high'])}"
                f" from {single['n_speech_sources']} speakers"
            )
        sentences.append(text + ". The folds share training sources: this is about the recipe, not about one adapter.")
    for recipe, rows_of_curve in curves.groupby("recipe", sort=False):
        measured = rows_of_curve[rows_of_curve.kind == "measured"].sort_values("training_speakers")
        ahead = rows_of_curve[rows_of_curve.kind == "extrapolated"].sort_values("training_speakers")
        first, last = measured.iloc[0], measured.iloc[-1]
        text = (
            f"From {first.training_speakers} to {last.training_speakers} training speakers, {str(recipe).replace('_', ' ')} goes from"
            f" {percent(first.balanced_accuracy)} to {percent(last.balanced_accuracy)}"
        )
        for row in rows_of(ahead[:1]):
            text += (
                f"; a line through the log-odds, with nothing in it that levels off, gives {percent(row.balanced_accuracy)}"
                f" ({level} {percent_range(row.low, row.high)}) at {row.training_speakers}, where the published study guessed 90 to 95 % from 50 on"
            )
        sentences.append(text + ".")
    return sentences


def size_sentences(sizes: pd.DataFrame, confidence: float, power: float) -> list[str]:
    """One sentence per size of test set: what it knows of the honest adapters' gain."""
    sentences = []
    for row in rows_of(sizes.sort_values(["system_id", "n_items"])):
        system = System.parse(row.system_id)
        if system.kind != "adapter" or not system.is_honest:
            continue
        text = (
            f"{system_name(system)}, {row.n_items:,} items of {row.n_sources} sources: the {100 * confidence:g} % interval of the accuracy"
            f" is usually ±{100 * row.half_width:.1f} points wide"
        )
        if not pd.isna(row.minimum_detectable_gain):
            text += f", and a gain over the base must be {100 * row.minimum_detectable_gain:.1f} points to be found {100 * power:g} times in 100"
        if row.draws > 1:
            text += f"; its gain of {points(row.gain)} shows in {100 * row.share_of_draws_that_show_a_gain:.0f} % of {row.draws} drawn test sets"
        else:
            text += f"; its gain is {points(row.gain)} {points_range(row.gain - row.gain_half_width, row.gain + row.gain_half_width)}"
        sentences.append(text[0].upper() + text[1:] + ".")
    return sentences
