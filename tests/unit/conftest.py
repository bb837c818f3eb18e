import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data():
    """Folder of real recordings: EARSHOT_REAL_DATA, or shared/data beside the repository."""
    folder = Path(os.environ.get("EARSHOT_REAL_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real recordings in {folder}; set EARSHOT_REAL_DATA to their folder")
    return folder
