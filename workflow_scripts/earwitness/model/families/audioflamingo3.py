"""Audio Flamingo 3: Qwen2-Audio's way of hearing with other weights, a projector of two layers, and Qwen2.5.

The library reads sounds longer than a window in windows of 30 s; here they are refused, as everywhere.
"""

from transformers import AudioFlamingo3ForConditionalGeneration, AudioFlamingo3Processor
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

from earwitness.model.families.whisper import PooledWhisper


class AudioFlamingo3(PooledWhisper):
    """Whisper's encoder, two linear layers, and Qwen2.5."""

    checkpoint = AudioFlamingo3ForConditionalGeneration
    processor_class = AudioFlamingo3Processor
    fused_norms = (Qwen2RMSNorm,)
