"""The nearest split that passes: what the audit found in two parts is put together, and audited again."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from earwitness.leakage.audit import checks, run_checks
from earwitness.leakage.audit_input import Audited
from earwitness.splits.components import components, no_ties, shared_values, what_holds
from earwitness.splits.nearest import nearest_split
from earwitness.splits.study import KEPT_TOGETHER, with_origins
from earwitness.tables.columns import LABELS

PAIRING = frozenset({"L01", "L02", "L03", "L04", "L05", "L06", "L16"})
"""Checks whose evidence is pairs across parts, which are no leak within one part."""

MOST_ROUNDS = 20

MOVES = ("item", "source", "label", "seconds", "from_part", "to_part", "why")
"""Columns of what a proposal moves."""


@dataclass(frozen=True)
class Proposal:
    """A split in which nothing that the audit compares across parts is in two of them.

    audited: the split, as the audit takes it. moves: MOVES. ties: earwitness.tables.ties.TIES, what had to stay together.
    impossible: what no split of these data can have, a sentence each. unbalanced: which shares are off, and why.
    rounds: proposals that were audited until nothing more was found across parts.
    """

    audited: Audited
    moves: pd.DataFrame
    ties: pd.DataFrame
    impossible: list[str]
    unbalanced: list[str]
    rounds: int


def ties_in(evidence: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Ties (earwitness.tables.ties.TIES) between the sources that evidence found in two parts.

    evidence: earwitness.tables.audit_evidence.EVIDENCE; names: id -> name of checks.
    """
    pairs = evidence[evidence.check.isin(PAIRING) & (evidence.part_a != evidence.part_b) & (evidence.source_a != "") & (evidence.source_b != "")]
    why = [f"{check} {names.get(check, '')}".strip() for check in pairs.check]
    ties = pd.DataFrame({"source_a": pairs.source_a, "source_b": pairs.source_b, "why": why}, dtype=str)
    return ties[ties.source_a != ties.source_b].drop_duplicates(ignore_index=True)


def propose(
    audited: Audited,
    evidence: pd.DataFrame | None = None,
    shares: Mapping[tuple[str, str], float] | None = None,
    sources: Mapping[tuple[str, str], int] | None = None,
    seed: int = 0,
    declared: pd.DataFrame | None = None,
) -> Proposal:
    """The split that moves the fewest seconds and passes the checks that compare parts (PAIRING).

    evidence: of an audit of the same split (earwitness.tables.audit_evidence.EVIDENCE); without, the checks are run.
    shares, sources: of a class in a part, as for earwitness.splits.nearest.nearest_split; every part gets at least the sources of
    each class that the policy asks for. declared: ties (earwitness.tables.ties.TIES) that hold besides those that are found.

    What the audit finds across parts ties its sources, and the nearest split that divides no component is taken; a move may part
    what was together unnoticed, so the proposal is audited in turn, until nothing new is found.
    """
    stimuli = audited.data.stimuli
    parts = list(dict.fromkeys([*[part for part in ("train", "dev", "test") if (stimuli.part == part).any()], *[part for part, _ in shares or {}]]))
    needed = {(part, label): audited.data.policy.min_sources_per_class for part in parts for label in LABELS} | dict(sources or {})
    items = with_origins(stimuli, [audited.data.recordings]).assign(seconds=stimuli.duration_ms / 1000)
    ties = pd.concat([shared_values(items, KEPT_TOGETHER), no_ties() if declared is None else declared], ignore_index=True)
    names = {check.id: check.name for check in checks()}
    found = ties_in(_pairs_across(audited) if evidence is None else evidence, names)
    rounds = 0
    while rounds == 0 or (len(found) and rounds < MOST_ROUNDS):
        rounds += 1
        ties = pd.concat([ties, found], ignore_index=True).drop_duplicates(ignore_index=True)
        together = components(items.source_id, ties)
        nearest = nearest_split(items, together, ties, parts, shares, needed, seed)
        proposed = replace(audited, data=replace(audited.data, stimuli=stimuli.assign(part=nearest.parts)))
        found = ties_in(_pairs_across(proposed), names)
    return Proposal(proposed, _moves(items, nearest.parts, together, ties), ties, nearest.missing, nearest.unbalanced, rounds)


def _pairs_across(audited: Audited) -> pd.DataFrame:
    """What the checks of PAIRING find, with the column check."""
    return pd.concat([finding.offenders.assign(check=check.id) for check, finding in run_checks(audited, PAIRING)], ignore_index=True)


def _moves(items: pd.DataFrame, parts: npt.NDArray[np.object_], together: Mapping[str, str], ties: pd.DataFrame) -> pd.DataFrame:
    """MOVES, ordered by source and item."""
    placed = items.assign(to_part=parts, component=items.source_id.map(together))
    before = placed.groupby("component").part.agg(lambda column: ", ".join(sorted(set(column))))
    moved = placed[placed.part != placed.to_part]
    why = {
        name: f"{what_holds(name, together, ties)}: was in {before[name]}" if ", " in before[name] else "keeps the parts' classes and shares"
        for name in moved.component.unique()
    }
    table = pd.DataFrame(
        {
            "item": moved.stimulus_id,
            "source": moved.source_id,
            "label": moved.label,
            "seconds": moved.seconds,
            "from_part": moved.part,
            "to_part": moved.to_part,
            "why": moved.component.map(why).astype(str),
        }
    )
    return table.sort_values(["source", "item"], ignore_index=True)[list(MOVES)]
