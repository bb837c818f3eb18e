"""Stimuli and simulated answers to prompts, for the tests of the prompt search."""

import functools
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from earwitness.core.randomness import stream
from earwitness.prompt_search.edits import DIRECT_QUESTIONS, Edits
from earwitness.prompt_search.search import Ask, QuestionLimits, SearchResult, SearchSettings, SearchTask, search
from earwitness.prompt_search.stimulus_sampling import StimulusSample, sample_stimuli
from earwitness.systems import BASE
from earwitness.tables.files import validate
from earwitness.tables.predictions import PREDICTIONS, answered_by
from earwitness.tables.splits import SPLIT

INITIAL_QUESTION = "Does this sound contain human speech?"
SMALL = SearchSettings(iterations=3, candidates=6, finalists=3)
LIMITS = QuestionLimits(500)
PARTS = {"train": range(0, 12), "dev": range(12, 20), "test": range(20, 34)}


@functools.cache
def study() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Index and split, not to be changed: per class 34 sources of 2 x 3 conditions."""
    rows = [
        (f"{label[0]}{source}-{duration}-{snr}", f"{label}{source}", f"{label}{source}", label, duration, float(snr), part)
        for label in ("SPEECH", "NONSPEECH")
        for part, sources in PARTS.items()
        for source in sources
        for duration in (200, 1000)
        for snr in (0, 10, 20)
    ]
    table = pd.DataFrame(rows, columns=["stimulus_id", "clip_id", "source_id", "label", "duration_ms", "snr_db", "part"])
    return table.drop(columns="part"), table[list(SPLIT.columns)]


def answers(seed: int, skill: Callable[[str], float] = lambda question: 1.0) -> Ask:
    """Log-odds that depend on source, stimulus and chance; `skill` is the mean log-odds of the right answer to a question.

    What a question draws for a stimulus does not depend on what else is asked.
    """
    index, _ = study()
    place = {name: k for k, name in enumerate(index.stimulus_id)}
    sign = np.where(index.label == "SPEECH", 1.0, -1.0)
    shared = stream(seed, "stimuli").normal(0, 0.6, len(index))
    _, codes = np.unique(index.source_id, return_inverse=True)
    by_source = stream(seed, "sources").normal(0, 0.6, codes.max() + 1)[codes]
    drawn: dict[str, np.ndarray] = {}

    def ask(questions: Sequence[str], stimuli: Sequence[str]) -> np.ndarray:
        for question in questions:
            if question not in drawn:
                rng = stream(seed, question)
                own = rng.normal(0, 0.4, codes.max() + 1)[codes] + rng.normal(0, 0.6, len(index))
                drawn[question] = sign * (skill(question) + shared + by_source + own)
        return np.array([drawn[question][[place[name] for name in stimuli]] for question in questions])

    return ask


@functools.cache
def samples(seed: int, stimuli: int = 48) -> tuple[StimulusSample, StimulusSample]:
    """What the search of a seed asks about, and what it chooses on."""
    index, split = study()
    return sample_stimuli(index, split, "train", stimuli, seed, "train"), sample_stimuli(index, split, "dev", 64, seed, "dev")


def run(ask, seed=1, proposer=None, settings=SMALL, resume=None, stimuli=48) -> SearchResult:
    """One search in `study`."""
    task = SearchTask(INITIAL_QUESTION, DIRECT_QUESTIONS, *samples(seed, stimuli), LIMITS)
    return search(task, proposer or Edits(INITIAL_QUESTION), ask, settings, lambda iteration: stream(seed, "search", iteration), resume)


def predictions(ask: Ask, question: str, prompt_id: str) -> pd.DataFrame:
    """earwitness.tables.predictions.PREDICTIONS of one question about every stimulus."""
    index, _ = study()
    [log_odds] = ask([question], list(index.stimulus_id))
    rows = pd.DataFrame({"stimulus_id": index.stimulus_id, "log_odds": log_odds, "answer": np.where(log_odds > 0, "SPEECH", "NONSPEECH")})
    rows = rows.assign(prompt_id=prompt_id, coverage=np.nan, letter_bias=np.nan, n_audio_tokens=None)
    return validate(answered_by(rows, BASE), PREDICTIONS)
