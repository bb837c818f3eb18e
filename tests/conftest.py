"""A copy of the checkout per test."""

import gc
from pathlib import Path

import pytest
from checkout import Checkout, copy_project
from hypothesis import settings
from long_modules import LONG_TESTS, LONGEST, THOROUGH

# How long an example takes says how busy the machine is.
settings.register_profile("earwitness", deadline=None)
settings.load_profile("earwitness")

# What modules make when they are loaded stays: until all are, nothing is looked for that could go.
gc.disable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Load no module of which nothing is to run."""
    return True if "not thorough" in config.option.markexpr and collection_path.stem in THOROUGH else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest modules first, and mark what `make quick` leaves out."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))
    for item in items:
        module, name = item.path.stem, item.name.partition("[")[0]
        if module in THOROUGH or name in LONG_TESTS.get(module, ()):
            item.add_marker(pytest.mark.thorough)


def pytest_collection_finish() -> None:
    """Let what is loaded be passed over from here on."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def planned_checkout(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, str]:
    """A checkout that nothing has run in but one dry run, so that copies need not parse the code again, and what that printed."""
    checkout = copy_project(tmp_path_factory.mktemp("clean"))
    return checkout, checkout.dry_run()


@pytest.fixture(scope="session")
def clean_checkout(planned_checkout: tuple[Checkout, str]) -> Checkout:
    """A checkout in which nothing was made; not to be edited."""
    return planned_checkout[0]


@pytest.fixture
def checkout(clean_checkout: Checkout, tmp_path: Path) -> Checkout:
    """A clean checkout that a test may edit."""
    return clean_checkout.copy(tmp_path)
