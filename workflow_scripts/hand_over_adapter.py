"""Hand over the selected detector once nothing speaks against it: its folder, with how it follows recordings and a model card."""

import argparse
from pathlib import Path

import pandas as pd

from earwitness.core.arguments import json_object, settings_of
from earwitness.core.errors import one_line_errors
from earwitness.detectors.hand_over import hand_over, selected_detector
from earwitness.report.model_card import BaseTerms, ModelCard, Performance, TrainingData, passed_audit, render_card
from earwitness.tables.accuracy import ACCURACY
from earwitness.tables.calibration import CALIBRATION
from earwitness.tables.comparisons import COMPARISONS
from earwitness.tables.files import read_table
from earwitness.tables.recordings import RECORDINGS
from earwitness.tables.splits import SPLIT


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("selected", type=Path, help="folder of the selected detector, with its segments.json")
    parser.add_argument("folder", type=Path, help="where the detector goes")
    parser.add_argument("--template", type=Path, required=True, help="the model card's Jinja template")
    parser.add_argument("--split", type=Path, required=True, help="the split that it was trained on (CSV)")
    parser.add_argument("--certificate", type=Path, required=True, help="the split's leakage certificate (JSON)")
    parser.add_argument("--recordings", type=Path, nargs="+", required=True, help="tables of recordings (Parquet)")
    parser.add_argument("--calibration", type=Path, required=True, help="how well probabilities hold (CSV)")
    parser.add_argument("--accuracy", type=Path, required=True, help="accuracy per system (CSV)")
    parser.add_argument("--comparisons", type=Path, required=True, help="paired tests (CSV)")
    parser.add_argument("--terms", type=json_object, required=True, help="licence of the base model, and whether it is the tiny one (JSON)")
    parser.add_argument("--origins", type=json_object, required=True, help="data set -> its config sources.<name>.origin (JSON)")
    parser.add_argument("--recipes", type=json_object, required=True, help="config finetuning.recipes (JSON)")
    parser.add_argument("--stimuli", type=json_object, required=True, help="config stimuli (JSON)")
    parser.add_argument("--statistics", type=json_object, required=True, help="config statistics (JSON)")
    args = parser.parse_args()

    detector = selected_detector(args.selected)
    recordings = pd.concat([read_table(path, RECORDINGS) for path in args.recordings], ignore_index=True)
    embedded = [name for name, origin in args.origins.items() if origin == "embedded"]
    accuracy, calibrated = read_table(args.accuracy, ACCURACY), read_table(args.calibration, CALIBRATION)
    card = ModelCard(
        detector=detector,
        recipe=args.recipes[detector.selection.system.name],
        terms=settings_of(BaseTerms, "--terms", args.terms),
        data=TrainingData(read_table(args.split, SPLIT), recordings, embedded, args.stimuli),
        audit=passed_audit(args.certificate),
        performance=Performance(accuracy, calibrated, read_table(args.comparisons, COMPARISONS), args.statistics["confidence"]),
    )
    hand_over(args.folder, args.selected, render_card(card, args.template))


if __name__ == "__main__":
    main()
