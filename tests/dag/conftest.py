"""A finished run that is not real: the records of one without its results."""

from pathlib import Path

import pytest
from checkout import Checkout


@pytest.fixture(scope="session")
def finished_run(clean_checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which every output lies, with the records of a run but without its results; not to be edited."""
    checkout = clean_checkout.copy(tmp_path_factory.mktemp("finished"))
    for name, rule in checkout.outputs().items():
        path = checkout.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.write_text(rule)
        else:
            path.mkdir()
    result = checkout.snakemake("--touch", "--forceall", "--cores", "1")
    assert result.returncode == 0, result.stderr
    return checkout


@pytest.fixture
def finished(finished_run: Checkout, tmp_path: Path) -> Checkout:
    """A finished run that a test may edit."""
    return finished_run.copy(tmp_path)
