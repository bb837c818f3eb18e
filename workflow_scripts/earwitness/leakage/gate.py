"""The gate that only a certificate opens, and that training asks for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from earwitness.core.errors import InputError
from earwitness.core.files import sha256_of, write_json
from earwitness.core.json_files import DIGEST, load_record, record_schema
from earwitness.core.terminal_text import printable
from earwitness.leakage.certificate import STATUS, SUBJECT, TUNING, blocking_checks, load_certificate

GATE = record_schema(subject=SUBJECT, certificate_sha256=DIGEST, status=STATUS, expected=STATUS)
"""JSON schema of an open gate; `subject` is that of the certificate."""


def decide_gate(certificate_path: Path, split_path: Path, expected: str, required_checks: list[str]) -> dict[str, Any]:
    """The content of a gate file (GATE), where the certificate says what is expected of it.

    split_path: the split that was audited; of the second audit, the split that said what may be fitted on which part.
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
        raise _refusal(name, blocking, certificate_path.with_name("report.md"))
    if expected == "fail" and not any(check["offending_sources"] for check in blocking):
        how = "unexpectedly passed" if certificate["status"] == "pass" else "failed without a leak between sources"
        raise InputError(f"the {name} split {how}; it no longer shows a leak; use more stimuli per source (splits.row_random) or drop its arm")
    return {
        "subject": certificate["subject"],
        "certificate_sha256": sha256_of(certificate_path),
        "status": certificate["status"],
        "expected": expected,
    }


def open_gate(gate: Path, certificate: Path, split: Path, expected: str, required_checks: list[str]) -> None:
    """Write a gate's file; arguments and errors are those of decide_gate."""
    # A gate that an earlier audit opened must not outlive a refusal.
    gate.unlink(missing_ok=True)
    write_json(gate, decide_gate(certificate, split, expected, required_checks))


def verify_gate(gate_path: Path, split: Path, shards: Sequence[Path]) -> None:
    """Make sure that a gate was opened for exactly the data that a program is about to use.

    split: the split in use; shards: the stimuli with audio in use. Their digests are computed afresh.
    Raises InputError where the gate is missing or malformed or was opened against its certificate, or where there are no shards; and where a file
    is not the one that was audited, naming the first.
    """
    gate = load_record(gate_path, GATE, "a leakage gate", "run gate_leakage again")
    if gate["status"] != gate["expected"]:
        raise InputError(f"{gate_path}: the audit's status is {gate['status']}, expected {gate['expected']}; run gate_leakage again")
    if not shards:
        raise InputError(f"{gate_path}: no stimuli were named to be compared with what was audited; name the shards in use")
    for role, paths in (("split", [split]), ("shards", shards)):
        audited = {file["sha256"] for file in gate["subject"] if file["role"] == role}
        for path in paths:
            if sha256_of(_existing(path)) not in audited:
                raise InputError(f"{gate_path}: was opened for other data: {path} is not the file that was audited; run the audit and its gate again")


def _refusal(name: str, blocking: list[dict[str, Any]], report: Path, most_sources: int = 5) -> InputError:
    failed = "; ".join(f"{check['id']} {check['name']}: {printable(check['reason'] or check['status'])}" for check in blocking)
    sources = sorted({source for check in blocking for source in check["offending_sources"]})
    named = ", ".join(map(printable, sources[:most_sources])) + (", ..." if len(sources) > most_sources else "")
    audited = "what was fitted" if name == TUNING else f"the {name} split"
    proposed = sources and name != TUNING and not name.startswith("fold_")
    remedy = f"; what must stay together for it to pass: snakemake --cores 1 results/proposals/{name}, and splits.ties" if proposed else ""
    return InputError(f"{audited} fails its leakage audit ({failed}){f'; offending sources: {named}' if sources else ''}; see {report}{remedy}")


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: no such file; the gate needs the files that were audited")
    return path
