"""An audit for other tools: in-toto statement, Croissant with RAI fields, JUnit XML, SARIF.

in-toto    Statement v1 (https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md): the files' digests as subjects, the
           certificate as predicate; what cosign and other tools sign.
Croissant  Croissant 1.0 (https://docs.mlcommons.org/croissant/docs/croissant-spec.html) with Croissant RAI 1.0
           (https://docs.mlcommons.org/croissant/docs/croissant-rai-spec.html): the files with their digests, and what the audit found
           as rai:dataLimitations and rai:dataBiases.
JUnit      the XML that continuous integration reads (https://github.com/testmoapp/junitxml): a test case for each check.
SARIF      2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html): a rule for each check, a result for each finding.
"""

import json
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import pandas as pd

from earwitness.core.terminal_text import printable
from earwitness.leakage.certificate import binds_and_fails
from earwitness.leakage.registry import Check
from earwitness.leakage.verdict import verdict

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:earwitness:leakage-certificate:2"
CROISSANT = "http://mlcommons.org/croissant/1.0"
CROISSANT_RAI = "http://mlcommons.org/croissant/RAI/1.0"
SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context of Croissant 1.0, term by term, which its readers compare."""

FORMATS = {".csv": "text/csv", ".parquet": "application/vnd.apache.parquet", ".json": "application/json", ".py": "text/x-python"}

LEVELS = {"error": "error", "warn": "warning", "info": "note"}
"""Severity of a check -> level of a SARIF result."""

SHORTCUTS = frozenset({"L10", "L17"})
"""Checks that tell of biases: what gives a class or a part away."""


def in_toto(certificate: dict[str, Any]) -> str:
    """A certificate as an in-toto statement (JSON); a subject is named role/name."""
    subject = [{"name": f"{file['role']}/{file['name']}", "digest": {"sha256": file["sha256"]}} for file in certificate["subject"]]
    return _json({"_type": STATEMENT, "subject": subject, "predicateType": PREDICATE, "predicate": certificate})


def croissant(certificate: dict[str, Any]) -> str:
    """What a certificate says of a data set, as Croissant with RAI fields (JSON-LD).

    Licence, citation and address are the publisher's to add: an audit does not know them.
    """
    failed = [check for check in certificate["checks"] if check["status"] in ("fail", "not_run")]
    distribution = [
        {
            "@type": "cr:FileObject",
            "@id": f"{file['role']}/{file['name']}",
            "name": file["name"],
            "description": f"{file['role']}, as it was audited",
            "contentUrl": file["name"],
            "encodingFormat": next((kind for suffix, kind in FORMATS.items() if file["name"].endswith(suffix)), "application/octet-stream"),
            "sha256": file["sha256"],
        }
        for file in certificate["subject"]
        if file["role"] != "audio"
    ]
    parts = [
        f"{part}: {n['stimuli']} items, {n['speech_sources']} speech sources, {n['nonspeech_sources']} others"
        for part, n in certificate["parts"].items()
    ]
    return _json(
        {
            "@context": CONTEXT,
            "@type": "sc:Dataset",
            "name": certificate["split"]["name"],
            "description": f"Parts of a data set of audio. {'; '.join(parts)}. {verdict(certificate)}",
            "conformsTo": [CROISSANT, CROISSANT_RAI],
            "distribution": distribution,
            "rai:dataLimitations": [_sentence(check) for check in failed if check["id"] not in SHORTCUTS] or [verdict(certificate)],
            "rai:dataBiases": [_sentence(check) for check in failed if check["id"] in SHORTCUTS] or ["No check of shortcuts to the class failed."],
            "rai:dataUseCases": ["Training and test of audio models on the parts that were audited" + _unless(certificate)],
        }
    )


def junit(certificate: dict[str, Any], evidence: pd.DataFrame) -> str:
    """An audit as JUnit XML: a check that stops training is a failure, one that is waived or does not apply is skipped.

    evidence: earwitness.tables.audit_evidence.EVIDENCE; the first rows of each check go into its test case.
    """
    checks = certificate["checks"]
    failing = [check for check in checks if binds_and_fails(check) and not check["waived"]]
    skipped = [check for check in checks if check["waived"] or (check["status"] in ("not_run", "not_applicable") and check not in failing)]
    counts = {"tests": str(len(checks)), "failures": str(len(failing)), "errors": "0", "skipped": str(len(skipped))}
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": printable(f"leakage audit of {certificate['split']['name']}"), **counts})
    for check in checks:
        case = ElementTree.SubElement(suite, "testcase", {"classname": "earwitness.audit", "name": f"{check['id']} {check['name']}"})
        if check in failing:
            failure = ElementTree.SubElement(case, "failure", {"message": printable(check["reason"] or check["status"]), "type": check["status"]})
            failure.text = "\n".join(_found(row) for row in evidence[evidence.check == check["id"]].head(20).to_dict("records"))
        elif check in skipped:
            ElementTree.SubElement(case, "skipped", {"message": printable(("waived: " if check["waived"] else "") + (check["reason"] or ""))})
        elif check["status"] == "fail":
            ElementTree.SubElement(case, "system-out").text = printable(f"noted: {check['reason']}")
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def sarif(certificate: dict[str, Any], evidence: pd.DataFrame, checks: Sequence[Check]) -> str:
    """An audit as SARIF: a result for each row of evidence, and for each check that failed without one; the file is the split's.

    A check that may be absent and did not run is a note.

    evidence: earwitness.tables.audit_evidence.EVIDENCE; checks: those that may have run, for what to do about each.
    """
    remedies = {check.id: check.remedy for check in checks}
    entries = [entry for entry in certificate["checks"] if entry["status"] in ("fail", "not_run")]
    rules = [
        {
            "id": entry["id"],
            "name": entry["name"],
            "shortDescription": {"text": entry["question"]},
            "help": {"text": remedies.get(entry["id"], entry["question"])},
            "defaultConfiguration": {"level": LEVELS[entry["severity"]]},
        }
        for entry in certificate["checks"]
    ]
    where = {"physicalLocation": {"artifactLocation": {"uri": certificate["subject"][0]["name"]}}}
    results = []
    for entry in entries:
        may_be_absent = entry["status"] == "not_run" and not entry["required"]
        base = {"ruleId": entry["id"], "level": "note" if may_be_absent else LEVELS[entry["severity"]]}
        if entry["waived"]:
            base["suppressions"] = [{"kind": "external", "justification": w["reason"]} for w in certificate["waivers"] if w["check"] == entry["id"]]
        rows = evidence[evidence.check == entry["id"]].to_dict("records")
        for text, items in [(_found(row), [row["item_a"], row["item_b"]]) for row in rows] or [(printable(entry["reason"] or entry["status"]), [])]:
            names = [{"fullyQualifiedName": printable(item), "kind": "resource"} for item in items if item]
            results.append(base | {"message": {"text": text}, "locations": [where | ({"logicalLocations": names} if names else {})]})
    artifacts = [
        {"location": {"uri": file["name"]}, "hashes": {"sha-256": file["sha256"]}} for file in certificate["subject"] if file["role"] != "audio"
    ]
    run = {"tool": {"driver": {"name": "Earwitness", "rules": rules}}, "artifacts": artifacts, "results": results}
    return _json({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _sentence(check: dict[str, Any]) -> str:
    waived = " (waived)" if check["waived"] else ""
    return printable(f"{check['id']} {check['name']}: {check['reason'] or check['status']}{waived}")


def _unless(certificate: dict[str, Any]) -> str:
    return "." if certificate["status"] == "pass" else ", once they pass: results that rest on them are not to be trusted."


def _found(row: dict[str, Any]) -> str:
    places = [
        f"{row[f'item_{side}'] or row[f'source_{side}']} ({row[f'part_{side}']})" for side in "ab" if row[f"item_{side}"] or row[f"source_{side}"]
    ]
    return printable(": ".join(filter(None, [" and ".join(places), row["detail"]])))
