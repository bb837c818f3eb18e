"""A copy of the checkout per test."""

from pathlib import Path

import pytest
from checkout import Checkout, copy_project


@pytest.fixture(scope="session")
def clean_checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout that nothing has run in but one dry run, so that copies need not parse the code again; not to be edited."""
    checkout = copy_project(tmp_path_factory.mktemp("clean"))
    checkout.dry_run()
    return checkout


@pytest.fixture
def checkout(clean_checkout: Checkout, tmp_path: Path) -> Checkout:
    """A clean checkout that a test may edit."""
    return clean_checkout.copy(tmp_path)
