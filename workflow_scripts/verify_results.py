"""Tell what differs between a result folder and the digests that it was published with, or between two result folders.

Exit code 0: nothing differs; 1: bad input, or a list of digests that is not whole; 2: something differs, one line each. A link in the
place of a file is a difference. Files that no digest covers are named: nothing is said of them. So are recorded files that lie elsewhere.
"""

import sys
from pathlib import Path

from earwitness.core.errors import InputError, one_line_errors
from earwitness.core.terminal_text import printable
from earwitness.leakage.arguments import AuditArguments
from earwitness.provenance.verification import differences_between, differences_from_digests

EXAMPLES = """\
examples:
  earwitness verify results/                          # with the digests in it
  earwitness verify results/ --against other/results/
"""


def say(line: str) -> None:
    """Print a line, whatever the names in it are made of."""
    print(printable(line))


@one_line_errors
def main() -> None:
    parser = AuditArguments(description=__doc__, epilog=EXAMPLES)
    parser.add_argument("folder", type=Path, help="results of a finished run")
    parser.add_argument("--against", type=Path, help="other results; every file but those that vary from run to run is compared")
    args = parser.parse_args()

    if args.against is not None and args.against.resolve() == args.folder.resolve():
        raise InputError(f"--against {args.against}: is the same folder, which differs in nothing from itself; name other results")
    found = differences_from_digests(args.folder)
    differences = found.differences
    say(f"{args.folder}: {len(differences)} differences from its own digests, {found.compared} files compared")
    if args.against is not None:
        between, compared = differences_between(args.folder, args.against)
        say(f"{args.folder} and {args.against}: {len(between)} differences, {compared} files compared")
        differences += between
    for line in differences:
        say(line)
    if found.elsewhere:
        files = f"{len(found.elsewhere)} recorded file{'s' * (len(found.elsewhere) > 1)}"
        say(f"not compared: {files} outside the results, not there or elsewhere, such as {found.elsewhere[0]}")
    for name in found.uncovered:
        say(f"not covered: {name}")
    sys.exit(2 if differences else 0)


if __name__ == "__main__":
    main()
