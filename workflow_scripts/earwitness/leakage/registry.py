"""What a check is, and which checks there are.

A check is a function from the audited data to a finding, registered with `check`. The module that holds it is named in
earwitness.leakage.audit.FAMILIES (checks of a split) or earwitness.leakage.tuning_audit.FAMILIES (checks of what was fitted).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import pandas as pd

Severity = Literal["error", "warn", "info"]
Data = TypeVar("Data")
Status = Literal["pass", "fail", "not_run", "not_applicable"]
Stage = Literal["split", "tuning"]
"""Before training: what a split's data show. After it: what was fitted, and what the model does."""
Function = Callable[[Any], "Finding"]
"""From earwitness.leakage.audit_input.AuditInput (split) or earwitness.leakage.checks.tuning.TuningInput (tuning)."""

Asks = Callable[[Any], Sequence[Callable[[Any], Any]]]
"""From earwitness.leakage.audit_input.Policy to functions of batches of clips."""

CHECK_IDS = tuple(f"L{number:02d}" for number in range(1, 20))
"""The ids of all checks, of both stages."""

EVIDENCE_COLUMNS = ("part_a", "part_b", "item_a", "item_b", "source_a", "source_b", "detail")
"""Columns of a finding's offenders; "" where one does not apply."""


def no_offenders() -> pd.DataFrame:
    """An empty table of offenders."""
    return pd.DataFrame(columns=list(EVIDENCE_COLUMNS), dtype=str)


@dataclass(frozen=True, eq=False)
class Finding:
    """What a check found.

    n_compared: how many things were looked at that could have shown a leak, in the check's units; 0 is never a pass.
    statistic, threshold: the number that decides and its limit; None where there is none.
    reason: one clause that says why the check did not pass; "" where it did.
    offenders: one row per offending pair or item, columns EVIDENCE_COLUMNS.
    remarks: what the check could not see, a sentence each, whatever its status.
    """

    status: Status
    n_compared: int
    statistic: float | None
    threshold: float | None
    reason: str
    offenders: pd.DataFrame
    remarks: tuple[str, ...] = ()


def judge(
    offenders: pd.DataFrame, n_compared: int, statistic: float | None, threshold: float | None, reason: str, remarks: Sequence[str] = ()
) -> Finding:
    """A finding that fails, for `reason`, where there are offenders."""
    failed = len(offenders) > 0
    return Finding("fail" if failed else "pass", n_compared, statistic, threshold, reason if failed else "", offenders, tuple(remarks))


def not_run(reason: str, n_compared: int = 0, threshold: float | None = None, remarks: Sequence[str] = ()) -> Finding:
    """A check that could not judge, or could not have failed; with severity error it stops training."""
    return Finding("not_run", n_compared, None, threshold, reason, no_offenders(), tuple(remarks))


def not_applicable(reason: str) -> Finding:
    """A check that has no subject here: it neither passes nor stops anything."""
    return Finding("not_applicable", 0, None, None, reason, no_offenders())


def some(names: Iterable[str], most: int = 5) -> str:
    """The first names of a list, in order, for a sentence."""
    names = sorted(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _nothing(policy: Any) -> Sequence[Callable[[Any], Any]]:
    return ()


@dataclass(frozen=True)
class Check:
    """A registered check.

    severity: "error" stops training; "warn" and "info" are only reported. required: not having run stops training too, where severity is "error".
    asks: from the policy, the functions that it applies to all clips, as earwitness.leakage.audit_input.AuditInput.over_clips takes them.
    """

    id: str
    name: str
    severity: Severity
    units: str
    question: str
    remedy: str
    stage: Stage
    function: Function
    required: bool = True
    asks: Asks = _nothing

    def run(self, data: Any) -> Finding:
        """The finding; a pass over nothing is not_run."""
        finding = self.function(data)
        if finding.n_compared == 0 and finding.status == "pass":
            return replace(finding, status="not_run", reason=f"nothing was compared (0 {self.units})")
        return finding


_CHECKS: dict[str, Check] = {}


def check(
    *,
    id: str,
    name: str,
    severity: Severity,
    units: str,
    question: str,
    remedy: str,
    stage: Stage = "split",
    required: bool = True,
    asks: Asks = _nothing,
) -> Callable[[Callable[[Data], Finding]], Callable[[Data], Finding]]:
    """Register a check.

    id, name: "L01" and a short name in snake case; units: what n_compared counts, in the plural; question: what the check asks, as
    certificate and report print it; remedy: what a user does about a failure; stage: which audit runs it; required: False for a check
    that need not run, as where it needs a package that not everyone installs; asks: what it applies to all clips, so that the audit decodes these
    once for several checks.
    """

    def register(function: Callable[[Data], Finding]) -> Callable[[Data], Finding]:
        if id in _CHECKS:
            raise ValueError(f"check {id} is registered twice")
        _CHECKS[id] = Check(id, name, severity, units, question, remedy, stage, function, required, asks)
        return function

    return register


def registered(stage: Stage) -> list[Check]:
    """Every check of a stage, ordered by id."""
    return [_CHECKS[id] for id in sorted(_CHECKS) if _CHECKS[id].stage == stage]
