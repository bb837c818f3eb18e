"""Checks of whether the parts of a split can support training and an honest test at all."""

import pandas as pd

from earshot.leakage.evidence import AuditInput
from earshot.leakage.registry import EVIDENCE_COLUMNS, Finding, check, judge
from earshot.tables.columns import LABELS

REQUIRED_PARTS = ("train", "test")


@check(
    id="L13",
    name="class_structure",
    severity="error",
    units="classes of parts",
    remedy="Add recordings, or change the fractions of the split, until every part has enough sources of both classes.",
)
def class_structure(evidence: AuditInput) -> Finding:
    """Are there a train and a test part, and has every part enough sources of both classes?"""
    stimuli, wanted = evidence.stimuli, evidence.policy.min_sources_per_class
    parts = sorted(stimuli.part.unique())
    sources = stimuli.groupby(["part", "label"]).source_id.nunique()
    counts = {(part, label): int(sources.get((part, label), 0)) for part in parts for label in LABELS}
    # A class without a source is a failure even where the policy asks for none.
    details = [(part, label, f"{n} sources, needs {max(wanted, 1)}") for (part, label), n in counts.items() if n < max(wanted, 1)]
    details += [(part, "", "the part has no stimuli") for part in REQUIRED_PARTS if part not in parts]
    offenders = pd.DataFrame([(part, "", label, "", "", "", detail) for part, label, detail in details], columns=list(EVIDENCE_COLUMNS), dtype=str)
    reason = "; ".join(f"{' '.join(filter(None, [part, label]))}: {detail}" for part, label, detail in details)
    return judge(offenders, len(counts), min(counts.values(), default=0), wanted, reason)
