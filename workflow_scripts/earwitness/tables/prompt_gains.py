"""Tables of what prompt searches gain."""

import pandera.pandas as pa

from earwitness.tables.columns import count, number, schema, share, text
from earwitness.tables.prompts import ORIGINS, PROMPT_SCORES

_PROPOSERS = ["edits", "opro", "paraphrases"]
_PROMPT_SEARCH = {"system_id": text(), "proposer": pa.Column(str, pa.Check.isin(_PROPOSERS)), "search_seed": text()}
"""system_id: "base", or the adapter that was asked."""

PROMPT_HISTORY = schema("prompt_history", {**_PROMPT_SEARCH, **PROMPT_SCORES.columns})
"""PROMPT_SCORES of every search."""

PROMPT_CONDITIONS = schema(
    "prompt_conditions",
    {
        "system_id": text(),
        "proposer": pa.Column(str, pa.Check.isin(["-", *_PROPOSERS])),
        "duration_ms": pa.Column(int, pa.Check.gt(0)),
        "snr_db": number(),
        "balanced_accuracy": share(),
        "n_items": count(),
    },
)
"""Balanced accuracy of every system on the test part, by duration and SNR: with the initial question (proposer "-") and
with those chosen by each proposer, the mean over its searches."""

PROMPT_GAINS = schema(
    "prompt_gains",
    {
        **_PROMPT_SEARCH,
        "prompt_id": text(),
        "question": text(),
        "origin": pa.Column(str, pa.Check.isin([*ORIGINS, "-"])),
        "n_prompts": count(),
        "n_searched": count(),
        "n_answers": count(),
        "search_gain": number(),
        "search_optimism": number(nullable=True),
        "development_gain": number(),
        "development_optimism": number(nullable=True),
        "initial_accuracy": share(),
        "initial_low": share(nullable=True),
        "initial_high": share(nullable=True),
        "balanced_accuracy": share(),
        "accuracy_low": share(nullable=True),
        "accuracy_high": share(nullable=True),
        "difference": number(),
        "low": number(nullable=True),
        "high": number(nullable=True),
        "p_clustered_t": share(nullable=True),
        "n_items": count(),
        "n_sources": count(),
        "reliability": pa.Column(str, pa.Check.isin(["ok", "few_sources", "descriptive_only"])),
    },
)
"""What each search's chosen question gains over the initial question on the test part, which no search saw: one row per search and,
where a proposer has several over one system, one over them (search_seed "all", prompt_id, question and origin "-").
origin: where the chosen question comes from. n_searched: of n_prompts, those that the proposer wrote. difference: balanced accuracy
minus the initial question's on the same stimuli; every interval, and p, clustered by source and, over all searches, by search.
search_gain, development_gain: the same on the stimuli of the search and of the choice; optimism: the gain expected there
if all questions were equally good (earwitness.prompt_search.selection_bias). n_prompts and n_answers: what the search cost."""
