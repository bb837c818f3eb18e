"""Open the gate of a split if its leakage certificate says what is expected; otherwise end with the reason."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.leakage.audit import checks
from earwitness.leakage.gate import open_gate


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("certificate", type=Path, help="the split's leakage certificate (JSON)")
    parser.add_argument("gate", type=Path, help="where the gate's file goes (JSON)")
    parser.add_argument("--split", type=Path, required=True, help="the split that training will use (CSV)")
    parser.add_argument("--expected", choices=["pass", "fail"], required=True, help="fail: the split is kept to show its leak")
    args = parser.parse_args()

    required = [check.id for check in checks() if check.severity == "error"]
    open_gate(args.gate, args.certificate, args.split, args.expected, required)


if __name__ == "__main__":
    main()
