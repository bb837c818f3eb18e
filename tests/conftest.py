"""A copy of the checkout per test."""

import shutil
from pathlib import Path

import pytest
from checkout import PARTS, ROOT, Checkout


@pytest.fixture(scope="session")
def clean_checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout that nothing has run in; not to be edited."""
    folder = tmp_path_factory.mktemp("clean")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__", ".snakemake"))
        else:
            (folder / part).parent.mkdir(exist_ok=True)
            shutil.copy2(source, folder / part)
    return Checkout(folder)


@pytest.fixture
def checkout(clean_checkout: Checkout, tmp_path: Path) -> Checkout:
    """A clean checkout that a test may edit."""
    return clean_checkout.copy(tmp_path)
