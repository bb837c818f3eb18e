"""What a certificate is, and the verdict that follows from its checks.

Training reads gates that certificates opened, so this module knows nothing of single checks: a new check must not retrain a model.
"""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from earwitness.core.errors import InputError
from earwitness.core.json_files import COUNT, DIGEST, TEXT, load_record, record_schema

SCHEMA_NAME = "leakage-certificate/3"

TUNING = "tuning"
"""The name of the audit of what was fitted, where a split's audit has that of the split."""

STATUS = {"enum": ["pass", "fail"]}

OF_SPLITS = ("split", "index", "clips", "recordings", "shards", "segments", "fold", "manifest", "audio", "voices")
ROLES = (*OF_SPLITS, "tuning", "counterfactuals", "untrained", "corpora", "code")
"""What the files are for that an audit looks at; manifests and their audio where the split is not Earwitness's own; voices: the speaker model."""

SUBJECT = {"type": "array", "minItems": 1, "items": record_schema(role={"enum": list(ROLES)}, name=TEXT, sha256=DIGEST)}

CERTIFICATE = record_schema(
    schema={"const": SCHEMA_NAME},
    split=record_schema(name=TEXT, sha256=DIGEST),
    subject=SUBJECT,
    policy=record_schema(settings={"type": "object"}, sha256=DIGEST),
    parts={"type": "object", "additionalProperties": record_schema(stimuli=COUNT, speech_sources=COUNT, nonspeech_sources=COUNT)},
    checks={
        "type": "array",
        "items": record_schema(
            id=TEXT,
            name=TEXT,
            question=TEXT,
            severity={"enum": ["error", "warn", "info"]},
            required={"type": "boolean"},
            status={"enum": ["pass", "fail", "not_run", "not_applicable"]},
            n_compared=COUNT,
            units=TEXT,
            statistic={"type": ["number", "null"]},
            threshold={"type": ["number", "null"]},
            reason={"type": ["string", "null"]},
            offenders=COUNT,
            offending_sources={"type": "array", "items": {"type": "string"}},
            remarks={"type": "array", "items": TEXT},
            waived={"type": "boolean"},
        ),
    },
    evidence=record_schema(rows=COUNT, sha256=DIGEST),
    waivers={"type": "array", "items": record_schema(check=TEXT, reason=TEXT, by=TEXT, expires=TEXT)},
    status=STATUS,
    fail_closed={"const": True},
)
"""JSON schema of a certificate."""


def binds_and_fails(check: dict[str, Any]) -> bool:
    """Is a check of severity error, and did it fail, not run although it is required, or run over nothing?"""
    passed = check["status"] == "not_applicable" or (check["status"] == "pass" and check["n_compared"] > 0)
    passed = passed or (check["status"] == "not_run" and not check["required"])
    return check["severity"] == "error" and not passed


def blocking_checks(checks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The checks of a certificate that stop training: those that bind and fail, unless they are waived."""
    return [check for check in checks if binds_and_fails(check) and not check["waived"]]


def overall_status(checks: list[dict[str, Any]]) -> str:
    """The verdict that follows from a certificate's checks; without any check of severity error it is "fail"."""
    binding = any(check["severity"] == "error" for check in checks)
    return "pass" if binding and not blocking_checks(checks) else "fail"


def faults_of(certificate: dict[str, Any]) -> list[str]:
    """What in a certificate does not follow from what it says elsewhere, a clause each; none where it agrees with itself."""
    faults = [f"{id_} is there {count} times" for id_, count in Counter(check["id"] for check in certificate["checks"]).items() if count > 1]
    waived = {waiver["check"] for waiver in certificate["waivers"]}
    if certificate["status"] != overall_status(certificate["checks"]):
        faults.append(f"the status {certificate['status']} does not follow from its checks")
    for check in certificate["checks"]:
        if check["waived"] != (check["id"] in waived and binds_and_fails(check)):
            faults.append(f"that {check['id']} is waived does not follow from its waivers")
        if check["status"] == "pass" and check["offenders"]:
            faults.append(f"{check['id']} passes with {check['offenders']} offenders")
    if certificate["policy"]["sha256"] != policy_digest(certificate["policy"]["settings"]):
        faults.append("the digest of its policy is of other settings")
    if certificate["evidence"]["rows"] != sum(check["offenders"] for check in certificate["checks"]):
        faults.append("its evidence has another number of rows than its checks have offenders")
    if certificate["split"]["sha256"] != certificate["subject"][0]["sha256"]:
        faults.append("its split is not its first subject")
    return faults


def policy_digest(settings: dict[str, Any]) -> str:
    """SHA-256 of what an audit tolerates."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def load_certificate(path: Path) -> dict[str, Any]:
    """Read a certificate.

    Raises InputError where it is missing, no JSON, not of the schema, or does not agree with itself (see faults_of).
    """
    certificate = load_record(path, CERTIFICATE, "a leakage certificate", "run the audit again")
    if faults := faults_of(certificate):
        raise InputError(f"{path}: {faults[0]}; run the audit again")
    return certificate
