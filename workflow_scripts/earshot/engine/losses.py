"""The training loss: cross-entropy on the answer's tokens and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn
from transformers import Qwen2AudioForConditionalGeneration

from earshot.engine.prompting import TokenisedPrompt
from earshot.engine.scoring import positions, splice

IGNORED = -100


@dataclass(frozen=True)
class BatchLoss:
    """loss: mean cross-entropy, nats per answer token, float32; accuracy: share of rows whose every answer token is the
    vocabulary's most probable."""

    loss: torch.Tensor
    accuracy: float


def answer_loss(
    model: Qwen2AudioForConditionalGeneration,
    audio: torch.Tensor,
    n_tokens: Sequence[int],
    prompts: Sequence[TokenisedPrompt],
    answers: Sequence[tuple[int, ...]],
) -> BatchLoss:
    """The loss of each row's answer after its prompt and audio.

    audio: (batch, longest, hidden) from `earshot.engine.features.encode`; the other arguments have one item per row.
    The whole vocabulary competes, so probability mass also moves onto the answer's format.
    """
    rows = [replace(prompt, after=prompt.after + answer[:-1]) for prompt, answer in zip(prompts, answers, strict=True)]
    embeddings, mask = splice(model, audio, n_tokens, rows)
    hidden = model.model.language_model(
        inputs_embeds=embeddings, attention_mask=mask, position_ids=positions(mask), use_cache=False
    ).last_hidden_state
    longest = max(map(len, answers))
    labels = torch.tensor([[IGNORED] * (longest - len(answer)) + list(answer) for answer in answers], device=hidden.device)
    logits = model.lm_head(hidden[:, -longest:]).float()
    right = (logits.argmax(-1) == labels) | (labels == IGNORED)
    return BatchLoss(nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED), right.all(1).float().mean().item())
