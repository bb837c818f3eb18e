"""Checks of whether the parts of a split, and the folds of a cross-validation, can support training and an honest test at all."""

from collections import defaultdict
from collections.abc import Mapping

import pandas as pd

from earwitness.leakage.audit_input import AuditInput
from earwitness.leakage.registry import EVIDENCE_COLUMNS, Finding, check, judge
from earwitness.tables.columns import LABELS

REQUIRED_PARTS = ("train", "test")


def misplaced_in_folds(folds: Mapping[str, pd.DataFrame]) -> list[tuple[str, str]]:
    """Sources that a cross-validation does not test exactly once, each with what is wrong, sorted.

    folds: name -> columns source_id and part; the same sources in every fold, one of which tests them.
    """
    tested = defaultdict[str, list[str]](list)
    for name in sorted(folds):
        rows = folds[name]
        for source in rows.source_id.unique():
            tested[source] += []
        for source in rows.source_id[rows.part == "test"].unique():
            tested[source].append(name)
    faults = {source: f"tested in {', '.join(names)}" if names else "tested in no fold" for source, names in tested.items() if len(names) != 1}
    return sorted(faults.items())


@check(
    id="L13",
    name="class_structure",
    severity="error",
    units="classes of parts, and sources of folds",
    question="Are there a train and a test part, has every part enough sources of both classes, and is every source in the test part of one fold?",
    remedy="Add recordings, or change the fractions of the split, until every part has enough sources of both classes; "
    "of folds, make all anew from one list of sources.",
)
def class_structure(data: AuditInput) -> Finding:
    """Sources of every class and part, counted, and the folds in which a source is tested.

    The last is asked where the split is a fold of a cross-validation.
    """
    stimuli, wanted = data.stimuli, data.policy.min_sources_per_class
    parts = sorted(stimuli.part.unique())
    sources = stimuli.groupby(["part", "label"]).source_id.nunique()
    counts = {(part, label): int(sources.get((part, label), 0)) for part in parts for label in LABELS}
    details = [(part, label, f"{n} sources, needs {wanted}") for (part, label), n in counts.items() if n < wanted]
    details += [(part, "", "the part has no stimuli") for part in REQUIRED_PARTS if part not in parts]
    misplaced = misplaced_in_folds(data.folds)
    rows = [(part, "", label, "", "", "", detail) for part, label, detail in details]
    rows += [("test", "", "", "", source, "", detail) for source, detail in misplaced]
    offenders = pd.DataFrame(rows, columns=list(EVIDENCE_COLUMNS), dtype=str)
    reasons = [f"{' '.join(filter(None, [part, label]))}: {detail}" for part, label, detail in details]
    if misplaced:
        reasons.append(f"{len(misplaced)} source{'s are' if len(misplaced) > 1 else ' is'} not tested in exactly one fold")
    in_folds = len({source for rows in data.folds.values() for source in rows.source_id})
    return judge(offenders, len(counts) + in_folds, min(counts.values(), default=0), wanted, "; ".join(reasons))
