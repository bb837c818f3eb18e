"""Training losses over the answer's tokens, or over all text as an ablation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn

from earwitness.model.engine.features import AudioEmbeddings
from earwitness.model.engine.key_value_cache import Texts, positions, splice, texts_of
from earwitness.model.engine.prompting import TokenisedPrompt
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.runtime.device_memory import sent


@dataclass(frozen=True)
class BatchLoss:
    """loss: mean over the counted tokens, nats, float32; accuracy: share of rows whose every answer token is the
    vocabulary's most probable. Both without dimensions."""

    loss: torch.Tensor
    accuracy: torch.Tensor


@dataclass(frozen=True)
class TrainingTargets:
    """Texts that end with their answers, and which of their tokens count.

    spans: as in `earwitness.model.engine.key_value_cache.Texts`. tensors: "ids" likewise; "places", where a counted token is predicted, in the
    padded rows one after another; "targets", these tokens; "rows", the row of each that belongs to the answer, the number
    of rows for others. The last three are on the device of the language model.
    """

    spans: tuple[tuple[int, int], ...]
    tensors: dict[str, torch.Tensor]


def training_targets(
    loaded: LoadedModel,
    n_tokens: Sequence[int],
    prompts: Sequence[TokenisedPrompt],
    answers: Sequence[tuple[int, ...]],
    on: Literal["answer", "text"],
) -> TrainingTargets:
    """One prompt and one answer per sound of n_tokens audio tokens.

    on: "answer" counts the answer's tokens alone; "text" every token of text, the prompt's too.
    """
    asked = [replace(prompt, after=prompt.after + answer[:-1]) for prompt, answer in zip(prompts, answers, strict=True)]
    length = max(len(prompt.before) + n + len(prompt.after) for prompt, n in zip(asked, n_tokens, strict=True))
    counted: list[tuple[int, int, int]] = []
    for row, (n, prompt, answer) in enumerate(zip(n_tokens, asked, answers, strict=True)):
        text = [*prompt.before, *[None] * n, *prompt.after, answer[-1]]
        first = len(text) - len(answer) if on == "answer" else 1
        for place, token in enumerate(text[first:], start=(row + 1) * length - len(text) + first):
            if token is not None:
                counted.append((place, token, row if place > (row + 1) * length - 1 - len(answer) else len(prompts)))
    places, targets, rows = sent(torch.tensor(counted).T.contiguous(), loaded.device)
    texts = texts_of(loaded, asked)
    return TrainingTargets(texts.spans, {"ids": texts.ids, "places": places, "targets": targets, "rows": rows})


def answer_loss(loaded: LoadedModel, audio: AudioEmbeddings, given: TrainingTargets, focal_gamma: float = 0.0) -> BatchLoss:
    """The loss of each row's answer after its prompt and audio.

    The whole vocabulary competes, so probability mass also moves onto the answer's format. focal_gamma: 0 is cross-entropy;
    above 0, tokens that are already probable count less (focal loss, Lin et al. 2017).
    """
    places, targets, rows = (given.tensors[name] for name in ("places", "targets", "rows"))
    embeddings, ids, mask = splice(loaded, audio, Texts(given.spans, given.tensors["ids"]))
    padded = len({sum(span) + n for span, n in zip(given.spans, audio.n_tokens, strict=True)}) > 1
    hidden = loaded.read(embeddings, ids, mask if padded else None, positions(mask))
    logits = loaded.logits(hidden.flatten(0, 1)[places])
    surprise = nn.functional.cross_entropy(logits, targets, reduction="none")
    weights = -torch.expm1(-surprise) if focal_gamma else None
    wrong = (logits.argmax(-1) != targets).float()
    wrong_in_row = wrong.new_zeros(len(mask) + 1).index_add(0, rows, wrong)[:-1]
    return BatchLoss((surprise if weights is None else weights**focal_gamma * surprise).mean(), (wrong_in_row == 0).double().mean())
