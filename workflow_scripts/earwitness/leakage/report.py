"""The audit's report: the certificate and its evidence for readers, as Markdown and as HTML."""

import re
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from earwitness.core.terminal_text import printable
from earwitness.leakage.registry import Check
from earwitness.leakage.verdict import verdict

MOST_ROWS = 20

_MARKUP = re.compile(r"[&<>|`*\[\]\\~$#]|(?<![^\W_])_|_(?![^\W_])")


def escape(text: str) -> str:
    """`text` for any place in Markdown: whatever could be markup or HTML becomes a character reference.

    Underscores inside words are no markup and stay, so that ordinary names can be read in the source too.
    """
    return _MARKUP.sub(lambda match: f"&#{ord(match[0])};", printable(text))


def render_report(certificate: dict[str, Any], evidence: pd.DataFrame, checks: list[Check]) -> str:
    """The report of an audit.

    certificate, evidence: what earwitness.leakage.audit.audit returned; checks: those that it ran, among others.
    """
    registered = {check.id: check for check in checks}
    entries = certificate["checks"]
    sections = [
        f"# Leakage audit: {escape(certificate['split']['name'])}",
        f"**{escape(verdict(certificate))}**",
        *_waivers(certificate),
        "## Parts",
        _table(["part", "stimuli", "speech sources", "non-speech sources"], _part_rows(certificate)),
        "## Checks",
        _table(["check", "question", "compared", "result", "statistic", "limit"], _check_rows(certificate)),
        "A classifier's AUC (L10, L17, L19) beyond its limit passes where chance could explain it.",
    ]
    for check in entries:
        if check["status"] not in ("pass", "not_applicable"):
            sections += _failure(check, registered[check["id"]], evidence[evidence.check == check["id"]])
    sections += _remarks(certificate)
    sections += [
        "## What was audited",
        _table(["what", "file", "SHA-256"], [[file["role"], file["name"], file["sha256"]] for file in certificate["subject"]]),
        "Policy: " + ", ".join(f"{escape(key)} = {escape(str(value))}" for key, value in certificate["policy"]["settings"].items()) + ".",
        "The certificate fails closed: a check that did not run, or that had nothing to compare, counts as failed where it is required.",
    ]
    return "\n\n".join(sections) + "\n"


def render_page(certificate: dict[str, Any], evidence: pd.DataFrame, checks: list[Check]) -> str:
    """The report of an audit (see render_report) as an HTML page that loads nothing; every name out of the data is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["printable"] = lambda value: printable(str(value))
    registered = {check.id: check for check in checks}
    failures = []
    for check in certificate["checks"]:
        found = evidence[evidence.check == check["id"]]
        if check["status"] not in ("pass", "not_applicable"):
            text = {"title": f"{check['id']} {check['name']}: {_result(check)}", "reason": check["reason"] or "no reason given"}
            failures.append(text | {"remedy": _remedy(check, registered[check["id"]]), "rows": _evidence_rows(found), "n": len(found)})
    return environment.get_template("report.html.jinja").render(
        certificate=certificate,
        verdict=verdict(certificate),
        waivers=_waiver_rows(certificate),
        parts=_part_rows(certificate),
        checks=_check_rows(certificate),
        failures=failures,
        remarks=_remark_rows(certificate),
        files=[[file["role"], file["name"], file["sha256"]] for file in certificate["subject"]],
    )


def _remedy(check: dict[str, Any], registered: Check) -> str:
    """What to do about what a check found; a check that did not run says so in its reason."""
    return registered.remedy if check["status"] == "fail" else ""


def _part_rows(certificate: dict[str, Any]) -> list[list[Any]]:
    return [[part, n["stimuli"], n["speech_sources"], n["nonspeech_sources"]] for part, n in certificate["parts"].items()]


def _check_rows(certificate: dict[str, Any]) -> list[list[Any]]:
    return [
        [f"{check['id']} {check['name']}", check["question"], f"{check['n_compared']} {check['units']}", _result(check)]
        + [_number(check[key]) for key in ("statistic", "threshold")]
        for check in certificate["checks"]
    ]


def _evidence_rows(evidence: pd.DataFrame) -> list[list[Any]]:
    return [
        [f"{row.part_a} / {row.part_b}".strip(" /"), row.item_a, row.item_b, row.source_a, row.source_b, row.detail]
        for row in evidence.head(MOST_ROWS).itertuples()
    ]


def _waiver_rows(certificate: dict[str, Any]) -> list[list[str]]:
    used = {check["id"] for check in certificate["checks"] if check["waived"]}
    return [
        [waiver["check"], waiver["reason"], waiver["by"], waiver["expires"], "yes" if waiver["check"] in used else "no, nothing to waive"]
        for waiver in certificate["waivers"]
    ]


def _waivers(certificate: dict[str, Any]) -> list[str]:
    """The waivers, used or not; no section where there are none."""
    rows = _waiver_rows(certificate)
    return ["## Waivers", _table(["check", "reason", "by", "expires", "used"], rows)] if rows else []


def _remark_rows(certificate: dict[str, Any]) -> list[list[str]]:
    return [[f"{check['id']} {check['name']}", remark] for check in certificate["checks"] for remark in check["remarks"]]


def _remarks(certificate: dict[str, Any]) -> list[str]:
    """What checks could not see; no section where there is nothing."""
    rows = _remark_rows(certificate)
    return ["## What the checks could not see", _table(["check", "remark"], rows)] if rows else []


def _failure(check: dict[str, Any], registered: Check, evidence: pd.DataFrame) -> list[str]:
    title = f"## {check['id']} {escape(check['name'])}: {_result(check)}"
    remedy = _remedy(check, registered)
    parts = [title, f"Why: {escape(check['reason'] or 'no reason given')}.", *([f"What to do: {remedy}"] if remedy else [])]
    if len(evidence):
        sources = sorted({*evidence.source_a, *evidence.source_b} - {""})
        if sources:
            more = [f"and {len(sources) - MOST_ROWS} more"] if len(sources) > MOST_ROWS else []
            parts.append(f"Offending sources ({len(sources)}): {', '.join([*map(escape, sources[:MOST_ROWS]), *more])}.")
        parts.append(_table(["parts", "item", "other item", "source", "other source", "found"], _evidence_rows(evidence)))
        if len(evidence) > MOST_ROWS:
            parts.append(f"The first {MOST_ROWS} of {len(evidence)} findings; evidence.csv has all.")
    return parts


def _result(check: dict[str, Any]) -> str:
    if check["waived"]:
        return "WAIVED"
    return {"pass": "pass", "fail": "FAIL" if check["severity"] == "error" else "noted", "not_run": "NOT RUN", "not_applicable": "does not apply"}[
        check["status"]
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _table(header: list[str], rows: list[list[Any]]) -> str:
    cells = [[escape(str(cell)) for cell in row] for row in rows]
    lines = [header, ["---"] * len(header), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
