"""What every proposer of questions receives and returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class ScoredQuestion:
    """A question that was asked.

    balanced_accuracy: in [0, 1], on the n_stimuli that it was asked about. gain: that minus the initial question's on the same
    stimuli. margin: mean log-odds of the right answer in nats, classes weighing the same.
    """

    question: str
    balanced_accuracy: float
    gain: float
    margin: float
    n_stimuli: int


@dataclass(frozen=True)
class Proposal:
    """text: the question; None where `raw` holds none, and then `fault` says why. raw: what the proposer produced.
    request: what it was asked, where it is a language model."""

    text: str | None
    raw: str
    request: str = ""
    fault: str = ""


class Proposer(Protocol):
    """Proposes questions from those that were asked before.

    Everything that it returns depends on its arguments alone, so that an interrupted search can go on.
    attempts: how often it is asked in one iteration, for what is missing after duplicates and faults.
    """

    attempts: int

    def propose(self, history: Sequence[ScoredQuestion], count: int, rng: np.random.Generator) -> list[Proposal]:
        """About `count` proposals or more, valid or not; fewer where there is nothing left to propose. The first valid ones count."""
        ...
