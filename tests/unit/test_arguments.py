from dataclasses import dataclass, field

import pytest

from earwitness.core.arguments import settings_of
from earwitness.core.errors import InputError


@dataclass(frozen=True)
class Sizes:
    steps: int
    rank: int = 8
    layers: list[str] = field(default_factory=list)


def test_settings_take_their_defaults_and_nothing_that_they_do_not_know():
    assert settings_of(Sizes, "--sizes", {"steps": 3}) == Sizes(3, 8, [])
    assert settings_of(Sizes, "--sizes", {"steps": 3, "rank": 0}) == Sizes(3, 0, [])
    with pytest.raises(InputError, match=r"^--sizes: missing key steps; give steps, rank, layers$"):
        settings_of(Sizes, "--sizes", {"rank": 0})
    with pytest.raises(InputError, match=r"^--sizes: unknown key stepz; give steps, rank, layers$"):
        settings_of(Sizes, "--sizes", {"steps": 3, "stepz": 3})
