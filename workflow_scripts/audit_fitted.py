"""Audit what was fitted, and the base model: certificate and evidence, written whatever the verdict."""

import argparse
from datetime import date
from pathlib import Path

import pandas as pd

from earshot.arguments import json_object
from earshot.calibration import CALIBRATED_KINDS, calibration_name
from earshot.detectors import FITS
from earshot.errors import one_line_errors
from earshot.files import sha256_of, write_json
from earshot.leakage.certifying import subject_of
from earshot.leakage.fitted import load_fitted
from earshot.leakage.fitted_audit import audit_fitted, checks
from earshot.leakage.fitted_checks import FittedEvidence
from earshot.leakage.registry import CHECK_IDS
from earshot.leakage.waivers import iso_day, read_waivers
from earshot.tables.counterfactuals import COUNTERFACTUALS
from earshot.tables.evidence import EVIDENCE
from earshot.tables.files import read_table, write_table
from earshot.tables.recordings import RECORDINGS
from earshot.tables.splits import SPLIT


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("split", type=Path, help="the split whose test part nothing may be fitted on (CSV)")
    parser.add_argument("--fitted", type=Path, nargs="*", default=[], help="what every system fitted (JSON)")
    parser.add_argument("--systems", nargs="*", choices=sorted(FITS), default=[], help="systems that must tell what they fitted")
    parser.add_argument("--searches", nargs="*", default=[], help="prompt searches that must tell what they chose, and on what")
    parser.add_argument("--calibrated", nargs="*", default=[], help="systems that must tell what their calibration was fitted on")
    parser.add_argument("--recordings", type=Path, nargs="+", required=True, help="tables of recordings (Parquet)")
    parser.add_argument("--base", required=True, help="the base model's name in config/pretraining_corpora.csv")
    parser.add_argument("--counterfactuals", type=Path, help="what the base model answered to changed stimuli (CSV)")
    parser.add_argument("--waivers", type=json_object, default={"waivers": []}, help="the configuration's audit, of which the waivers count (JSON)")
    parser.add_argument("--today", default=date.today().isoformat(), help="the day on which waivers must not have expired (default: today)")
    parser.add_argument("--certificate", type=Path, required=True, help="where the certificate goes (JSON)")
    parser.add_argument("--evidence", type=Path, required=True, help="where the evidence goes (CSV)")
    args = parser.parse_args()

    recordings = pd.concat([read_table(path, RECORDINGS) for path in args.recordings], ignore_index=True)
    evidence = FittedEvidence(
        split=read_table(args.split, SPLIT),
        split_sha256=sha256_of(args.split),
        records=[load_fitted(path) for path in args.fitted],
        needed={system: FITS[system] for system in args.systems}
        | dict.fromkeys(args.searches, ("prompt",))
        | dict.fromkeys(map(calibration_name, args.calibrated), CALIBRATED_KINDS),
        datasets=recordings.dataset,
        base=args.base,
        counterfactuals=None if args.counterfactuals is None else read_table(args.counterfactuals, COUNTERFACTUALS),
    )
    counterfactuals = [] if args.counterfactuals is None else [args.counterfactuals]
    files = {"split": [args.split], "fitted": args.fitted, "recordings": args.recordings, "counterfactuals": counterfactuals}
    ours = {check.id for check in checks()}
    waivers = [waiver for waiver in read_waivers(args.waivers["waivers"], CHECK_IDS, iso_day(args.today, "--today")) if waiver.check in ours]
    certificate, table = audit_fitted(evidence, subject_of(files), waivers)
    write_table(args.evidence, table, EVIDENCE)
    write_json(args.certificate, certificate)


if __name__ == "__main__":
    main()
