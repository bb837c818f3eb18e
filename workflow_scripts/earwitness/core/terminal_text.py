"""Text that cannot act on a terminal."""


def printable(text: str) -> str:
    """`text` with control characters and other invisible ones written as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
