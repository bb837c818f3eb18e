"""What must stay in one part of a split: connected components of sources."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from earwitness.core.errors import InputError
from earwitness.core.names import canonical_name
from earwitness.corpora.text_tables import read_text_table
from earwitness.tables.files import validate
from earwitness.tables.ties import TIES


def no_ties() -> pd.DataFrame:
    """A table of ties (TIES) without rows."""
    return pd.DataFrame(columns=list(TIES.columns), dtype=str)


def read_ties(files: Iterable[Path], sources: Iterable[str]) -> pd.DataFrame:
    """The ties (TIES) of several tables, with the sources called as the data call them.

    sources: every source that there is. Raises InputError where a table cannot be read or ties a source that there is not: an ignored tie would
    be a leak.
    """
    called = {canonical_name(source): source for source in sources}
    tables = [no_ties()]
    for path in files:
        ties = read_text_table(path, list(TIES.columns))
        for side in ("source_a", "source_b"):
            named = ties[side].map(canonical_name)
            if len(unknown := ties[side][~named.isin(called)]):
                line, name = unknown.index[0], unknown.iloc[0]
                rows = f"{len(unknown)} such row{'s' if len(unknown) > 1 else ''}"
                raise InputError(f"{path}:{line}: {name!r} is no source of these data ({rows}); correct the name, or remove the row")
            ties[side] = named.map(called)
        tables.append(validate(ties, TIES))
    return pd.concat(tables, ignore_index=True)


def shared_values(items: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Ties between the sources that share a value of one of the columns; "" and missing values are no values.

    items: one row per item, with source_id and the columns.
    """
    tables = [no_ties()]
    for column in columns:
        named = items.loc[items[column].notna() & (items[column] != ""), ["source_id", column]].drop_duplicates()
        first = named.groupby(column).source_id.transform("min")
        tied = named[named.source_id != first]
        what = column.removesuffix("_id")
        tables.append(pd.DataFrame({"source_a": first[tied.index], "source_b": tied.source_id, "why": [f"{what} {v}" for v in tied[column]]}))
    return pd.concat(tables, ignore_index=True)


def components(sources: Iterable[str], ties: pd.DataFrame) -> dict[str, str]:
    """Source -> its component, named by the component's first source in sorted order.

    ties: TIES; pairs with a source that is not among `sources` are passed over.
    """
    names = np.array(sorted(set(sources)), dtype=object)
    position = {name: k for k, name in enumerate(names)}
    known = ties.source_a.isin(position) & ties.source_b.isin(position)
    a, b = (ties.loc[known, side].map(position).to_numpy(int) for side in ("source_a", "source_b"))
    graph = coo_matrix((np.ones(len(a)), (a, b)), shape=(len(names), len(names)))
    _, number = connected_components(graph, directed=False)
    first = pd.Series(names).groupby(number).first()
    return dict(zip(names, first.loc[number], strict=True))


def what_holds(component: str, together: Mapping[str, str], ties: pd.DataFrame, most: int = 3) -> str:
    """A component in words: its first sources, how many more, and what ties them."""
    members = sorted(source for source, name in together.items() if name == component)
    if len(members) == 1:
        return members[0]
    held = sorted(set(ties.why[ties.source_a.map(together) == component]))
    by = ", ".join(held[:most]) + (f" and {len(held) - most} more" if len(held) > most else "")
    return f"{members[0]} and {len(members) - 1} other{'s' if len(members) > 2 else ''}, held together by {by}"
