"""Write the report of an audit, to read: from its certificate and its evidence."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.core.files import atomic
from earwitness.leakage import audit, tuning_audit
from earwitness.leakage.certificate import load_certificate
from earwitness.leakage.report import render_page, render_report
from earwitness.tables.audit_evidence import EVIDENCE
from earwitness.tables.files import read_table


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("certificate", type=Path, help="the audit's certificate (JSON)")
    parser.add_argument("evidence", type=Path, help="the audit's evidence (CSV)")
    parser.add_argument("--report", type=Path, help="where the report goes (Markdown)")
    parser.add_argument("--html", type=Path, help="where the report goes as one page that needs nothing else (HTML)")
    args = parser.parse_args()

    certificate, evidence = load_certificate(args.certificate), read_table(args.evidence, EVIDENCE)
    checks = [*audit.checks(), *tuning_audit.checks()]
    for path, render in ((args.report, render_report), (args.html, render_page)):
        if path is not None:
            with atomic(path) as temporary:
                temporary.write_text(render(certificate, evidence, checks), encoding="utf-8")


if __name__ == "__main__":
    main()
