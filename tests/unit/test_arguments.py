import argparse
from dataclasses import dataclass, field

import pytest

from earwitness.core.arguments import Arguments, count, settings_of
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


def arguments(*given):
    parser = Arguments(prog="program")
    parser.add_argument("file")
    parser.add_argument("--to", default="here")
    parser.add_argument("--more", nargs="+", default=[], action="extend")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument_group("numbers").add_argument("--steps", type=count, default=1)
    return parser.parse_args(given)


def test_an_option_is_given_once_and_no_argument_is_empty(capsys):
    allowed = arguments("a", "--to=b", "--more", "c", "d", "--more", "e", "--quick", "--quick", "--steps", "3")
    assert vars(allowed) == {"file": "a", "to": "b", "more": ["c", "d", "e"], "quick": True, "steps": 3}
    for given, message in {
        ("a", "--to", "b", "--to", "c"): "argument --to: is given twice; give it once",
        ("a", "--steps", "1", "--steps=1"): "argument --steps: is given twice; give it once",
        ("",): "an argument is empty, as a variable that is not set makes it; give it a value, or leave it out",
        ("a", "--more", "c", ""): "an argument is empty",
        ("a", "--to="): "--to= is empty",
    }.items():
        with pytest.raises(SystemExit) as end:
            arguments(*given)
        assert end.value.code == 2 and f"program: error: {message}" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-3", "1.5", "1e3", "two", "²"])
def test_what_counts_nothing_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is no whole number from 1"):
        count(text)
