"""The ledger in words: what the published study claimed, what this run measured, and what follows."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from earwitness.report.formats import MISSING, decimal, p_value
from earwitness.report.mixed_model_table import WIDEST
from earwitness.report.style import rows_of, without_value
from earwitness.tables.claims import HOLDS, NOT_MEASURABLE, NOT_SETTLED, REFUTED, VERDICTS

_SPACE = "\N{NO-BREAK SPACE}"
_DIGITS = {"ms": 0, "words": 0, "iterations": 0, "": 2}
"""Decimals by unit; 1 of others."""


_WIDEST = {"points": 50.0, "%": 50.0}
"""By unit: from chance to all right is 50 points."""


def claim_groups(claims: pd.DataFrame) -> list[dict[str, Any]]:
    """The page's tables: per group its title and a row per claim.

    claims: earwitness.tables.claims.CLAIMS.
    """
    return [{"title": group, "rows": [_row(row) for row in rows_of(rows)]} for group, rows in claims.groupby("group", sort=False)]


def claims_content(claims: pd.DataFrame) -> dict[str, Any]:
    """What the page's section names: the sentence, the groups with how many came out how, and the rows that a verdict settles."""
    groups = [group | {"counts": _counted(group["rows"])} for group in claim_groups(claims)]
    settled = [row for group in groups for row in group["rows"] if row["verdict"] in (HOLDS, REFUTED)]
    return {"sentence": claims_sentence(claims), "groups": groups, "settled": settled}


def _counted(rows: Sequence[dict[str, Any]]) -> str:
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in VERDICTS}
    return ", ".join(f"{number} {verdict}" for verdict, number in counts.items() if number)


def claims_sentence(claims: pd.DataFrame) -> str:
    """How many claims came out how."""
    counts = claims.verdict.value_counts()
    holds, refuted, open_, others = (int(counts.get(verdict, 0)) for verdict in (HOLDS, REFUTED, NOT_SETTLED, NOT_MEASURABLE))
    unmeasured = int(((claims.verdict == NOT_SETTLED) & claims.value.isna() & claims.p.isna()).sum())
    text = f"Of {len(claims)} claims of the published study, this run finds that {holds} hold and {refuted} do not, and leaves {open_} open"
    text += f", {unmeasured} of them since it did not measure them" if unmeasured else ""
    return text + (f"; {others} are about the published model, which this base is not." if others else ".")


def measured_words(row: Any) -> str:
    """What a run measured, with interval and p; a dash where it measured nothing, words where it tells nothing."""
    p = "" if without_value(row.p) else f"p {_p(row.p)}"
    if without_value(row.value):
        return p or MISSING
    unit = f"{_SPACE}{row.unit}" if row.unit and not math.isinf(row.value) else ""
    text = f"{_number(row.value, row.unit)}{unit}"
    if not without_value(row.low) and math.inf > row.high - row.low > _widest(row):
        return f"{text}, too uncertain to say more" if row.unit in _WIDEST else "too uncertain to say"
    if not (without_value(row.low) or without_value(row.high)) and row.low != row.high:
        text += f" [{_number(row.low, row.unit)},{_SPACE}{_number(row.high, row.unit)}]"
    return f"{text}, {p}" if p else text


def _widest(row: Any) -> float:
    """How wide an interval may be that still tells something."""
    return WIDEST if row.source == "mixed_model_effects" else _WIDEST.get(row.unit, math.inf)


def _p(value: float) -> str:
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"


def _number(value: float, unit: str) -> str:
    if math.isinf(value):
        return f"{'above' if value > 0 else 'below'} the tested range"
    return decimal(value, _DIGITS.get(unit, 1))


def _row(row: Any) -> dict[str, Any]:
    return {
        **{key: getattr(row, key) for key in ("statement", "stated", "where", "quantity", "true_where", "verdict")},
        "measured": measured_words(row),
        "verdict_class": {HOLDS: "pass", REFUTED: "fail"}.get(row.verdict, "quiet"),
        "would_settle": row.would_settle or MISSING,
    }
