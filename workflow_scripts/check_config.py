"""Check configuration files as a run would, without one: what is wrong is named by file, line and key.

Snakemake reads what --configfile names before anything else, and ends in a traceback where it cannot.
"""

import argparse
from pathlib import Path

from earwitness.config import complete_config, layered
from earwitness.core.errors import one_line_errors

DEFAULT = Path(__file__).parents[1] / "config" / "config.yaml"


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*", help="configuration files, as they would follow --configfile")
    args = parser.parse_args()

    complete_config(layered([DEFAULT, *args.files]))
    print(f"{', '.join(map(str, args.files)) or DEFAULT}: nothing wrong")


if __name__ == "__main__":
    main()
