import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwitness.core.names import canonical_name, similar_names, term_key, whole_number


@pytest.mark.parametrize(
    "spellings",
    [
        ["12", "12.0", " 12", "12.00\t", 12, 12.0],
        ["Zoë", unicodedata.normalize("NFD", "Zoë"), " ZOË ", unicodedata.normalize("NFD", "zoë")],
        ["Straße", "STRASSE"],
        ["Ana", "Ana\u200b", "\ufeffana", "A\u00adna", "An\ufe0fa", "\u3164Ana", "A\u034fna", "Ana\U000e0101"],
        ["NA", "na"],
        ["None", None],
        ["nan", float("nan")],
    ],
)
def test_spellings_of_one_name_are_one_name(spellings):
    assert len({canonical_name(name) for name in spellings}) == 1


@pytest.mark.parametrize("names", [["007", "7"], ["12", "12.5"], ["1.0.0", "1.0"], ["José", "Jose"], ["NA", "None", "null", "nan", ""]])
def test_different_names_stay_different(names):
    assert len({canonical_name(name) for name in names}) == len(names)


@pytest.mark.parametrize("written", ["12", "012", "12.0", "12,00", "+12", "1.2e1", " 12.WAV", "１２", "１２．０", "١٢", "1\u200b2"])
def test_a_whole_number_is_known_however_it_is_written(written):
    assert whole_number(written) == 12


@pytest.mark.parametrize("written", ["", "12.5", "1.25e1", "12 a", "1 2", "Ⅻ", "nan", "inf", "12.wave", "12:00"])
def test_what_is_no_whole_number_is_none(written):
    assert whole_number(written) is None


@given(st.text())
def test_a_canonical_name_is_its_own(name):
    assert canonical_name(canonical_name(name)) == canonical_name(name)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("007", "7"),
        ("spk07", "spk7"),
        ("josé", "jose"),
        ("ana-maria", "ana_maria"),
        ("ana maria", "anamaria"),
        ("johanna", "johana"),
        ("johanna", "johannas"),
        ("johanna", "johamna"),
        ("johanna", "johnana"),
        ("speaker_12_left", "speeker_12_left"),
        ("12", "1.2e1"),
        ("1230000000", "1.23e+09"),
        ("1.5", "1,50"),
        ("3", "٣"),
        ("аna", "ana"),
        ("οlga", "olga"),
        ("ana.wav", "ana"),
        ("a\u200bb", "ab"),
        ("smith, ana", "ana smith"),
        ("đorđe", "dorde"),
        ("ø", "o"),
        ("þór", "thor"),
        ("jörg", "joerg"),
        ("pérez lópez, ana", "ana lopez perez"),
    ],
)
def test_names_that_may_be_one_are_asked_about(first, second):
    assert similar_names([first, second, "another", "name"]) == [tuple(sorted([first, second]))]


@pytest.mark.parametrize(
    "names",
    [
        ["900001", "900002", "900011"],
        ["spk01", "spk02", "spk10"],
        ["ana", "ann", "ian"],
        ["speaker_a", "speaker_b", "speaker_c"],
        ["1_11", "11_1"],
        ["johanna", "john"],
        ["анна", "иван"],
        ["1.5", "15"],
        ["true", "1"],
        ["7e999", "7"],
        ["take1of2", "take2of1"],
        ["b a", "a b"],
        ["room 12 left", "left 12 room"],
        ["ana maria", "ana marta lena"],
    ],
)
def test_numbered_short_and_serial_names_are_left_alone(names):
    assert similar_names(names) == []


def distance(first, second):
    """Restricted Damerau-Levenshtein distance by its recurrence."""
    table = {(-1, -1): 0}
    for i in range(len(first)):
        table[i, -1] = i + 1
    for j in range(len(second)):
        table[-1, j] = j + 1
    for i, j in itertools.product(range(len(first)), range(len(second))):
        same = first[i] == second[j]
        table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (not same))
        if i and j and first[i] == second[j - 1] and first[i - 1] == second[j]:
            table[i, j] = min(table[i, j], table[i - 2, j - 2] + 1)
    return table[len(first) - 1, len(second) - 1]


@given(st.text("abc", min_size=5, max_size=8), st.text("abc", min_size=5, max_size=8))
def test_of_two_words_those_at_distance_one_are_found(first, second):
    assert bool(similar_names([first, second])) == (distance(first, second) == 1)


def test_a_term_is_found_in_any_case_and_with_any_separator():
    assert term_key("Crying baby") == term_key("crying_baby") == term_key(" CRYING-BABY ") == "cryingbaby"
