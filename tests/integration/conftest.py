"""One real run of the whole workflow, of what `make demo` runs, shared by every test."""

import pytest
from checkout import Checkout


@pytest.fixture(scope="session")
def run(clean_checkout, tmp_path_factory) -> Checkout:
    """The finished run of config/demo.yaml; not to be edited."""
    checkout = clean_checkout.copy(tmp_path_factory.mktemp("run"))
    result = checkout.study("config/demo.yaml")
    assert result.returncode == 0, result.stdout + result.stderr
    return checkout
