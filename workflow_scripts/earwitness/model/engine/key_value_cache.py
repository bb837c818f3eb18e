"""What a language model has read: it can read on, forget a branch, and share a common beginning between rows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import DynamicLayer

from earwitness.model.engine.features import AudioEmbeddings
from earwitness.model.engine.prompting import TokenisedPrompt
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.runtime.device_memory import sent


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


def texts_of(loaded: LoadedModel, prompts: Sequence[TokenisedPrompt]) -> Texts:
    """The texts of one prompt per row."""
    ids = [token for prompt in prompts for token in (*prompt.before, *prompt.after)]
    device = loaded.model.get_input_embeddings().weight.device
    return Texts(tuple((len(prompt.before), len(prompt.after)) for prompt in prompts), sent(torch.tensor(ids, dtype=torch.long), device))


def splice(loaded: LoadedModel, audio: AudioEmbeddings, texts: Texts) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Input embeddings with row i's audio inside row i's text, padded on the left.

    Returns embeddings (batch, length, hidden), the tokens' ids (batch, length), the audio token's where there is audio or padding, and the
    attention mask (batch, length).
    """
    rows, tokens, parts = [], [], iter(texts.ids.split([size for span in texts.spans for size in span]))
    sound = loaded.model.config.audio_token_id
    for vectors, n_tokens in zip(audio.vectors, audio.n_tokens, strict=True):
        ids_before, ids_after = next(parts), next(parts)
        before, after = loaded.embed(ids_before), loaded.embed(ids_after)
        rows.append(torch.cat([before, vectors[:n_tokens].to(before.dtype), after]))
        tokens.append(torch.cat([ids_before, ids_before.new_full((n_tokens,), sound), ids_after]))
    length = max(map(len, rows))
    embeddings = torch.stack([torch.nn.functional.pad(row, (0, 0, length - len(row), 0)) for row in rows])
    ids = torch.stack([torch.nn.functional.pad(row, (length - len(row), 0), value=sound) for row in tokens])
    mask = torch.stack([torch.arange(length, device=embeddings.device) >= length - len(row) for row in rows]).long()
    return embeddings, ids, mask


class RoomyLayer(DynamicLayer):
    """Keys and values of one layer with room behind them, so that reading copies only what is new. The library's own layer copies all of them
    every time, an eighth of the time of asking at full size."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, rows: int, room: int):
        """keys, values: (1, heads, tokens, width) of what each of `rows` rows has read; room: tokens that each may read on, at most."""
        super().__init__()
        self.lazy_initialization(keys, values)
        self._all = [states.new_empty(rows, states.shape[1], states.shape[2] + room, states.shape[3]) for states in (keys, values)]
        self.keys, self.values = (places[:, :, :0] for places in self._all)
        self.update(keys, values)

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Write behind what has been read, over what was forgotten (`crop`); gives all that has been read. Raises RuntimeError beyond the room."""
        assert self.keys is not None
        before, new = self.keys.shape[2], key_states.shape[2]
        for places, states in zip(self._all, (key_states, value_states), strict=True):
            # Where there is no room for it, a slice would quietly take no token.
            places.narrow(2, before, new).copy_(states)
        self.keys, self.values = (places.narrow(2, 0, before + new) for places in self._all)
        return self.keys, self.values


class KeyValueCache:
    """The state of a language model after what it has read so far, one row per text."""

    def __init__(self, loaded: LoadedModel, ids: Sequence[int]):
        """Read tokens, as a single row."""
        self._loaded = loaded
        self._cache = loaded.new_cache()
        self._mask = torch.ones(1, 0, dtype=torch.long, device=loaded.device)
        self._padded = False
        if ids:
            self.read(ids)

    def repeated(self, rows: int, room: int) -> "KeyValueCache":
        """A cache of its own with `rows` rows, each of which has read what this single row has.

        room: tokens that each may read on, at most, not counting what was forgotten.
        """
        other = object.__new__(KeyValueCache)
        other._loaded, other._padded = self._loaded, self._padded
        other._mask = self._mask.expand(rows, -1)
        other._cache = self._loaded.new_cache()
        for place, layer in enumerate(self._cache.layers):
            assert isinstance(layer, DynamicLayer)
            if layer.keys is not None and layer.values is not None:
                other._cache.layers[place] = RoomyLayer(layer.keys, layer.values, rows, room)
        return other

    def read(self, ids: Sequence[int], audio: AudioEmbeddings | None = None) -> torch.Tensor:
        """Read row i's audio, if any, and then the same tokens after every row, in one pass.

        Returns the last hidden states (rows, audio's longest + tokens, hidden size).
        """
        rows = len(self._mask)
        tokens = sent(torch.as_tensor(ids, dtype=torch.long), self._loaded.device).expand(rows, -1)
        text = self._loaded.embed(ids).expand(rows, -1, -1)
        if audio is None or not max(audio.n_tokens):
            return self._read(text, tokens, None)
        longest = max(audio.n_tokens)
        tokens = torch.cat([tokens.new_full((rows, longest), self._loaded.model.config.audio_token_id), tokens], dim=1)
        valid = torch.ones(rows, longest + len(ids), dtype=torch.long)
        valid[:, :longest] = torch.arange(longest) < torch.tensor(audio.n_tokens)[:, None]
        embeddings = torch.cat([audio.vectors[:, :longest].to(text.device, text.dtype), text], dim=1)
        return self._read(embeddings, tokens, None if bool(valid.all()) else valid.to(text.device))

    @contextmanager
    def branch(self) -> Iterator[None]:
        """Forget, at the end of the block, what was read in it."""
        mask, padded = self._mask, self._padded
        yield
        self._cache.crop(mask.shape[1] - self._mask.shape[1])
        self._mask, self._padded = mask, padded

    def _read(self, embeddings: torch.Tensor, tokens: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """tokens: (rows, tokens), their ids, as `splice` gives them. valid: (rows, tokens), 0 where a row is padded; None where none is."""
        length = embeddings.shape[1]
        self._padded |= valid is not None
        self._mask = torch.cat([self._mask, self._mask.new_ones(embeddings.shape[:2]) if valid is None else valid], dim=1)
        # Without a mask, attention needs no reading of it and may use faster kernels.
        places = positions(self._mask)[:, -length:] if self._padded else torch.arange(self._mask.shape[1] - length, self._mask.shape[1])[None]
        return self._loaded.read(embeddings, tokens, self._mask if self._padded else None, sent(places, embeddings.device), self._cache)
