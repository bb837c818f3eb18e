"""Report what chosen questions gain over the baseline on the test part."""

import argparse
from pathlib import Path

import pandas as pd

from earshot.accuracy import condition_table
from earshot.errors import one_line_errors
from earshot.leakage.fitted import load_fitted
from earshot.prompt_search.gains import Search, assert_unseen, gain_table, outcomes_of
from earshot.tables.accuracy import CONDITION_ACCURACY
from earshot.tables.files import read_table, write_table
from earshot.tables.predictions import PREDICTIONS
from earshot.tables.prompt_gains import PROMPT_GAINS, PROMPT_HISTORY
from earshot.tables.prompts import PROMPT_SCORES
from earshot.tables.splits import SPLIT
from earshot.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", type=Path, help="what the base answers to the baseline's and every chosen question (Parquet)")
    parser.add_argument("--searches", type=Path, nargs="+", required=True, help="scores, .../{proposer}/seed-{seed}/prompts.csv")
    parser.add_argument("--fitted", type=Path, nargs="+", required=True, help="what each of them chose, in the same order (JSON)")
    parser.add_argument("--index", type=Path, required=True, help="index of all stimuli (Parquet)")
    parser.add_argument("--split", type=Path, required=True, help="split whose test part reports (CSV)")
    parser.add_argument("--gains", type=Path, required=True, help="where the gains go (CSV)")
    parser.add_argument("--history", type=Path, required=True, help="where every search's questions go (CSV)")
    parser.add_argument("--conditions", type=Path, required=True, help="where accuracy by duration and SNR goes (CSV)")
    parser.add_argument("--confidence", type=float, required=True, help="level of the intervals")
    args = parser.parse_args()

    searches = [
        Search(scores.parts[-3], int(scores.parts[-2].removeprefix("seed-")), read_table(scores, PROMPT_SCORES), load_fitted(record))
        for scores, record in zip(args.searches, args.fitted, strict=True)
    ]
    split = read_table(args.split, SPLIT)
    assert_unseen(searches, split)
    outcomes = outcomes_of(searches, read_table(args.predictions, PREDICTIONS), read_table(args.index, STIMULI), split)
    history = pd.concat([search.scores.assign(proposer=search.proposer, search_seed=str(search.seed)) for search in searches])
    write_table(args.gains, gain_table(searches, outcomes, args.confidence), PROMPT_GAINS)
    write_table(args.history, history, PROMPT_HISTORY)
    write_table(args.conditions, condition_table(outcomes), CONDITION_ACCURACY)


if __name__ == "__main__":
    main()
