"""Choose the question that everything after the prompt search asks: of several searches, the best on the development part."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.core.files import write_json
from earwitness.leakage.tuning_records import tuning_record
from earwitness.plan.values import Search
from earwitness.prompt_search.gains import assert_unseen, best_of, load_searches
from earwitness.systems import with_model
from earwitness.tables.files import read_table
from earwitness.tables.splits import SPLIT


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("searches", type=Path, nargs="+", help="the questions of every search (CSV)")
    parser.add_argument("--names", type=Search.parse, nargs="+", required=True, help="the searches, SYSTEM-PROPOSER-seed-SEED, in the same order")
    parser.add_argument("--tuning", type=Path, nargs="+", required=True, help="what each of them chose, in the same order (JSON)")
    parser.add_argument("--split", type=Path, required=True, help="the split that they searched and chose on (CSV)")
    parser.add_argument("--question", type=Path, required=True, help="where the question goes (JSON)")
    parser.add_argument("--record", type=Path, required=True, help="where the record of what it was chosen on goes (JSON)")
    args = parser.parse_args()

    searches, split = load_searches(args.names, args.searches, args.tuning), read_table(args.split, SPLIT)
    assert_unseen(searches, split)
    best = best_of(searches)
    value = {
        "question": best.chosen.question,
        "prompt_id": best.chosen.prompt_id,
        "proposer": best.search.proposer,
        "search_seed": best.search.seed,
        "development_balanced_accuracy": float(best.chosen.development_balanced_accuracy),
    }
    used = split[split.stimulus_id.isin({name for search in searches for name in search.record["drawn"]})]
    write_json(args.record, tuning_record(with_model(args.names[0].system.model, "chosen-question"), ["prompt"], value, args.split, used, drawn=True))
    write_json(args.question, value)


if __name__ == "__main__":
    main()
