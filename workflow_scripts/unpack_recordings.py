"""Write the audio that Parquet files hold themselves to files of its own, beside a manifest."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.core.files import atomic_folder
from earwitness.corpora.unpacking import unpack_audio


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path, nargs="+", help="tables with a column audio (Parquet)")
    parser.add_argument("--folder", type=Path, required=True, help="where audio/ and manifest.csv go")
    args = parser.parse_args()

    with atomic_folder(args.folder) as folder:
        unpack_audio(args.tables, folder)


if __name__ == "__main__":
    main()
