"""List and check every recording of a data set; write what is usable, where clips may be cut from, and what was found."""

import argparse
import sys
from pathlib import Path

from earwitness.core.arguments import json_object
from earwitness.core.errors import one_line_errors
from earwitness.corpora.catalogue import catalogue, read_uploaders, summary
from earwitness.corpora.data_sets import DataSet
from earwitness.corpora.file_checks import Limits
from earwitness.corpora.layouts import clips_info_files
from earwitness.tables.files import write_table
from earwitness.tables.recordings import AUDIO_CHECK, RECORDINGS, SEGMENTS


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="the data set's folder or table")
    parser.add_argument("recordings", type=Path, help="where the table of usable recordings goes (Parquet)")
    parser.add_argument("segments", type=Path, help="where the table of stretches goes (Parquet)")
    parser.add_argument("check", type=Path, help="where the table of all files goes (CSV)")
    parser.add_argument("--dataset", required=True, help="the data set's name")
    parser.add_argument("--source", type=json_object, required=True, help="how it is read: keys of its `sources` entry (JSON)")
    parser.add_argument("--uploaders", type=Path, nargs="*", default=[], help="FSD50K's clips-info files, or its folder: who uploaded a sound")
    parser.add_argument("--check", dest="settings", type=json_object, required=True, help="the `check` settings (JSON)")
    args = parser.parse_args()

    settings = dict(args.settings)
    strict = settings.pop("strict")
    data_set = DataSet.from_settings(args.dataset, args.path, args.source)
    tables = [table for path in args.uploaders for table in (clips_info_files(path) if path.is_dir() else [path])]
    found = catalogue(data_set, Limits(**settings), strict, uploaders=read_uploaders(tables))
    for remark in found.remarks:
        print(remark, file=sys.stderr)
    write_table(args.recordings, found.recordings, RECORDINGS)
    write_table(args.segments, found.segments, SEGMENTS)
    write_table(args.check, found.check, AUDIO_CHECK)
    print(summary(found), file=sys.stderr)


if __name__ == "__main__":
    main()
