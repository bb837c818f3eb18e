"""List everything that a study fetches, fetch it into one folder, or verify such a folder, for machines without a network."""

import argparse
import shutil
from pathlib import Path

from earwitness.config import complete_config, layered
from earwitness.core.errors import InputError, one_line_errors
from earwitness.core.redaction import plain_address
from earwitness.model.staging import faults, fetch_all, files_to_fetch, read_list, write_list

DEFAULT = Path(__file__).parents[1] / "config" / "config.yaml"


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["list", "fetch", "verify"], help="list also writes staged.json into the folder, which the others read")
    parser.add_argument("folder", type=Path, help="the staged folder")
    parser.add_argument("--configfile", type=Path, nargs="+", default=[], help="as Snakemake takes them (list)")
    args = parser.parse_args()

    if args.action == "list":
        files = files_to_fetch(complete_config(layered([DEFAULT, *args.configfile])))
        if not files:
            raise InputError("this configuration fetches nothing; name one that does with --configfile")
        args.folder.mkdir(parents=True, exist_ok=True)
        write_list(files, args.folder)
        for file in files:
            size = "size not told" if file.bytes is None else f"{file.bytes:,} bytes"
            print(f"{file.place}\t{size}\t{file.checksum}\t{file.licence}\t{plain_address(file.url)}")
        total, free = sum(file.bytes or 0 for file in files), shutil.disk_usage(args.folder).free
        print(f"{len(files)} files, {total / 1e9:.1f} GB, where {free / 1e9:.1f} are free; data sets take about 1.4 times theirs again when unpacked")
        return
    files = read_list(args.folder)
    if args.action == "fetch":
        fetch_all(files, args.folder)
    if found := faults(files, args.folder):
        raise InputError(f"{args.folder}: {'; '.join(found[:3])}{f' ({len(found) - 3} more)' if len(found) > 3 else ''}; fetch these again")
    print(f"{args.folder}: all {len(files)} files, as listed; set EARWITNESS_MIRRORS={args.folder.resolve()}")


if __name__ == "__main__":
    main()
