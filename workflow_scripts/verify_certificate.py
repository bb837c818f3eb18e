"""Tell whether a leakage certificate agrees with itself and with the data that it is about, whose digests are computed afresh.

Exit code 0: it does, and its verdict is pass; 1: bad input; 2: it does, and its verdict is fail; 3: it does not, one line each.
"""

import sys
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.core.json_files import load_record
from earwitness.core.terminal_text import printable
from earwitness.leakage import audit, tuning_audit
from earwitness.leakage.arguments import AuditArguments
from earwitness.leakage.authenticity import faults, files_in
from earwitness.leakage.certificate import CERTIFICATE, TUNING
from earwitness.leakage.verdict import verdict

EXAMPLES = """\
example:
  earwitness verify-certificate certificate.json --data train.csv test.csv audio/ --evidence evidence.csv
"""


@one_line_errors
def main() -> None:
    parser = AuditArguments(description=__doc__, epilog=EXAMPLES)
    parser.add_argument("certificate", type=Path, help="the certificate (JSON)")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="what was audited: its files, or folders that hold them")
    parser.add_argument("--evidence", type=Path, help="the evidence that came with the certificate (CSV)")
    parser.add_argument("--path-column", default="path", help="column of manifests with the audio file (default: path)")
    args = parser.parse_args()

    certificate = load_record(args.certificate, CERTIFICATE, "a leakage certificate", "name one that an audit wrote")
    checks = (tuning_audit if certificate["split"]["name"] == TUNING else audit).checks()
    if found := faults(certificate, files_in(args.data), checks, args.evidence, args.path_column):
        for fault in found:
            print(printable(f"{args.certificate}: {fault}"))
        sys.exit(3)
    print(printable(verdict(certificate)))
    sys.exit(0 if certificate["status"] == "pass" else 2)


if __name__ == "__main__":
    main()
