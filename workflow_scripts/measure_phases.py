"""Measure balanced accuracy on unseen sources from phase to phase of the study."""

import argparse
from pathlib import Path

import pandas as pd

from earwitness.core.errors import one_line_errors
from earwitness.evaluation.phases import best_question, phase_table
from earwitness.evaluation.scored_answers import Outcomes, outcomes_on
from earwitness.tables.files import read_table, write_table
from earwitness.tables.phases import PHASES
from earwitness.tables.predictions import PREDICTIONS, by_system, read_predictions, system_of
from earwitness.tables.prompt_gains import PROMPT_GAINS
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", type=Path, nargs="+", help="predictions of the base, detectors, adapters and ensembles (Parquet)")
    parser.add_argument("--prompts", type=Path, nargs="*", default=[], help="what every base answers to searched questions, if any (Parquet)")
    parser.add_argument("--gains", type=Path, nargs="*", default=[], help="one table of what each search gained, if any (CSV)")
    parser.add_argument("--index", type=Path, required=True, help="index of all stimuli (Parquet)")
    parser.add_argument("--split", type=Path, required=True, help="split whose test part is measured (CSV)")
    parser.add_argument("--phases", type=Path, required=True, help="where the table goes (CSV)")
    parser.add_argument("--confidence", type=float, required=True, help="level of every interval")
    args = parser.parse_args()

    index, split = read_table(args.index, STIMULI), read_table(args.split, SPLIT)

    def unseen(rows: pd.DataFrame) -> Outcomes:
        return outcomes_on(rows, index, split, "test", "unseen")

    predictions = read_predictions(args.predictions)
    systems = [unseen(rows) for _, rows in by_system(predictions)]
    gains = [read_table(path, PROMPT_GAINS) for path in args.gains]
    questions = []
    for rows in (read_table(path, PREDICTIONS) for path in args.prompts):
        questions.append(unseen(rows[rows.prompt_id == best_question(gains[0], system_of(rows))]))
    write_table(args.phases, phase_table(systems, questions, args.confidence), PHASES)


if __name__ == "__main__":
    main()
