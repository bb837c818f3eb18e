"""The audit: every check over one split, as a certificate and a table of evidence."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from earshot.files import sha256_of
from earshot.leakage import audio_checks, provenance_checks, structure_checks
from earshot.leakage.certificate import SCHEMA_NAME, overall_status
from earshot.leakage.evidence import AuditInput, Policy, load_audit_input
from earshot.leakage.registry import Check, Finding, registered
from earshot.tables import EVIDENCE, LABELS, validate

FAMILIES = (provenance_checks, audio_checks, structure_checks)
"""The modules whose checks run; importing one registers them."""

MOST_SOURCES_NAMED = 20


def checks() -> list[Check]:
    """Every check of every family, ordered by id."""
    return registered()


def audit_split(split: Path, index: Path, clip_files: list[Path], policy: Policy) -> tuple[dict[str, Any], pd.DataFrame]:
    """Run every check on a split.

    split, index, clip_files: see load_audit_input.
    Returns the certificate (earshot.leakage.certificate.CERTIFICATE) and the evidence (earshot.tables.EVIDENCE), which
    depend on nothing but the content of the files, their base names and the policy.
    Raises InputError where the files cannot be audited; a leak is a finding, not an error.
    """
    evidence = load_audit_input(split, index, clip_files, policy)
    findings = [(check, check.run(evidence)) for check in checks()]
    entries = [_entry(check, finding) for check, finding in findings]
    settings = asdict(policy)
    certificate = {
        "schema": SCHEMA_NAME,
        "split": {"name": split.stem, "sha256": sha256_of(split)},
        "subject": [{"name": path.name, "sha256": sha256_of(path)} for path in (split, index, *clip_files)],
        "policy": {"settings": settings, "sha256": hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()},
        "parts": _parts(evidence),
        "checks": entries,
        "status": overall_status(entries),
        "fail_closed": True,
    }
    offenders = pd.concat([finding.offenders.assign(check=check.id) for check, finding in findings], ignore_index=True)
    return certificate, validate(offenders, EVIDENCE)


def _entry(check: Check, finding: Finding) -> dict[str, Any]:
    offenders = finding.offenders
    sources = sorted({*offenders.source_a, *offenders.source_b} - {""})
    return {
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


def _parts(evidence: AuditInput) -> dict[str, dict[str, int]]:
    return {
        str(part): {"stimuli": len(rows)} | {f"{label.lower()}_sources": rows[rows.label == label].source_id.nunique() for label in LABELS}
        for part, rows in evidence.stimuli.groupby("part")
    }
