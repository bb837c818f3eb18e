"""What chosen questions gain on sources that no search saw."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from earshot.accuracy import metric_parts
from earshot.clustered import estimate, reliability
from earshot.comparison import compare
from earshot.errors import InputError
from earshot.outcomes import ALL_SEEDS, BASE, Outcomes, outcomes_on
from earshot.tables.files import validate
from earshot.tables.prompt_gains import PROMPT_GAINS

TEST_SET = "unseen"


@dataclass(frozen=True)
class Search:
    """A finished search: its questions (earshot.tables.prompts.PROMPT_SCORES) and its record of what it chose, and on which
    sources (earshot.leakage.fitted)."""

    proposer: str
    seed: int
    scores: pd.DataFrame
    record: dict[str, Any]

    @property
    def baseline(self) -> Any:
        """The row of the baseline."""
        return self.scores[self.scores.origin == "baseline"].iloc[0]

    @property
    def chosen(self) -> Any:
        """The row of the chosen question."""
        return self.scores[self.scores.chosen].iloc[0]


def assert_unseen(searches: Sequence[Search], split: pd.DataFrame) -> None:
    """Raise InputError where a search saw a source of the split's test part."""
    tested = set(split.source_id[split.part == "test"])
    for search in searches:
        if shared := sorted(tested & set(search.record["sources"])):
            raise InputError(
                f"search {search.proposer}, seed {search.seed}: used source {shared[0]} of the test part; search again with the present split"
            )


def outcomes_of(searches: Sequence[Search], predictions: pd.DataFrame, index: pd.DataFrame, split: pd.DataFrame) -> list[Outcomes]:
    """The baseline's outcomes on the test part, then those of each proposer's chosen questions, one "seed" per search.

    predictions: earshot.tables.predictions.PREDICTIONS of the baseline and of every chosen question.
    """

    def rows(prompt_id: str, system: str, seed: int | None) -> pd.DataFrame:
        return predictions[predictions.prompt_id == prompt_id].assign(system_id=system, seed=seed)

    systems = [rows(searches[0].baseline.prompt_id, BASE, None)]
    for proposer in dict.fromkeys(search.proposer for search in searches):
        systems.append(pd.concat([rows(search.chosen.prompt_id, proposer, search.seed) for search in searches if search.proposer == proposer]))
    return [outcomes_on(system, index, split, "test", TEST_SET) for system in systems]


def gain_table(searches: Sequence[Search], outcomes: Sequence[Outcomes], confidence: float) -> pd.DataFrame:
    """earshot.tables.prompt_gains.PROMPT_GAINS; outcomes: as `outcomes_of` returns them."""
    baseline = outcomes[0]
    rows = []
    for system in outcomes[1:]:
        for part in system.by_seed():
            used = [search for search in searches if search.proposer == system.system_id and part.seed in (ALL_SEEDS, str(search.seed))]
            rows.append(_told(used) | _tested(part, baseline, confidence) | {"proposer": system.system_id, "search_seed": part.seed})
    return validate(pd.DataFrame(rows), PROMPT_GAINS)


def _told(searches: Sequence[Search]) -> dict[str, Any]:
    """What the searches themselves say of their chosen question; means over several."""
    told = pd.DataFrame(
        [
            {
                "n_prompts": len(search.scores),
                "n_answers": int((search.scores.n_stimuli + search.scores.n_development).sum()),
                "search_gain": search.chosen.gain,
                "search_optimism": search.record["value"]["search_optimism"],
                "development_gain": search.chosen.development_balanced_accuracy - search.baseline.development_balanced_accuracy,
                "development_optimism": search.record["value"]["development_optimism"],
            }
            for search in searches
        ]
    ).astype(float)
    question = {"prompt_id": searches[0].chosen.prompt_id, "question": searches[0].chosen.question} if len(searches) == 1 else {}
    totals = {name: int(told[name].sum()) for name in ("n_prompts", "n_answers")}
    return {"prompt_id": "-", "question": "-"} | {str(name): mean for name, mean in told.mean().items()} | totals | question


def _tested(chosen: Outcomes, baseline: Outcomes, confidence: float) -> dict[str, Any]:
    row = compare(chosen, baseline, confidence, margin=np.nan)
    samples, weights = metric_parts(chosen, "balanced_accuracy")
    return {
        "baseline_accuracy": estimate(*metric_parts(baseline, "balanced_accuracy")).value,
        "balanced_accuracy": estimate(samples, weights).value,
        **{name: row[name] for name in ("difference", "low", "high", "p_clustered_t", "n_items", "n_sources")},
        "reliability": reliability(min(sample.n_sources for sample in samples)),
    }
