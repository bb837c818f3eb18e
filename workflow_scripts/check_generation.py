"""Compare the scores of a random part of the stimuli with what constrained generate() answers."""

import argparse
from pathlib import Path

from earwitness.core.arguments import add_model_arguments, add_prompt_arguments
from earwitness.core.errors import one_line_errors
from earwitness.core.randomness import stream
from earwitness.prompt_search.chosen_question import asked_prompt
from earwitness.runtime.devices import leased_devices
from earwitness.tables.files import write_table
from earwitness.tables.generation import GENERATION

BATCH = 64


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("features", type=Path, nargs="+", help="stimuli encoded by the base model (Parquet)")
    parser.add_argument("--table", type=Path, required=True, help="where the agreement goes (CSV)")
    add_prompt_arguments(parser)
    parser.add_argument("--most", type=int, required=True, help="stimuli to compare")
    parser.add_argument("--seed", type=int, required=True)
    add_model_arguments(parser)
    args = parser.parse_args()

    with leased_devices():
        # torch looks at the visible devices when it is imported.
        import torch

        from earwitness.model.engine.generation import compare_with_scores
        from earwitness.model.engine.loading import load_model
        from earwitness.model.engine.prompting import Prompt
        from earwitness.model.feature_files import pad, read_features, stimuli_of
        from earwitness.model.identity import recorded

        torch.set_num_threads(args.threads)
        loaded = load_model(recorded(args.base, args.identity), args.quantisation, memory=args.memory)
        names = sorted(name for file in args.features for name in stimuli_of(file))
        drawn = set(stream(args.seed, "check_generation").permutation(names)[: args.most])
        vectors = [row for _, rows in read_features(loaded, args.features, drawn) for row in rows]
        batches = [pad(vectors[start : start + BATCH], loaded.device) for start in range(0, len(vectors), BATCH)]
        table = compare_with_scores(loaded, batches, Prompt(**asked_prompt(args.prompt, args.question)))
    write_table(args.table, table, GENERATION)


if __name__ == "__main__":
    main()
