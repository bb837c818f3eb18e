"""Tell what differs between a result folder and the digests that it was published with, or between two result folders.

Exit code 0: nothing differs; 1: bad input, or a list of digests that is not whole; 2: something differs, one line each. Files
that no digest covers are named: nothing is said of them.
"""

import argparse
import sys
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.leakage.arguments import AuditArguments
from earwitness.provenance.verification import differences_between, differences_from_digests

EXAMPLES = """\
examples:
  earwitness verify results/                          # with the digests in it
  earwitness verify results/ --against other/results/
"""


@one_line_errors
def main() -> None:
    parser = AuditArguments(description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="results of a finished run")
    parser.add_argument("--against", type=Path, help="other results; every file but those that vary from run to run is compared")
    args = parser.parse_args()

    differences, compared, uncovered = differences_from_digests(args.folder)
    print(f"{args.folder}: {len(differences)} differences from its own digests, {compared} files compared")
    if args.against is not None:
        between, compared = differences_between(args.folder, args.against)
        print(f"{args.folder} and {args.against}: {len(between)} differences, {compared} files compared")
        differences += between
    for line in differences:
        print(line)
    for name in uncovered:
        print(f"not covered: {name}")
    sys.exit(2 if differences else 0)


if __name__ == "__main__":
    main()
