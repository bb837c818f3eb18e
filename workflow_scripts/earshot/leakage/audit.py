"""The audit: every check over one split, as a certificate and a table of evidence."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from earshot.files import sha256_of
from earshot.leakage import audio_checks, declaration_checks, near_duplicates, provenance_checks, shortcut_checks, speech_checks, structure_checks
from earshot.leakage.certificate import SCHEMA_NAME, binds_and_fails, overall_status
from earshot.leakage.evidence import Audited, AuditInput, Policy, load_audit_input
from earshot.leakage.registry import Check, Finding, no_offenders, registered
from earshot.leakage.waivers import Waiver
from earshot.tables import EVIDENCE, LABELS, validate

FAMILIES = (provenance_checks, audio_checks, near_duplicates, structure_checks, shortcut_checks, speech_checks, declaration_checks)
"""The modules whose checks run; importing one registers them."""

MOST_SOURCES_NAMED = 20


def checks() -> list[Check]:
    """Every check of every family, ordered by id."""
    return registered()


def audited_files(split: Path, index: Path, clip_files: list[Path], recording_files: list[Path], shards: list[Path], policy: Policy) -> Audited:
    """A split that Earshot made; arguments and errors are those of earshot.leakage.evidence.load_audit_input."""
    evidence = load_audit_input(split, index, clip_files, recording_files, shards, policy)
    files = {"split": [split], "index": [index], "clips": clip_files, "recordings": recording_files, "shards": shards}
    subject = [{"role": role, "name": path.name, "sha256": sha256_of(path)} for role, paths in files.items() for path in paths]
    return Audited(evidence, split.stem, subject)


def audit(audited: Audited, waivers: Sequence[Waiver] = ()) -> tuple[dict[str, Any], pd.DataFrame]:
    """Run every check.

    waivers: checks that may fail.
    Returns the certificate (earshot.leakage.certificate.CERTIFICATE) and the evidence (earshot.tables.EVIDENCE), which
    depend on nothing but the content of the files, their base names, the policy and the waivers.
    """
    evidence, waived = audited.evidence, {waiver.check for waiver in waivers}
    findings = run_checks(audited)
    entries = [_entry(check, finding, check.id in waived) for check, finding in findings]
    settings = asdict(evidence.policy)
    certificate = {
        "schema": SCHEMA_NAME,
        "split": {"name": audited.name, "sha256": audited.subject[0]["sha256"]},
        "subject": audited.subject,
        "policy": {"settings": settings, "sha256": hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()},
        "parts": _parts(evidence),
        "checks": entries,
        "waivers": [asdict(waiver) for waiver in waivers],
        "status": overall_status(entries),
        "fail_closed": True,
    }
    offenders = pd.concat([finding.offenders.assign(check=check.id) for check, finding in findings], ignore_index=True)
    return certificate, validate(offenders, EVIDENCE)


def run_checks(audited: Audited) -> list[tuple[Check, Finding]]:
    """Every check with what it found, ordered by id; those that are impossible are not run."""
    return [
        (check, Finding("not_run", 0, None, None, audited.impossible[check.id], no_offenders()))
        if check.id in audited.impossible
        else (check, check.run(audited.evidence))
        for check in checks()
    ]


def _entry(check: Check, finding: Finding, may_fail: bool) -> dict[str, Any]:
    offenders = finding.offenders
    sources = sorted({*offenders.source_a, *offenders.source_b} - {""})
    entry = {
        "id": check.id,
        "name": check.name,
        "severity": check.severity,
        "status": finding.status,
        "n_compared": finding.n_compared,
        "units": check.units,
        "statistic": finding.statistic,
        "threshold": finding.threshold,
        "reason": finding.reason or None,
        "offenders": len(offenders),
        "offending_sources": sources[:MOST_SOURCES_NAMED],
    }
    return entry | {"waived": may_fail and binds_and_fails(entry)}


def _parts(evidence: AuditInput) -> dict[str, dict[str, int]]:
    return {
        str(part): {"stimuli": len(rows)} | {f"{label.lower()}_sources": rows[rows.label == label].source_id.nunique() for label in LABELS}
        for part, rows in evidence.stimuli.groupby("part")
    }
