"""The split nearest to a given one that keeps together what must stay together."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from earwitness.splits.components import components, shared_values
from earwitness.splits.nearest import TOLERANCE, nearest_split
from earwitness.tables.ties import TIES

PARTS = ("train", "dev", "test")
few = settings(max_examples=20, phases=(Phase.explicit, Phase.reuse, Phase.generate))


def ties_table(*pairs: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(pairs), columns=list(TIES.columns), dtype=str)


@st.composite
def assigned(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Items of at most 4 sources in any parts, sources of both classes among them, and ties."""
    names = [f"s{k}" for k in range(draw(st.integers(2, 4)))]
    item = st.tuples(st.sampled_from(names), st.sampled_from(["SPEECH", "NONSPEECH"]), st.sampled_from(PARTS), st.integers(1, 9))
    first = [("s0", "SPEECH", "train", 1), ("s1", "NONSPEECH", "train", 1)]
    items = pd.DataFrame([*first, *draw(st.lists(item, max_size=20))], columns=["source_id", "label", "part", "seconds"])
    pairs = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=2))
    return items.astype({"seconds": float}), ties_table(*[(a, b, "one voice") for a, b in pairs])


def classes_of_parts(items: pd.DataFrame, parts: list[str] | np.ndarray) -> int:
    """How many of the parts' classes are there."""
    return len(set(zip(parts, items.label, strict=True)))


def moved_s(items: pd.DataFrame, parts: list[str] | np.ndarray) -> float:
    return items.seconds[items.part.to_numpy() != np.asarray(parts)].sum()


def excess(items: pd.DataFrame, parts: list[str] | np.ndarray) -> float:
    """Shares of each class's seconds, items and sources beyond the tolerance, or beyond how far they were off before; summed."""
    before, after, seconds = items.part.to_numpy(), np.asarray(parts), items.seconds.to_numpy()
    sources = 1 / items.groupby(["label", "source_id"]).part.transform("size").to_numpy()
    total = 0.0
    for label in items.label.unique():
        of_class = (items.label == label).to_numpy()

        def shares(values: np.ndarray, where: np.ndarray, of_class: np.ndarray = of_class) -> np.ndarray:
            return np.array([values[of_class & (where == part)].sum() for part in PARTS]) / values[of_class].sum()

        wanted = shares(seconds, before)
        for values in (seconds, np.ones(len(items)), sources):
            allowed = np.maximum(TOLERANCE, np.abs(shares(values, before) - wanted))
            total += np.maximum(np.abs(shares(values, after) - wanted) - allowed, 0).sum()
    return total


@given(assigned())
@few
def test_it_is_the_nearest_of_all_whole_splits_with_the_most_classes_and_the_least_out_of_balance(case):
    items, ties = case
    together = components(items.source_id, ties)
    found = nearest_split(items, together, ties, PARTS)
    names = sorted(set(together.values()))
    component = items.source_id.map(together)
    choices = [component.map(dict(zip(names, choice, strict=True))).to_numpy() for choice in itertools.product(PARTS, repeat=len(names))]
    most = max(classes_of_parts(items, parts) for parts in choices)
    best = min((round(excess(items, parts), 4), moved_s(items, parts)) for parts in choices if classes_of_parts(items, parts) == most)
    assert classes_of_parts(items, found.parts) == most
    assert bool(found.missing) == (most < 6)
    assert excess(items, found.parts) <= best[0] + 2e-4
    assert moved_s(items, found.parts) <= best[1] + 1e-3 * items.seconds.sum()


@pytest.mark.slow
@given(assigned(), st.randoms(use_true_random=False))
@few
def test_no_tie_crosses_parts_and_the_order_of_rows_plays_no_role(case, random):
    items, ties = case
    together = components(items.source_id, ties)
    found = pd.Series(nearest_split(items, together, ties, PARTS).parts)
    assert found.groupby(items.source_id.map(together)).nunique().eq(1).all()
    order = list(range(len(items)))
    random.shuffle(order)
    shuffled = nearest_split(items.iloc[order], components(items.source_id.iloc[order], ties.iloc[::-1]), ties.iloc[::-1], PARTS)
    assert list(shuffled.parts) == list(found.iloc[order])


def sources_in(parts: dict[str, tuple[int, int]]) -> pd.DataFrame:
    """One item of one second for each source; part -> sources of SPEECH and of NONSPEECH."""
    rows = [
        (f"{part}-{label}-{k}", label, part, 1.0)
        for part, counts in parts.items()
        for label, n in zip(("SPEECH", "NONSPEECH"), counts, strict=True)
        for k in range(n)
    ]
    return pd.DataFrame(rows, columns=["source_id", "label", "part", "seconds"])


def shares_of(**shares: float) -> dict[tuple[str, str], float]:
    return {(part, label): share for part, share in shares.items() for label in ("SPEECH", "NONSPEECH")}


def test_nothing_moves_where_nothing_was_wrong_however_lopsided():
    items = sources_in({"train": (2, 8), "dev": (1, 1), "test": (9, 2)})
    ties = ties_table(("train-SPEECH-0", "train-NONSPEECH-3", "one recording"))
    found = nearest_split(items, components(items.source_id, ties), ties, PARTS)
    assert list(found.parts) == list(items.part) and not found.missing and not found.unbalanced


def test_the_smaller_side_of_a_tie_moves():
    items = sources_in({"train": (20, 20), "test": (20, 20)})
    items.loc[items.source_id == "test-SPEECH-0", "seconds"] = 0.5
    ties = ties_table(("test-SPEECH-0", "train-SPEECH-0", "one voice"))
    found = nearest_split(items, components(items.source_id, ties), ties, ("train", "test"))
    assert set(items.source_id[found.parts != items.part]) == {"test-SPEECH-0"}


def test_a_part_that_loses_its_class_gets_another_source_of_it():
    items = sources_in({"train": (5, 5), "test": (1, 2)})
    items.loc[items.source_id == "train-SPEECH-3", "seconds"] = 0.8
    ties = ties_table(("test-SPEECH-0", "train-SPEECH-0", "one voice"))
    found = nearest_split(items, components(items.source_id, ties), ties, ("train", "test"))
    moved = items[found.parts != items.part]
    assert set(moved.source_id) == {"test-SPEECH-0", "train-SPEECH-3"} and not found.missing


def test_what_cannot_be_is_said_with_the_component_and_what_holds_it():
    items = sources_in({"train": (6, 6), "dev": (2, 2), "test": (2, 2)})
    ties = ties_table(
        *[("train-SPEECH-0", f"{part}-SPEECH-{k}", "near duplicates") for part, n in (("train", 6), ("dev", 1), ("test", 1)) for k in range(n)]
    )
    found = nearest_split(items, components(items.source_id, ties), ties, PARTS, shares=shares_of(train=0.4, dev=0.3, test=0.3))
    assert any(
        "component of 80% of SPEECH holds dev-SPEECH-0 and 7 others, held together by near duplicates; no part of 40% or less can hold it" in line
        for line in found.unbalanced
    )
    ties = ties_table(*[("train-SPEECH-0", name, "one voice") for name in items.source_id[items.label == "SPEECH"]])
    found = nearest_split(items, components(items.source_id, ties), ties, PARTS)
    assert len(found.missing) == 2 and all("there are 10 in 1 component that cannot be divided" in line for line in found.missing)


def test_asked_shares_are_met():
    items = sources_in({"train": (40, 40)})
    found = nearest_split(items, components(items.source_id, ties_table()), ties_table(), PARTS, shares=shares_of(train=0.7, dev=0.1, test=0.2))
    shares = items.assign(part=found.parts).groupby(["label", "part"]).size() / 40
    for part, share in (("train", 0.7), ("dev", 0.1), ("test", 0.2)):
        assert all(abs(shares[label, part] - share) <= TOLERANCE + 1e-9 for label in ("SPEECH", "NONSPEECH"))


def test_components_join_whatever_shares_a_value_or_is_tied_and_empty_values_join_nothing():
    items = pd.DataFrame(
        [("a", "r1", ""), ("b", "r1", ""), ("b", "r2", "s"), ("c", "r3", "s"), ("d", "r4", None), ("e", "r5", None)],
        columns=["source_id", "recording_id", "session"],
    )
    ties = pd.concat([shared_values(items, ["recording_id", "session"]), ties_table(("d", "e", "one voice"), ("e", "nobody", "one voice"))])
    assert components(items.source_id, ties) == {"a": "a", "b": "a", "c": "a", "d": "d", "e": "d"}
    assert set(ties.why) == {"recording r1", "session s", "one voice"}


def test_the_published_numbers_of_sources_can_be_asked_for():
    """2 speakers and 8 sounds train, 1 and 2 test; two of the sounds are one recording."""
    items = sources_in({"train": (1, 4), "test": (2, 6)})
    ties = ties_table(("train-NONSPEECH-0", "test-NONSPEECH-0", "one recording"))
    sources = {("train", "SPEECH"): 2, ("train", "NONSPEECH"): 8, ("test", "SPEECH"): 1, ("test", "NONSPEECH"): 2}
    shares = {(part, label): n / (3 if label == "SPEECH" else 10) for (part, label), n in sources.items()}
    found = nearest_split(items, components(items.source_id, ties), ties, ("train", "test"), shares, sources)
    assert items.assign(part=found.parts).groupby(["part", "label"]).source_id.nunique().to_dict() == sources
    assert not found.missing and not found.unbalanced
