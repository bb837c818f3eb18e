"""Fetch, verify and unpack the archives of a data set."""

import argparse
from pathlib import Path

from earwitness.core.arguments import json_object
from earwitness.core.errors import one_line_errors
from earwitness.corpora.downloads import download_dataset


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the data set goes")
    parser.add_argument("--source", type=json_object, required=True, help="the data set's `sources` entry (JSON); its archives are fetched")
    args = parser.parse_args()

    download_dataset(args.source["archives"], args.folder)


if __name__ == "__main__":
    main()
