"""Train one LoRA adapter on the train part of a split that its gate lets through."""

import argparse
from pathlib import Path

from earwitness.core.arguments import add_model_arguments, add_prompt_arguments, json_object
from earwitness.core.errors import one_line_errors
from earwitness.leakage.gate import verify_gate
from earwitness.model.identity import given, identify_model, load_identity
from earwitness.prompt_search.chosen_question import asked_prompt
from earwitness.runtime.determinism import compute_deterministically
from earwitness.runtime.devices import leased_devices


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=Path, nargs="+", help="stimuli with audio (Parquet)")
    parser.add_argument("--features", type=Path, nargs="*", default=[], help="the same, encoded by the base, for recipes outside its tower")
    parser.add_argument("--split", type=Path, required=True, help="split table (CSV)")
    parser.add_argument("--gate", type=Path, required=True, help="the split's gate (JSON)")
    parser.add_argument("--adapter", type=Path, required=True, help="the folder that the adapter goes to, with its history and costs")
    parser.add_argument("--recipe", type=json_object, required=True, help="config finetuning.recipes.<name>")
    add_prompt_arguments(parser)
    parser.add_argument("--seed", type=int, required=True)
    add_model_arguments(parser)
    args = parser.parse_args()

    verify_gate(args.gate, args.split, args.shards)
    with leased_devices():
        # torch looks at the visible devices when it is imported.
        import torch

        from earwitness.model.adapter_training import AdapterJob, make_adapter
        from earwitness.model.engine.prompting import Prompt
        from earwitness.model.prediction_jobs import ModelSpec

        torch.set_num_threads(args.threads)
        compute_deterministically()
        job = AdapterJob(
            model=ModelSpec(given(args.base, args.identity), None, args.quantisation, args.memory),
            shards=tuple(args.shards),
            features=tuple(args.features),
            split=args.split,
            recipe=args.recipe,
            prompt=Prompt(**asked_prompt(args.prompt, args.question)),
            seed=args.seed,
        )
        base = load_identity(args.identity) if args.identity else identify_model(args.base, str(args.base), None)
        make_adapter(job, base, args.adapter)


if __name__ == "__main__":
    main()
