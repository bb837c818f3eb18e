"""Encode every stimulus of a shard with the base model's audio tower, once for all that use it."""

import argparse
from pathlib import Path

from earwitness.core.arguments import add_model_arguments, batch_size
from earwitness.core.errors import one_line_errors
from earwitness.runtime.devices import leased_devices
from earwitness.runtime.imports import garbage_collection_paused


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shard", type=Path, help="stimuli with audio (Parquet)")
    parser.add_argument("features", type=Path, help="where the features go (Parquet)")
    parser.add_argument("--batch-size", type=batch_size, required=True, help="stimuli at a time, or auto")
    add_model_arguments(parser)
    args = parser.parse_args()

    with leased_devices():
        with garbage_collection_paused():
            # torch looks at the visible devices when it is imported.
            import torch

            from earwitness.model.feature_files import encode_shard
            from earwitness.model.identity import given
            from earwitness.model.prediction_jobs import ModelSpec, available_devices

        torch.set_num_threads(args.threads)
        [device, *_] = available_devices()
        base = ModelSpec(given(args.base, args.identity), None, args.quantisation, args.memory)
        encoded = encode_shard(base.load(device), args.shard, args.features, base.batches(args.batch_size, device))
    print(f"{args.features}: {encoded} stimuli")


if __name__ == "__main__":
    main()
