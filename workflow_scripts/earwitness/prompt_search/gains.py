"""What chosen questions gain on sources that no search saw."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from earwitness.core.errors import InputError
from earwitness.evaluation.accuracy import condition_table, metric_parts
from earwitness.evaluation.comparison import compare
from earwitness.evaluation.scored_answers import ALL_SEEDS, BASE, Outcomes, outcomes_on
from earwitness.leakage.tuning_records import load_tuning_record
from earwitness.statistics.clustered import estimate, reliability
from earwitness.tables.files import read_table, validate
from earwitness.tables.prompt_gains import PROMPT_CONDITIONS, PROMPT_GAINS
from earwitness.tables.prompts import PROMPT_SCORES

TEST_SET = "unseen"


@dataclass(frozen=True)
class Search:
    """A finished search over a system, "base" or an adapter: its questions (earwitness.tables.prompts.PROMPT_SCORES) and its
    record of what it chose, and on which sources (earwitness.leakage.tuning_records)."""

    system: str
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


def load_searches(scores: Sequence[Path], records: Sequence[Path]) -> list[Search]:
    """Finished searches from .../{system}/{proposer}/seed-{seed}/prompts.csv and their records, in the same order."""
    searches = []
    for path, record in zip(scores, records, strict=True):
        system, proposer, seed = path.parts[-4:-1]
        searches.append(Search(system, proposer, int(seed.removeprefix("seed-")), read_table(path, PROMPT_SCORES), load_tuning_record(record)))
    return searches


def best_of(searches: Sequence[Search]) -> Search:
    """The search whose chosen question has the best balanced accuracy on the development part, of which all searches draw
    the same stimuli; the first of several such."""
    return max(searches, key=lambda search: search.chosen.development_balanced_accuracy)


def assert_unseen(searches: Sequence[Search], split: pd.DataFrame) -> None:
    """Raise InputError where a search saw a source of the split's test part, or one over an adapter a source that trained it."""
    for search in searches:
        for part in ("test",) if search.system == BASE else ("test", "train"):
            if shared := sorted(set(split.source_id[split.part == part]) & set(search.record["sources"])):
                raise InputError(
                    f"search over {search.system} by {search.proposer}, seed {search.seed}: used source {shared[0]} of the {part} part;"
                    " search again with the present split"
                )


def outcomes_of(searches: Sequence[Search], predictions: pd.DataFrame, index: pd.DataFrame, split: pd.DataFrame) -> list[Outcomes]:
    """The baseline's outcomes on the test part, then those of each proposer's chosen questions, one "seed" per search.

    searches: over one system; predictions: earwitness.tables.predictions.PREDICTIONS of it, of the baseline and of every chosen question.
    """

    def rows(prompt_id: str, system: str, seed: int | None) -> pd.DataFrame:
        return predictions[predictions.prompt_id == prompt_id].assign(system_id=system, seed=seed)

    systems = [rows(searches[0].baseline.prompt_id, BASE, None)]
    for proposer in dict.fromkeys(search.proposer for search in searches):
        systems.append(pd.concat([rows(search.chosen.prompt_id, proposer, search.seed) for search in searches if search.proposer == proposer]))
    return [outcomes_on(system, index, split, "test", TEST_SET) for system in systems]


def gain_table(searches: Sequence[Search], outcomes: Sequence[Outcomes], confidence: float) -> pd.DataFrame:
    """earwitness.tables.prompt_gains.PROMPT_GAINS; searches: over one system; outcomes: as `outcomes_of` returns them."""
    baseline = outcomes[0]
    rows = []
    for system in outcomes[1:]:
        for part in system.by_seed():
            used = [search for search in searches if search.proposer == system.system_id and part.seed in (ALL_SEEDS, str(search.seed))]
            names = {"system_id": searches[0].system, "proposer": system.system_id, "search_seed": part.seed}
            rows.append(_reported(used) | _tested(part, baseline, confidence) | names)
    return validate(pd.DataFrame(rows), PROMPT_GAINS)


def prompt_conditions(system: str, outcomes: Sequence[Outcomes]) -> pd.DataFrame:
    """earwitness.tables.prompt_gains.PROMPT_CONDITIONS of one system; outcomes: as `outcomes_of` returns them."""
    table = condition_table(outcomes)
    named = table.assign(proposer=table.system_id.replace(BASE, "-"), system_id=system)
    return validate(named[list(PROMPT_CONDITIONS.columns)], PROMPT_CONDITIONS)


def _reported(searches: Sequence[Search]) -> dict[str, Any]:
    """What the searches themselves say of their chosen question; means over several."""
    reported = pd.DataFrame(
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
    totals = {name: int(reported[name].sum()) for name in ("n_prompts", "n_answers")}
    return {"prompt_id": "-", "question": "-"} | {str(name): mean for name, mean in reported.mean().items()} | totals | question


def _tested(chosen: Outcomes, baseline: Outcomes, confidence: float) -> dict[str, Any]:
    row = compare(chosen, baseline, confidence, margin=np.nan)
    samples, weights = metric_parts(chosen, "balanced_accuracy")
    return {
        "baseline_accuracy": estimate(*metric_parts(baseline, "balanced_accuracy")).value,
        "balanced_accuracy": estimate(samples, weights).value,
        **{name: row[name] for name in ("difference", "low", "high", "p_clustered_t", "n_items", "n_sources")},
        "reliability": reliability(min(sample.n_sources for sample in samples)),
    }
