"""Write an audit for readers and for other tools, from its certificate and its evidence."""

from pathlib import Path

from earwitness.core.arguments import Arguments
from earwitness.core.errors import one_line_errors
from earwitness.core.files import atomic, refuse_overwriting
from earwitness.leakage import audit, tuning_audit
from earwitness.leakage.certificate import load_certificate
from earwitness.leakage.exports import croissant, in_toto, junit, sarif
from earwitness.leakage.report import render_page, render_report
from earwitness.tables.audit_evidence import EVIDENCE
from earwitness.tables.files import read_table

EXAMPLES = """\
examples:
  earwitness export certificate.json evidence.csv --html report.html --sarif audit.sarif
  earwitness export certificate.json evidence.csv --in-toto statement.json --croissant croissant.json

exit codes: 0 written; 1 bad input; 2 wrong command line
"""


@one_line_errors
def main() -> None:
    parser = Arguments(description=__doc__, epilog=EXAMPLES)
    parser.add_argument("certificate", type=Path, help="the audit's certificate (JSON)")
    parser.add_argument("evidence", type=Path, help="the audit's evidence (CSV)")
    parser.add_argument("--report", type=Path, help="where the report goes (Markdown)")
    parser.add_argument("--html", type=Path, help="where the report goes as one page that needs nothing else (HTML)")
    parser.add_argument("--junit", type=Path, help="where the test report for continuous integration goes (JUnit XML)")
    parser.add_argument("--sarif", type=Path, help="where the findings for code scanning go (SARIF 2.1.0)")
    parser.add_argument("--in-toto", type=Path, help="where the statement to sign goes (in-toto Statement v1, JSON)")
    parser.add_argument("--croissant", type=Path, help="where the data set's description goes (Croissant 1.0 with RAI 1.0, JSON-LD)")
    args = parser.parse_args()

    written = [args.report, args.html, args.junit, args.sarif, args.in_toto, args.croissant]
    if not any(written):
        parser.error("nothing is to be written; name a file with --report, --html, --junit, --sarif, --in-toto or --croissant")
    refuse_overwriting([args.certificate, args.evidence], written)
    certificate, evidence = load_certificate(args.certificate), read_table(args.evidence, EVIDENCE)
    checks = [*audit.checks(), *tuning_audit.checks()]
    for path, render in (
        (args.report, lambda: render_report(certificate, evidence, checks)),
        (args.html, lambda: render_page(certificate, evidence, checks)),
        (args.junit, lambda: junit(certificate, evidence)),
        (args.sarif, lambda: sarif(certificate, evidence, checks)),
        (args.in_toto, lambda: in_toto(certificate)),
        (args.croissant, lambda: croissant(certificate)),
    ):
        if path is not None:
            with atomic(path) as temporary:
                temporary.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
