"""Compare the scores of a random part of the stimuli with what constrained generate() answers."""

import argparse
from pathlib import Path

from earwitness.core.arguments import add_model_arguments, add_prompt_arguments
from earwitness.core.errors import one_line_errors
from earwitness.prompt_search.chosen_question import asked_prompt
from earwitness.runtime.devices import leased_devices
from earwitness.runtime.imports import garbage_collection_paused
from earwitness.tables.files import write_table
from earwitness.tables.generation import GENERATION


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
        with garbage_collection_paused():
            # torch looks at the visible devices when it is imported.
            import torch

            from earwitness.model.engine.prompting import Prompt
            from earwitness.model.generation_check import check_generation
            from earwitness.model.identity import given
            from earwitness.model.prediction_jobs import ModelSpec, available_devices

        torch.set_num_threads(args.threads)
        asked = ModelSpec(given(args.base, args.identity), None, args.quantisation, args.memory)
        prompt = Prompt(**asked_prompt(args.prompt, args.question))
        table = check_generation(asked.load(available_devices()[0]), args.features, prompt, args.most, args.seed)
    write_table(args.table, table, GENERATION)


if __name__ == "__main__":
    main()
