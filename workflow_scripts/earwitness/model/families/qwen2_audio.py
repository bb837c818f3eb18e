"""Qwen2-Audio, and bases assembled in its classes (earwitness.model.assembly).

The library's own audio path fails on batches whose every clip has one audio token or none (60 ms and less); this one does not use it.
"""

from transformers import Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

from earwitness.model.families.whisper import PooledWhisper


class Qwen2Audio(PooledWhisper):
    """Whisper's encoder, a linear projector, and Qwen (or the language model of an assembled base)."""

    checkpoint = Qwen2AudioForConditionalGeneration
    processor_class = Qwen2AudioProcessor
    fused_norms = (Qwen2RMSNorm, LlamaRMSNorm)
