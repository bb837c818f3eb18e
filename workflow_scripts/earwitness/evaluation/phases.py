"""Accuracy from phase to phase of the study, each against the base model's zero-shot answers to the same stimuli."""

from collections.abc import Sequence

import pandas as pd

from earwitness.core.errors import InputError
from earwitness.evaluation.accuracy import metric_parts
from earwitness.evaluation.comparison import compare
from earwitness.evaluation.scored_answers import ALL_SEEDS, Outcomes
from earwitness.statistics.clustered import estimate
from earwitness.systems import BASE, Kind, System
from earwitness.tables.files import validate
from earwitness.tables.phases import PHASES

PHASE_NAMES = ("reference", "zero-shot", "prompt", "fine-tuned", "ensemble")

PHASE_OF_KIND: dict[Kind, str] = {
    "detector": "reference",
    "encoder_probe": "reference",
    "base": "zero-shot",
    "adapter": "fine-tuned",
    "ensemble": "ensemble",
}
"""The phase of each kind of system; "prompt" is the base, asked a question that a search found."""


def best_question(gains: pd.DataFrame, base: System = BASE) -> str | None:
    """The prompt_id of the search over a base that gained most on development sources; the first name wins a tie.

    gains: earwitness.tables.prompt_gains.PROMPT_GAINS. None where no search was run.
    """
    single = gains[(gains.system_id == str(base)) & (gains.search_seed != ALL_SEEDS)]
    if single.empty:
        return None
    return str(single.sort_values(["development_gain", "proposer", "search_seed"], ascending=[False, True, True], kind="stable").prompt_id.iloc[0])


def phase_table(systems: Sequence[Outcomes], questions: Sequence[Outcomes], confidence: float) -> pd.DataFrame:
    """earwitness.tables.phases.PHASES: balanced accuracy of every phase on unseen sources, and its change from zero-shot.

    systems: bases, detectors, adapters and ensembles; questions: bases asked their best searched question. A detector, which has no base of its
    own, is set against the first one.
    Raises InputError where a base is missing.
    """
    bases = {outcomes.system: outcomes for outcomes in systems if outcomes.system.kind == "base"}
    needed = {outcomes.system.base for outcomes in systems if outcomes.system.model} or {BASE}
    if missing := sorted(map(str, needed - set(bases))):
        raise InputError(f"no predictions of {missing[0]} among {', '.join(outcomes.system_id for outcomes in systems)}; give them too")
    first = next(iter(bases.values()))
    phased = [(PHASE_OF_KIND[outcomes.system.kind], outcomes) for outcomes in systems]
    phased += [("prompt", question) for question in questions]
    rows = []
    for phase, outcomes in sorted(phased, key=lambda pair: (PHASE_NAMES.index(pair[0]), pair[1].system_id)):
        samples, weights = metric_parts(outcomes, "balanced_accuracy")
        level = estimate(samples, weights)
        low, high = level.interval(confidence, 0, 1)
        change = compare(outcomes, bases[outcomes.system.base] if outcomes.system.model else first, confidence, margin=float("nan"))
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
    table.loc[table.phase == "zero-shot", ["change_low", "change_high"]] = 0.0
    return validate(table, PHASES)
