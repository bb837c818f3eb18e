"""Look at a base before GPU hours go into it: files, weights, tokens, hearing, answers, training, memory, disk and time."""

import argparse
import importlib
from pathlib import Path

from earwitness.core.arguments import add_model_arguments
from earwitness.core.errors import InputError, one_line_errors
from earwitness.core.files import atomic, write_json
from earwitness.runtime.devices import leased_devices


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", nargs="+", required=True, help="the base's repository and revision on the hub, or its folder")
    parser.add_argument("--adapters", type=int, required=True, help="adapters that are planned")
    parser.add_argument("--rows", type=int, required=True, help="rows that all of them are shown in training")
    parser.add_argument("--page", type=Path, required=True, help="where what was found goes (Markdown)")
    parser.add_argument("--record", type=Path, required=True, help="where the same goes with times and sizes (JSON)")
    parser.add_argument("--checked", type=Path, required=True, help="where the base's identity goes if nothing fails (JSON)")
    add_model_arguments(parser)
    args = parser.parse_args()

    with leased_devices():
        # torch looks at the visible devices when it is imported.
        import torch

        from earwitness.model.identity import given, identify_model, load_identity

        # By name, so that these are no code that the job depends on: what was found of a base stands until the base changes.
        looking = importlib.import_module("earwitness.model.preflight")
        jobs = importlib.import_module("earwitness.model.prediction_jobs")
        torch.set_num_threads(args.threads)
        base = given(args.base, args.identity)
        [device, *_] = jobs.available_devices()
        spec = jobs.ModelSpec(base, None, args.quantisation, args.memory)
        args.record.parent.mkdir(parents=True, exist_ok=True)
        study = looking.Study(args.name, args.adapters, args.rows, args.record.parent)
        found = looking.preflight(spec, study, device)
        named = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
        page = looking.page_of(found, base, args.name[0], f"{named}, quantisation {args.quantisation}, memory {args.memory}")
    # The log stays where a job fails, whose other files are removed.
    print(page)
    with atomic(args.page) as temporary:
        temporary.write_text(page, encoding="utf-8")
    write_json(args.record, found)
    if failing := [line for line in found["lines"] if line["status"] == "fails"]:
        others = f" ({len(failing) - 1} more: {', '.join(line['what'] for line in failing[1:])})" if len(failing) > 1 else ""
        raise InputError(f"preflight: {failing[0]['what']}: {failing[0]['found']}; {failing[0]['remedy']}{others}")
    write_json(args.checked, load_identity(args.identity) if args.identity else identify_model(args.base, args.name[0], None))


if __name__ == "__main__":
    main()
