"""The prompt search in words and table rows, as the page prints them."""

from typing import Any

import pandas as pd

from earwitness.report.formats import p_value, percent, points, points_range
from earwitness.report.style import model_name, rows_of
from earwitness.systems import System

_NAMES = {"edits": "edits", "opro": "language model (OPRO)", "paraphrases": "paraphrases (control)"}


def proposer_name(proposer: str) -> str:
    """The name to print."""
    return _NAMES[proposer]


def asked_name(system: System) -> str:
    """The name of what is asked: the base model, or an adapter without its split, which is the grouped one."""
    model = model_name(system)
    if system.kind == "base":
        return model or "base model"
    name = f"adapter {system.name}, seed {system.seed}"
    return f"{model}: {name}" if model else name


def prompt_rows(gains: pd.DataFrame) -> list[dict[Any, Any]]:
    """Rows of the page's table from earwitness.tables.prompt_gains.PROMPT_GAINS, by system, the control last."""
    order = gains.assign(_system=pd.factorize(gains.system_id)[0], _proposer=gains.proposer.map(list(_NAMES).index))
    return order.sort_values(["_system", "_proposer"], kind="stable").drop(columns=["_system", "_proposer"]).to_dict("records")


def prompt_sentences(gains: pd.DataFrame, confidence: float, used: str) -> list[str]:
    """One sentence per system and proposer: the gain on test sources, whether it is told from zero, what choosing alone
    would show, and what it cost; and which question is used, by the proposer that found it, or "none"."""
    sentences = []
    for system, asked in gains.groupby("system_id", sort=False):
        for rows in (asked[asked.proposer == name] for name in _NAMES if (asked.proposer == name).any()):
            sentences.append(_sentence(System.parse(str(system)), rows, confidence))
    if used != "none":
        sentences.append(
            f"Zero-shot prediction and fine-tuning ask the question that {proposer_name(used)} found, of its searches the one that did best on the"
            " development part; folds, which test sources that it was chosen on, ask the configured one."
        )
    return sentences


def _sentence(system: System, rows: pd.DataFrame, confidence: float) -> str:
    together = rows[rows.search_seed == "all"]
    row = rows_of(together if len(together) else rows)[0]
    n_searches = len(rows) - 1 if len(together) else 1
    if not row.n_searched:
        name = proposer_name(row.proposer)
        return (
            f"{name[0].upper()}{name[1:]} contributed nothing: none of its questions could be asked of the {asked_name(system)},"
            " so that what was chosen is the initial question or one written by hand."
        )
    single = rows[rows.search_seed != "all"]
    kept = int((single.origin != "searched").sum())
    text = (
        f"By {proposer_name(row.proposer)}, in {'one search' if n_searches == 1 else f'{n_searches} searches'} of"
        f" {row.n_prompts / n_searches:.0f} questions and {row.n_answers / n_searches:,.0f} answers each, the chosen question gains"
        f" {points(row.difference)} points over the initial question's {percent(row.initial_accuracy)} of the {asked_name(system)} on test sources"
    )
    interval = points_range(row.low, row.high)
    if interval:
        zero = "covers" if row.low <= 0 <= row.high else "does not cover"
        text += f" ({100 * confidence:g} % interval {interval}, which {zero} zero"
        p = f"p {'' if row.p_holm < 0.001 else '= '}{p_value(row.p_holm)} after Holm's correction over proposers and systems"
        text += ")" if pd.isna(row.p_holm) else f"; {p})"
    text += f"; on the search's own stimuli it gained {points(row.search_gain)}"
    if not pd.isna(row.search_optimism):
        text += f", where the best of equally good questions is expected to show {points(row.search_optimism)} over their mean"
    if kept:
        text += f"; in {kept} of {n_searches} the choice was the initial question or one written by hand"
    return text + "."
