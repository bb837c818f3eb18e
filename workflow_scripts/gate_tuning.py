"""Open the report's gate if nothing was fitted outside its part of the split; otherwise end with the reason."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.leakage.gate import open_gate
from earwitness.leakage.tuning_audit import checks


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("certificate", type=Path, help="the certificate of what was fitted (JSON)")
    parser.add_argument("gate", type=Path, help="where the gate's file goes (JSON)")
    parser.add_argument("--split", type=Path, required=True, help="the split whose test part the report is about (CSV)")
    args = parser.parse_args()

    required = [check.id for check in checks() if check.severity == "error"]
    open_gate(args.gate, args.certificate, args.split, "pass", required)


if __name__ == "__main__":
    main()
