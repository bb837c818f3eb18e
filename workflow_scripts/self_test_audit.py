"""Plant a leak for every check in copies of a split, and tell which checks find it.

Takes a split as audit_leakage.py does, and of it a sample, since every leak needs an audit of its own. Exit code 0: every
planted leak was found by its check, and by no check that should not see it; 1: bad input; 2: one was missed, or raised a
false alarm.
"""

import sys
from pathlib import Path

from earwitness.core.arguments import count
from earwitness.core.errors import one_line_errors
from earwitness.core.files import refuse_overwriting, write_json
from earwitness.leakage.arguments import AuditArguments, add_audit_arguments, audited_from
from earwitness.leakage.self_test import detection_table, sampled, self_test

EXAMPLES = """\
example:
  earwitness self-test --train train.csv --test test.csv
"""


@one_line_errors
def main() -> None:
    parser = AuditArguments(description=__doc__, epilog=EXAMPLES)
    add_audit_arguments(parser)
    parser.add_argument("--json", type=Path, help="where the result goes (JSON)")
    parser.add_argument("--sources", type=count, default=10, help="sources of every part and class that the copies hold (default: 10)")
    parser.add_argument("--stimuli", type=count, default=12, help="stimuli of every source that the copies hold (default: 12)")
    args = parser.parse_args()

    refuse_overwriting([args.split, args.train, args.dev, args.test, args.manifest], [args.json])
    with audited_from(args) as (audited, _):
        result = self_test(sampled(audited, args.sources, args.stimuli))
    if args.json is not None:
        write_json(args.json, result)
    print(detection_table(result))
    print(f"{result['detected']} of {result['planted']} planted leaks detected")
    sys.exit(0 if result["passed"] else 2)


if __name__ == "__main__":
    main()
