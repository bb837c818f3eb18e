"""Report what chosen questions gain over the initial question on the test part."""

import argparse
from pathlib import Path

import pandas as pd

from earwitness.core.errors import one_line_errors
from earwitness.plan.values import Search
from earwitness.prompt_search.gains import assert_unseen, gain_table, history_table, load_searches, prompt_conditions, score_searches
from earwitness.tables.files import read_table, write_table
from earwitness.tables.predictions import PREDICTIONS
from earwitness.tables.prompt_gains import PROMPT_CONDITIONS, PROMPT_GAINS, PROMPT_HISTORY
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", type=Path, nargs="+", help="what each system answers to the questions chosen for it (Parquet)")
    parser.add_argument("--searches", type=Path, nargs="+", required=True, help="the questions of every search (CSV)")
    parser.add_argument("--names", type=Search.parse, nargs="+", required=True, help="the searches, SYSTEM-PROPOSER-seed-SEED, in the same order")
    parser.add_argument("--tuning", type=Path, nargs="+", required=True, help="what each of them chose, in the same order (JSON)")
    parser.add_argument("--index", type=Path, required=True, help="index of all stimuli (Parquet)")
    parser.add_argument("--split", type=Path, required=True, help="split whose test part reports (CSV)")
    parser.add_argument("--gains", type=Path, required=True, help="where the gains go (CSV)")
    parser.add_argument("--history", type=Path, required=True, help="where every search's questions go (CSV)")
    parser.add_argument("--conditions", type=Path, required=True, help="where accuracy by duration and SNR goes (CSV)")
    parser.add_argument("--confidence", type=float, required=True, help="level of the intervals")
    args = parser.parse_args()

    searches, split = load_searches(args.names, args.searches, args.tuning), read_table(args.split, SPLIT)
    assert_unseen(searches, split)
    index = read_table(args.index, STIMULI)
    scored = [score_searches(searches, read_table(path, PREDICTIONS), index, split) for path in args.predictions]
    write_table(args.gains, gain_table(scored, args.confidence), PROMPT_GAINS)
    write_table(args.history, history_table(searches), PROMPT_HISTORY)
    write_table(args.conditions, pd.concat([prompt_conditions(over) for over in scored]), PROMPT_CONDITIONS)


if __name__ == "__main__":
    main()
