"""The tiny base of Qwen2-Audio's classes, and the embedded study's."""

from collections.abc import Iterable

from transformers import Qwen2AudioConfig, Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor

from earwitness.model.families.qwen2_audio import Qwen2Audio
from earwitness.model.families.tiny.parts import ENCODER, byte_pair_tokenizer, feature_extractor, qwen2, ready_to_learn
from earwitness.model.families.tiny.tiny_base import TinyBase

SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>")


def build_processor(texts: Iterable[str]) -> Qwen2AudioProcessor:
    """A Qwen2-Audio processor whose tokenizer learned its merges from `texts`. The chat template is the class's own."""
    return Qwen2AudioProcessor(feature_extractor(), byte_pair_tokenizer(texts, SPECIAL_TOKENS))


def build_model(processor: Qwen2AudioProcessor) -> Qwen2AudioForConditionalGeneration:
    """The untrained model, initialised from torch's current random state."""
    tokenizer = processor.tokenizer
    config = Qwen2AudioConfig(
        audio_config={"model_type": "qwen2_audio_encoder", **ENCODER}, text_config=qwen2(tokenizer), audio_token_index=processor.audio_token_id
    )
    return ready_to_learn(Qwen2AudioForConditionalGeneration(config), tokenizer)


QWEN2_AUDIO = TinyBase(Qwen2Audio, build_processor, build_model)
