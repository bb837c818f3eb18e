"""Models that many tests ask. Their libraries are imported where they are used: `make quick` loads none of them."""

import os
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data():
    """Folder of real recordings: EARWITNESS_REAL_DATA, or shared/data beside the repository."""
    folder = Path(os.environ.get("EARWITNESS_REAL_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real recordings in {folder}; set EARWITNESS_REAL_DATA to their folder")
    return folder


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small matrices; more threads only get in each other's way."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """An untrained checkpoint of the tiny base's size."""
    import torch

    from earwitness.model.families.tiny.qwen2_audio import build_model, build_processor
    from earwitness.model.tiny_base_questions import QUESTIONS

    torch.manual_seed(1)
    processor = build_processor([*QUESTIONS, "A: speech\nB: no speech\nAnswer A or B.", "Answer SPEECH or NON-SPEECH.", "Answer Yes or No."])
    path = tmp_path_factory.mktemp("checkpoint")
    build_model(processor).save_pretrained(path)
    processor.save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def writer(tmp_path_factory):
    """A tiny causal language model of random weights with a chat template."""
    import torch
    from full_size import write_writer

    sizes = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "vocab_size": 640,
    }
    path = tmp_path_factory.mktemp("writer")
    write_writer(path, ["Does this sound contain human speech?", "question: score: <INS></INS>"], sizes, torch.device("cpu"))
    return path


@pytest.fixture
def any_width_in_4_bits(monkeypatch):
    """Without the kernel that bitsandbytes has for processors with AVX-512 and bfloat16, which takes no matrix but of a multiple of 64 wide."""
    monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: False)
