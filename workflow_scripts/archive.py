"""Pack the results of a run into one RO-Crate, with the files that its provenance has digests of."""

import argparse
import json
from pathlib import Path

import yaml

from earwitness.core.arguments import json_object
from earwitness.core.errors import one_line_errors
from earwitness.provenance.crate import crate_names, describe_crate, write_crate
from earwitness.provenance.run import DIGESTS
from earwitness.tables.files import read_table


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crate", type=Path, help="where the RO-Crate goes (zip)")
    parser.add_argument("files", type=Path, nargs="+", help="what goes in besides: the report, figures, README")
    parser.add_argument("--digests", type=Path, required=True, help="digests of the run's files (CSV)")
    parser.add_argument("--run", type=Path, required=True, help="versions, hardware and revision (JSON)")
    parser.add_argument("--config", type=Path, required=True, help="the resolved configuration (YAML)")
    parser.add_argument("--settings", type=json_object, required=True, help="the configuration's archive section (JSON)")
    args = parser.parse_args()

    recorded = [Path(path) for path in read_table(args.digests, DIGESTS).path]
    files = crate_names([*recorded, *args.files, args.digests, args.run, args.config], Path.cwd())
    run = json.loads(args.run.read_text(encoding="utf-8"))
    sources = yaml.safe_load(args.config.read_text(encoding="utf-8"))["sources"]
    write_crate(args.crate, files, describe_crate(files, args.settings, run, sources))
    print(f"{args.crate}: {len(files)} files, {args.crate.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
