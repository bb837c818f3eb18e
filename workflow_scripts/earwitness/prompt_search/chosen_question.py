"""The question that everything after a prompt search asks."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from earwitness.core.errors import InputError


def asked_prompt(prompt: Mapping[str, str], chosen: Path | None) -> dict[str, str]:
    """The configuration's prompt, with the question that a search found in the place of its own where there is one.

    chosen: what choose_prompt wrote; None keeps the configured question.
    Raises InputError where the file holds no question.
    """
    if chosen is None:
        return dict(prompt)
    try:
        question = json.loads(chosen.read_text(encoding="utf-8"))["question"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{chosen}: holds no chosen question ({type(error).__name__}); run choose_prompt again") from error
    return {**prompt, "question": question}


def questions_to_test(initial: str, searches: Sequence[pd.DataFrame]) -> list[str]:
    """The initial question and what each search chose, each once.

    searches: earwitness.tables.prompts.PROMPT_SCORES of every search over one system.
    """
    return list(dict.fromkeys([initial, *(question for scores in searches for question in scores.question[scores.chosen])]))
