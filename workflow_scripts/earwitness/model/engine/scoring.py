"""Exact answer scores: log-probabilities of both answers in float32, by one encoding of each sound."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from earwitness.audio.io import Waveform
from earwitness.core.errors import InputError
from earwitness.model.engine.features import AudioEmbeddings, encode_waveforms
from earwitness.model.engine.key_value_cache import KeyValueCache
from earwitness.model.engine.prompting import Prompt, TokenisedPrompt, tokenise
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.runtime.device_memory import sent


@dataclass(frozen=True)
class Scores:
    """What one prompt gives for each stimulus; arrays of shape (stimuli,).

    log_odds: SPEECH minus NONSPEECH in nats, option orders averaged. coverage: probability of either answer, averaged.
    letter_bias: half of what the log-odds of "A means speech" exceed those of "B means speech" by, positive where the
    model favours A whatever it means; NaN for formats with one order. n_audio_tokens: audio tokens of each stimulus.
    """

    log_odds: npt.NDArray[np.float64]
    coverage: npt.NDArray[np.float64]
    letter_bias: npt.NDArray[np.float64]
    n_audio_tokens: npt.NDArray[np.int64]


def token_log_probabilities(loaded: LoadedModel, hidden: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of candidate next tokens.

    hidden: (..., hidden size); ids: (..., candidates). The candidates' own logits are computed in float32, where a
    16-bit head would round near ties to equality; the normaliser comes from the head in its own precision.
    """
    return loaded.logits_of(hidden, ids) - loaded.logits(hidden).logsumexp(-1, keepdim=True)


def answer_log_probabilities(loaded: LoadedModel, cache: KeyValueCache, last: torch.Tensor, answers: Sequence[tuple[int, ...]]) -> torch.Tensor:
    """Log-probability of each answer after what was read, float32 (rows, answers).

    last: the last hidden state of each row (rows, hidden size). The probability is that of the answer's tokens,
    whatever may follow them. The cache is left as it was.
    """
    first = sent(torch.tensor([answer[0] for answer in answers]), last.device).expand(len(last), -1)
    columns = list(token_log_probabilities(loaded, last, first).unbind(1))
    for column, answer in enumerate(answers):
        if len(answer) > 1:
            with cache.branch():
                hidden = cache.read(answer[:-1])
            later = sent(torch.tensor(answer[1:]), last.device).expand(len(last), -1)
            columns[column] = columns[column] + token_log_probabilities(loaded, hidden, later[..., None]).squeeze(2).sum(1)
    return torch.stack(columns, dim=1)


class Scorer:
    """Asks a fixed list of prompts about sounds.

    What prompts and option orders have in common is read once: the text before the sound once for all sounds, the sound
    once per text before it, and common beginnings of the texts after it.
    """

    def __init__(self, loaded: LoadedModel, prompts: Sequence[Sequence[TokenisedPrompt]]):
        """prompts: the option orders of each, as `earwitness.model.engine.prompting.tokenise` gives them."""
        self._loaded = loaded
        self._orders = prompts
        by_beginning: dict[tuple[int, ...], set[TokenisedPrompt]] = defaultdict(set)
        for orders in self._orders:
            for order in orders:
                by_beginning[order.before].add(order)
        with torch.inference_mode():
            self._beginnings = [(KeyValueCache(self._loaded, before), orders) for before, orders in by_beginning.items()]

    @torch.inference_mode()
    def __call__(self, audio: AudioEmbeddings) -> list[Scores]:
        """One Scores per prompt, in their order."""
        found: dict[TokenisedPrompt, torch.Tensor] = {}
        for beginning, orders in self._beginnings:
            longest = max(len(order.after) + max(len(order.speech), len(order.nonspeech)) - 1 for order in orders)
            cache = beginning.repeated(len(audio.n_tokens), max(audio.n_tokens) + longest)
            found |= self._ask(cache, {order: order.after for order in orders}, audio)
        return [self._scores(audio, [found[order] for order in orders]) for orders in self._orders]

    def _ask(
        self, cache: KeyValueCache, texts: Mapping[TokenisedPrompt, tuple[int, ...]], audio: AudioEmbeddings | None = None
    ) -> dict[TokenisedPrompt, torch.Tensor]:
        """Log-probabilities of (SPEECH, NONSPEECH) after the audio, if any, and each text, (rows, 2).

        Common beginnings of the texts are read once.
        """
        if len(texts) == 1:
            [(order, text)] = texts.items()
            with cache.branch():
                last = cache.read(text, audio)[:, -1]
                return {order: answer_log_probabilities(self._loaded, cache, last, [order.speech, order.nonspeech])}
        # Every text keeps a token of its own, after which its answer is scored.
        shared = _shared_beginning([text[:-1] for text in texts.values()])
        groups: dict[object, dict[TokenisedPrompt, tuple[int, ...]]] = defaultdict(dict)
        for order, text in texts.items():
            groups[text[shared] if len(text) > shared + 1 else order][order] = text[shared:]
        found: dict[TokenisedPrompt, torch.Tensor] = {}
        with cache.branch():
            if shared or audio is not None:
                cache.read(next(iter(texts.values()))[:shared], audio)
            for group in groups.values():
                found |= self._ask(cache, group)
        return found

    @staticmethod
    def _scores(audio: AudioEmbeddings, answers: Iterable[torch.Tensor]) -> Scores:
        both = torch.stack(list(answers)).double().cpu()
        if both.isnan().any():
            raise InputError("the model answers with NaN: its numbers grow too large on the way; load it in another precision, or name another model")
        odds = both[..., 0] - both[..., 1]
        return Scores(
            log_odds=odds.mean(0).numpy(),
            coverage=both.exp().sum(-1).mean(0).clamp(0, 1).numpy(),
            letter_bias=((odds[0] - odds[1]) / 2 if len(odds) == 2 else torch.full_like(odds[0], np.nan)).numpy(),
            n_audio_tokens=np.asarray(audio.n_tokens, dtype=np.int64),
        )


def _shared_beginning(texts: Sequence[tuple[int, ...]]) -> int:
    """How many first tokens all texts have in common."""
    first, last = min(texts), max(texts)
    return next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))


def score(loaded: LoadedModel, waveforms: Sequence[Waveform], prompt: Prompt) -> Scores:
    """Score one batch of stimuli (16 kHz mono) with one prompt."""
    [scores] = Scorer(loaded, [tokenise(loaded, prompt)])(encode_waveforms(loaded, waveforms))
    return scores
