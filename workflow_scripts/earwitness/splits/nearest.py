"""The split nearest to a given one that divides no component.

An integer program with one binary variable for every component and part, solved exactly (HiGHS, through scipy.optimize.milp)
three times: as few sources as possible are missing from any class of a part; then as little as possible is out of balance; then, among the
splits that reach both, the fewest seconds of audio move.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix, hstack, identity, kron, vstack

from earwitness.core.randomness import stream_seed
from earwitness.splits.components import what_holds

TOLERANCE = 0.05
"""How far a part's share of a class's seconds, items or sources may be from the wanted one; a share that was further off may stay so."""

MEASURES = ("seconds", "items", "sources")

_TIE_BREAK = 1e-7
"""Share of all seconds: a component's preference for a part, by hash, decides only between equally near splits."""

_GAP = 1e-4
"""How far the seconds moved may be from the fewest possible, as a share of them: exact for hundreds of components."""


@dataclass(frozen=True)
class Nearest:
    """A split in which every component is whole.

    parts: the part of every item, in the order of the items.
    missing: which part lacks sources of which class, and why that cannot be helped.
    unbalanced: which part is further from the share of a class that was wanted than it may be, and why.
    """

    parts: npt.NDArray[np.object_]
    missing: list[str]
    unbalanced: list[str]


def nearest_split(
    items: pd.DataFrame,
    together: Mapping[str, str],
    ties: pd.DataFrame,
    parts: Sequence[str],
    shares: Mapping[tuple[str, str], float] | None = None,
    sources: Mapping[tuple[str, str], int] | None = None,
    seed: int = 0,
) -> Nearest:
    """Assign whole components to parts so that the fewest seconds of audio change their part.

    items: one row per item, with source_id, label, part and seconds. together, ties: of earwitness.splits.components.
    parts: all parts. shares: (part, class) -> the wanted share of the class, adding up to 1 over parts; by default what each part
    has of the class's seconds now. sources: (part, class) -> how many sources of the class the part needs; 1 where it is not told.

    Every part gets its sources of each class where that is possible; its shares of each class's seconds, items and sources
    stay within TOLERANCE of the wanted one, or as far from it as they are now, where that is possible. Where the present
    split divides nothing and lacks nothing, and no shares are asked for, nothing moves. The order of rows plays no role.
    """
    parts = list(parts)
    labels = sorted(items.label.unique())
    component = items.source_id.map(together)
    names = sorted(component.unique())
    amount = _amounts(items, component, names, parts, labels)
    total = amount.sum(axis=2)
    whole = not pd.DataFrame({"component": component, "part": items.part}).drop_duplicates().component.duplicated().any()
    n_sources = np.rint(total[2])

    present = amount.sum(axis=1) / total.sum(axis=1)[:, None, :]
    asked = present[0] if shares is None else np.array([[shares[part, label] for label in labels] for part in parts])
    fewest = np.array([[(sources or {}).get((part, label), 1) for label in labels] for part in parts])
    allowed = np.maximum(TOLERANCE, np.abs(present - asked)) if shares is None else np.full(present.shape, TOLERANCE)
    enough = bool((np.rint(amount[2].sum(axis=0)) >= fewest).all())
    if whole and enough and (shares is None or bool((np.abs(present - asked) <= TOLERANCE).all())):
        return Nearest(items.part.to_numpy(object), [], [])

    moved = (amount[0].sum(axis=(1, 2))[:, None] - amount[0].sum(axis=2)) / amount[0].sum()
    preference = np.array([[stream_seed(seed, "nearest_split", name, part) / 2**64 for part in parts] for name in names])
    chosen = _solve(moved + _TIE_BREAK * preference / len(names), total, asked, allowed, n_sources, fewest)

    placed = np.eye(len(parts))[chosen]
    got = np.einsum("kp,mkc->mpc", placed, total) / total.sum(axis=1)[:, None, :]
    whole_ones = _Components(names, together, ties)
    lacking = np.argwhere(placed.T @ n_sources < fewest)
    missing = [_why_missing(parts[p], labels[c], int(placed[:, p] @ n_sources[:, c]), n_sources[:, c], whole_ones) for p, c in lacking]
    unbalanced = []
    for p, c in np.argwhere((np.abs(got - asked) > allowed + 1e-6).any(axis=0)):
        measure = int(np.argmax(np.abs(got - asked)[:, p, c]))
        found = f"part {parts[p]} gets {got[measure, p, c]:.0%} of the {MEASURES[measure]} of {labels[c]}, not {asked[p, c]:.0%}"
        unbalanced.append(f"{found}: {_what_is_large(labels[c], asked[:, c].max(), total[measure, :, c], whole_ones)}")
    part_of = dict(zip(names, np.array(parts, dtype=object)[chosen], strict=True))
    return Nearest(component.map(part_of).to_numpy(object), missing, unbalanced)


def drawn_parts(items: pd.DataFrame, shares: Mapping[tuple[str, str], float], seed: int) -> npt.NDArray[np.object_]:
    """A part for every item, as a start for `nearest_split`: shares of each class's sources, in an order by a hash of the seed and their names.

    items: source_id and label. shares: (part, class) -> share of the class's sources, adding up to 1 over parts. A source of both classes
    may get two parts, which `nearest_split` mends.
    """
    part_of: dict[tuple[str, str], str] = {}
    for label, rows in items.groupby("label"):
        sources = sorted(rows.source_id.unique(), key=lambda source: (stream_seed(seed, "drawn_parts", source), source))
        parts = [part for part, of in shares if of == label]
        ends = np.rint(np.cumsum([shares[part, str(label)] for part in parts]) * len(sources))
        chosen = np.searchsorted(ends, np.arange(len(sources)), side="right").clip(max=len(parts) - 1)
        part_of |= {(str(label), source): parts[k] for source, k in zip(sources, chosen, strict=True)}
    return np.array([part_of[key] for key in zip(items.label, items.source_id, strict=True)], dtype=object)


def _amounts(items: pd.DataFrame, component: pd.Series, names: list[str], parts: list[str], labels: list[str]) -> npt.NDArray[np.float64]:
    """Measure x component x part x class: seconds, items, and sources. A source that is divided counts for each part by its share of items."""
    keyed = items.assign(component=component, items=1.0)
    per_source = keyed.groupby(["component", "part", "label", "source_id"])[["seconds", "items"]].sum()
    per_source["sources"] = per_source["items"] / per_source.groupby(["label", "source_id"])["items"].transform("sum")
    cells = per_source.groupby(["component", "part", "label"]).sum().reset_index()
    amount = np.zeros((len(MEASURES), len(names), len(parts), len(labels)))
    where = [pd.Index(order).get_indexer(pd.Index(cells[key])) for order, key in ((names, "component"), (parts, "part"), (labels, "label"))]
    for number, measure in enumerate(MEASURES):
        amount[number][tuple(where)] = cells[measure]
    return amount


def _solve(
    cost: npt.NDArray[np.float64],
    total: npt.NDArray[np.float64],
    asked: npt.NDArray[np.float64],
    allowed: npt.NDArray[np.float64],
    n_sources: npt.NDArray[np.float64],
    fewest: npt.NDArray[np.int_],
) -> npt.NDArray[np.intp]:
    """The part of every component.

    Variables: x (component, part), binary; e (measure, part, class), how far a share is beyond what is allowed; l (part, class),
    how many sources are lacking.
    """
    n, n_parts = cost.shape
    n_measures, _, n_labels = total.shape
    n_excess, n_lack = n_measures * n_parts * n_labels, n_parts * n_labels
    share = total / total.sum(axis=1)[:, None, :]
    # Rows ordered as (measure, part, class) and (part, class), columns of x as (component, part).
    shares_of = vstack([_by_part(share[m], n_parts) for m in range(n_measures)])
    sources_of = _by_part(n_sources, n_parts)
    one_part = hstack([kron(identity(n), np.ones((1, n_parts))), csr_matrix((n, n_excess + n_lack))])
    lacks = hstack([sources_of, csr_matrix((n_lack, n_excess)), identity(n_lack)])
    above = hstack([shares_of, -identity(n_excess), csr_matrix((n_excess, n_lack))])
    below = hstack([shares_of, identity(n_excess), csr_matrix((n_excess, n_lack))])
    wanted = np.repeat(asked[None], n_measures, axis=0)
    constraints = [
        LinearConstraint(one_part, 1, 1),
        LinearConstraint(lacks, fewest.ravel(), np.inf),
        LinearConstraint(above, -np.inf, (wanted + allowed).ravel()),
        LinearConstraint(below, (wanted - allowed).ravel(), np.inf),
    ]
    n_x = n * n_parts
    binary = np.repeat([1, 0], [n_x, n_excess + n_lack])
    bounds = Bounds(0, np.repeat([1, np.inf], [n_x, n_excess + n_lack]))
    nothing, no_excess, no_lack = np.zeros(n_x), np.zeros(n_excess), np.zeros(n_lack)
    lacking = np.concatenate([nothing, no_excess, np.ones(n_lack)])
    unbalanced = np.concatenate([nothing, np.ones(n_excess), no_lack])
    moved = np.concatenate([cost.ravel(), no_excess, no_lack])
    for aim, slack in ((lacking, 0.5), (unbalanced, 1e-4), (moved, 0.0)):
        solved = milp(aim, integrality=binary, bounds=bounds, constraints=constraints, options={"mip_rel_gap": _GAP})
        # Sources are whole, so that half of one lacks nothing.
        constraints.append(LinearConstraint(aim[None], -np.inf, solved.fun + slack))
    return solved.x[:n_x].reshape(n, n_parts).argmax(axis=1)


def _by_part(values: npt.NDArray[np.float64], n_parts: int) -> csr_matrix:
    """values (component x class) as the matrix that takes x to what each part holds of each class, rows ordered (part, class)."""
    n, n_labels = values.shape
    rows = np.arange(n_parts)[None, :, None] * n_labels + np.arange(n_labels)[None, None, :]
    columns = (np.arange(n)[:, None] * n_parts + np.arange(n_parts)[None, :])[:, :, None]
    shape = (n, n_parts, n_labels)
    data = np.broadcast_to(values[:, None, :], shape).ravel()
    where = (np.broadcast_to(rows, shape).ravel(), np.broadcast_to(columns, shape).ravel())
    return csr_matrix((data, where), shape=(n_parts * n_labels, n * n_parts))


@dataclass(frozen=True)
class _Components:
    """The components by name, and what ties their sources (earwitness.splits.components)."""

    names: Sequence[str]
    together: Mapping[str, str]
    ties: pd.DataFrame

    def held_by(self, place: int) -> str:
        return what_holds(self.names[place], self.together, self.ties)


def _why_missing(part: str, label: str, got: int, n_sources: npt.NDArray[np.float64], components: _Components) -> str:
    """n_sources: of the class, in every component. got: how many the part has."""
    having = np.count_nonzero(n_sources)
    told = f", of which {components.held_by(int(np.argmax(n_sources)))}" if n_sources.max() > 1 else ""
    return (
        f"part {part} cannot have enough sources of {label} ({got}): there are {int(n_sources.sum())} in {having} "
        f"component{'' if having == 1 else 's'} that cannot be divided{told}; add recordings of {label} from other sources"
    )


def _what_is_large(label: str, most_asked: float, amounts: npt.NDArray[np.float64], components: _Components) -> str:
    """amounts: of the class, in every component. most_asked: the largest share of the class that a part is to have."""
    largest = int(np.argmax(amounts))
    share = amounts[largest] / amounts.sum()
    too_large = f"; no part of {most_asked:.0%} or less can hold it" if share > most_asked + TOLERANCE else ""
    return f"component of {share:.0%} of {label} holds {components.held_by(largest)}{too_large}"
