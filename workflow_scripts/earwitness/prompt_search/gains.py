"""What chosen questions gain on sources that no search saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from earwitness.core.errors import InputError
from earwitness.evaluation.accuracy import condition_table, metric_parts
from earwitness.evaluation.comparison import compare
from earwitness.evaluation.scored_answers import ALL_SEEDS, Outcomes, outcomes_on
from earwitness.leakage.tuning_records import load_tuning_record
from earwitness.plan.values import Search
from earwitness.statistics.clustered import estimate, reliability
from earwitness.statistics.multiple_tests import holm
from earwitness.systems import System
from earwitness.tables.files import read_table, validate
from earwitness.tables.predictions import by_seed
from earwitness.tables.prompt_gains import PROMPT_CONDITIONS, PROMPT_GAINS, PROMPT_HISTORY
from earwitness.tables.prompts import PROMPT_SCORES

TEST_SET = "unseen"


@dataclass(frozen=True)
class FinishedSearch:
    """A finished search: its questions (earwitness.tables.prompts.PROMPT_SCORES) and its record of what it chose, and on which
    sources (earwitness.leakage.tuning_records)."""

    search: Search
    scores: pd.DataFrame
    record: dict[str, Any]

    @property
    def initial(self) -> Any:
        """The row of the initial question."""
        return self.scores[self.scores.origin == "initial"].iloc[0]

    @property
    def chosen(self) -> Any:
        """The row of the chosen question."""
        return self.scores[self.scores.chosen].iloc[0]


def load_searches(names: Sequence[Search], scores: Sequence[Path], records: Sequence[Path]) -> list[FinishedSearch]:
    """Finished searches from their files of scores and their records, all three in one order.

    Raises InputError where their numbers differ, or a record is another search's.
    """
    if not len(names) == len(scores) == len(records):
        raise InputError(f"--names: {len(names)} for {len(scores)} searches and {len(records)} records; give one for each, in their order")
    searches = []
    for name, path, record_path in zip(names, scores, records, strict=True):
        record = load_tuning_record(record_path)
        if record["system"] != str(name):
            raise InputError(f"{record_path}: the record of {record['system']}, not of {name}; give --names in the order of the files")
        searches.append(FinishedSearch(name, read_table(path, PROMPT_SCORES), record))
    return searches


def best_of(searches: Sequence[FinishedSearch]) -> FinishedSearch:
    """The search whose chosen question has the best balanced accuracy on the development stimuli, which are the same for all searches; of equals,
    the first."""
    return max(searches, key=lambda finished: finished.chosen.development_balanced_accuracy)


def assert_unseen(searches: Sequence[FinishedSearch], split: pd.DataFrame) -> None:
    """Raise InputError where a search saw a source of the split's test part, or one over an adapter a source that trained it."""
    for finished in searches:
        for part in ("test",) if finished.search.system.kind == "base" else ("test", "train"):
            if shared := sorted(set(split.source_id[split.part == part]) & set(finished.record["sources"])):
                raise InputError(f"search {finished.search}: used source {shared[0]} of the {part} part; search again with the present split")


@dataclass(frozen=True)
class ScoredSearches:
    """The searches over one system, and its outcomes on the test part: asked the initial question, and asked what each proposer's
    searches chose, where the outcomes have the searches' seeds in the place of training seeds."""

    system: System
    searches: Sequence[FinishedSearch]
    initial: Outcomes
    chosen: Mapping[str, Outcomes]


def score_searches(searches: Sequence[FinishedSearch], predictions: pd.DataFrame, index: pd.DataFrame, split: pd.DataFrame) -> ScoredSearches:
    """Score one system's answers to the initial question and to every chosen question.

    searches: over any systems; those over this one count. predictions: earwitness.tables.predictions.PREDICTIONS of one
    system. Raises InputError where they are of several, where none of the searches is over it, or an answer is missing.
    """
    systems = [system for system, _ in by_seed(predictions)]
    over = [finished for finished in searches if [finished.search.system] == systems]
    if not over:
        raise InputError(f"answers of {', '.join(map(str, systems)) or 'no system'}: no search over it is given; name the searches over each system")

    def outcomes(chosen: Mapping[int | None, str]) -> Outcomes:
        rows = pd.concat([predictions[predictions.prompt_id == prompt_id].assign(seed=seed) for seed, prompt_id in chosen.items()])
        return outcomes_on(rows, index, split, "test", TEST_SET)

    prompts: dict[str, dict[int | None, str]] = {}
    for finished in over:
        prompts.setdefault(finished.search.proposer, {})[finished.search.seed] = finished.chosen.prompt_id
    chosen = {proposer: outcomes(prompt_ids) for proposer, prompt_ids in prompts.items()}
    return ScoredSearches(systems[0], over, outcomes({None: over[0].initial.prompt_id}), chosen)


def gain_table(searched: Sequence[ScoredSearches], confidence: float) -> pd.DataFrame:
    """earwitness.tables.prompt_gains.PROMPT_GAINS of all systems that were searched over.

    Holm's correction runs, for each model, over the rows that answer for a proposer and a system, which are those over all of its searches
    or its only one, and by itself over the rows of single searches beside them.
    """
    rows, summaries = [], []
    for scored in searched:
        for proposer, outcomes in scored.chosen.items():
            own = [finished for finished in scored.searches if finished.search.proposer == proposer]
            parts = outcomes.by_seed()
            for part in parts:
                used = [finished for finished in own if part.seed in (ALL_SEEDS, str(finished.search.seed))]
                names = {"system_id": str(scored.system), "proposer": proposer, "search_seed": part.seed}
                rows.append(_reported(used) | _tested(part, scored.initial, confidence) | names)
                summaries.append(part.seed == ALL_SEEDS or len(own) == 1)
    table = pd.DataFrame(rows).assign(p_holm=np.nan)
    asked_of = table.system_id.map(lambda text: System.parse(text).model)
    for _, family in table[table.p_clustered_t.notna()].groupby([asked_of, pd.Series(summaries, table.index)]):
        table.loc[family.index, "p_holm"] = holm(family.p_clustered_t)
    return validate(table, PROMPT_GAINS)


def prompt_conditions(scored: ScoredSearches) -> pd.DataFrame:
    """earwitness.tables.prompt_gains.PROMPT_CONDITIONS of one system."""
    asked = {"-": scored.initial} | dict(scored.chosen)
    tables = [condition_table([outcomes]).assign(proposer=name, system_id=str(scored.system)) for name, outcomes in asked.items()]
    return validate(pd.concat(tables, ignore_index=True), PROMPT_CONDITIONS)


def history_table(searches: Sequence[FinishedSearch]) -> pd.DataFrame:
    """earwitness.tables.prompt_gains.PROMPT_HISTORY: the questions of every search."""
    named = [s.scores.assign(system_id=str(s.search.system), proposer=s.search.proposer, search_seed=str(s.search.seed)) for s in searches]
    return validate(pd.concat(named, ignore_index=True), PROMPT_HISTORY)


def _reported(searches: Sequence[FinishedSearch]) -> dict[str, Any]:
    """What the searches themselves say of their chosen question; means over several."""
    reported = pd.DataFrame(
        [
            {
                "n_prompts": len(finished.scores),
                "n_searched": int((finished.scores.origin == "searched").sum()),
                "n_answers": int((finished.scores.n_stimuli + finished.scores.n_development).sum()),
                "search_gain": finished.chosen.gain,
                "search_optimism": finished.record["value"]["search_optimism"],
                "development_gain": finished.chosen.development_balanced_accuracy - finished.initial.development_balanced_accuracy,
                "development_optimism": finished.record["value"]["development_optimism"],
            }
            for finished in searches
        ]
    ).astype(float)
    chosen = searches[0].chosen
    question = {name: chosen[name] for name in ("prompt_id", "question", "origin")} if len(searches) == 1 else {}
    totals = {name: int(reported[name].sum()) for name in ("n_prompts", "n_searched", "n_answers")}
    return {"prompt_id": "-", "question": "-", "origin": "-"} | {str(name): mean for name, mean in reported.mean().items()} | totals | question


def _tested(chosen: Outcomes, initial: Outcomes, confidence: float) -> dict[str, Any]:
    row = compare(chosen, initial, confidence, margin=np.nan)
    samples, weights = metric_parts(chosen, "balanced_accuracy")
    before, after = estimate(*metric_parts(initial, "balanced_accuracy")), estimate(samples, weights)
    return {
        "initial_accuracy": before.value,
        **dict(zip(("initial_low", "initial_high"), before.interval(confidence, 0, 1), strict=True)),
        "balanced_accuracy": after.value,
        **dict(zip(("accuracy_low", "accuracy_high"), after.interval(confidence, 0, 1), strict=True)),
        **{name: row[name] for name in ("difference", "low", "high", "p_clustered_t", "n_items", "n_sources")},
        "reliability": reliability(min(sample.n_sources for sample in samples)),
    }
