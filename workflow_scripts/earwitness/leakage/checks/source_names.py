"""A check of whether two names of sources may be one name."""

from collections import defaultdict

import pandas as pd

from earwitness.core.names import canonical_name, similar_names
from earwitness.leakage.audit_input import AuditInput
from earwitness.leakage.registry import EVIDENCE_COLUMNS, Finding, check, judge


@check(
    id="L18",
    name="similar_source_names",
    severity="warn",
    units="names of sources",
    question="Do sources of different parts have names that may be one, such as 007 and 7, or two spellings?",
    remedy="Where it is one speaker or sound, give it one name in the data, and split again; where it is two, nothing needs to be done.",
)
def similar_source_names(data: AuditInput) -> Finding:
    """Do sources of different parts have names that may be one?

    Names are compared without the data set in front of them, so that one name in two data sets is asked about too, unless
    it is a mere number. See earwitness.core.names.similar_names for what is similar; no sound is compared here.
    """
    datasets = dict(zip(data.recordings.source_id, data.recordings.dataset, strict=True)) if len(data.recordings) else {}
    parts = {str(source): set(rows.part) for source, rows in data.stimuli.groupby("source_id")}
    sources = defaultdict[str, list[str]](list)
    for source in sorted(parts):
        sources[canonical_name(source.removeprefix(f"{datasets.get(source, '')}:"))].append(source)
    pairs = [(a, b) for first, second in similar_names(sources) for a in sources[first] for b in sources[second]]
    pairs += [(a, b) for name, same in sources.items() if not name.isdecimal() for k, a in enumerate(same) for b in same[k + 1 :]]
    rows = []
    for a, b in pairs:
        apart = sorted((part_a, part_b, a, b) for part_a in parts[a] for part_b in parts[b] if part_a != part_b)
        if apart and parts[a].isdisjoint(parts[b]):
            part_a, part_b, first, second = apart[0]
            if part_a > part_b:
                part_a, part_b, first, second = part_b, part_a, second, first
            rows.append((part_a, part_b, "", "", first, second, "may be one name; no sound was compared"))
    offenders = pd.DataFrame(rows, columns=list(EVIDENCE_COLUMNS), dtype=str).sort_values(["part_a", "part_b", "source_a", "source_b"])
    shown = f"{offenders.source_a.iloc[0]} and {offenders.source_b.iloc[0]}" if rows else ""
    more = f" (and {len(rows) - 1} more pairs)" if len(rows) > 1 else ""
    return judge(offenders.reset_index(drop=True), len(sources), len(rows), 0, f"{shown} may be one source in two parts{more}")
