"""Searching for a question: candidates are proposed, asked about more and more stimuli while they do well, and chosen on other sources."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from earwitness.core.errors import InputError
from earwitness.core.progress import Progress
from earwitness.prompt_search.candidates import canonical, fault, same
from earwitness.prompt_search.proposers import Proposal, Proposer, ScoredQuestion
from earwitness.prompt_search.selection_bias import expected_optimism
from earwitness.prompt_search.stimulus_sampling import StimulusSample
from earwitness.runtime.saved_state import SavedState
from earwitness.tables.files import validate
from earwitness.tables.prompts import PROMPT_SCORES

Ask = Callable[[Sequence[str], Sequence[str]], npt.NDArray[np.float64]]
"""Questions and stimulus ids -> log-odds of speech, shape (questions, stimuli)."""

RUNGS = (0.25, 0.5, 1.0)
"""Shares of the stimuli after which the worse half of an iteration's candidates is dropped."""


@dataclass(frozen=True)
class SearchSettings:
    """How far a search goes. iterations: rounds; candidates: new questions in each. finalists: searched questions that reach the
    development sample, beside the initial question and the questions written by hand."""

    iterations: int
    candidates: int
    finalists: int


@dataclass(frozen=True)
class QuestionLimits:
    """What a question may be: its longest text, the tokens of the model's tokenizer that it may not hold, and the answers that it must
    name."""

    most_characters: int
    special_tokens: Collection[str] = ()
    answers: tuple[str, ...] = ()


@dataclass(frozen=True)
class SearchTask:
    """What is searched for.

    initial, direct: questions that are asked about every stimulus of both samples, whatever they score. sample: the stimuli that
    questions are searched on; development: those that one is chosen on, of other sources.
    """

    initial: str
    direct: Sequence[str]
    sample: StimulusSample
    development: StimulusSample
    limits: QuestionLimits


@dataclass(frozen=True)
class Trial:
    """A question and its answers: log_odds about the first stimuli of the search's sample, development about those of the
    other sample, where it got so far. origin: "initial", "direct" (written by hand) or "searched"."""

    question: str
    origin: str
    iteration: int
    log_odds: tuple[float, ...]
    development: tuple[float, ...] = ()


@dataclass(frozen=True)
class SearchResult:
    """trials: all questions, the initial question first. best: the place of the chosen one among them. archive: one record per proposal, with
    the request, what came back and why it was turned down. optimism, development_optimism: gains expected without any
    difference between prompts, of the best of all on the search's stimuli and of the best finalist on the others."""

    trials: tuple[Trial, ...]
    best: int
    archive: tuple[dict[str, Any], ...]
    optimism: float
    development_optimism: float

    @property
    def chosen(self) -> Trial:
        """The question to go on with."""
        return self.trials[self.best]


def accuracy_and_margin(log_odds: npt.ArrayLike, speech: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Balanced accuracy, and the mean log-odds of the right answer in nats with classes weighing the same.

    speech: the classes of at least as many stimuli; those of the first count. A tie answers "no speech".
    """
    values = np.asarray(log_odds, dtype=np.float64)
    of_class = speech[: len(values)]
    right = (values > 0) == of_class
    towards = np.where(of_class, values, -values)
    accuracy, margin = (float((part[of_class].mean() + part[~of_class].mean()) / 2) for part in (right, towards))
    return accuracy, margin


def score_trials(trials: Sequence[Trial], speech: npt.NDArray[np.bool_]) -> list[ScoredQuestion]:
    """What proposers see of the trials; the first of them is the initial question, asked about every stimulus."""
    scored = []
    for trial in trials:
        count = len(trial.log_odds)
        accuracy, margin = accuracy_and_margin(trial.log_odds, speech)
        gain = round(accuracy - accuracy_and_margin(trials[0].log_odds[:count], speech)[0], 12)
        scored.append(ScoredQuestion(trial.question, accuracy, gain, margin, count))
    return scored


def rungs(count: int) -> list[int]:
    """After how many of `count` stimuli candidates are dropped; all even, so that both classes are there."""
    return sorted({min(count, max(2, 2 * math.ceil(share * count / 2))) for share in RUNGS})


def successive_halving(questions: Sequence[str], ask: Ask, sample: StimulusSample) -> list[tuple[float, ...]]:
    """Log-odds of each question about as many stimuli as it was kept for.

    Successive halving (Karnin, Koren and Somekh, 2013, Almost optimal exploration in multi-armed bandits): after each rung the
    better half goes on, ranked by balanced accuracy and then by margin, so that nothing is asked twice and most is spent on what
    does well.
    """
    answers: list[tuple[float, ...]] = [()] * len(questions)
    running = list(range(len(questions)))
    asked = 0
    for rung in rungs(len(sample.ids)):
        found = ask([questions[k] for k in running], sample.ids[asked:rung])
        for k, row in zip(running, found, strict=True):
            answers[k] += tuple(map(float, row))
        asked = rung
        ranked = sorted(running, key=lambda k: accuracy_and_margin(answers[k], sample.speech), reverse=True)
        running = sorted(ranked[: math.ceil(len(ranked) / 2)])
    return answers


def collect_candidates(
    proposer: Proposer, history: Sequence[ScoredQuestion], count: int, limits: QuestionLimits, rng: np.random.Generator
) -> tuple[list[str], list[dict[str, Any]]]:
    """Up to `count` new valid questions, and a record of every proposal."""
    known = {same(scored.question) for scored in history}
    questions: list[str] = []
    records = []
    for attempt in range(proposer.attempts):
        missing = count - len(questions)
        for proposal in proposer.propose(history, missing, rng) if missing else ():
            reason = _turned_down(proposal, known, limits)
            if not reason and len(questions) == count:
                reason = "more than was asked for"
            if not reason:
                questions.append(canonical(proposal.text or ""))
                known.add(same(proposal.text or ""))
            records.append({"attempt": attempt} | asdict(proposal) | {"fault": reason})
    return questions, records


def _turned_down(proposal: Proposal, known: Collection[str], limits: QuestionLimits) -> str:
    if proposal.text is None:
        return proposal.fault
    text = canonical(proposal.text)
    return fault(text, limits.most_characters, limits.special_tokens, limits.answers) or ("asked before" if same(text) in known else "")


def search(
    task: SearchTask,
    proposer: Proposer,
    ask: Ask,
    settings: SearchSettings,
    rng_of: Callable[[int], np.random.Generator],
    resume: SavedState | None = None,
) -> SearchResult:
    """Search for a question on a sample of stimuli, and choose among the best on the development sample.

    rng_of: the random stream of an iteration. resume: where the state goes after every iteration; a search that finds one goes
    on from there to the same result. The choice is by balanced accuracy, then margin; the earlier question wins a tie.
    Raises InputError where the two samples share a source.
    """
    sample = task.sample
    if shared := sorted(set(sample.sources) & set(task.development.sources)):
        raise InputError(f"source {shared[0]} is both searched and chosen on; make the split again")
    saved = None if resume is None else resume.load()
    if saved is None:
        fixed = [task.initial, *(text for text in task.direct if same(text) != same(task.initial))]
        answers = ask(fixed, sample.ids)
        origins = ["initial"] + ["direct"] * (len(fixed) - 1)
        trials = [Trial(text, origin, 0, tuple(map(float, row))) for text, origin, row in zip(fixed, origins, answers, strict=True)]
        archive: list[dict[str, Any]] = []
        done = 0
    else:
        progress = saved[1]
        trials = [Trial(**(trial | {"log_odds": tuple(trial["log_odds"]), "development": ()})) for trial in progress["trials"]]
        archive, done = progress["archive"], progress["done"]
    left = range(done + 1, settings.iterations + 1)
    for iteration in Progress(left, initial=done, total=settings.iterations, desc="searching for a question", unit="iterations"):
        questions, records = collect_candidates(proposer, score_trials(trials, sample.speech), settings.candidates, task.limits, rng_of(iteration))
        archive += [{"iteration": iteration} | record for record in records]
        answered = successive_halving(questions, ask, sample) if questions else []
        trials += [Trial(text, "searched", iteration, row) for text, row in zip(questions, answered, strict=True)]
        if resume is not None:
            resume.save({}, {"done": iteration, "trials": [asdict(trial) for trial in trials], "archive": archive})
    return _choose(trials, archive, ask, task, settings.finalists)


def _choose(trials: list[Trial], archive: list[dict[str, Any]], ask: Ask, task: SearchTask, finalists: int) -> SearchResult:
    sample, development = task.sample, task.development
    complete = [k for k, trial in enumerate(trials) if len(trial.log_odds) == len(sample.ids)]
    searched = [k for k in complete if trials[k].origin == "searched"]
    searched.sort(key=lambda k: accuracy_and_margin(trials[k].log_odds, sample.speech), reverse=True)
    chosen = sorted([k for k in complete if trials[k].origin != "searched"] + searched[:finalists])
    for k, row in zip(chosen, ask([trials[k].question for k in chosen], development.ids), strict=True):
        trials[k] = replace(trials[k], development=tuple(map(float, row)))
    best = max(chosen, key=lambda k: (accuracy_and_margin(trials[k].development, development.speech), -k))
    return SearchResult(
        tuple(trials),
        best,
        tuple(archive),
        expected_optimism([_right(trials[k].log_odds, sample) for k in complete], sample.speech, sample.sources, len(trials)),
        expected_optimism([_right(trials[k].development, development) for k in chosen], development.speech, development.sources, len(chosen)),
    )


def _right(log_odds: Sequence[float], sample: StimulusSample) -> npt.NDArray[np.bool_]:
    return (np.array(log_odds) > 0) == sample.speech


def score_table(found: SearchResult, task: SearchTask, name: Callable[[str], str], length: Callable[[str], int]) -> pd.DataFrame:
    """earwitness.tables.prompts.PROMPT_SCORES without proposer and seed; name and length: a question's prompt_id and its tokens."""
    rows = []
    scores = score_trials(found.trials, task.sample.speech)
    for place, (trial, score) in enumerate(zip(found.trials, scores, strict=True)):
        later = accuracy_and_margin(trial.development, task.development.speech) if trial.development else (math.nan, math.nan)
        rows.append(
            {
                "iteration": trial.iteration,
                "origin": trial.origin,
                "prompt_id": name(trial.question),
                "question": trial.question,
                "n_characters": len(trial.question),
                "n_tokens": length(trial.question),
                "n_stimuli": score.n_stimuli,
                "balanced_accuracy": score.balanced_accuracy,
                "margin": score.margin,
                "gain": score.gain,
                "n_development": len(trial.development),
                "development_balanced_accuracy": later[0],
                "development_margin": later[1],
                "chosen": place == found.best,
            }
        )
    return validate(pd.DataFrame(rows), PROMPT_SCORES)
