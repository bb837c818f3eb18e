"""Audit a split for leakage: certificate, report and evidence, written whatever the verdict."""

import argparse
from pathlib import Path

from earshot.arguments import json_object
from earshot.errors import one_line_errors
from earshot.files import atomic, write_json
from earshot.leakage.audit import audit_split, checks
from earshot.leakage.evidence import Policy
from earshot.leakage.report import render_report
from earshot.tables import EVIDENCE, write_table


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("split", type=Path, help="which part each stimulus belongs to (CSV)")
    parser.add_argument("--index", type=Path, required=True, help="table of the stimuli (Parquet)")
    parser.add_argument("--clips", type=Path, nargs="+", required=True, help="tables of clips with audio (Parquet)")
    parser.add_argument("--certificate", type=Path, required=True, help="where the certificate goes (JSON)")
    parser.add_argument("--report", type=Path, required=True, help="where the report goes (Markdown)")
    parser.add_argument("--evidence", type=Path, required=True, help="where the evidence goes (CSV)")
    parser.add_argument("--policy", type=json_object, required=True, help="what the audit tolerates (the configuration's audit)")
    args = parser.parse_args()

    certificate, evidence = audit_split(args.split, args.index, args.clips, Policy.from_settings(args.policy))
    write_table(args.evidence, evidence, EVIDENCE)
    with atomic(args.report) as temporary:
        temporary.write_text(render_report(certificate, evidence, checks()), encoding="utf-8")
    write_json(args.certificate, certificate)


if __name__ == "__main__":
    main()
