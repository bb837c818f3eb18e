"""Right and wrong answers of every system, per seed and stimulus: predictions joined with stimuli and splits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from earwitness.core.errors import InputError
from earwitness.statistics.clustered import Sample, sample_by_source
from earwitness.systems import HONEST_SPLIT, LEAKY_SPLIT, System
from earwitness.tables.columns import LABELS
from earwitness.tables.predictions import by_system, system_of

TEST_SETS = {"unseen": HONEST_SPLIT, "row_random": LEAKY_SPLIT}
"""Test set: the split whose part `test` it is. Every system is tested on "unseen"; on "row_random" only bases and
the systems trained on that split."""

NOT_TRAINED = "-"
ALL_SEEDS = "all"
"""What result tables have in place of a seed or split: there is none; the mean over several seeds."""


@dataclass(frozen=True)
class Outcomes:
    """What one system got right on one test set.

    system: standing for all its seeds. seeds: one text per row of `correct`; ("-",) for a system without training. items:
    stimulus_id, source_id, label, duration_ms, snr_db, sorted by stimulus_id. correct: bool, shape (n_seeds, n_items).
    log_odds: SPEECH minus NONSPEECH in nats, the same shape. majority: bool, shape (n_items,): whether the majority of the
    seeds' answers is right, ties decided by the sum of their log-odds.
    """

    system: System
    test_set: str
    seeds: tuple[str, ...]
    items: pd.DataFrame
    correct: npt.NDArray[np.bool_]
    log_odds: npt.NDArray[np.float64]
    majority: npt.NDArray[np.bool_]

    def by_seed(self) -> list["Outcomes"]:
        """The outcomes of each seed, and those of all seeds together where there are several."""
        single = [
            replace(self, seeds=(seed,), correct=self.correct[[k]], log_odds=self.log_odds[[k]], majority=self.correct[k])
            for k, seed in enumerate(self.seeds)
        ]
        return [*single, self] if len(self.seeds) > 1 else single

    @property
    def system_id(self) -> str:
        """The system as result tables name it."""
        return str(self.system)

    @property
    def systems(self) -> tuple[System, ...]:
        """The single systems, one per seed."""
        return tuple(self.system if seed == NOT_TRAINED else replace(self.system, seed=int(seed)) for seed in self.seeds)

    @property
    def trained_on(self) -> str:
        """The split that the system trained on, or "-"."""
        return self.system.split or NOT_TRAINED

    @property
    def seed(self) -> str:
        """The seed, or "all" where there are several."""
        return self.seeds[0] if len(self.seeds) == 1 else ALL_SEEDS

    def sample(self, label: str) -> Sample:
        """The answers to one class, by source."""
        chosen = (self.items.label == label).to_numpy()
        return sample_by_source(self.correct[:, chosen], self.items.source_id[chosen].to_numpy())


def score_systems(predictions: pd.DataFrame, index: pd.DataFrame, splits: Mapping[str, pd.DataFrame]) -> list[Outcomes]:
    """Every system on every test set that it is tested on.

    predictions, index: earwitness.tables.predictions.PREDICTIONS of all systems, and STIMULI. splits: SPLIT by name; "grouped" is needed.
    Sorted: bases, adapters and ensembles, detectors, each by name; "unseen" before "row_random".
    Raises InputError where the grouped split is absent, a split lacks a class, or a system lacks or repeats an answer.
    """
    if HONEST_SPLIT not in splits:
        raise InputError(f"no split called {HONEST_SPLIT} among {', '.join(splits) or 'none'}; every system is tested on it: add it")
    found = []
    for system, rows in sorted(by_system(predictions), key=lambda group: (group[0].kind != "base", group[0].kind == "detector")):
        for test_set, split in TEST_SETS.items():
            tested = split == HONEST_SPLIT or (split in splits and (system.kind == "base" or system.split == split))
            if tested:
                found.append(outcomes_on(rows, index, splits[split], "test", test_set))
    return found


def outcomes_on(predictions: pd.DataFrame, index: pd.DataFrame, split: pd.DataFrame, part: str, test_set: str) -> Outcomes:
    """One system's outcomes on one part of a split; `test_set` is the name they will carry.

    predictions: earwitness.tables.predictions.PREDICTIONS of one system.
    Raises InputError where the part lacks a class, or the system lacks or repeats an answer, or answers about a stimulus that there is not.
    """
    system = system_of(predictions)
    if not (known := predictions.stimulus_id.isin(index.stimulus_id)).all():
        other = predictions.stimulus_id[~known].iloc[0]
        raise InputError(f"system {system}: answers about {other}, which is no stimulus here; remake its predictions from the present stimuli")
    wanted = split.loc[split.part == part, "stimulus_id"]
    items = index.loc[index.stimulus_id.isin(wanted), ["stimulus_id", "source_id", "label", "duration_ms", "snr_db"]]
    items = items.sort_values("stimulus_id", ignore_index=True)
    for label in LABELS:
        if not (items.label == label).any():
            raise InputError(f"test set {test_set}: part {part} has no {label} stimulus; use more sources or a larger part")

    rows = predictions[predictions.stimulus_id.isin(items.stimulus_id)]
    seeds, texts = pd.factorize(rows.seed.astype("string").fillna(NOT_TRAINED), sort=True)
    places = pd.Index(items.stimulus_id).get_indexer(rows.stimulus_id)
    count = np.zeros((len(texts), len(items)), dtype=np.int64)
    np.add.at(count, (seeds, places), 1)
    if not len(texts) or (count != 1).any():
        missing = int((count == 0).sum()) if len(texts) else len(items)
        problem = f"{missing} of {max(count.size, len(items))} answers are missing" if missing else "some stimuli are answered more than once"
        raise InputError(f"system {system}, test set {test_set}: {problem}; remake its predictions from the present stimuli and splits")

    speech = (items.label == "SPEECH").to_numpy()
    correct = np.zeros(count.shape, dtype=bool)
    correct[seeds, places] = (rows.answer == "SPEECH").to_numpy() == speech[places]
    log_odds = np.zeros(count.shape)
    log_odds[seeds, places] = rows.log_odds.to_numpy(dtype=np.float64)
    right = 2 * correct.sum(axis=0) - len(texts)
    majority = np.where(right == 0, (log_odds.sum(axis=0) > 0) == speech, right > 0)
    return Outcomes(system, test_set, tuple(map(str, texts)), items, correct, log_odds, majority)
