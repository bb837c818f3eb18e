"""Fetch a pinned snapshot of a model from the Hugging Face hub: weights as safetensors only, and no code."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.model.hub import fetch_snapshot


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the snapshot goes")
    parser.add_argument("--repository", required=True, help="hub repository, OWNER/NAME")
    parser.add_argument("--revision", required=True, help="commit, tag or branch")
    parser.add_argument("--section", required=True, help="of the configuration that names them, for messages")
    args = parser.parse_args()

    fetch_snapshot(args.repository, args.revision, args.folder, args.section)


if __name__ == "__main__":
    main()
