"""Train LoRA adapters of one recipe, one after the other, each on the train part of a split that its gate lets through."""

import argparse
from pathlib import Path

from earwitness.core.arguments import add_model_arguments, add_prompt_arguments, by_name, json_object
from earwitness.core.errors import InputError, one_line_errors
from earwitness.leakage.gate import verify_gate
from earwitness.model.identity import given, identify_model, load_identity
from earwitness.prompt_search.chosen_question import asked_prompt
from earwitness.runtime.determinism import compute_deterministically
from earwitness.runtime.devices import leased_devices
from earwitness.runtime.imports import garbage_collection_paused
from earwitness.systems import System


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=Path, nargs="+", help="stimuli with audio (Parquet)")
    parser.add_argument("--features", type=Path, nargs="*", default=[], help="the same, encoded by the base, for recipes outside its tower")
    parser.add_argument("--systems", type=System.parse, nargs="+", required=True, help="the adapters, RECIPE-SPLIT-seed-SEED")
    parser.add_argument(
        "--adapters", type=Path, nargs="+", required=True, help="their adapter_config.json, in their order; all else goes into the same folder"
    )
    parser.add_argument("--names", nargs="+", required=True, help="the splits that they train on")
    parser.add_argument("--splits", type=Path, nargs="+", required=True, help="these splits, in this order (CSV)")
    parser.add_argument("--gates", type=Path, nargs="+", required=True, help="the gates of these splits, in this order (JSON)")
    parser.add_argument("--recipe", type=json_object, required=True, help="config finetuning.recipes.<name>")
    add_prompt_arguments(parser)
    parser.add_argument("--code", help="the meaning of this program's code, as Snakemake follows it; without it, that of the modules that are loaded")
    add_model_arguments(parser)
    args = parser.parse_args()

    splits, gates = by_name("--splits", args.names, args.splits), by_name("--gates", args.names, args.gates)
    adapters = by_name("--adapters", args.systems, args.adapters)
    if strangers := {system.split for system in args.systems} - set(splits):
        raise InputError(f"--names: lacks {min(strangers)}; name every split that an adapter trains on")
    if seedless := [system for system in args.systems if system.kind != "adapter" or system.seed is None]:
        raise InputError(f"--systems: {seedless[0]} is no adapter with a seed; write RECIPE-SPLIT-seed-SEED")
    for name in splits:
        verify_gate(gates[name], splits[name], args.shards)
    with leased_devices():
        with garbage_collection_paused():
            # torch looks at the visible devices when it is imported.
            import torch

            from earwitness.model.adapter_training import AdapterJob, make_adapters
            from earwitness.model.engine.prompting import Prompt
            from earwitness.model.prediction_jobs import ModelSpec

        torch.set_num_threads(args.threads)
        compute_deterministically()
        model = ModelSpec(given(args.base, args.identity), None, args.quantisation, args.memory)
        jobs = {
            path.parent: AdapterJob(
                model=model,
                shards=tuple(args.shards),
                features=tuple(args.features),
                split=splits[system.split],
                recipe=args.recipe,
                prompt=Prompt(**asked_prompt(args.prompt, args.question)),
                seed=system.seed,
                code=args.code,
            )
            for system, path in adapters.items()
        }
        base = load_identity(args.identity) if args.identity else identify_model(args.base, str(args.base), None)
        make_adapters(jobs, base)


if __name__ == "__main__":
    main()
