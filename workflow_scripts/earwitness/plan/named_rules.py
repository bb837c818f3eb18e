"""Names of rules and resources on the command line that Snakemake does not know, and would ignore silently."""

import difflib
from collections.abc import Collection, Mapping


def unknown_names(given: Mapping[str, Collection[str]], known: Collection[str], what: str) -> list[str]:
    """A line for each name that is given and not known, with the nearest that is.

    given: option -> the names that it was given; what: they name, such as "rule".
    """
    lines = []
    for option, names in given.items():
        for name in sorted(set(names) - set(known)):
            close = difflib.get_close_matches(name, sorted(known), n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            lines.append(f"note: {option} {name}: there is no such {what} here, and nothing changes by it{hint}")
    return lines
