"""What the engine asks of an audio language model in memory, and what most families answer."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from jinja2 import TemplateError
from torch import nn
from transformers import AutoProcessor, DynamicCache

from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.core.errors import InputError
from earwitness.runtime.device_memory import sent

LORA_MATRIX = ".lora_"
"""In the name of every matrix that peft adds to a module."""

Scope = Literal["published", "language_model"]

HOP = 160
"""Samples from one frame of a spectrogram to the next, at 16 kHz."""


@dataclass(frozen=True)
class LoadedModel(ABC):
    """A model in memory with its processor, ready to answer. Each family is a subclass; what it does not define is as here.

    base_sha256: the identity of the base model's files, adapter or not (earwitness.model.identity).
    """

    model: Any
    processor: Any
    base_sha256: str

    checkpoint: ClassVar[type[Any]]
    """The library's class that the weights are loaded into."""
    processor_class: ClassVar[type[Any]]
    tokenizer_files: ClassVar[tuple[str, ...]] = ("tokenizer.json", "tokenizer_config.json")
    """What must be there for the processor, beside the configuration of its feature extractor."""
    tower_name: ClassVar[str] = "model.audio_tower"
    projector_name: ClassVar[str] = "model.multi_modal_projector"
    language_model_name: ClassVar[str] = "model.language_model"
    head_name: ClassVar[str] = "lm_head"
    fixed_in_tower: ClassVar[tuple[str, ...]] = ()
    """Weights of the tower that no training changes, such as tables of positions."""
    unasked: ClassVar[tuple[str, ...]] = ()
    """Modules that a question about a sound never reaches, and that are let go once loaded."""
    other_parts: ClassVar[tuple[str, ...]] = ()
    """Beginnings of the names of a checkpoint's weights that belong to parts nobody is asked here, and that are not loaded."""
    parts_of_config: ClassVar[tuple[str, ...]] = ()
    """Parts that config.json must have for a checkpoint to hear, where the family has checkpoints that do not."""
    attention: ClassVar[str | dict[str, str]] = "sdpa"
    """How the library computes attention; where parts of config.json are named, it chooses for the others."""
    fused_norms: ClassVar[tuple[type[nn.Module], ...]] = ()
    """Root-mean-square norms (weight, and variance_epsilon or eps) that torch's one kernel replaces where they have a weight."""
    records_passes: ClassVar[bool] = True
    """Can a training pass that hears be recorded as a CUDA graph? Not where hearing copies numbers to the CPU."""
    mixes_lengths: ClassVar[bool] = True
    """Does a sound give the same beside longer ones in a batch? If not, the engine puts only sounds of one length into a batch."""

    # The module tree.

    @property
    def tower(self) -> Any:
        """The module that hears."""
        return self.model.get_submodule(self.tower_name)

    @property
    def projector(self) -> Any:
        """The module between the tower and the language model."""
        return self.model.get_submodule(self.projector_name)

    @property
    def language_model(self) -> Any:
        """The module that reads embeddings and gives last hidden states."""
        return self.model.get_submodule(self.language_model_name)

    @property
    def head(self) -> Any:
        """The linear module that makes logits of hidden states."""
        return self.model.get_submodule(self.head_name)

    @property
    def tables(self) -> Sequence[nn.Module]:
        """Embedding tables, which the CPU holds where memory is compact; not a table that shares its weights with the head."""
        table = self.model.get_input_embeddings()
        return [] if table.weight is self.head.weight else [table]

    @classmethod
    def unquantised(cls) -> list[str]:
        """Modules that stay in their own precision under NF4, so that audio features do not depend on the quantisation."""
        return [cls.tower_name, cls.projector_name, cls.head_name, *cls.unasked]

    @classmethod
    def lora_targets(cls, names: Sequence[str], scope: Scope) -> list[str] | str:
        """Which modules an adapter reaches, as peft takes it; names: last parts of module names. See earwitness.model.engine.adapters."""
        if scope == "published":
            return list(names)
        return rf"{re.escape(cls.language_model_name)}\.layers\.\d+\.\w+\.({'|'.join(map(re.escape, names))})"

    @classmethod
    def lora_exclusions(cls, scope: Scope) -> str | None:
        """Modules that an adapter must not reach although `lora_targets` names them, as a regular expression; None for none."""
        return None

    @property
    def adapts_audio_tower(self) -> bool:
        """Does an adapter change what the model makes of a sound before its language model reads it?"""
        return any(LORA_MATRIX in name for part in (self.tower, self.projector) for name, _ in part.named_parameters())

    @property
    def device(self) -> torch.device:
        """Where the language model is."""
        return self.head.weight.device

    @property
    def embedding_size(self) -> int:
        """Values per audio embedding: the language model's hidden size."""
        return self.head.in_features

    @property
    def embedding_dtype(self) -> torch.dtype:
        """The precision of audio embeddings."""
        return next(self.projector.parameters()).dtype

    # Loading.

    @classmethod
    def load_processor(cls, folder: Path) -> Any:
        """The processor beside the weights; whatever the library raises is told by the caller."""
        return AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)

    @property
    def mel_bins(self) -> int:
        """Bins of the spectrograms that the tower reads."""
        return int(self.tower.config.num_mel_bins)

    def compatibility(self) -> Sequence[tuple[str, Any, Any]]:
        """What processor and model must agree on: (what it is, the processor's, the model's)."""
        extractor, token = self.processor.feature_extractor, self.processor.tokenizer.convert_tokens_to_ids(self.processor.audio_token)
        return (
            ("mel bins", extractor.feature_size, self.mel_bins),
            ("samples per second", extractor.sampling_rate, SAMPLE_RATE),
            ("samples from one frame to the next", extractor.hop_length, HOP),
            ("the audio token's number", token, self.model.config.audio_token_id),
        )

    # Hearing.

    @property
    def longest_waveform(self) -> int:
        """Samples at 16 kHz that the model takes at most."""
        return self.processor.feature_extractor.n_samples

    @abstractmethod
    def spectrograms(self, waveforms: Sequence[Waveform], device: torch.device | None = None) -> tuple[torch.Tensor, tuple[int, ...]]:
        """What the tower reads of a batch of waveforms (16 kHz mono): (batch, bins, frames of the longest), float32 on the device, and the
        length of each row in the family's own unit. The frames of a row depend on its own waveform alone.

        Raises InputError where a waveform is empty, too long, or not finite.
        """

    @abstractmethod
    def tokens_of(self, length: int) -> int:
        """Audio tokens of a sound of a length that `spectrograms` gave."""

    @abstractmethod
    def n_tokens(self, n_samples: int) -> int:
        """Audio tokens of a waveform of so many samples: as many as the processor writes."""

    @abstractmethod
    def encode_audio(self, mel: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        """What the tower, adapters included, makes of a batch that `spectrograms` made: (batch, longest number of tokens, width of the
        tower); row i is valid up to tokens_of(lengths[i])."""

    def project(self, encoded: torch.Tensor) -> torch.Tensor:
        """Audio embeddings (batch, tokens, hidden size) of what `encode_audio` gave."""
        return self.projector(encoded)

    # Asking.

    def ids_around(self, words: str, audio_position: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Tokens that the model's own chat template writes before and after the sound, where the user's turn is a sound and these words.

        audio_position: whether the sound comes "before" or "after" the words.
        Raises InputError where there is no template, it is broken, it has not one place for the sound, or has it on the other side.
        """
        content = [self.sound_in_chat(), {"type": "text", "text": words}]
        if audio_position == "after":
            content.reverse()
        conversation: list[Any] = [{"role": "user", "content": content}]
        remedy = "copy the model's own chat template beside its weights"
        try:
            text = self.processor.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)
        except (TemplateError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
            raise InputError(f"the chat template cannot be used ({' '.join(str(error).split())[:200]}); {remedy}") from error
        if (count := text.count(self.processor.audio_token)) != 1:
            raise InputError(f"the chat template has {count} places for the sound, not one; {remedy}")
        before, after = text.split(self.processor.audio_token)
        if words.strip() not in (before if audio_position == "after" else after):
            other = "before" if audio_position == "after" else "after"
            raise InputError(
                f"this model's chat template writes the sound {other} the question wherever it stands; set prompt.audio_position to {other}"
            )
        return self.text_ids(before), self.text_ids(after)

    @staticmethod
    def sound_in_chat() -> Mapping[str, str]:
        """A sound as a part of a conversation, as the family's chat template knows it."""
        return {"type": "audio", "audio_url": "stimulus"}

    def text_ids(self, text: str) -> tuple[int, ...]:
        """Tokens of a text, special tokens in it included and no others added."""
        return tuple(self.processor.tokenizer.encode(text, add_special_tokens=False))

    # Reading and answering.

    def embed(self, ids: Sequence[int] | torch.Tensor) -> torch.Tensor:
        """Input embeddings (tokens, hidden size) on the device of the language model, wherever their table is kept."""
        table = self.model.get_input_embeddings()
        return table(sent(torch.as_tensor(ids, dtype=torch.long), table.weight.device)).to(self.device)

    def extra_inputs(self, ids: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Inputs of the language model besides embeddings, as keyword arguments of the library's.

        ids: (rows, tokens), with the audio token's number where there is a sound, or padding.
        """
        return {}

    def new_cache(self) -> DynamicCache:
        """Keys and values of nothing read yet."""
        return DynamicCache(config=self.language_model.config)

    def read(
        self, embeddings: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor | None, positions: torch.Tensor, cache: DynamicCache | None = None
    ) -> torch.Tensor:
        """The last hidden states (rows, tokens, hidden size) of embeddings read after what the cache holds.

        ids: those of the tokens, as for `extra_inputs`. mask: (rows, tokens of the cache and these), 0 where a row is padded; None where none is.
        positions: (rows or 1, tokens), counted from 0 in each row.
        """
        output = self.language_model(
            inputs_embeds=embeddings,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=cache is not None,
            **self.extra_inputs(ids),
        )
        return output.last_hidden_state

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits of the whole vocabulary, computed in the head's precision, float32 (..., tokens)."""
        return self.head(hidden).float()

    def logits_of(self, hidden: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Logits of candidate tokens, computed in float32; hidden: (..., hidden size); ids: (..., candidates)."""
        return torch.einsum("...h,...kh->...k", hidden.float(), self.head.weight[ids].float())
