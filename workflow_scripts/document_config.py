"""Write the table of options into config/README.md, from the schema."""

import argparse
from pathlib import Path

from earwitness.config import option_table
from earwitness.core.errors import InputError, one_line_errors
from earwitness.core.files import atomic

START = "<!-- options: written by workflow_scripts/document_config.py, do not edit -->\n"
END = "<!-- end of options -->\n"
README = Path(__file__).parents[1] / "config" / "README.md"


def documented(text: str) -> str:
    """`text` with the current table of options between its markers.

    Raises InputError where a marker is missing.
    """
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise InputError(f"{README.name}: no table of options to replace; put back the lines {START.strip()} and {END.strip()}")
    return f"{before}{start}\n{option_table()}\n{end}{after}"


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("readme", type=Path, nargs="?", default=README, help="file with the two markers (default: config/README.md)")
    args = parser.parse_args()

    text = documented(args.readme.read_text(encoding="utf-8"))
    with atomic(args.readme) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
