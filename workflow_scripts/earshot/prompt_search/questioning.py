"""Asking a model many questions about a few stimuli that are encoded and held in memory."""

from collections.abc import Sequence, Set
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from earshot.asking import Sounds, ask
from earshot.encoding import pad, read_features
from earshot.engine.batching import Batches
from earshot.engine.checkpoint import Checkpoint
from earshot.engine.prompting import Prompt
from earshot.errors import InputError


class Questioner:
    """Scores questions in one answer format by the engine's sweep: each sound is heard once for all of them."""

    def __init__(self, checkpoint: Checkpoint, files: Sequence[Path], stimuli: Set[str], prompt: Prompt, batches: Batches):
        """files: features (earshot.encoding); stimuli: those that will be asked about; prompt: whose format counts.

        Raises InputError where a stimulus is in no file.
        """
        self._checkpoint, self._prompt, self._batches = checkpoint, prompt, batches
        self._vectors = {name: row for names, rows in read_features(checkpoint, files, stimuli) for name, row in zip(names, rows, strict=True)}
        if missing := sorted(stimuli - set(self._vectors)):
            raise InputError(f"stimulus {missing[0]} (and {len(missing) - 1} more) is in no file of features; encode the stimuli again")

    @property
    def special_tokens(self) -> list[str]:
        """Tokens that no question may hold."""
        return sorted(self._checkpoint.processor.tokenizer.get_added_vocab())

    def prompt_id(self, question: str) -> str:
        """The id of the question in this format."""
        return replace(self._prompt, question=question).prompt_id

    def n_tokens(self, question: str) -> int:
        """How many tokens the model reads of the question."""
        return len(self._checkpoint.processor.tokenizer.encode(question, add_special_tokens=False))

    def __call__(self, questions: Sequence[str], stimuli: Sequence[str]) -> npt.NDArray[np.float64]:
        """Log-odds of speech, shape (questions, stimuli)."""
        rows = self.predictions(questions, stimuli)
        wide = rows.pivot_table(index="prompt_id", columns="stimulus_id", values="log_odds")
        return wide.loc[[self.prompt_id(question) for question in questions], list(stimuli)].to_numpy()

    def predictions(self, questions: Sequence[str], stimuli: Sequence[str]) -> pd.DataFrame:
        """earshot.tables.predictions.PREDICTIONS of every question and stimulus."""
        held = [(list(stimuli), [self._vectors[name] for name in stimuli])]
        sounds = Sounds(lambda only: iter(held), lambda vectors: pad(vectors, self._checkpoint.model.lm_head.weight.device))
        prompts = [replace(self._prompt, question=question) for question in questions]
        return ask(self._checkpoint, sounds, prompts, "base", None, self._batches, set(stimuli))
