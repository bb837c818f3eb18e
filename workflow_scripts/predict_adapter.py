"""Ask an adapter about the stimuli that it did not train on."""

import argparse
from pathlib import Path

from earshot.arguments import json_object
from earshot.errors import InputError, one_line_errors
from earshot.leakage.certificate import verify_gate
from earshot.runtime.devices import leased_device
from earshot.tables import PREDICTIONS, SPLIT, read_table, write_table


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=Path, nargs="+", help="stimuli with audio (Parquet)")
    parser.add_argument("--base", type=Path, required=True, help="checkpoint folder")
    parser.add_argument("--adapter", type=Path, required=True, help="the adapter's adapter_config.json")
    parser.add_argument("--splits", type=Path, nargs="+", required=True, help="splits whose dev and test parts are asked about (CSV)")
    parser.add_argument("--gates", type=Path, nargs="+", required=True, help="the gates of these splits, in their order (JSON)")
    parser.add_argument("--system", required=True, help="system_id of the predictions")
    parser.add_argument("--seed", type=int, required=True, help="the adapter's seed")
    parser.add_argument("--output", type=Path, required=True, help="where the predictions go (Parquet)")
    parser.add_argument("--prompt", type=json_object, required=True, help="config prompt")
    parser.add_argument("--quantisation", choices=["none", "nf4"], required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True, help="CPU threads; part of the result's last bits")
    args = parser.parse_args()

    if len(args.gates) != len(args.splits):
        raise InputError(f"--gates: {len(args.gates)} for {len(args.splits)} splits; give one for each, in their order")
    for gate, split in zip(args.gates, args.splits, strict=True):
        verify_gate(gate, split, args.shards)
    splits = [read_table(path, SPLIT) for path in args.splits]
    asked = {name for split in splits for name in split.stimulus_id[split.part != "train"]}
    with leased_device():
        # torch looks at the visible devices when it is imported.
        import torch

        from earshot.asking import ask
        from earshot.engine.adapters import load_adapter
        from earshot.engine.checkpoint import load_checkpoint
        from earshot.engine.prompting import Prompt

        torch.set_num_threads(args.threads)
        checkpoint = load_adapter(load_checkpoint(args.base, args.quantisation), args.adapter.parent)
        predictions = ask(checkpoint, args.shards, Prompt(**args.prompt), args.system, args.seed, args.batch_size, asked)
    write_table(args.output, predictions, PREDICTIONS)


if __name__ == "__main__":
    main()
