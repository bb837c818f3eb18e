"""From what checks found to a certificate and a table of evidence."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from earwitness.core.files import sha256_of
from earwitness.leakage.certificate import SCHEMA_NAME, binds_and_fails, blocking_checks, overall_status, policy_digest
from earwitness.leakage.registry import Check, Finding
from earwitness.leakage.waivers import Waiver
from earwitness.tables.audit_evidence import EVIDENCE
from earwitness.tables.columns import LABELS
from earwitness.tables.files import csv_of, validate

MOST_SOURCES_NAMED = 20


def certify(
    name: str,
    subject: list[dict[str, str]],
    settings: dict[str, Any],
    parts: dict[str, dict[str, int]],
    findings: Sequence[tuple[Check, Finding]],
    waivers: Sequence[Waiver],
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The certificate (earwitness.leakage.certificate.CERTIFICATE) and the evidence (earwitness.tables.audit_evidence.EVIDENCE) of an audit.

    name: what was audited; subject: role, name and SHA-256 of every file, the split's own first; settings: what was
    tolerated; parts: what each part holds (see parts_of); waivers: checks that may fail.
    """
    waived = {waiver.check for waiver in waivers}
    entries = [_entry(check, finding, check.id in waived) for check, finding in findings]
    offenders = pd.concat([finding.offenders.assign(check=check.id) for check, finding in findings], ignore_index=True)
    evidence = validate(offenders, EVIDENCE)
    certificate = {
        "schema": SCHEMA_NAME,
        "split": {"name": name, "sha256": subject[0]["sha256"]},
        "subject": subject,
        "policy": {"settings": settings, "sha256": policy_digest(settings)},
        "parts": parts,
        "checks": entries,
        "evidence": {"rows": len(evidence), "sha256": hashlib.sha256(csv_of(evidence, EVIDENCE)).hexdigest()},
        "waivers": [asdict(waiver) for waiver in waivers],
        "status": overall_status(entries),
        "fail_closed": True,
    }
    return certificate, evidence


def subject_of(files: Mapping[str, Sequence[Path]]) -> list[dict[str, str]]:
    """Role, name and SHA-256 of files by their role."""
    return [{"role": role, "name": path.name, "sha256": sha256_of(path)} for role, paths in files.items() for path in paths]


def parts_of(stimuli: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Stimuli, and sources of each class, per part; stimuli: columns part, label, source_id."""
    return {
        str(part): {"stimuli": len(rows)} | {f"{label.lower()}_sources": rows[rows.label == label].source_id.nunique() for label in LABELS}
        for part, rows in stimuli.groupby("part")
    }


def verdict(certificate: dict[str, Any]) -> str:
    """The verdict in one line."""
    entries, blocking = certificate["checks"], blocking_checks(certificate["checks"])
    waived = [check["id"] for check in entries if check["waived"]]
    failed = [f"{check['id']} {check['name']}" for check in blocking if check["status"] == "fail"]
    untold = [f"{check['id']} {check['name']} ({check['reason'] or 'nothing was compared'})" for check in blocking if check["status"] != "fail"]
    left_out = [f"{check['id']} {check['name']}" for check in entries if check["status"] == "not_run" and not check["waived"]]
    unseen = f" Not run, so nothing is vouched for there: {', '.join(left_out)}." if left_out else ""
    if blocking:
        told = [f"{len(failed)} of {len(entries)} checks failed: {', '.join(failed)}."] if failed else []
        told += [f"{len(untold)} of {len(entries)} checks could not tell: {'; '.join(untold)}."] if untold else []
        return f"Verdict: FAIL. {' '.join(told)} Do not trust results that rest on what was audited."
    if waived:
        return (
            f"Verdict: PASS, with {len(waived)} of {len(entries)} checks waived ({', '.join(waived)}). Quote no result without its waivers.{unseen}"
        )
    return f"Verdict: PASS. None of the {len(entries) - len(left_out)} checks that ran found a leak.{unseen}"


def _entry(check: Check, finding: Finding, may_fail: bool) -> dict[str, Any]:
    offenders = finding.offenders
    sources = sorted({*offenders.source_a, *offenders.source_b} - {""})
    entry = {
        "id": check.id,
        "name": check.name,
        "question": check.question,
        "severity": check.severity,
        "required": check.required,
        "status": finding.status,
        "n_compared": finding.n_compared,
        "units": check.units,
        "statistic": finding.statistic,
        "threshold": finding.threshold,
        "reason": finding.reason or None,
        "offenders": len(offenders),
        "offending_sources": sources[:MOST_SOURCES_NAMED],
        "remarks": list(finding.remarks),
    }
    return entry | {"waived": may_fail and binds_and_fails(entry)}
