"""Training losses over the answer's tokens, or over all text as an ablation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn
from transformers import Qwen2AudioForConditionalGeneration

from earshot.engine.features import AudioEmbeddings
from earshot.engine.prompting import TokenisedPrompt
from earshot.engine.reading import positions, splice

IGNORED = -100


@dataclass(frozen=True)
class Loss:
    """What is minimised.

    on: "answer" counts the answer's tokens alone; "text" every token of text, the prompt's too.
    focal_gamma: 0 is cross-entropy; above 0, tokens that are already probable count less (focal loss, Lin et al. 2017).
    """

    on: Literal["answer", "text"] = "answer"
    focal_gamma: float = 0.0


@dataclass(frozen=True)
class BatchLoss:
    """loss: mean over the counted tokens, nats, float32; accuracy: share of rows whose every answer token is the
    vocabulary's most probable."""

    loss: torch.Tensor
    accuracy: float


def answer_loss(
    model: Qwen2AudioForConditionalGeneration,
    audio: AudioEmbeddings,
    prompts: Sequence[TokenisedPrompt],
    answers: Sequence[tuple[int, ...]],
    kind: Loss,
) -> BatchLoss:
    """The loss of each row's answer after its prompt and audio; one prompt and one answer per row.

    The whole vocabulary competes, so probability mass also moves onto the answer's format.
    """
    rows = [replace(prompt, after=prompt.after + answer[:-1]) for prompt, answer in zip(prompts, answers, strict=True)]
    embeddings, mask = splice(model, audio, rows)
    targets = torch.full(mask.shape, IGNORED)
    for target, n_tokens, prompt, answer in zip(targets, audio.n_tokens, prompts, answers, strict=True):
        text = [*prompt.before, *[IGNORED] * n_tokens, *prompt.after, *answer][1:]
        counted = len(answer) if kind.on == "answer" else len(text)
        target[-counted:] = torch.tensor(text[-counted:])
    targets = targets.to(mask.device)
    hidden = model.model.language_model(
        inputs_embeds=embeddings, attention_mask=None if bool(mask.all()) else mask, position_ids=positions(mask), use_cache=False
    ).last_hidden_state
    counts = targets != IGNORED
    logits = model.lm_head(hidden[counts]).float()
    surprise = nn.functional.cross_entropy(logits, targets[counts], reduction="none")
    weights = -torch.expm1(-surprise) if kind.focal_gamma else None
    right = torch.ones_like(counts)
    right[counts] = logits.argmax(-1) == targets[counts]
    correct = sum(bool(row[-len(answer) :].all()) for row, answer in zip(right.cpu(), answers, strict=True))
    return BatchLoss((surprise if weights is None else weights**kind.focal_gamma * surprise).mean(), correct / len(answers))
