"""List and check every recording of a data set; write what is usable, where clips may be cut from, and what was found."""

import argparse
import sys
from pathlib import Path

from earwitness.core.arguments import json_object
from earwitness.core.errors import one_line_errors
from earwitness.corpora.catalogue import catalogue, summary
from earwitness.corpora.file_checks import Limits
from earwitness.tables.files import write_table
from earwitness.tables.recordings import AUDIO_CHECK, RECORDINGS, SEGMENTS


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the data set's folder")
    parser.add_argument("recordings", type=Path, help="where the table of usable recordings goes (Parquet)")
    parser.add_argument("segments", type=Path, help="where the table of stretches goes (Parquet)")
    parser.add_argument("check", type=Path, help="where the table of all files goes (CSV)")
    parser.add_argument("--dataset", choices=["voxconverse", "esc50", "fsd50k"], required=True)
    parser.add_argument("--licence", required=True)
    parser.add_argument("--check", dest="settings", type=json_object, required=True, help="the `check` settings (JSON)")
    args = parser.parse_args()

    settings = dict(args.settings)
    strict = settings.pop("strict")
    found = catalogue(args.dataset, args.folder, args.licence, Limits(**settings), strict)
    for remark in found.remarks:
        print(remark, file=sys.stderr)
    write_table(args.recordings, found.recordings, RECORDINGS)
    write_table(args.segments, found.segments, SEGMENTS)
    write_table(args.check, found.check, AUDIO_CHECK)
    print(summary(found), file=sys.stderr)


if __name__ == "__main__":
    main()
