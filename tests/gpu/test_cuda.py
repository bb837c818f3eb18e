"""The engine on a CUDA device: the same answers as the CPU, NF4 training, and the full-size architecture."""

import numpy as np
import pytest
import torch
from transformers import Qwen2AudioConfig, Qwen2AudioForConditionalGeneration, WhisperFeatureExtractor

from earshot.engine.adapters import base_of, load_adapter
from earshot.engine.checkpoint import UNQUANTISED, Checkpoint, load_checkpoint
from earshot.engine.features import log_mel
from earshot.engine.prompting import Prompt
from earshot.engine.scoring import score
from earshot.engine.tiny_base import QUESTIONS, build_model, build_processor
from earshot.finetuning import TrainingSet, train_adapter
from earshot.runtime.checkpoints import CheckpointFolder

pytestmark = pytest.mark.gpu
PROMPT = Prompt(QUESTIONS[0])
RECIPE = {
    "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"],
    "rank": 16,
    "alpha": 32,
    "dropout": 0.05,
    "learning_rate": 0.01,
    "steps": 30,
    "batch_size": 8,
    "micro_batch_size": 8,
    "warmup_fraction": 0.1,
    "weight_decay": 0.0,
    "max_gradient_norm": 1.0,
}


@pytest.fixture(scope="module", autouse=True)
def device():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(1)
    processor = build_processor([*QUESTIONS, "A: speech\nB: no speech\nAnswer A or B."])
    path = tmp_path_factory.mktemp("checkpoint")
    build_model(processor).save_pretrained(path)
    processor.save_pretrained(path)
    return path


def tones(count):
    hertz = [200 if number % 2 == 0 else 3000 for number in range(count)]
    return [(0.3 * np.sin(2 * np.pi * f * (1 + 0.02 * k) * np.arange(19_200) / 16_000)).astype(np.float32) for k, f in enumerate(hertz)]


def training_set(checkpoint, count):
    mel, lengths = log_mel(checkpoint.processor.feature_extractor, tones(count))
    return TrainingSet(list(mel), lengths, np.arange(count) % 2 == 0)


def test_the_device_answers_as_the_cpu_does(folder):
    on_cpu = score(load_checkpoint(folder, device=torch.device("cpu")), tones(16), PROMPT)
    on_device = score(load_checkpoint(folder), tones(16), PROMPT)
    np.testing.assert_allclose(on_device.log_odds, on_cpu.log_odds, atol=2e-3)
    assert on_device.n_audio_tokens.tolist() == on_cpu.n_audio_tokens.tolist()


def test_an_adapter_trains_on_nf4_weights_and_reloads(folder, tmp_path):
    checkpoint = load_checkpoint(folder, "nf4")
    quantised = [name for name, module in checkpoint.model.named_modules() if type(module).__name__ == "Linear4bit"]
    assert quantised
    assert not [name for name in quantised if name.startswith(tuple(UNQUANTISED))]
    model, history = train_adapter(checkpoint, training_set(checkpoint, 16), PROMPT, RECIPE, 3, CheckpointFolder(tmp_path / "state", {}))
    assert history.loss.iloc[-3:].mean() < 0.5 * history.loss.iloc[0]
    model.save_pretrained(str(tmp_path / "adapter"))
    trained = score(Checkpoint(base_of(model), checkpoint.processor), tones(4), PROMPT).log_odds
    loaded = score(load_adapter(load_checkpoint(folder, "nf4"), tmp_path / "adapter"), tones(4), PROMPT).log_odds
    np.testing.assert_allclose(loaded, trained, atol=1e-3)


def test_the_full_size_architecture_scores_and_trains(tmp_path):
    """8.4 billion random weights in bfloat16; its answers mean nothing, that it runs does."""
    processor = build_processor([*QUESTIONS, "A: speech\nB: no speech\nAnswer A or B."])
    processor.feature_extractor = WhisperFeatureExtractor(feature_size=128)
    text = {"model_type": "qwen2", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "vocab_size": 156032}
    config = Qwen2AudioConfig(text_config={**text, "num_attention_heads": 32, "num_key_value_heads": 32}, audio_token_index=processor.audio_token_id)
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("cuda"):
            model = Qwen2AudioForConditionalGeneration(config).eval()
    finally:
        torch.set_default_dtype(torch.float32)
    model.requires_grad_(False)
    checkpoint = Checkpoint(model, processor)
    scores = score(checkpoint, tones(64), PROMPT)
    assert np.isfinite(scores.log_odds).all()
    assert scores.n_audio_tokens.tolist() == [30] * 64
    data = training_set(checkpoint, 16)
    _, history = train_adapter(checkpoint, data, PROMPT, {**RECIPE, "steps": 10, "learning_rate": 1e-3}, 3, CheckpointFolder(tmp_path / "state", {}))
    assert history.loss.iloc[-1] < history.loss.iloc[0]
    print(f"peak memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
