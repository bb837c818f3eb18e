"""One experiment: every recipe on every split, per seed, against the base and against the experiment's first recipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from earwitness.core.errors import InputError
from earwitness.evaluation.accuracy import metric_parts
from earwitness.evaluation.comparison import difference
from earwitness.evaluation.scored_answers import Outcomes, outcomes_on
from earwitness.statistics.clustered import estimate, reliability
from earwitness.systems import ALL_FOLDS, BASE, HONEST_SPLIT, System, is_redrawn, leaks
from earwitness.tables.columns import LABELS
from earwitness.tables.experiments import EXPERIMENT
from earwitness.tables.predictions import answered_by, by_system, system_of

EVERY_SOURCE = "every_source"
"""Test set of the cross-validated system (split ALL_FOLDS), in which each source's answers are those of the adapter that never
heard it."""


@dataclass(frozen=True)
class Arm:
    """One recipe trained on one split, on one test set, and the base on the same stimuli.

    training: per class of LABELS, how many sources it trained on; over folds, the fewest.
    """

    training: tuple[int, int]
    adapter: Outcomes
    base: Outcomes

    @property
    def recipe(self) -> str:
        return self.adapter.system.name

    @property
    def split(self) -> str:
        return self.adapter.system.split

    @property
    def test_set(self) -> str:
        return self.adapter.test_set


def arms_of(predictions: pd.DataFrame, index: pd.DataFrame, splits: Mapping[str, pd.DataFrame]) -> list[Arm]:
    """Every arm of an experiment, in the order of the adapters' predictions.

    predictions, index: earwitness.tables.predictions.PREDICTIONS of the base and the adapters, and STIMULI. splits: SPLIT by
    name, those trained on and "grouped".
    Every adapter but a fold's is tested on "unseen", the test part of the grouped split. An adapter of a split by row or of a redrawn split
    is also tested on that split's own test part, one of a fold on the fold's alone. A recipe whose folds were trained has one more arm: the
    split "folds", tested on "every_source".
    Raises InputError where the base or a split is missing, a system is no adapter or lacks an answer, or folds do not test
    every source.
    """
    systems = dict(by_system(predictions, sort=False))
    base = systems.pop(next((system for system in systems if system.kind == "base"), BASE), None)
    if base is None:
        raise InputError(f"no predictions of the base model among {', '.join(map(str, systems))}; give them too")
    arms = []
    folds: dict[str, list[tuple[str, pd.DataFrame]]] = {}
    for system, rows in systems.items():
        split = system.split
        if system.kind != "adapter":
            raise InputError(f"an experiment compares adapters with the base, and {system} is neither; leave its predictions out")
        for name in {HONEST_SPLIT, split} - set(splits):
            raise InputError(f"no split called {name} among {', '.join(splits) or 'none'}; {system} needs it: add it")
        own = {split: split} if system.is_fold or leaks(split) or is_redrawn(split) else {}
        test_sets = own if system.is_fold else {"unseen": HONEST_SPLIT} | own
        for test_set, tested in test_sets.items():
            pair = [outcomes_on(answers, index, splits[tested], "test", test_set) for answers in (rows, base)]
            arms.append(Arm(_training_sources(splits[split]), *pair))
        if system.is_fold:
            tested_rows = rows[rows.stimulus_id.isin(splits[split].stimulus_id[splits[split].part == "test"])]
            folds.setdefault(system.name, []).append((split, tested_rows))
    return arms + [_cross_validated(recipe, members, base, index, splits) for recipe, members in folds.items()]


def _training_sources(split: pd.DataFrame) -> tuple[int, int]:
    train = split[split.part == "train"]
    speech, nonspeech = (int(train.source_id[train.label == label].nunique()) for label in LABELS)
    return speech, nonspeech


def _cross_validated(
    recipe: str, folds: Sequence[tuple[str, pd.DataFrame]], base: pd.DataFrame, index: pd.DataFrame, splits: Mapping[str, pd.DataFrame]
) -> Arm:
    """One system out of the folds: each stimulus has the answer of the adapter whose fold tests it."""
    answers = pd.concat([rows for _, rows in folds])
    answers = answered_by(answers, replace(system_of(answers.assign(split=HONEST_SPLIT)), split=ALL_FOLDS)).assign(seed=answers.seed)
    whole = splits[folds[0][0]].assign(part="test")
    training = np.min([_training_sources(splits[name]) for name, _ in folds], axis=0)
    pair = [outcomes_on(rows, index, whole, "test", EVERY_SOURCE) for rows in (answers, base)]
    return Arm((int(training[0]), int(training[1])), *pair)


def experiment_table(arms: Sequence[Arm], confidence: float) -> pd.DataFrame:
    """earwitness.tables.experiments.EXPERIMENT: balanced accuracy of every arm, per seed and over all of them.

    gain is the accuracy minus that of the base on the same stimuli; against_first is the accuracy minus that of the first recipe, trained on
    the same split with the same seeds.
    """
    first = {(arm.split, arm.test_set): arm for arm in reversed(arms) if arm.recipe == arms[0].recipe}
    rows = []
    for arm in arms:
        reference = first.get((arm.split, arm.test_set))
        for outcomes in arm.adapter.by_seed():
            samples, weights = metric_parts(outcomes, "balanced_accuracy")
            result = estimate(samples, weights)
            low, high = result.interval(confidence, 0, 1)
            rows.append(
                {
                    "recipe": arm.recipe,
                    "split": arm.split,
                    "test_set": outcomes.test_set,
                    "seed": outcomes.seed,
                    "train_speech_sources": arm.training[0],
                    "train_nonspeech_sources": arm.training[1],
                    "balanced_accuracy": result.value,
                    "low": low,
                    "high": high,
                    **_against(outcomes, arm.base, "gain", confidence),
                    **_against(outcomes, _same_seeds(reference, arm, outcomes), "against_first", confidence),
                    "interval": result.method,
                    "n_items": len(outcomes.items),
                    "n_speech_sources": samples[0].n_sources,
                    "n_nonspeech_sources": samples[1].n_sources,
                    "reliability": reliability(min(sample.n_sources for sample in samples)),
                }
            )
    return pd.DataFrame(rows, columns=list(EXPERIMENT.columns))


def _same_seeds(reference: Arm | None, arm: Arm, outcomes: Outcomes) -> Outcomes | None:
    """The outcomes of the first recipe with the same seeds; None for the first recipe itself, and where it was not trained with these seeds."""
    if reference is None or reference.recipe == arm.recipe or set(outcomes.seeds) - set(reference.adapter.seeds):
        return None
    rows = [reference.adapter.seeds.index(seed) for seed in outcomes.seeds]
    first = reference.adapter
    return replace(first, seeds=outcomes.seeds, correct=first.correct[rows], log_odds=first.log_odds[rows])


def _against(outcomes: Outcomes, other: Outcomes | None, name: str, confidence: float) -> dict[str, float]:
    if other is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), np.nan)
    result = difference(outcomes, other)
    low, high = result.interval(confidence, -1, 1)
    return {name: result.value, f"{name}_low": low, f"{name}_high": high}


def efficiency_table(costs: Mapping[System, Mapping[str, object]], accuracy: pd.DataFrame) -> pd.DataFrame:
    """earwitness.tables.experiments.EFFICIENCY: what each adapter cost beside its balanced accuracy on sources that it never heard.

    costs: what train_adapter measured, by adapter. accuracy: EXPERIMENT.
    Raises InputError where a system is not among the experiment's adapters.
    """
    never_heard = (accuracy.test_set == "unseen") | accuracy.test_set.str.startswith("fold_")
    own = accuracy[never_heard].set_index(["recipe", "split", "seed"])
    kept = ("trainable_parameters", "adapter_bytes", "load_s", "wall_s", "processor_s", "samples", "ms_per_sample", "peak_memory_bytes", "device")
    rows = []
    for system, measured in costs.items():
        recipe, split, seed = system.name, system.split, str(system.seed)
        if (recipe, split, seed) not in own.index:
            raise InputError(f"{system}: no adapter of this experiment; name its adapters alone")
        named: dict[str, object] = {"recipe": recipe, "split": split, "seed": seed, "balanced_accuracy": own.balanced_accuracy[recipe, split, seed]}
        rows.append(named | {name: measured[name] for name in kept})
    return pd.DataFrame(rows)
