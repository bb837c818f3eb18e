"""Gemma 4 with an ear (E2B, E4B): a causal conformer that hears 25 tokens a second, and a language model that is told of every token twice.

A token of the conformer reads its own frames and earlier ones alone, so what is heard of a sound does not depend on the silence behind it,
and only a sound's own frames are heard. The language model reads a second embedding of every token, of another size, in each of its layers;
a sound's tokens have that of padding. Most of its layers read a window of the last tokens alone, and its last layers the keys and values
of earlier ones. The parts that see are never asked.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn
from transformers import DynamicCache, Gemma4ForConditionalGeneration
from transformers.cache_utils import DynamicLayer
from transformers.models.gemma4.modeling_gemma4 import Gemma4RMSNorm

from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.model.families.loaded_model import HOP, LoadedModel, Scope
from earwitness.model.families.sound_processor import SoundProcessor
from earwitness.model.families.waveforms import stacked

LONGEST_S = 30
"""The library cuts what is longer."""


class ReadingGemma4ForConditionalGeneration(Gemma4ForConditionalGeneration):
    """The library's class, which generates after embeddings but refuses to, since its generate() looks for the word in this signature."""

    def prepare_inputs_for_generation(self, *args: Any, inputs_embeds: Any = None, **kwargs: Any) -> Any:
        return super().prepare_inputs_for_generation(*args, inputs_embeds=inputs_embeds, **kwargs)


class Gemma4(LoadedModel):
    """Two convolutions and a conformer, a norm and a linear layer, and Gemma; lengths are frames."""

    checkpoint = ReadingGemma4ForConditionalGeneration
    processor_class = SoundProcessor
    parts_of_config = ("audio_config",)
    projector_name = "model.embed_audio"
    unasked = ("model.vision_tower", "model.embed_vision")
    attention: ClassVar[str | dict[str, str]] = {"text_config": "sdpa"}
    fused_norms = (Gemma4RMSNorm,)
    # Its conformer was never recorded on a GPU; remove this once a run on one has shown that it can be.
    records_passes = False

    # The module tree.

    @classmethod
    def unquantised(cls) -> list[str]:
        return [*super().unquantised(), f"{cls.language_model_name}.per_layer_model_projection"]

    @classmethod
    def lora_targets(cls, names: Sequence[str], scope: Scope) -> str:
        """The linear layers of its ear are inside modules that clip what goes in and out, and it is these that have the names."""
        inside = rf"{re.escape(cls.language_model_name)}\.layers\.\d+\.(\w+\.)?({'|'.join(map(re.escape, names))})"
        if scope == "language_model":
            return inside
        return rf"{inside}|{re.escape(cls.tower_name)}\..+\.({'|'.join(map(re.escape, names))})\.linear"

    @property
    def tables(self) -> Sequence[nn.Module]:
        """That of the second embeddings, half of all weights; the first is the head too."""
        return [self.language_model.embed_tokens_per_layer]

    # Loading.

    @classmethod
    def load_processor(cls, folder: Path) -> SoundProcessor:
        return SoundProcessor.load(folder, "<|audio|>")

    @property
    def mel_bins(self) -> int:
        return int(self.tower.config.subsampling_conv_channels[0])

    def compatibility(self) -> Sequence[tuple[str, Any, Any]]:
        extractor, config = self.processor.feature_extractor, self.model.config
        number_of = self.processor.tokenizer.convert_tokens_to_ids
        normalised = extractor.per_bin_mean is not None or extractor.per_bin_stddev is not None
        return (
            *super().compatibility(),
            ("samples of a frame", extractor.frame_length, 2 * HOP),
            ("preemphasis, dither and gain", (extractor.preemphasis, extractor.dither, extractor.input_scale_factor), (0.0, 0.0, 1.0)),
            ("bins are normalised", normalised, False),
            ("the side that sounds are padded on", extractor.padding_side, "right"),
            ("the number of the token before a sound", number_of("<|audio>"), config.boa_token_id),
            ("the number of the token after a sound", number_of("<audio|>"), config.eoa_token_index),
        )

    # Hearing.

    @property
    def longest_waveform(self) -> int:
        return LONGEST_S * SAMPLE_RATE

    def spectrograms(self, waveforms: Sequence[Waveform], device: torch.device | None = None) -> tuple[torch.Tensor, tuple[int, ...]]:
        """Magnitudes of frames of 20 ms; the first lies half before the sound; a frame counts where the sample after it is there."""
        extractor = self.processor.feature_extractor
        lengths = tuple((len(waveform) - 1) // HOP for waveform in waveforms)
        samples = nn.functional.pad(stacked(waveforms, self.longest_waveform).to(device), (HOP, HOP))
        frames = samples.unfold(1, 2 * HOP, HOP)[:, : max(1, *lengths)] * torch.from_numpy(extractor.window).to(device)
        magnitudes = torch.fft.rfft(frames, extractor.fft_length).abs()
        mel = magnitudes @ torch.from_numpy(extractor.mel_filters).to(device, torch.float32)
        return (mel + float(extractor.mel_floor)).log().transpose(1, 2), lengths

    def tokens_of(self, length: int) -> int:
        return -(-length // 4)

    def n_tokens(self, n_samples: int) -> int:
        """25 a second, rounded up; 0 for 10 ms and less."""
        return self.tokens_of((n_samples - 1) // HOP)

    def encode_audio(self, mel: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        weight = next(self.tower.parameters())
        frames = mel.transpose(1, 2).to(weight.device, weight.dtype)
        if not max(lengths):
            return frames.new_zeros(len(frames), 0, self.tower.config.output_proj_dims)
        # Made on the device, row by row, since a recorded pass must not copy to it.
        valid = torch.stack([torch.arange(frames.shape[1], device=weight.device) < length for length in lengths])
        heard: torch.Tensor = self.tower(frames, valid).last_hidden_state
        return heard

    # Asking.

    def ids_around(self, words: str, audio_position: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Its processor, not its template, writes the tokens that say where a sound begins and ends."""
        before, after = super().ids_around(words, audio_position)
        return (*before, self.model.config.boa_token_id), (self.model.config.eoa_token_index, *after)

    # Reading and answering.

    def extra_inputs(self, ids: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """The second embeddings, (rows, tokens, layers, their size)."""
        table = self.language_model.embed_tokens_per_layer.weight
        of_text = torch.where(ids == self.model.config.audio_token_id, self.language_model.config.pad_token_id, ids)
        return {"per_layer_inputs": self.language_model.get_per_layer_inputs(of_text.to(table.device), None).to(self.device)}

    def new_cache(self) -> DynamicCache:
        """Of all that was read: the library's own keeps a window, from which nothing that was read can be taken back."""
        config, cache = self.language_model.config, DynamicCache()
        cache.layers = [DynamicLayer() for _ in range(config.num_hidden_layers - config.num_kv_shared_layers)]
        return cache

    def read(
        self, embeddings: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor | None, positions: torch.Tensor, cache: DynamicCache | None = None
    ) -> torch.Tensor:
        """A window counts a row's own tokens, however many places of padding are between them; the library counts places."""
        output = self.language_model(
            inputs_embeds=embeddings,
            attention_mask=None if mask is None else self._read_by(mask, embeddings.shape[1]),
            position_ids=positions,
            past_key_values=cache,
            use_cache=cache is not None,
            **self.extra_inputs(ids),
        )
        return output.last_hidden_state

    def _read_by(self, mask: torch.Tensor, tokens: int) -> dict[str, torch.Tensor]:
        """Which places each of the last `tokens` places reads, (rows, 1, tokens, places), by the kind of layer."""
        own = mask.cumsum(-1)
        earlier = torch.ones(tokens, mask.shape[1], dtype=torch.bool, device=mask.device).tril(mask.shape[1] - tokens)
        read = earlier & mask.bool()[:, None]
        near = own[:, -tokens:, None] - own[:, None] < self.language_model.config.sliding_window
        return {"full_attention": read[:, None], "sliding_attention": (read & near)[:, None]}

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return self._capped(super().logits(hidden))

    def logits_of(self, hidden: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return self._capped(super().logits_of(hidden, ids))

    def _capped(self, logits: torch.Tensor) -> torch.Tensor:
        cap = self.language_model.config.final_logit_softcapping
        return logits if cap is None else (logits / cap).tanh() * cap
