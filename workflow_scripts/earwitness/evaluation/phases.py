"""Accuracy from phase to phase of the study, each against the base model's zero-shot answers to the same stimuli."""

from collections.abc import Sequence

import pandas as pd

from earwitness.core.errors import InputError
from earwitness.evaluation.accuracy import metric_parts
from earwitness.evaluation.comparison import compare
from earwitness.evaluation.ensembles import is_ensemble
from earwitness.evaluation.scored_answers import ALL_SEEDS, BASE, NOT_TRAINED, Outcomes
from earwitness.statistics.clustered import estimate
from earwitness.tables.conclusions import PHASES
from earwitness.tables.files import validate

PHASE_NAMES = ("reference", "zero-shot", "prompt", "fine-tuned", "ensemble")


def phase_of(system_id: str, trained_on: str) -> str:
    """The phase that a system belongs to, searched questions aside."""
    if system_id == BASE:
        return "zero-shot"
    if is_ensemble(system_id):
        return "ensemble"
    return "reference" if trained_on == NOT_TRAINED else "fine-tuned"


def best_question(gains: pd.DataFrame) -> str | None:
    """The prompt_id of the search that gained most on development sources, of earwitness.tables.prompt_gains.PROMPT_GAINS; the first name wins a tie.

    None where no search was run.
    """
    single = gains[(gains.system_id == BASE) & (gains.search_seed != ALL_SEEDS)]
    if single.empty:
        return None
    return str(single.sort_values(["development_gain", "proposer", "search_seed"], ascending=[False, True, True], kind="stable").prompt_id.iloc[0])


def phase_table(systems: Sequence[Outcomes], question: Outcomes | None, confidence: float) -> pd.DataFrame:
    """earwitness.tables.conclusions.PHASES on unseen sources.

    systems: the base, detectors, adapters and ensembles; question: the base asked the best searched question.
    Raises InputError where the base is missing.
    """
    by_name = {outcomes.system_id: outcomes for outcomes in systems}
    if BASE not in by_name:
        raise InputError(f"no predictions of the base model among {', '.join(by_name)}; give them too")
    phased = [(phase_of(outcomes.system_id, outcomes.trained_on), outcomes) for outcomes in systems]
    if question is not None:
        phased.append(("prompt", question))
    rows = []
    for phase, outcomes in sorted(phased, key=lambda pair: (PHASE_NAMES.index(pair[0]), pair[1].system_id)):
        samples, weights = metric_parts(outcomes, "balanced_accuracy")
        level = estimate(samples, weights)
        low, high = level.interval(confidence, 0, 1)
        change = compare(outcomes, by_name[BASE], confidence, margin=float("nan"))
        rows.append(
            {
                "phase": phase,
                "system_id": outcomes.system_id,
                "name": "searched question" if phase == "prompt" else outcomes.system_id,
                "estimate": level.value,
                "low": low,
                "high": high,
                "change": change["difference"],
                "change_low": change["low"],
                "change_high": change["high"],
                "n_sources": sum(sample.n_sources for sample in samples),
            }
        )
    table = pd.DataFrame(rows)
    base = table.system_id.eq(BASE) & table.phase.eq("zero-shot")
    table.loc[base, ["change_low", "change_high"]] = 0.0
    return validate(table, PHASES)
