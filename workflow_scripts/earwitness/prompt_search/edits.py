"""Proposers without a language model: a grammar of phrases, edited by what scored well, or drawn blindly as the control."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from earwitness.core.prompt_text import ANSWER_PLACES, names_all
from earwitness.prompt_search.candidates import canonical, on_one_line, same
from earwitness.prompt_search.proposers import Proposal, ScoredQuestion

DIRECT_QUESTIONS = (
    "Is there human speech in this recording?",
    "Do you hear a person talking?",
    "Does this clip contain a human voice that says words?",
    "Is this sound speech?",
)
"""Questions written by hand, which take part in every search: a plain question is hard to beat (arXiv 2405.10276)."""

PHRASES: dict[str, tuple[str, ...]] = {
    "role": (
        "You are an expert in speech and hearing.",
        "You are a careful listener.",
        "You are a voice activity detector.",
        "You label recordings for a speech corpus.",
    ),
    "attention": (
        "Listen carefully.",
        "Listen to the whole clip before you decide.",
        "Attend to the quietest parts of the sound.",
        "Ignore the background and attend to the foreground.",
        "Think about what produced this sound.",
    ),
    "question": (
        *DIRECT_QUESTIONS,
        "Does this sound contain human speech?",
        "Is someone speaking in this sound?",
        "Can you hear anybody talk, even for a moment?",
        "Decide whether the sound is speech.",
        "Was this sound made by a person who speaks, or by something else?",
        "Is any part of this sound spoken language?",
    ),
    "definition": (
        "Speech means words or syllables spoken by a human, in any language.",
        "A part of a spoken word counts as speech.",
        "Animals, machines, music and weather are not speech.",
        "Speech has syllables, pitch and formants that change over time.",
        "Laughter, coughs and breathing are not speech.",
    ),
    "hint": (
        "The sound may be very short.",
        "The sound may be short and noisy.",
        "There may be noise over the sound.",
        "Most of the clip may be silent.",
        "The voice may be faint.",
    ),
}
"""Slot -> the phrases that may stand in it; a question has at most one phrase per slot, and always one of "question"."""

REWORDED = ("attention", "question")
"""Slots that change the wording and add no knowledge."""

PARENTS = 5
CHILDREN, STRANGERS = 96, 48
"""Edits of the best questions, and designs drawn at random, among which the model chooses."""
PHRASE_SD = 0.05
"""How much balanced accuracy one phrase is expected to move, before any evidence."""

ANSWER = "answer"
"""The slot of how to answer, where a question must name the answers itself."""

Design = tuple[tuple[str, str], ...]
"""Slot and phrase, in the order in which they are asked."""


_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+|\n")


def text_of(design: Design) -> str:
    """The question that a design spells; how to answer begins a line of its own."""
    text = "".join(("\n" if slot == ANSWER else " ") + phrase for slot, phrase in design)
    return text.strip()


def ways_to_answer(answers: tuple[str, ...]) -> tuple[str, ...]:
    """Phrases that name two answers: each is asked after a question that names none."""
    speech, nonspeech = answers
    if answers == tuple(ANSWER_PLACES.values()):
        return (f"{speech}: speech, {nonspeech}: no speech. Answer {speech} or {nonspeech}.",)
    return tuple(f"{how} {speech} or {nonspeech}." for how in ("Answer", "Reply with ONLY one word:", "Answer with one word,"))


def direct_questions(answers: tuple[str, ...]) -> tuple[str, ...]:
    """DIRECT_QUESTIONS, each with how to answer where questions must name the answers."""
    return tuple(f"{question}\n{ways_to_answer(answers)[0]}" for question in DIRECT_QUESTIONS) if answers else DIRECT_QUESTIONS


def _question_and_way(initial: str, answers: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """A question without its last sentences that name all answers, and these; the whole and none where nothing else is left."""
    if answers:
        for cut in reversed(list(_SENTENCE_ENDS.finditer(initial))):
            if names_all(initial[cut.end() :], answers):
                return initial[: cut.start()], (initial[cut.end() :],)
    return initial, ()


class Grammar:
    """The designs that PHRASES and the initial question make.

    answers: those that every question must name (earwitness.core.prompt_text.answers_to_name). Then there is a last slot, ANSWER, that
    every design fills unless another phrase names them; of an initial question in several sentences the last may fill it.
    """

    def __init__(self, initial: str, answers: tuple[str, ...] = ()):
        question, way = _question_and_way(canonical(initial), answers)
        questions = [question, *PHRASES["question"]]
        self._answers = answers
        self.phrases = PHRASES | {"question": tuple({same(question): question for question in questions}.values())}
        if answers:
            self.phrases |= {ANSWER: tuple({same(phrase): phrase for phrase in (*way, *ways_to_answer(answers))}.values())}
        self._columns = {(slot, phrase): place for place, (slot, phrase) in enumerate((s, p) for s in self.phrases for p in self.phrases[s])}

    def parse(self, text: str, used: frozenset[str] = frozenset()) -> Design | None:
        """The design that spells the text, but for white space; None where none does."""
        text = on_one_line(text)
        if not text:
            return () if "question" in used else None
        for slot, phrases in self.phrases.items():
            for phrase in phrases if slot not in used else ():
                beginning = on_one_line(phrase)
                if text == beginning or text.startswith(beginning + " "):
                    rest = self.parse(text[len(beginning) + 1 :], used | {slot})
                    if rest is not None:
                        return ((slot, phrase), *rest)
        return None

    def draw(self, rng: np.random.Generator, slots: Sequence[str]) -> Design:
        """A design of a phrase of "question" and of each other given slot with a chance of one half, in the usual order."""
        chosen = [slot for slot in self.phrases if slot in slots and (slot == "question" or rng.random() < 0.5)]
        return self._complete(rng, tuple((slot, _pick(rng, self.phrases[slot])) for slot in chosen))

    def edit(self, rng: np.random.Generator, parents: Sequence[Design]) -> Design:
        """A parent with a phrase deleted, added, replaced or moved, or crossed with another parent."""
        return self._complete(rng, self._edited(rng, parents))

    def _complete(self, rng: np.random.Generator, design: Design) -> Design:
        """A design that names the answers, where it must."""
        named = names_all(text_of(design), self._answers)
        return design if named else (*design, (ANSWER, _pick(rng, self.phrases[ANSWER])))

    def _edited(self, rng: np.random.Generator, parents: Sequence[Design]) -> Design:
        parent = _pick(rng, parents)
        free = [slot for slot in self.phrases if slot not in dict(parent)]
        optional = [place for place, (slot, _) in enumerate(parent) if slot != "question"]
        kind = _pick(rng, ("delete", "add", "replace", "move", "cross"))
        if kind == "delete" and optional:
            place = _pick(rng, optional)
            return parent[:place] + parent[place + 1 :]
        if kind == "add" and free:
            slot, place = _pick(rng, free), int(rng.integers(len(parent) + 1))
            return (*parent[:place], (slot, _pick(rng, self.phrases[slot])), *parent[place:])
        if kind == "move" and len(parent) > 1:
            first, second = rng.choice(len(parent), 2, replace=False)
            order = list(parent)
            order[first], order[second] = order[second], order[first]
            return tuple(order)
        if kind == "cross":
            other = dict(_pick(rng, parents))
            mixed = {slot: _pick(rng, [d[slot] for d in (dict(parent), other) if slot in d]) for slot in [*dict(parent), *other]}
            return tuple((slot, phrase) for slot, phrase in mixed.items() if slot == "question" or rng.random() < 0.8)
        place = int(rng.integers(len(parent)))
        slot = parent[place][0]
        return (*parent[:place], (slot, _pick(rng, self.phrases[slot])), *parent[place + 1 :])

    def features(self, designs: Sequence[Design]) -> npt.NDArray[np.float64]:
        """One row per design: a constant and an indicator of every phrase."""
        rows = np.zeros((len(designs), 1 + len(self._columns)))
        rows[:, 0] = 1
        for row, design in zip(rows, designs, strict=True):
            row[[1 + self._columns[part] for part in design]] = 1
        return rows


class Edits:
    """Edits of the best questions and strangers, chosen by Thompson sampling from a ridge model of what phrases gain.

    The edits are those of GrIPS (Prasad et al., 2023) with crossover; the model is Bayesian linear regression on the
    phrases, and each choice draws its weights anew, so that what is uncertain is tried.
    """

    attempts = 3

    def __init__(self, initial: str, answers: tuple[str, ...] = ()):
        self._grammar = Grammar(initial, answers)

    def propose(self, history: Sequence[ScoredQuestion], count: int, rng: np.random.Generator) -> list[Proposal]:
        grammar = self._grammar
        known = {same(scored.question) for scored in history}
        spelled = [(scored, design) for scored in history if (design := grammar.parse(scored.question)) is not None]
        parents = [design for _, design in sorted(spelled, key=lambda pair: (-pair[0].gain, -pair[0].margin))[:PARENTS]]
        pool = [grammar.edit(rng, parents) for _ in range(CHILDREN if parents else 0)]
        pool += [grammar.draw(rng, list(grammar.phrases)) for _ in range(STRANGERS)]
        fresh = {same(text_of(design)): design for design in pool}
        designs = [design for name, design in fresh.items() if name not in known]
        mean, spread = self._weights(spelled)
        rows = grammar.features(designs)
        chosen: list[int] = []
        for _ in range(min(count, len(designs))):
            promise = rows @ (mean + spread @ rng.standard_normal(len(mean)))
            promise[chosen] = -np.inf
            chosen.append(int(promise.argmax()))
        return [_proposal(designs[place]) for place in chosen]

    def _weights(self, spelled: Sequence[tuple[ScoredQuestion, Design]]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Posterior mean of what each phrase gains, and a square root of its covariance."""
        rows = self._grammar.features([design for _, design in spelled])
        gains = np.array([scored.gain for scored, _ in spelled])
        weights = np.array([scored.n_stimuli / 0.25 for scored, _ in spelled])
        precision = rows.T @ (weights[:, None] * rows) + np.eye(rows.shape[1]) / PHRASE_SD**2
        covariance = np.linalg.inv(precision)
        return covariance @ (rows.T @ (weights * gains)), np.linalg.cholesky(covariance)


class Paraphrases:
    """The control: wordings of the plain question, drawn without a look at any score."""

    attempts = 3

    def __init__(self, initial: str, answers: tuple[str, ...] = ()):
        self._grammar = Grammar(initial, answers)

    def propose(self, history: Sequence[ScoredQuestion], count: int, rng: np.random.Generator) -> list[Proposal]:
        known = {same(scored.question) for scored in history}
        drawn = [self._grammar.draw(rng, REWORDED) for _ in range(40 * count)]
        fresh = {same(text_of(design)): design for design in drawn}
        return [_proposal(design) for name, design in fresh.items() if name not in known][:count]


def _proposal(design: Design) -> Proposal:
    return Proposal(text_of(design), " | ".join(f"{slot}: {phrase}" for slot, phrase in design))


def _pick(rng: np.random.Generator, items: Sequence[Any]) -> Any:
    return items[int(rng.integers(len(items)))]
