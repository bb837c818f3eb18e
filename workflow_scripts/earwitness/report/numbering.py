"""Numbers of the page's figures and tables, and links to them from anywhere on it."""

from collections.abc import Mapping

from markupsafe import Markup


class Numbering:
    """Counts what the page shows, in the order in which it is shown; what stands further down is known from a first rendering.

    known: `numbers` of that rendering; None in the first, where every reference is to 0.
    """

    def __init__(self, known: Mapping[str, int] | None = None):
        self.numbers: dict[str, int] = {}
        self.known = known

    def place(self, kind: str, name: str) -> int:
        """The number of the next figure or table; kind: "figure" or "table". Raises ValueError where it stood on the page before."""
        key = f"{kind}-{name}"
        if key in self.numbers:
            raise ValueError(f"{key} stands on the page twice")
        self.numbers[key] = 1 + sum(other.startswith(f"{kind}-") for other in self.numbers)
        return self.numbers[key]

    def name(self, kind: str, name: str) -> str:
        """What a link says, as text. Raises KeyError where the page has no such figure or table."""
        return f"{kind.capitalize()}\N{NO-BREAK SPACE}{0 if self.known is None else self.known[f'{kind}-{name}']}"

    def link(self, kind: str, name: str) -> Markup:
        """A link such as "Figure 3". Raises KeyError where the page has no such figure or table."""
        return Markup('<a href="#{0}-{1}">{2}</a>').format(kind, name, self.name(kind, name))
