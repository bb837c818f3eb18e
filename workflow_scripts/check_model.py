"""Look at a base before GPU hours go into it: files, weights, tokens, hearing, answers, training, memory and disk."""

import argparse
from pathlib import Path

from earwitness.core.arguments import add_model_arguments
from earwitness.core.errors import InputError, one_line_errors
from earwitness.core.files import write_json
from earwitness.runtime.devices import leased_devices
from earwitness.runtime.imports import garbage_collection_paused


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", nargs="+", required=True, help="the base's repository and revision on the hub, or its folder")
    parser.add_argument("--record", type=Path, required=True, help="where the findings go, with times and sizes (JSON)")
    parser.add_argument("--checked", type=Path, required=True, help="where the base's identity goes if nothing fails (JSON)")
    add_model_arguments(parser)
    args = parser.parse_args()

    with leased_devices():
        with garbage_collection_paused():
            # torch looks at the visible devices when it is imported.
            import torch

            from earwitness.model.identity import given, identify_model, load_identity
            from earwitness.model.prediction_jobs import ModelSpec, available_devices
            from earwitness.model.preflight import preflight

        torch.set_num_threads(args.threads)
        spec = ModelSpec(given(args.base, args.identity), None, args.quantisation, args.memory)
        args.record.parent.mkdir(parents=True, exist_ok=True)
        found = preflight(spec, args.name, args.record.parent, available_devices()[0])
    write_json(args.record, found)
    if failing := [line for line in found["lines"] if line["status"] == "fails"]:
        others = f" ({len(failing) - 1} more: {', '.join(line['what'] for line in failing[1:])})" if len(failing) > 1 else ""
        raise InputError(f"preflight: {failing[0]['what']}: {failing[0]['found']}; {failing[0]['remedy']}{others}")
    write_json(args.checked, load_identity(args.identity) if args.identity else identify_model(args.base, args.name[0], None))


if __name__ == "__main__":
    main()
