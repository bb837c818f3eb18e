"""Exact answer scores: log-probabilities of both answers in float32, by one encoding of each sound."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import numpy.typing as npt
import torch
from transformers import DynamicCache, Qwen2AudioForConditionalGeneration

from earshot.audio import Waveform
from earshot.engine.checkpoint import Checkpoint
from earshot.engine.features import encode, log_mel
from earshot.engine.prompting import Prompt, TokenisedPrompt, tokenise


@dataclass(frozen=True)
class Scores:
    """log_odds: SPEECH minus NONSPEECH in nats, option orders averaged; coverage: probability of either answer,
    averaged; n_audio_tokens; each of shape (stimuli,)."""

    log_odds: npt.NDArray[np.float64]
    coverage: npt.NDArray[np.float64]
    n_audio_tokens: npt.NDArray[np.int64]


def splice(
    model: Qwen2AudioForConditionalGeneration, audio: torch.Tensor, n_tokens: Sequence[int], prompts: Sequence[TokenisedPrompt]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Input embeddings with row i's audio inside row i's prompt, padded on the left.

    audio: (batch, longest, hidden) from `encode`; n_tokens: valid audio tokens per row; prompts: one per row.
    Returns embeddings (batch, length, hidden) and the attention mask (batch, length).
    """
    embed = model.get_input_embeddings()
    device = model.device
    rows = []
    for i, prompt in enumerate(prompts):
        before, after = (embed(torch.tensor(part, dtype=torch.long, device=device)) for part in (prompt.before, prompt.after))
        rows.append(torch.cat([before, audio[i, : n_tokens[i]].to(before.dtype), after]))
    length = max(map(len, rows))
    embeddings = torch.stack([torch.nn.functional.pad(row, (0, 0, length - len(row), 0)) for row in rows])
    mask = torch.stack([torch.arange(length, device=device) >= length - len(row) for row in rows]).long()
    return embeddings, mask


def positions(mask: torch.Tensor) -> torch.Tensor:
    """Position ids that count each row's own tokens from 0, as generate() does."""
    return (mask.cumsum(-1) - 1).clamp(min=0)


def token_log_probabilities(model: Qwen2AudioForConditionalGeneration, hidden: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of candidate next tokens.

    hidden: (..., hidden size); ids: (..., candidates). The candidates' own logits are computed in float32, where a
    16-bit head would round near ties to equality; the normaliser comes from the head in its own precision.
    """
    logits = torch.einsum("...h,...kh->...k", hidden.float(), model.lm_head.weight[ids].float())
    return logits - model.lm_head(hidden).float().logsumexp(-1, keepdim=True)


class Reading:
    """What the language model has read of each row so far; it can read on, and forget what it read in a branch."""

    def __init__(self, model: Qwen2AudioForConditionalGeneration, embeddings: torch.Tensor, mask: torch.Tensor):
        self._model = model
        self._cache = DynamicCache(config=model.model.language_model.config)
        self._mask = mask[:, :0]
        self._read(embeddings, mask)

    def read(self, ids: Sequence[int]) -> torch.Tensor:
        """Read the same tokens after every row; their last hidden states (batch, tokens, hidden size)."""
        rows = torch.tensor(ids, device=self._mask.device).expand(len(self._mask), -1)
        return self._read(self._model.get_input_embeddings()(rows), torch.ones_like(rows))

    @contextmanager
    def branch(self) -> Iterator[None]:
        """Forget, at the end of the block, what was read in it."""
        mask = self._mask
        yield
        self._cache.crop(mask.shape[1] - self._mask.shape[1])
        self._mask = mask

    def _read(self, embeddings: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        self._mask = torch.cat([self._mask, mask], dim=1)
        output = self._model.model.language_model(
            inputs_embeds=embeddings,
            attention_mask=self._mask,
            position_ids=positions(self._mask)[:, -mask.shape[1] :],
            past_key_values=self._cache,
            use_cache=True,
        )
        return output.last_hidden_state


def answer_log_probabilities(
    model: Qwen2AudioForConditionalGeneration, reading: Reading, question: Sequence[int], answers: Sequence[tuple[int, ...]]
) -> torch.Tensor:
    """Log-probability of each answer after what was read and the question's tokens, float32 (batch, answers).

    It is that of the answer's tokens, whatever may follow them. The reading is left as it was.
    """
    with reading.branch():
        last = reading.read(question)[:, -1]
        first = torch.tensor([answer[0] for answer in answers], device=last.device).expand(len(last), -1)
        columns = list(token_log_probabilities(model, last, first).unbind(1))
        for column, answer in enumerate(answers):
            if len(answer) > 1:
                with reading.branch():
                    hidden = reading.read(answer[:-1])
                later = torch.tensor(answer[1:], device=last.device).expand(len(last), -1)
                columns[column] = columns[column] + token_log_probabilities(model, hidden, later[..., None]).squeeze(2).sum(1)
    return torch.stack(columns, dim=1)


@torch.inference_mode()
def score(checkpoint: Checkpoint, waveforms: Sequence[Waveform], prompt: Prompt) -> Scores:
    """Score one batch of stimuli (16 kHz mono) with one prompt.

    Each sound is encoded once, and option orders that differ only after it share the reading of what comes before.
    """
    model = checkpoint.model
    mel, lengths = log_mel(checkpoint.processor.feature_extractor, waveforms)
    audio = encode(model, mel, lengths)
    n_tokens = (lengths // 2).tolist()
    log_odds, coverage = [], []
    for _, orders in groupby(tokenise(checkpoint.processor, prompt), key=lambda order: order.before):
        reading = None
        for order in orders:
            reading = reading or Reading(model, *splice(model, audio, n_tokens, [replace(order, after=())] * len(waveforms)))
            both = answer_log_probabilities(model, reading, order.after, [order.speech, order.nonspeech]).double().cpu()
            log_odds.append(both[:, 0] - both[:, 1])
            coverage.append(both.exp().sum(1))
    return Scores(torch.stack(log_odds).mean(0).numpy(), torch.stack(coverage).mean(0).clamp(0, 1).numpy(), np.asarray(n_tokens, dtype=np.int64))
