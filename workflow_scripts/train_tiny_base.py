"""Train the tiny base from scratch on the embedded base corpus."""

import argparse
from pathlib import Path

import torch

from earwitness.core.arguments import json_object
from earwitness.core.errors import one_line_errors
from earwitness.core.files import atomic, atomic_folder, sha256_of
from earwitness.corpora.layouts import source_files
from earwitness.model.tiny_base_training import train_tiny_base
from earwitness.runtime.saved_state import SavedState, code_digest


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("speech", type=Path, help="base corpus in VoxConverse layout")
    parser.add_argument("sounds", type=Path, help="base corpus in ESC-50 layout")
    parser.add_argument("folder", type=Path, help="where the checkpoint goes")
    parser.add_argument("--history", type=Path, required=True, help="loss per step (CSV)")
    parser.add_argument("--settings", type=json_object, required=True, help="config model.tiny")
    parser.add_argument("--window-ms", type=int, required=True, help="window that stimuli are presented in")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True, help="CPU threads; part of the result's last bits")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)

    data = [sha256_of(Path(name)) for name in source_files("voxconverse", args.speech) + source_files("esc50", args.sounds)]
    stamp = {"settings": args.settings, "window_ms": args.window_ms, "seed": args.seed, "data": data, "code": code_digest()}
    resume = SavedState(args.folder.with_name(f".{args.folder.name}-in-progress"), stamp)
    model, processor, history = train_tiny_base(args.speech, args.sounds, **args.settings, window_ms=args.window_ms, seed=args.seed, resume=resume)
    with atomic_folder(args.folder) as temporary:
        model.save_pretrained(temporary)
        processor.save_pretrained(temporary)
    with atomic(args.history) as temporary:
        history.to_csv(temporary, index=False)
    resume.remove()


if __name__ == "__main__":
    main()
