"""Report what chosen questions gain over the baseline on the test part."""

import argparse
from pathlib import Path

import pandas as pd

from earwitness.core.errors import one_line_errors
from earwitness.prompt_search.gains import assert_unseen, gain_table, load_searches, outcomes_of, prompt_conditions
from earwitness.tables.files import read_table, write_table
from earwitness.tables.predictions import PREDICTIONS
from earwitness.tables.prompt_gains import PROMPT_CONDITIONS, PROMPT_GAINS, PROMPT_HISTORY
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", type=Path, nargs="+", help="what a system answers to its questions, .../{system}/predictions.parquet")
    parser.add_argument("--searches", type=Path, nargs="+", required=True, help="scores, .../{system}/{proposer}/seed-{seed}/prompts.csv")
    parser.add_argument("--tuning", type=Path, nargs="+", required=True, help="what each of them chose, in the same order (JSON)")
    parser.add_argument("--index", type=Path, required=True, help="index of all stimuli (Parquet)")
    parser.add_argument("--split", type=Path, required=True, help="split whose test part reports (CSV)")
    parser.add_argument("--gains", type=Path, required=True, help="where the gains go (CSV)")
    parser.add_argument("--history", type=Path, required=True, help="where every search's questions go (CSV)")
    parser.add_argument("--conditions", type=Path, required=True, help="where accuracy by duration and SNR goes (CSV)")
    parser.add_argument("--confidence", type=float, required=True, help="level of the intervals")
    args = parser.parse_args()

    searches, split = load_searches(args.searches, args.tuning), read_table(args.split, SPLIT)
    assert_unseen(searches, split)
    index = read_table(args.index, STIMULI)
    gains, conditions = [], []
    for path in args.predictions:
        system = path.parent.name
        over = [search for search in searches if search.system == system]
        outcomes = outcomes_of(over, read_table(path, PREDICTIONS), index, split)
        gains.append(gain_table(over, outcomes, args.confidence))
        conditions.append(prompt_conditions(system, outcomes))
    history = [s.scores.assign(system_id=s.system, proposer=s.proposer, search_seed=str(s.seed)) for s in searches]
    write_table(args.gains, pd.concat(gains), PROMPT_GAINS)
    write_table(args.history, pd.concat(history), PROMPT_HISTORY)
    write_table(args.conditions, pd.concat(conditions), PROMPT_CONDITIONS)


if __name__ == "__main__":
    main()
