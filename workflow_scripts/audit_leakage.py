"""Audit a split for leakage: certificate, report and evidence, written whatever the verdict.

Either a split of this workflow (SPLIT --index ... --clips ... --recordings ... --shards ...), or manifests of anyone's
audio files (--train A --test B [--dev D]): CSV or Parquet with the columns path, label and group, and where there are
any recording, noise, start_s and end_s. Of manifests the exit code tells the verdict: 0 pass; 1 bad input; 2 fail, that
is a leak, or a check that could not run and was not skipped.
"""

import argparse
import sys
from pathlib import Path

from earshot.errors import one_line_errors
from earshot.files import atomic, write_json
from earshot.leakage.arguments import AuditArguments, add_audit_arguments, audited_from
from earshot.leakage.audit import audit, checks
from earshot.leakage.report import render_page, render_report, verdict
from earshot.tables import EVIDENCE, write_table


@one_line_errors
def main() -> None:
    parser = AuditArguments(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_audit_arguments(parser)
    parser.add_argument("--certificate", type=Path, required=True, help="where the certificate goes (JSON)")
    parser.add_argument("--report", type=Path, required=True, help="where the report goes (Markdown)")
    parser.add_argument("--evidence", type=Path, required=True, help="where the evidence goes (CSV)")
    parser.add_argument("--html", type=Path, help="where the report goes as one page that needs nothing else (HTML)")
    args = parser.parse_args()

    with audited_from(args) as (audited, waivers):
        certificate, evidence = audit(audited, waivers)
    write_table(args.evidence, evidence, EVIDENCE)
    with atomic(args.report) as temporary:
        temporary.write_text(render_report(certificate, evidence, checks()), encoding="utf-8")
    if args.html is not None:
        with atomic(args.html) as temporary:
            temporary.write_text(render_page(certificate, evidence, checks()), encoding="utf-8")
    write_json(args.certificate, certificate)
    if args.train is not None:
        print(verdict(certificate))
        sys.exit(0 if certificate["status"] == "pass" else 2)


if __name__ == "__main__":
    main()
