"""Tables of what prompt searches gain."""

from earwitness.tables import meanings
from earwitness.tables.columns import choice, count, duration_ms, number, reliability, schema, share, text
from earwitness.tables.prompts import ORIGINS, PROMPT_SCORES

_PROPOSERS = ["edits", "opro", "paraphrases"]
_ASKED = "the system that is asked: `base` or an adapter"
_PROMPT_SEARCH = {
    "system_id": text(means=_ASKED),
    "proposer": choice(_PROPOSERS, means="what wrote new questions"),
    "search_seed": text(means="seed of the search; `all`: over all of a proposer's searches"),
}

PROMPT_HISTORY = schema("prompt_history", {**_PROMPT_SEARCH, **PROMPT_SCORES.columns})
"""Every question of every search."""

PROMPT_CONDITIONS = schema(
    "prompt_conditions",
    {
        "system_id": text(means=_ASKED),
        "proposer": choice(["-", *_PROPOSERS], means="whose chosen questions, mean over its searches; `-` for the initial question"),
        "duration_ms": duration_ms(),
        "snr_db": number(means=meanings.SNR, unit="dB"),
        "balanced_accuracy": share(means="balanced accuracy on the test part"),
        "n_items": count(means=meanings.N_ITEMS),
    },
)
"""Accuracy on the test part by duration and SNR, with the initial question and with those chosen."""

_OPTIMISM = "gain that the best question would be expected to show there if all were equally good"

PROMPT_GAINS = schema(
    "prompt_gains",
    {
        **_PROMPT_SEARCH,
        "prompt_id": text(means=meanings.PROMPT + ", with the chosen question; `-` over all searches"),
        "question": text(means="the chosen question; `-` over all searches"),
        "origin": choice([*ORIGINS, "-"], means="where the chosen question comes from: `initial`, `direct` (written by hand), `searched`"),
        "n_prompts": count(means="questions that were scored"),
        "n_searched": count(means="those of them that the proposer wrote"),
        "n_answers": count(means="answers that the search cost"),
        "search_gain": number(means="balanced accuracy minus the initial question's, on the stimuli of the search"),
        "search_optimism": number(means=_OPTIMISM, nullable=True),
        "development_gain": number(means="the same gain on the development stimuli that the choice was made on"),
        "development_optimism": number(means=_OPTIMISM, nullable=True),
        "initial_accuracy": share(means="balanced accuracy of the initial question on the test part"),
        "initial_low": share(means=meanings.LOW, nullable=True),
        "initial_high": share(means=meanings.HIGH, nullable=True),
        "balanced_accuracy": share(means="balanced accuracy of the chosen question on the test part"),
        "accuracy_low": share(means=meanings.LOW, nullable=True),
        "accuracy_high": share(means=meanings.HIGH, nullable=True),
        "difference": number(means="chosen minus initial question on the same test stimuli"),
        "low": number(means="lower end of the difference's interval, clustered by source (and by search, over all)", nullable=True),
        "high": number(means="upper end of the same interval", nullable=True),
        "p_clustered_t": share(means=meanings.P_CLUSTERED, nullable=True),
        "p_holm": share(
            means="the same p after Holm's correction over the rows of all systems of a model and all proposers (over all searches, or the"
            " only one), or, of single searches beside them, over those",
            nullable=True,
        ),
        "n_items": count(means=meanings.N_ITEMS),
        "n_sources": count(means=meanings.N_SOURCES),
        "reliability": reliability(),
    },
)
"""What each search's chosen question gains over the initial question on the test part, which no search saw: one row per search and,
where a proposer has several over one system, one over them."""
