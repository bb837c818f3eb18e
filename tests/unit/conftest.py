import os
from pathlib import Path

import pytest
import torch

from earshot.engine.tiny_base import QUESTIONS, build_model, build_processor


@pytest.fixture(scope="session")
def real_data():
    """Folder of real recordings: EARSHOT_REAL_DATA, or shared/data beside the repository."""
    folder = Path(os.environ.get("EARSHOT_REAL_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real recordings in {folder}; set EARSHOT_REAL_DATA to their folder")
    return folder


# Small matrices; more threads only get in each other's way.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """An untrained checkpoint of the tiny base's size."""
    torch.manual_seed(1)
    processor = build_processor([*QUESTIONS, "A: speech\nB: no speech\nAnswer A or B.", "Answer SPEECH or NON-SPEECH.", "Answer Yes or No."])
    path = tmp_path_factory.mktemp("checkpoint")
    build_model(processor).save_pretrained(path)
    processor.save_pretrained(path)
    return path
