"""Train the tiny base from scratch on the embedded base corpus."""

import argparse
from pathlib import Path

from earwitness.core.arguments import json_object, settings_of
from earwitness.core.errors import one_line_errors
from earwitness.runtime.determinism import compute_deterministically
from earwitness.runtime.imports import garbage_collection_paused
from earwitness.runtime.threads import let_threads_sleep

THREADS = 2
"""Threads that train, however many cores there are: their number decides in which order gradients add up, and so the last bits of the
base, which all that is measured with it inherits."""


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("speech", type=Path, help="base corpus in VoxConverse layout")
    parser.add_argument("sounds", type=Path, help="base corpus in ESC-50 layout")
    parser.add_argument("folder", type=Path, help="where the model goes")
    parser.add_argument("--history", type=Path, required=True, help="loss per step (CSV)")
    parser.add_argument("--settings", type=json_object, required=True, help="config models.NAME.tiny")
    parser.add_argument("--window-ms", type=int, required=True, help="window that stimuli are presented in")
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()

    let_threads_sleep()
    with garbage_collection_paused():
        # OpenMP reads how its threads wait when torch is imported.
        import torch

        from earwitness.model.tiny_base_training import BaseCorpus, TinyBaseSettings, make_tiny_base

    torch.set_num_threads(THREADS)
    compute_deterministically()
    corpus = BaseCorpus(args.speech, args.sounds, args.window_ms)
    make_tiny_base(corpus, settings_of(TinyBaseSettings, "--settings", args.settings), args.seed, args.folder, args.history)


if __name__ == "__main__":
    main()
