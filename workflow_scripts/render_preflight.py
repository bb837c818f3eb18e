"""Write a preflight for readers, with the hours that the planned adapters will take."""

import argparse
import json
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.core.files import atomic
from earwitness.report.preflight_page import preflight_page


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path, help="what was found (JSON)")
    parser.add_argument("page", type=Path, help="where the page goes (Markdown)")
    parser.add_argument("--adapters", type=int, required=True, help="adapters that are planned")
    parser.add_argument("--rows", type=int, required=True, help="rows that all of them are shown in training")
    args = parser.parse_args()

    found = json.loads(args.record.read_text(encoding="utf-8"))
    with atomic(args.page) as temporary:
        temporary.write_text(preflight_page(found, args.adapters, args.rows), encoding="utf-8")


if __name__ == "__main__":
    main()
