"""Voxtral: a Whisper encoder without a key mask, so that the silence behind a sound is heard too and nothing may be cut.

The library reads its tokenizer, tekken.json, with the package mistral-common or with a converter of its own; here with the latter, and
with the turn that mistral-common writes.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoFeatureExtractor, VoxtralForConditionalGeneration
from transformers.integrations.mistral.tokenizer import convert_tekken_tokenizer
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from earwitness.audio.io import Waveform
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.families.sound_processor import SoundProcessor
from earwitness.model.families.whisper import log_mel

TURN = (
    "<s>{% for message in messages %}[INST]{% for part in message.content %}"
    "{% if part.type == 'audio' %}[BEGIN_AUDIO][AUDIO]{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}[/INST]{% endfor %}"
)


class Voxtral(LoadedModel):
    """Whisper's encoder on the whole window, four outputs to a token, two linear layers, and a Mistral model; lengths are tokens."""

    checkpoint = VoxtralForConditionalGeneration
    processor_class = SoundProcessor
    tokenizer_files = ("tekken.json",)
    fixed_in_tower = ("embed_positions.weight",)
    fused_norms = (LlamaRMSNorm,)

    @classmethod
    def load_processor(cls, folder: Path) -> SoundProcessor:
        extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return SoundProcessor(extractor, convert_tekken_tokenizer(str(folder / "tekken.json"), TURN), TURN, "[AUDIO]")

    def spectrograms(self, waveforms: Sequence[Waveform], device: torch.device | None = None) -> tuple[torch.Tensor, tuple[int, ...]]:
        mel, _ = log_mel(self.processor.feature_extractor, waveforms, device, whole=True)
        return mel, tuple(self.n_tokens(len(waveform)) for waveform in waveforms)

    def tokens_of(self, length: int) -> int:
        return length

    def n_tokens(self, n_samples: int) -> int:
        """Those of the whole window, 375 of 30 s, however short the sound."""
        config = self.tower.config
        return config.max_source_positions * config.hidden_size // config.intermediate_size

    def encode_audio(self, mel: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        return self.tower(mel).last_hidden_state.reshape(len(mel), -1, self.tower.config.intermediate_size)
