"""The architecture of Qwen2-Audio-7B-Instruct with random weights: what can be measured without a download."""

from pathlib import Path

import torch
from transformers import Qwen2AudioConfig, Qwen2AudioForConditionalGeneration, WhisperFeatureExtractor

from earshot.engine.tiny_base import build_processor, training_texts

TEXT = {
    "model_type": "qwen2",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "vocab_size": 156032,
}


def write_full_size(folder: Path) -> None:
    """Save the full-size architecture with random weights in bfloat16 (16.8 GB), built on the CUDA device."""
    processor = build_processor(training_texts())
    processor.feature_extractor = WhisperFeatureExtractor(feature_size=128)
    config = Qwen2AudioConfig(text_config=TEXT, audio_token_index=processor.audio_token_id)
    torch.manual_seed(1)
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("cuda"):
            model = Qwen2AudioForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(torch.float32)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    del model
    torch.cuda.empty_cache()
