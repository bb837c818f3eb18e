"""The tiny base of Audio Flamingo 3's classes."""

from collections.abc import Iterable

from transformers import AudioFlamingo3Config, AudioFlamingo3ForConditionalGeneration, AudioFlamingo3Processor

from earwitness.model.families.audioflamingo3 import AudioFlamingo3
from earwitness.model.families.tiny.parts import ENCODER, byte_pair_tokenizer, feature_extractor, qwen2, ready_to_learn
from earwitness.model.families.tiny.tiny_base import TinyBase

SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<sound>")

SOUND_FIRST = """\
<|im_start|>system
You are a helpful assistant.<|im_end|>
{% for message in messages %}<|im_start|>{{ message.role }}
{% for part in message.content if part.type == 'audio' %}<sound>{% endfor %}\
{% for part in message.content if part.type == 'text' %}{{ part.text }}{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""A chat template that writes the sound before the words wherever it stands, as the published one does."""


def build_processor(texts: Iterable[str]) -> AudioFlamingo3Processor:
    """An Audio Flamingo 3 processor whose tokenizer learned its merges from `texts`."""
    return AudioFlamingo3Processor(feature_extractor(), byte_pair_tokenizer(texts, SPECIAL_TOKENS), chat_template=SOUND_FIRST)


def build_model(processor: AudioFlamingo3Processor) -> AudioFlamingo3ForConditionalGeneration:
    """The untrained model, initialised from torch's current random state."""
    tokenizer = processor.tokenizer
    config = AudioFlamingo3Config(
        audio_config={"model_type": "audioflamingo3_encoder", **ENCODER}, text_config=qwen2(tokenizer), audio_token_id=processor.audio_token_id
    )
    return ready_to_learn(AudioFlamingo3ForConditionalGeneration(config), tokenizer)


AUDIO_FLAMINGO_3 = TinyBase(AudioFlamingo3, build_processor, build_model, audio_positions=("before",))
