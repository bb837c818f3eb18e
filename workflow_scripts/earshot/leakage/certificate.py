"""What a certificate is, and the gate that only a certificate opens.

Training imports this module, so it knows nothing of single checks: a new check must not retrain a model.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema

from earshot.errors import InputError
from earshot.files import sha256_of

SCHEMA_NAME = "leakage-certificate/1"

_DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_COUNT = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string", "minLength": 1}
_STATUS = {"enum": ["pass", "fail"]}


def _record(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties, "additionalProperties": False}


ROLES = ("split", "index", "clips", "recordings", "shards", "manifest", "audio", "fitted", "counterfactuals", "corpora", "code")
"""What the files are for that an audit looks at; manifests and their audio where the split is not Earshot's own."""

_SUBJECT = {"type": "array", "minItems": 1, "items": _record(role={"enum": list(ROLES)}, name=_TEXT, sha256=_DIGEST)}

CERTIFICATE = _record(
    schema={"const": SCHEMA_NAME},
    split=_record(name=_TEXT, sha256=_DIGEST),
    subject=_SUBJECT,
    policy=_record(settings={"type": "object"}, sha256=_DIGEST),
    parts={"type": "object", "additionalProperties": _record(stimuli=_COUNT, speech_sources=_COUNT, nonspeech_sources=_COUNT)},
    checks={
        "type": "array",
        "items": _record(
            id=_TEXT,
            name=_TEXT,
            severity={"enum": ["error", "warn", "info"]},
            status={"enum": ["pass", "fail", "not_run", "not_applicable"]},
            n_compared=_COUNT,
            units=_TEXT,
            statistic={"type": ["number", "null"]},
            threshold={"type": ["number", "null"]},
            reason={"type": ["string", "null"]},
            offenders=_COUNT,
            offending_sources={"type": "array", "items": {"type": "string"}},
            waived={"type": "boolean"},
        ),
    },
    waivers={"type": "array", "items": _record(check=_TEXT, reason=_TEXT, by=_TEXT, expires=_TEXT)},
    status=_STATUS,
    fail_closed={"const": True},
)
"""JSON schema of a certificate."""

GATE = _record(subject=_SUBJECT, certificate_sha256=_DIGEST, status=_STATUS, expected=_STATUS)
"""JSON schema of an open gate; `subject` is that of the certificate."""


def binds_and_fails(check: dict[str, Any]) -> bool:
    """Is a check of severity error, and failed, not run, or run over nothing that it should have looked at?"""
    passed = check["status"] == "not_applicable" or (check["status"] == "pass" and check["n_compared"] > 0)
    return check["severity"] == "error" and not passed


def blocking_checks(checks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The checks of a certificate that stop training: those that bind and fail, unless they are waived."""
    return [check for check in checks if binds_and_fails(check) and not check["waived"]]


def overall_status(checks: list[dict[str, Any]]) -> str:
    """The verdict that follows from a certificate's checks; without any check of severity error it is "fail"."""
    binding = any(check["severity"] == "error" for check in checks)
    return "pass" if binding and not blocking_checks(checks) else "fail"


def printable(text: str) -> str:
    """`text` with control characters and other invisible ones written as escapes, so that a name cannot act on a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def load_certificate(path: Path) -> dict[str, Any]:
    """Read a certificate.

    Raises InputError where it is missing, no JSON, not of the schema, or its verdict does not follow from its checks and
    waivers.
    """
    certificate = _load(path, CERTIFICATE, "leakage certificate", "run the audit again")
    if certificate["status"] != overall_status(certificate["checks"]):
        raise InputError(f"{path}: the status {certificate['status']} does not follow from its checks; run the audit again")
    waived = {waiver["check"] for waiver in certificate["waivers"]}
    for check in certificate["checks"]:
        if check["waived"] != (check["id"] in waived and binds_and_fails(check)):
            raise InputError(f"{path}: that {check['id']} is waived does not follow from its waivers; run the audit again")
    return certificate


def decide_gate(certificate_path: Path, split_path: Path, expected: str, required_checks: list[str]) -> dict[str, Any]:
    """The content of a split's gate file (GATE), where its certificate says what is expected of it.

    expected: "pass", or "fail" for a split that is kept to show a leak: then a check must fail that names sources.
    required_checks: ids that the certificate must hold.
    Raises InputError naming the failed checks and the first offending sources where training must not go on.
    """
    certificate = load_certificate(certificate_path)
    name, digest = printable(certificate["split"]["name"]), sha256_of(_existing(split_path))
    if certificate["split"]["sha256"] != digest:
        raise InputError(f"{certificate_path}: certifies another split than {split_path} (its digest differs); run the audit again")
    missing = sorted(set(required_checks) - {check["id"] for check in certificate["checks"]})
    if missing:
        raise InputError(f"{certificate_path}: lacks check {', '.join(missing)}; run the audit again")

    blocking = blocking_checks(certificate["checks"])
    if expected == "pass" and certificate["status"] != "pass":
        raise InputError(_refusal(name, blocking, certificate_path.with_name("report.md")))
    if expected == "fail" and not any(check["offending_sources"] for check in blocking):
        how = "unexpectedly passed" if certificate["status"] == "pass" else "failed without a leak between sources"
        raise InputError(f"the {name} split {how}; it no longer shows a leak; use more stimuli per source (splits.row_random) or drop its arm")
    return {
        "subject": certificate["subject"],
        "certificate_sha256": sha256_of(certificate_path),
        "status": certificate["status"],
        "expected": expected,
    }


def verify_gate(gate_path: Path, split: Path, shards: Sequence[Path]) -> None:
    """Make sure that a gate was opened for exactly the data that a program is about to use.

    split: the split in use; shards: the stimuli with audio in use. Their digests are computed afresh.
    Raises InputError where the gate is missing or malformed or was opened against its certificate, or naming the first
    file that is not the one that was audited.
    """
    gate = _load(gate_path, GATE, "leakage gate", "run gate_leakage again")
    if gate["status"] != gate["expected"]:
        raise InputError(f"{gate_path}: the audit's status is {gate['status']}, expected {gate['expected']}; run gate_leakage again")
    for role, paths in (("split", [split]), ("shards", shards)):
        audited = {file["sha256"] for file in gate["subject"] if file["role"] == role}
        for path in paths:
            if sha256_of(_existing(path)) not in audited:
                raise InputError(f"{gate_path}: was opened for other data: {path} is not the file that was audited; run the audit and its gate again")


def _refusal(name: str, blocking: list[dict[str, Any]], report: Path, most_sources: int = 5) -> str:
    failed = "; ".join(f"{check['id']} {check['name']}: {printable(check['reason'] or check['status'])}" for check in blocking)
    sources = sorted({source for check in blocking for source in check["offending_sources"]})
    named = ", ".join(map(printable, sources[:most_sources])) + (", ..." if len(sources) > most_sources else "")
    return f"the {name} split fails its leakage audit ({failed}){f'; offending sources: {named}' if sources else ''}; see {report}"


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: no such file; the gate needs the files that were audited")
    return path


def _load(path: Path, schema: dict[str, Any], what: str, remedy: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; {remedy}") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not a {what} ({error}); {remedy}") from error
    problem = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(content))
    if problem is not None:
        raise InputError(f"{path}: not a {what} (at {problem.json_path}: {problem.message[:120]}); {remedy}")
    return content
