"""Is a certificate what an audit of these data would say? Judged from the file and the data alone."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from earwitness.core.errors import InputError
from earwitness.core.files import sha256_of
from earwitness.corpora.text_tables import file_named, read_text_table
from earwitness.leakage.certificate import TUNING, faults_of
from earwitness.leakage.manifests import audio_subject, relative_to_first
from earwitness.leakage.registry import Check
from earwitness.tables.audit_evidence import EVIDENCE
from earwitness.tables.files import read_table

OF_A_SPLIT = ("split", "index", "clips", "recordings", "shards")
"""What the audit of a split of the workflow looks at, whatever is asked of it."""


def files_in(paths: Iterable[Path]) -> list[Path]:
    """Files, and all files below folders, in sorted order. Raises InputError where a path is neither."""
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder; name the data that were audited")
        found += sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return found


def faults(certificate: dict[str, Any], data: Sequence[Path], checks: Sequence[Check], evidence: Path | None, path_column: str) -> list[str]:
    """What speaks against a certificate, a sentence each; none where it agrees with itself and the data.

    certificate: of the schema earwitness.leakage.certificate.CERTIFICATE. data: files among which those that were audited are, by name.
    checks: all of the certificate's stage. evidence: the file (earwitness.tables.audit_evidence.EVIDENCE), where it is at hand. path_column: of
    manifests. The digests are computed afresh. A certificate carries no signature: sign its in-toto statement.
    """
    return [
        *faults_of(certificate),
        *_of_checks(certificate, checks),
        *_of_evidence(certificate, evidence),
        *_of_data(certificate, data, path_column),
    ]


def _of_checks(certificate: dict[str, Any], checks: Sequence[Check]) -> list[str]:
    entries = {entry["id"]: entry for entry in certificate["checks"]}
    found = [f"{check.id} {check.name} is missing" for check in checks if check.severity == "error" and check.id not in entries]
    weakened = [check for check in checks if check.id in entries and entries[check.id]["severity"] != check.severity]
    return found + [f"{check.id} {check.name} is of severity {check.severity}, not {entries[check.id]['severity']}" for check in weakened]


def _of_evidence(certificate: dict[str, Any], evidence: Path | None) -> list[str]:
    if evidence is None:
        return []
    rows = read_table(evidence, EVIDENCE).check.value_counts()
    told = {entry["id"]: entry["offenders"] for entry in certificate["checks"]}
    ids = sorted({*told, *rows.index})
    counts = [f"{id_} has {told.get(id_, 0)} offenders, the evidence lists {rows.get(id_, 0)}" for id_ in ids if told.get(id_, 0) != rows.get(id_, 0)]
    changed = sha256_of(evidence) != certificate["evidence"]["sha256"]
    return counts or [f"the evidence {evidence.name} is not what the audit wrote (its digest differs)"] * changed


def _of_data(certificate: dict[str, Any], data: Sequence[Path], path_column: str) -> list[str]:
    named = defaultdict[str, list[Path]](list)
    for path in data:
        named[path.name].append(path)
    found, manifests = [], []
    for subject in certificate["subject"]:
        if subject["role"] == "audio":
            continue
        candidates = named[subject["name"]]
        matching = [path for path in candidates if sha256_of(path) == subject["sha256"]]
        if not matching:
            how = "is not the one that was audited (its digest differs)" if candidates else "is not among the data"
            found.append(f"{subject['role']} {subject['name']} {how}")
        elif subject["role"] == "manifest":
            manifests.append(matching[0])
    roles = {subject["role"] for subject in certificate["subject"]}
    needed = ("audio",) if "manifest" in roles else () if certificate["split"]["name"] == TUNING else OF_A_SPLIT
    found += [f"it names no {role}, which every audit looks at" for role in needed if role not in roles]
    audio = [subject for subject in certificate["subject"] if subject["role"] == "audio"]
    if audio and not found:
        found += _of_audio(audio[0], manifests, path_column)
    return found


def _of_audio(subject: dict[str, str], manifests: Sequence[Path], path_column: str) -> list[str]:
    files: list[Path] = []
    for manifest in manifests:
        table = read_text_table(manifest, [path_column])
        files += [file_named(manifest.parent, name.strip()) for name in table[path_column]]
    if absent := [path for path in files if not path.is_file()]:
        return [f"audio file {absent[0]} is not there"]
    digests = {path: sha256_of(path) for path in dict.fromkeys(files)}
    heard = audio_subject(dict(zip(relative_to_first(files, manifests[0]), map(digests.__getitem__, files), strict=True)))
    return [] if heard == subject else ["the audio files are not the ones that were audited (their joint digest differs)"]
