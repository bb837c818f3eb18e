"""Ask the base model about every stimulus."""

import argparse
from pathlib import Path

from earshot.arguments import json_object
from earshot.errors import one_line_errors
from earshot.runtime.devices import leased_device
from earshot.tables import PREDICTIONS, write_table


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=Path, nargs="+", help="stimuli with audio (Parquet)")
    parser.add_argument("--base", type=Path, required=True, help="checkpoint folder")
    parser.add_argument("--output", type=Path, required=True, help="where the predictions go (Parquet)")
    parser.add_argument("--prompt", type=json_object, required=True, help="config prompt")
    parser.add_argument("--quantisation", choices=["none", "nf4"], required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True, help="CPU threads; part of the result's last bits")
    args = parser.parse_args()

    with leased_device():
        # torch looks at the visible devices when it is imported.
        import torch

        from earshot.asking import ask
        from earshot.engine.checkpoint import load_checkpoint
        from earshot.engine.prompting import Prompt

        torch.set_num_threads(args.threads)
        checkpoint = load_checkpoint(args.base, args.quantisation)
        predictions = ask(checkpoint, args.shards, Prompt(**args.prompt), "base", None, args.batch_size)
    write_table(args.output, predictions, PREDICTIONS)


if __name__ == "__main__":
    main()
