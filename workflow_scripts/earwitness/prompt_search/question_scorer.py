"""Asking a model many questions about a few stimuli that are encoded and held in memory."""

from collections.abc import Callable, Sequence, Set
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from earwitness.core.errors import InputError
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.prompting import Prompt
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.feature_files import pad
from earwitness.model.prediction import StimulusSource, answer_rows


class QuestionScorer:
    """Scores questions in one answer format; each stimulus is encoded once for all of them."""

    def __init__(
        self,
        model: Callable[[], LoadedModel],
        source: Callable[[LoadedModel], StimulusSource],
        stimuli: Set[str],
        prompt: Prompt,
        batches: Batches,
    ):
        """model: gives the model, which is not kept from one call to the next. source: gives a model its stimuli, once;
        stimuli: those that will be asked about; prompt: whose format counts.

        Raises InputError where a stimulus is not there.
        """
        self._model, self._prompt, self._batches = model, prompt, batches
        loaded = model()
        self._tokenizer = loaded.processor.tokenizer
        self._vectors = _encoded(source(loaded), stimuli, batches.unmeasured())
        if missing := sorted(stimuli - set(self._vectors)):
            raise InputError(f"stimulus {missing[0]} (and {len(missing) - 1} more) is not among those given; make and encode the stimuli again")

    @property
    def special_tokens(self) -> list[str]:
        """Tokens that no question may hold."""
        return sorted(self._tokenizer.get_added_vocab())

    def prompt_id(self, question: str) -> str:
        """The id of the question in this format."""
        return replace(self._prompt, question=question).prompt_id

    def n_tokens(self, question: str) -> int:
        """How many tokens the model reads of the question."""
        return len(self._tokenizer.encode(question, add_special_tokens=False))

    def __call__(self, questions: Sequence[str], stimuli: Sequence[str]) -> npt.NDArray[np.float64]:
        """Log-odds of speech, shape (questions, stimuli)."""
        loaded = self._model()
        held = [(list(stimuli), [self._vectors[name] for name in stimuli])]
        source = StimulusSource(lambda only: iter(held), lambda vectors: pad(vectors, loaded.device))
        prompts = [replace(self._prompt, question=question) for question in questions]
        rows = answer_rows(loaded, source, prompts, self._batches, set(stimuli))
        wide = rows.pivot_table(index="prompt_id", columns="stimulus_id", values="log_odds")
        return wide.loc[[prompt.prompt_id for prompt in prompts], list(stimuli)].to_numpy()


def _encoded(source: StimulusSource, stimuli: Set[str], batches: Batches) -> dict[str, torch.Tensor]:
    """Each stimulus as the language model reads it (n_audio_tokens, hidden size), on the CPU."""
    vectors: dict[str, torch.Tensor] = {}
    for names, items in source.blocks(stimuli):
        rows = [row[:n].cpu() for audio in batches.run(source.encode, items) for row, n in zip(audio.vectors, audio.n_tokens, strict=True)]
        vectors |= zip(names, rows, strict=True)
    return vectors
