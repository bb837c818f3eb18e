"""Synthesise the corpus of the psychoacoustic baseline in FSD50K's layout."""

import argparse
from pathlib import Path

from earwitness.core.arguments import count, json_object
from earwitness.core.errors import one_line_errors
from earwitness.core.files import atomic_folder
from earwitness.corpora.synthesis.fsd50k import write_fsd50k


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the corpus goes (a folder)")
    parser.add_argument("--settings", type=json_object, required=True, help="how many speakers and sounds (JSON)")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=count, default=1)
    args = parser.parse_args()

    with atomic_folder(args.folder) as folder:
        write_fsd50k(folder, args.settings["speakers"], args.settings["sounds"], args.seed, args.threads)


if __name__ == "__main__":
    main()
