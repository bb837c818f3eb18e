"""Train one LoRA adapter on the train part of a split that its gate lets through."""

import argparse
from pathlib import Path

from earshot.arguments import json_object
from earshot.errors import one_line_errors
from earshot.files import atomic_folder, sha256_of
from earshot.leakage.certificate import verify_gate
from earshot.runtime.devices import leased_device
from earshot.tables import SPLIT, read_table


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=Path, nargs="+", help="stimuli with audio (Parquet)")
    parser.add_argument("--base", type=Path, required=True, help="checkpoint folder")
    parser.add_argument("--split", type=Path, required=True, help="split table (CSV)")
    parser.add_argument("--gate", type=Path, required=True, help="the split's gate (JSON)")
    parser.add_argument("--adapter-config", type=Path, required=True, help="where adapter_config.json goes")
    parser.add_argument("--adapter-weights", type=Path, required=True, help="where adapter_model.safetensors goes, in the same folder")
    parser.add_argument("--history", type=Path, required=True, help="where the loss per step goes (CSV)")
    parser.add_argument("--recipe", type=json_object, required=True, help="config finetuning.recipes.<name>")
    parser.add_argument("--prompt", type=json_object, required=True, help="config prompt")
    parser.add_argument("--quantisation", choices=["none", "nf4"], required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True, help="CPU threads; part of the result's last bits")
    args = parser.parse_args()

    verify_gate(args.gate, args.split, args.shards)
    split = read_table(args.split, SPLIT)
    with leased_device():
        # torch looks at the visible devices when it is imported.
        import torch

        from earshot.engine.checkpoint import load_checkpoint
        from earshot.engine.prompting import Prompt
        from earshot.finetuning import read_training_set, train_adapter
        from earshot.runtime.checkpoints import CheckpointFolder, code_digest

        torch.set_num_threads(args.threads)
        torch.use_deterministic_algorithms(True, warn_only=True)
        stamp = {
            "recipe": args.recipe,
            "prompt": args.prompt,
            "quantisation": args.quantisation,
            "seed": args.seed,
            "split": sha256_of(args.split),
            "base": sorted(sha256_of(path) for path in args.base.glob("*.safetensors")),
            "stimuli": [sha256_of(path) for path in args.shards],
            "code": code_digest(),
        }
        folder = args.adapter_config.parent
        resume = CheckpointFolder(folder.with_name(f".{folder.name}-in-progress"), stamp)
        checkpoint = load_checkpoint(args.base, args.quantisation)
        data = read_training_set(checkpoint, args.shards, split)
        model, history = train_adapter(checkpoint, data, Prompt(**args.prompt), args.recipe, args.seed, resume)
        with atomic_folder(folder) as temporary:
            model.save_pretrained(str(temporary))
            (temporary / "README.md").unlink()
            history.to_csv(temporary / args.history.name, index=False)
        resume.remove()


if __name__ == "__main__":
    main()
