"""A copy of the checkout per test."""

from pathlib import Path

import pytest
from checkout import Checkout, copy_project

THOROUGH = frozenset(
    {
        "test_checkpoints", "test_detect_speech", "test_detection_measures", "test_detectors", "test_documentation", "test_families", "test_figures",
        "test_files", "test_finetuning", "test_leakage", "test_manifests", "test_near_duplicates",
        "test_nearest_split", "test_page", "test_prediction", "test_prompt_search", "test_proposal", "test_publishing", "test_response_models",
        "test_self_test", "test_shortcut_checks", "test_splits", "test_stand_in",
        "test_stimuli", "test_synthesis", "test_engine", "test_psychometric_figures",
    }
)  # fmt: skip
"""Modules of tests that take more than eight seconds of processor time each; `make quick` leaves them out."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of THOROUGH modules."""
    for item in items:
        if item.path.stem in THOROUGH:
            item.add_marker(pytest.mark.thorough)


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
