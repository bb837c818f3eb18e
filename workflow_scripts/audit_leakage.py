"""Audit a split for leakage: certificate and evidence, and a report if asked for, written whatever the verdict.

Either a split of this workflow (SPLIT --index ... --clips ... --recordings ... --shards ... [--segments ...]), or manifests of anyone's
audio files (--train A --test B [--dev D], or --manifest M with a column part): CSV or Parquet with the columns path,
label and group, and where there are any recording, session, noise, start_s and end_s. Of manifests the exit code tells the
verdict: 0 pass; 1 bad input; 2 fail, that is a leak, a check that could not run and was not skipped, or audio that cannot be
read. Items of such audio are named on stderr and left out; the rest is audited.
"""

import subprocess
import sys
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.core.files import refuse_overwriting, write_json
from earwitness.core.terminal_text import printable
from earwitness.leakage.arguments import AuditArguments, add_audit_arguments, audited_from
from earwitness.leakage.audit import audit
from earwitness.leakage.verdict import verdict
from earwitness.tables.audit_evidence import EVIDENCE
from earwitness.tables.files import write_table

RENDERER = Path(__file__).with_name("render_audit.py")


EXAMPLES = """\
examples:
  earwitness audit --train train.csv --test test.csv --certificate certificate.json --evidence evidence.csv --html report.html
  earwitness audit --manifest all.csv --certificate c.json --evidence e.csv --junit audit.xml      # a column part divides it
"""


@one_line_errors
def main() -> None:
    parser = AuditArguments(description=__doc__, epilog=EXAMPLES)
    add_audit_arguments(parser)
    parser.add_argument("--certificate", type=Path, required=True, help="where the certificate goes (JSON)")
    parser.add_argument("--evidence", type=Path, required=True, help="where the evidence goes (CSV)")
    parser.add_argument("--report", type=Path, help="where the report goes (Markdown)")
    parser.add_argument("--html", type=Path, help="where the report goes as one page that needs nothing else (HTML)")
    parser.add_argument("--junit", type=Path, help="where the test report for continuous integration goes (JUnit XML)")
    parser.add_argument("--sarif", type=Path, help="where the findings for code scanning go (SARIF 2.1.0)")
    args = parser.parse_args()

    written = [args.certificate, args.evidence, args.report, args.html, args.junit, args.sarif]
    refuse_overwriting([args.split, args.train, args.dev, args.test, args.manifest], written)
    with audited_from(args, strict=False) as (audited, waivers):
        certificate, evidence = audit(audited, waivers)
    write_table(args.evidence, evidence, EVIDENCE)
    write_json(args.certificate, certificate)
    reports = [
        str(word) for option in ("report", "html", "junit", "sarif") if getattr(args, option) for word in (f"--{option}", getattr(args, option))
    ]
    if reports:
        # A program of its own, not an import: how a report looks must not decide when to audit again.
        subprocess.run([sys.executable, RENDERER, args.certificate, args.evidence, *reports], check=True)
    if args.split is None:
        print(printable(verdict(certificate)))
        sys.exit(0 if certificate["status"] == "pass" and not audited.data.unread else 2)


if __name__ == "__main__":
    main()
