"""Does the model's answer follow the class, or where, how loud and how long a stimulus is?"""

import numpy as np
import pandas as pd

from earwitness.leakage.checks.tuning import TuningInput
from earwitness.leakage.registry import EVIDENCE_COLUMNS, Finding, check, judge, not_run
from earwitness.statistics.clustered import MIN_SOURCES_FOR_TESTS, Estimate, Scale, estimate, sample_by_source
from earwitness.stimuli.counterfactuals import CARRIER, CHANGES
from earwitness.tables.columns import LABELS

LARGEST_DROP = 0.03
CONFIDENCE = 0.95


def _balanced(outcomes: pd.Series, table: pd.DataFrame, scale: Scale) -> Estimate:
    """The mean over both classes of an outcome per stimulus, with its variance over sources."""
    samples = [sample_by_source(outcomes[table.label == label], table.source_id[table.label == label].to_numpy(object), scale) for label in LABELS]
    return estimate(samples, [0.5, 0.5])


@check(
    id="L11",
    name="counterfactual_answers",
    severity="warn",
    units="answers",
    question="Does a model's answer change with what should not matter, or tell the class of noise?",
    stage="tuning",
    remedy="Look at what differs between the classes besides speech (L10), and level, pad and cut both classes alike.",
)
def counterfactual_answers(data: TuningInput) -> Finding:
    """How every model answers to stimuli that were changed in something that should not matter.

    Test stimuli earlier and later in their window, in a shorter and a longer one, 6 dB softer and louder: noted where balanced accuracy drops by more
    than 3 points and the clustered 95 % interval of the drop lies above 0. And noise of the segment's place, length and
    level: noted where the clustered 95 % interval of its balanced accuracy excludes 50 %. The statistic is the largest
    drop. A few sources show large drops only; below 6 sources in a class nothing is judged.
    """
    if not data.counterfactuals:
        return not_run("no model was asked", threshold=LARGEST_DROP)
    several = len(data.counterfactuals) > 1
    rows, reasons, drops, n_answers = [], [], [], 0
    for model, answers in data.counterfactuals.items():
        fewest = min(answers[answers.label == label].source_id.nunique() for label in LABELS)
        if fewest < MIN_SOURCES_FOR_TESTS:
            reason = f"the class with fewer sources has {fewest}; {MIN_SOURCES_FOR_TESTS} are needed"
            return not_run(reason, threshold=LARGEST_DROP)
        own_drops, faults = _answers_of_one(answers)
        drops += own_drops
        n_answers += len(answers)
        rows += [("test", "", variant, model if several else "", "", "", detail) for variant, detail, _ in faults]
        reasons += [f"{model}: {reason}" if several else reason for _, _, reason in faults]
    offenders = pd.DataFrame(rows, columns=list(EVIDENCE_COLUMNS), dtype=str)
    return judge(offenders, n_answers, max(drops), LARGEST_DROP, "; ".join(reasons))


def _answers_of_one(answers: pd.DataFrame) -> tuple[list[float], list[tuple[str, str, str]]]:
    """The drops of a model's balanced accuracy, and its faults: variant, what was found, and in words."""
    right = answers.assign(right=np.where(answers.label == LABELS[0], answers.log_odds > 0, answers.log_odds <= 0).astype(float))
    wide = right.pivot_table(index=["stimulus_id", "source_id", "label"], columns="variant", values="right").reset_index()
    drops = {variant: _balanced(wide["original"] - wide[variant], wide, "difference") for variant in CHANGES}
    faults = []
    for variant, drop in drops.items():
        low, high = drop.interval(CONFIDENCE, -1.0, 1.0)
        if drop.value > LARGEST_DROP and low > 0:
            found = f"{100 * drop.value:.1f} points fewer right (95 % {100 * low:.1f} to {100 * high:.1f})"
            faults.append((variant, found, f"stimuli made {variant} are heard worse"))
    carriers = _balanced(wide[CARRIER], wide, "share")
    low, high = carriers.interval(CONFIDENCE, 0.0, 1.0)
    if not low <= 0.5 <= high:
        found = f"balanced accuracy {100 * carriers.value:.1f} % (95 % {100 * low:.1f} to {100 * high:.1f})"
        faults.append((CARRIER, found, "noise in the segments' place tells their class"))
    return [drop.value for drop in drops.values()], faults
