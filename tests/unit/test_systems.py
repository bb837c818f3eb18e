import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwitness.core.errors import InputError
from earwitness.systems import BASE, COMBINATIONS, System

RECIPES = st.from_regex("[a-z][a-z0-9_]*", fullmatch=True)
SPLITS = st.sampled_from(["grouped", "row_random", "folds"]) | st.integers(0, 99).flatmap(lambda n: st.sampled_from([f"fold_{n}", f"train_{n}"]))
ADAPTERS = st.builds(System, st.just("adapter"), RECIPES, SPLITS, st.none() | st.integers(0, 2**40))
ENSEMBLES = st.builds(System, st.just("ensemble"), RECIPES, SPLITS, combination=st.sampled_from(COMBINATIONS))


@st.composite
def detectors(draw):
    name = draw(st.from_regex("[a-z][a-z0-9_]*(-[a-z0-9_]+)*", fullmatch=True))
    try:
        return System("detector", name)
    except InputError:
        return System("detector", "silero")


SYSTEMS = st.just(BASE) | ADAPTERS | ENSEMBLES | detectors()


@given(SYSTEMS)
def test_a_system_is_read_back_from_its_text(system):
    assert System.parse(str(system)) == system


@given(SYSTEMS, SYSTEMS)
def test_no_two_systems_share_a_text(one, other):
    assert (str(one) == str(other)) == (one == other)


@pytest.mark.parametrize(
    ("text", "system"),
    [
        ("base", BASE),
        ("silero", System("detector", "silero")),
        ("fire-red-vad2", System("detector", "fire-red-vad2")),
        ("attention", System("detector", "attention")),
        ("rank_4-grouped", System("adapter", "rank_4", "grouped")),
        ("rank_4-train_12-seed-0", System("adapter", "rank_4", "train_12", 0)),
        ("base-grouped-seed-7", System("adapter", "base", "grouped", 7)),
        ("x2-row_random+vote", System("ensemble", "x2", "row_random", combination="vote")),
    ],
)
def test_texts_and_what_they_stand_for(text, system):
    assert System.parse(text) == system


@pytest.mark.parametrize(
    "text",
    ["", "Base", "base+mean", "attention-grouped-seed-042", "attention-grouped-seed-1+mean", "attention-grouped+median", "-grouped", "a b",
     "a-grouped\n", "attention-grouped-seed-٣", "x-fold_1-y", "x-Grouped-seed-1"],
)  # fmt: skip
def test_what_is_no_system_is_refused(text):
    with pytest.raises(InputError, match="no system"):
        System.parse(text)


def test_a_detector_that_there_is_not_is_refused_where_the_detectors_are_known():
    assert System.parse("energy", ["silero", "energy"]).kind == "detector"
    assert System.parse("attention-grouped", ["silero"]).kind == "adapter"
    with pytest.raises(InputError, match=r"^attention-gruped: no system; name base, a probe, a detector \(silero, energy\), RECIPE-SPLIT,"):
        System.parse("attention-gruped", ["silero", "energy"])


@pytest.mark.parametrize(
    "parts",
    [
        {"kind": "base", "name": "other"},
        {"kind": "adapter", "name": "x"},
        {"kind": "adapter", "name": "x-y", "split": "grouped"},
        {"kind": "adapter", "name": "x", "split": "unheard_of"},
        {"kind": "adapter", "name": "x", "split": "grouped", "seed": -1},
        {"kind": "adapter", "name": "x", "split": "grouped", "combination": "mean"},
        {"kind": "ensemble", "name": "x", "split": "grouped"},
        {"kind": "ensemble", "name": "x", "split": "grouped", "seed": 1, "combination": "mean"},
        {"kind": "detector", "name": "base"},
        {"kind": "detector", "name": "x-grouped"},
        {"kind": "detector", "name": "silero", "seed": 1},
    ],
)
def test_parts_that_make_no_system_are_refused(parts):
    with pytest.raises(InputError, match=f"no system has these parts: kind {parts['kind']}, name {parts['name']}"):
        System(**parts)


def test_an_ensemble_and_its_members_lead_to_each_other():
    adapter = System("adapter", "x", "grouped", 3)
    assert adapter.combined("mean") == System("ensemble", "x", "grouped", combination="mean")
    assert adapter.combined("mean").members() == adapter.of_all_seeds() == System("adapter", "x", "grouped")
