"""Write the table of model families into docs/add_a_family.md, from what each declares."""

import argparse
from pathlib import Path

from earwitness.core.errors import InputError, one_line_errors
from earwitness.core.files import atomic
from earwitness.model.families.registry import family_tables

START = "<!-- families: written by workflow_scripts/document_families.py, do not edit -->\n"
END = "<!-- end of families -->\n"
PAGE = Path(__file__).parents[1] / "docs" / "add_a_family.md"


def documented(text: str) -> str:
    """`text` with the current tables between its markers; raises InputError where a marker is missing."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise InputError(f"{PAGE.name}: no tables of families to replace; put back the lines {START.strip()} and {END.strip()}")
    return f"{before}{start}\n{family_tables()}\n{end}{after}"


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path, nargs="?", default=PAGE, help="file with the two markers (default: docs/add_a_family.md)")
    args = parser.parse_args()

    text = documented(args.page.read_text(encoding="utf-8"))
    with atomic(args.page) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
