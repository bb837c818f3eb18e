"""Tell which model a folder holds, once for all that is made with it."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.core.files import write_json
from earwitness.model.identity import identify_model


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the model's folder")
    parser.add_argument("identity", type=Path, help="where its identity goes (JSON)")
    parser.add_argument("--name", nargs="+", required=True, help="its repository and revision on the hub, or its folder")
    args = parser.parse_args()

    name, revision = (*args.name, None)[:2]
    write_json(args.identity, identify_model(args.folder, name, revision))


if __name__ == "__main__":
    main()
