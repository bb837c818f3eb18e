"""Exact answer scores: log-probabilities of both answers in float32, by one encoding of each sound."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

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
        before, after = (embed(torch.tensor(part, device=device)) for part in (prompt.before, prompt.after))
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


def answer_log_probabilities(
    model: Qwen2AudioForConditionalGeneration, embeddings: torch.Tensor, mask: torch.Tensor, answers: Sequence[tuple[int, ...]]
) -> torch.Tensor:
    """Log-probability of each answer after each row, float32 (batch, answers).

    The rows are read once; an answer of several tokens continues from a copy of their cache. The probability is that of
    the answer's tokens, whatever may follow them.
    """
    several = any(len(answer) > 1 for answer in answers)
    cache = DynamicCache(config=model.model.language_model.config) if several else None
    output = model.model.language_model(
        inputs_embeds=embeddings, attention_mask=mask, position_ids=positions(mask), past_key_values=cache, use_cache=several
    )
    ids = torch.tensor([answer[0] for answer in answers], device=mask.device).expand(len(mask), -1)
    totals = token_log_probabilities(model, output.last_hidden_state[:, -1], ids)
    return totals + torch.stack([_continuation(model, mask, cache, answer) for answer in answers], dim=1)


def _continuation(model: Qwen2AudioForConditionalGeneration, mask: torch.Tensor, cache: DynamicCache | None, answer: tuple[int, ...]) -> torch.Tensor:
    if len(answer) == 1:
        return torch.zeros(len(mask), device=mask.device)
    ids = torch.tensor(answer, device=mask.device).expand(len(mask), -1)
    longer = torch.cat([mask, torch.ones_like(ids[:, :-1])], dim=1)
    output = model.model.language_model(
        inputs_embeds=model.get_input_embeddings()(ids[:, :-1]),
        attention_mask=longer,
        position_ids=positions(longer)[:, mask.shape[1] :],
        past_key_values=copy.deepcopy(cache),
        use_cache=True,
    )
    return token_log_probabilities(model, output.last_hidden_state, ids[:, 1:, None]).squeeze(2).sum(1)


@torch.inference_mode()
def score(checkpoint: Checkpoint, waveforms: Sequence[Waveform], prompt: Prompt) -> Scores:
    """Score one batch of stimuli (16 kHz mono) with one prompt."""
    model = checkpoint.model
    mel, lengths = log_mel(checkpoint.processor.feature_extractor, waveforms)
    audio = encode(model, mel, lengths)
    n_tokens = (lengths // 2).tolist()
    log_odds, coverage = [], []
    for order in tokenise(checkpoint.processor, prompt):
        embeddings, mask = splice(model, audio, n_tokens, [order] * len(waveforms))
        both = answer_log_probabilities(model, embeddings, mask, [order.speech, order.nonspeech]).double().cpu()
        log_odds.append(both[:, 0] - both[:, 1])
        coverage.append(both.exp().sum(1))
    return Scores(torch.stack(log_odds).mean(0).numpy(), torch.stack(coverage).mean(0).clamp(0, 1).numpy(), np.asarray(n_tokens, dtype=np.int64))
