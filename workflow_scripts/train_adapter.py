"""Train one LoRA adapter on the train part of a split that its gate lets through."""

import argparse
import shutil
from pathlib import Path

from earwitness.core.arguments import add_model_arguments, add_prompt_arguments, json_object
from earwitness.core.errors import one_line_errors
from earwitness.core.files import atomic_folder, sha256_of, write_json
from earwitness.leakage.gate import verify_gate
from earwitness.prompt_search.chosen_question import asked_prompt
from earwitness.runtime.devices import leased_devices
from earwitness.tables.files import read_table
from earwitness.tables.splits import SPLIT


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=Path, nargs="+", help="stimuli with audio (Parquet)")
    parser.add_argument("--features", type=Path, nargs="*", default=[], help="the same, encoded by the base, for recipes outside its tower")
    parser.add_argument("--split", type=Path, required=True, help="split table (CSV)")
    parser.add_argument("--gate", type=Path, required=True, help="the split's gate (JSON)")
    parser.add_argument("--adapter-config", type=Path, required=True, help="where adapter_config.json goes")
    parser.add_argument("--adapter-weights", type=Path, required=True, help="where adapter_model.safetensors goes, in the same folder")
    parser.add_argument("--adapter-base", type=Path, required=True, help="where the identity of its base goes (JSON), in the same folder")
    parser.add_argument("--history", type=Path, required=True, help="where the loss per step goes (CSV)")
    parser.add_argument("--costs", type=Path, required=True, help="where time, memory and size go (JSON)")
    parser.add_argument("--recipe", type=json_object, required=True, help="config finetuning.recipes.<name>")
    add_prompt_arguments(parser)
    parser.add_argument("--seed", type=int, required=True)
    add_model_arguments(parser)
    args = parser.parse_args()

    verify_gate(args.gate, args.split, args.shards)
    split, prompt = read_table(args.split, SPLIT), asked_prompt(args.prompt, args.question)
    with leased_devices():
        # torch looks at the visible devices when it is imported.
        import torch

        from earwitness.audio.levels import Level
        from earwitness.model.engine.loading import load_model
        from earwitness.model.engine.prompting import Prompt
        from earwitness.model.feature_files import verify_features
        from earwitness.model.finetuning import train_adapter, training_set
        from earwitness.model.identity import recorded
        from earwitness.model.prediction import from_audio, from_features
        from earwitness.runtime.costs import Meter
        from earwitness.runtime.saved_state import SavedState, code_digest

        torch.set_num_threads(args.threads)
        torch.use_deterministic_algorithms(True, warn_only=True)
        base = recorded(args.base, args.identity)
        stamp = {
            "recipe": args.recipe,
            "prompt": prompt,
            "quantisation": args.quantisation,
            "memory": args.memory,
            "seed": args.seed,
            "split": sha256_of(args.split),
            "base": base.sha256,
            "stimuli": [sha256_of(path) for path in args.shards],
            "code": code_digest(),
        }
        folder = args.adapter_config.parent
        resume = SavedState(folder.with_name(f".{folder.name}-in-progress"), stamp)
        loading = Meter()
        loaded = load_model(base, args.quantisation, memory=args.memory)
        if args.recipe["scope"] == "language_model":
            verify_features(args.features, args.shards)
            sounds = from_features(loaded, args.features)
        else:
            sounds = from_audio(loaded, args.shards, Level(args.recipe["normalisation"], args.recipe["level_dbfs"]))
        data = training_set(loaded, sounds, split, args.recipe["scope"])
        load_s = loading.wall_s()
        training, resumed = Meter(), resume.load()
        model, history = train_adapter(loaded, data, Prompt(**prompt), args.recipe, args.seed, resume, args.memory)
        with atomic_folder(folder) as temporary:
            model.save_pretrained(str(temporary))
            (temporary / "README.md").unlink()
            shutil.copyfile(args.identity, temporary / args.adapter_base.name)
            history.to_csv(temporary / args.history.name, index=False)
            samples = (len(history) - (len(resumed[1]) if resumed else 0)) * args.recipe["batch_size"]
            write_json(temporary / args.costs.name, {"load_s": load_s, **training.costs(model, samples, temporary / args.adapter_weights.name)})
        resume.remove()


if __name__ == "__main__":
    main()
