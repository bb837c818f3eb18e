"""Encode every stimulus by an untrained tower of the base's shape."""

import argparse
from pathlib import Path

from earwitness.core.arguments import batch_size, count
from earwitness.core.errors import one_line_errors
from earwitness.runtime.devices import leased_devices
from earwitness.runtime.imports import garbage_collection_paused


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=Path, nargs="+", help="stimuli with audio (Parquet)")
    parser.add_argument("--controls", type=Path, required=True, help="where the controls go (Parquet)")
    parser.add_argument("--base", type=Path, required=True, help="folder of the base model")
    parser.add_argument("--identity", type=Path, required=True, help="which model that is, as identify_model wrote it (JSON)")
    parser.add_argument("--memory", choices=["fast", "compact"], default="fast", help="compact: fit into 8 GB of GPU memory at full size")
    parser.add_argument("--batch-size", type=batch_size, required=True, help="stimuli at a time, or auto")
    parser.add_argument("--seed", type=int, required=True, help="of the untrained tower's weights")
    parser.add_argument("--threads", type=count, required=True, help="CPU threads; part of the result's last bits")
    args = parser.parse_args()

    with leased_devices():
        with garbage_collection_paused():
            # torch looks at the visible devices when it is imported.
            import torch

            from earwitness.model.engine.batching import Batches
            from earwitness.model.identity import recorded
            from earwitness.model.measured_sizes import MeasuredSizes
            from earwitness.model.prediction_jobs import available_devices
            from earwitness.model.untrained_tower import encode_controls, untrained_tower

        torch.set_num_threads(args.threads)
        [device, *_] = available_devices()
        base = recorded(args.base, args.identity)
        loaded = untrained_tower(base.path, args.seed)
        loaded.tower.to(device)
        batches = Batches(args.batch_size, device, args.memory, MeasuredSizes(base, "none", args.memory, device))
        encoded = encode_controls(loaded, args.shards, args.controls, batches)
    print(f"{args.controls}: {encoded} stimuli")


if __name__ == "__main__":
    main()
