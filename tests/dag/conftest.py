"""The workflow as Snakemake reads it, and finished runs that are not real: the records of one without its results."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from checkout import Checkout, finish, jobs_planned
from parsed import parsed

OWN_RECORDINGS = {"sources": {"voxconverse": {"origin": "path", "path": "own/speech"}, "esc50": {"origin": "path", "path": "own/sounds"}}}


@pytest.fixture(scope="module")
def workflow(clean_checkout: Checkout) -> Iterator[Any]:
    """The parsed workflow, with the job graph of the default configuration."""
    with parsed(clean_checkout.folder) as found:
        yield found


@pytest.fixture(scope="session")
def default_plan(planned_checkout: tuple[Checkout, str]) -> Counter[str]:
    """Rule -> number of jobs of the default configuration, from nothing."""
    return jobs_planned(planned_checkout[1])


@pytest.fixture(scope="session")
def finished_run(clean_checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which every output lies, with the records of a run but without its results; not to be edited."""
    return finish(clean_checkout.copy(tmp_path_factory.mktemp("finished")))


@pytest.fixture
def finished(finished_run: Checkout, tmp_path: Path) -> Checkout:
    """A finished run that a test may edit."""
    return finished_run.copy(tmp_path)


@pytest.fixture
def finished_on_own_recordings(checkout: Checkout) -> Checkout:
    """The same, of recordings on disk; its configuration is its overlay.yaml."""
    for name in ("speech/audio/a.wav", "speech/a.rttm", "sounds/audio/1-1-A-0.wav", "sounds/meta/esc50.csv"):
        path = checkout.folder / "own" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("recorded in spring")
    return finish(checkout, "--configfile", checkout.overlay(OWN_RECORDINGS))
