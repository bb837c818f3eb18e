"""How well speech is found in whole recordings, in a sentence and in rows."""

from typing import Any

import pandas as pd

from earwitness.evaluation.detection import MADE_BY
from earwitness.report.formats import counted, percent_range
from earwitness.report.style import in_order, rows_of, system_name, without_value
from earwitness.systems import System


def detection_rows(detection: pd.DataFrame) -> list[dict[Any, Any]]:
    """Rows of the page's table, in the order of systems, of every rule; those without annotated speech are left out.

    detection: earwitness.tables.detection.DETECTION.
    """
    order = {str(system): place for place, system in enumerate(in_order(detection.system_id))}
    rows = detection[detection.error_rate.notna()].to_dict("records")
    return sorted(rows, key=lambda row: (order[row["system_id"]], row["rule"]))


def detection_sentence(detection: pd.DataFrame) -> str:
    """The detection error rate of what this study hands over, and the lowest of a classic detector; empty where nothing was annotated.

    Detectors that made the annotation are named as such, and are no comparison.
    """
    known = detection[detection.error_rate.notna()]
    judges = [str(system) for system, rows in known.groupby("system_id", sort=False) if (rows.shared_boundaries >= MADE_BY).any()]
    known = known[~known.system_id.isin(judges)]
    made = "".join(_made_by(system) for system in judges)
    known = known.sort_values("rule", ascending=False, kind="stable")  # tuned, then own
    ours = [row for row in rows_of(known) if System.parse(row.system_id).kind != "detector"]
    others = [row for row in rows_of(known.sort_values("error_rate", kind="stable")) if System.parse(row.system_id).kind == "detector"]
    found = [f"{system_name(System.parse(row.system_id))} {_rate(row)}" for row in [*ours[:1], *others[:1]]]
    if not found:
        return made.strip()
    row = rows_of(known)[0]
    where = f"In {counted(row.n_recordings, 'test recording')} of {counted(row.n_sources, 'source')}, {row.speech_s:,.0f} s of speech"
    return f"{where}, the detection error rate (missed speech and false alarms, over speech) is {'; '.join(found)}.{made}"


def _made_by(system: str) -> str:
    name = system_name(System.parse(system))
    return f" The annotation was made with {name}, whose boundaries it has; that one's error rate says nothing here."


def _rate(row: Any) -> str:
    interval = "" if without_value(row.low) else f" {percent_range(row.low, row.high)}"
    return f"{100 * row.error_rate:.1f}\N{NO-BREAK SPACE}%{interval} ({row.rule})"
