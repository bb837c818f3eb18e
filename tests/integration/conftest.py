"""One real run of the whole workflow on the smallest settings, shared by every test."""

import pytest
from checkout import Checkout
from small_settings import SETTINGS


@pytest.fixture(scope="session")
def run(clean_checkout, tmp_path_factory) -> Checkout:
    """The finished run; not to be edited."""
    checkout = clean_checkout.copy(tmp_path_factory.mktemp("run"))
    result = checkout.study(checkout.overlay(SETTINGS))
    assert result.returncode == 0, result.stdout + result.stderr
    return checkout
