"""What a language model has read: it can read on, forget a branch, and share a common beginning between rows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from transformers import DynamicCache, Qwen2AudioForConditionalGeneration
from transformers.cache_utils import DynamicLayer

from earwitness.model.engine.features import AudioEmbeddings
from earwitness.model.engine.prompting import TokenisedPrompt


def embed(model: Qwen2AudioForConditionalGeneration, ids: Sequence[int] | torch.Tensor) -> torch.Tensor:
    """Input embeddings (tokens, hidden size) on the device of the language model, wherever their table is kept."""
    table = model.model.language_model.embed_tokens
    return table(torch.as_tensor(ids, dtype=torch.long, device=table.weight.device)).to(model.lm_head.weight.device)


def positions(mask: torch.Tensor) -> torch.Tensor:
    """Position ids that count each row's own tokens from 0, as generate() does."""
    return (mask.cumsum(-1) - 1).clamp(min=0)


@dataclass(frozen=True)
class Texts:
    """The text around each sound of a batch.

    spans: each row's numbers of tokens before and after its sound; ids: all these tokens, row after row, where the table
    of embeddings is.
    """

    spans: tuple[tuple[int, int], ...]
    ids: torch.Tensor


def texts_of(model: Qwen2AudioForConditionalGeneration, prompts: Sequence[TokenisedPrompt]) -> Texts:
    """The texts of one prompt per row."""
    ids = [token for prompt in prompts for token in (*prompt.before, *prompt.after)]
    device = model.model.language_model.embed_tokens.weight.device
    return Texts(tuple((len(prompt.before), len(prompt.after)) for prompt in prompts), torch.tensor(ids, dtype=torch.long, device=device))


def splice(model: Qwen2AudioForConditionalGeneration, audio: AudioEmbeddings, texts: Texts) -> tuple[torch.Tensor, torch.Tensor]:
    """Input embeddings with row i's audio inside row i's text, padded on the left.

    Returns embeddings (batch, length, hidden) and the attention mask (batch, length).
    """
    rows, parts = [], iter(texts.ids.split([size for span in texts.spans for size in span]))
    for vectors, n_tokens in zip(audio.vectors, audio.n_tokens, strict=True):
        before, after = embed(model, next(parts)), embed(model, next(parts))
        rows.append(torch.cat([before, vectors[:n_tokens].to(before.dtype), after]))
    length = max(map(len, rows))
    embeddings = torch.stack([torch.nn.functional.pad(row, (0, 0, length - len(row), 0)) for row in rows])
    mask = torch.stack([torch.arange(length, device=embeddings.device) >= length - len(row) for row in rows]).long()
    return embeddings, mask


class KeyValueCache:
    """The state of a language model after what it has read so far, one row per text."""

    def __init__(self, model: Qwen2AudioForConditionalGeneration, ids: Sequence[int]):
        """Read tokens, as a single row."""
        self._model = model
        self._cache = DynamicCache(config=model.model.language_model.config)
        self._mask = torch.ones(1, 0, dtype=torch.long, device=model.lm_head.weight.device)
        self._padded = False
        if ids:
            self.read(ids)

    def repeated(self, rows: int) -> "KeyValueCache":
        """A cache of its own with `rows` rows, each of which has read what this single row has."""
        other = object.__new__(KeyValueCache)
        other._model, other._padded = self._model, self._padded
        other._mask = self._mask.expand(rows, -1)
        other._cache = DynamicCache(config=self._model.model.language_model.config)
        for mine, theirs in zip(self._cache.layers, other._cache.layers, strict=True):
            assert isinstance(mine, DynamicLayer)
            assert isinstance(theirs, DynamicLayer)
            if mine.keys is not None and mine.values is not None:
                theirs.lazy_initialization(mine.keys, mine.values)
                theirs.keys, theirs.values = mine.keys.expand(rows, -1, -1, -1), mine.values.expand(rows, -1, -1, -1)
        return other

    def read(self, ids: Sequence[int], audio: AudioEmbeddings | None = None) -> torch.Tensor:
        """Read row i's audio, if any, and then the same tokens after every row, in one pass.

        Returns the last hidden states (rows, audio's longest + tokens, hidden size).
        """
        rows = len(self._mask)
        text = embed(self._model, ids).expand(rows, -1, -1)
        if audio is None or not max(audio.n_tokens):
            return self._read(text, None)
        longest = max(audio.n_tokens)
        valid = torch.ones(rows, longest + len(ids), dtype=torch.long)
        valid[:, :longest] = torch.arange(longest) < torch.tensor(audio.n_tokens)[:, None]
        embeddings = torch.cat([audio.vectors[:, :longest].to(text.device, text.dtype), text], dim=1)
        return self._read(embeddings, None if bool(valid.all()) else valid.to(text.device))

    @contextmanager
    def branch(self) -> Iterator[None]:
        """Forget, at the end of the block, what was read in it."""
        mask, padded = self._mask, self._padded
        yield
        self._cache.crop(mask.shape[1] - self._mask.shape[1])
        self._mask, self._padded = mask, padded

    def _read(self, embeddings: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """valid: (rows, tokens), 0 where a row is padded; None where none is."""
        length = embeddings.shape[1]
        self._padded |= valid is not None
        self._mask = torch.cat([self._mask, self._mask.new_ones(embeddings.shape[:2]) if valid is None else valid], dim=1)
        # Without a mask, attention needs no reading of it and may use faster kernels.
        places = positions(self._mask)[:, -length:] if self._padded else torch.arange(self._mask.shape[1] - length, self._mask.shape[1])[None]
        output = self._model.model.language_model(
            inputs_embeds=embeddings,
            attention_mask=self._mask if self._padded else None,
            position_ids=places.to(embeddings.device),
            past_key_values=self._cache,
            use_cache=True,
        )
        return output.last_hidden_state
