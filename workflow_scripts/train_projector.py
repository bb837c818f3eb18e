"""Train the projector between a Whisper-class encoder and a causal language model, on the embedded base corpus."""

import argparse
from pathlib import Path

from earwitness.core.arguments import add_half_arguments, json_object
from earwitness.core.errors import one_line_errors
from earwitness.runtime.devices import leased_devices
from earwitness.runtime.threads import let_threads_sleep


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("speech", type=Path, help="base corpus in VoxConverse layout")
    parser.add_argument("sounds", type=Path, help="base corpus in ESC-50 layout")
    parser.add_argument("projector", type=Path, help="where the projector goes (safetensors)")
    parser.add_argument("--history", type=Path, required=True, help="loss per step (CSV)")
    add_half_arguments(parser)
    parser.add_argument("--settings", type=json_object, required=True, help="config models.NAME.projector, without its origin")
    parser.add_argument("--window-ms", type=int, required=True, help="window that stimuli are presented in")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True, help="CPU threads; part of the result's last bits")
    args = parser.parse_args()

    let_threads_sleep()
    with leased_devices():
        # torch looks at the visible devices when it is imported.
        import torch

        from earwitness.model.halves import folder_of, load_encoder, load_language_model
        from earwitness.model.prediction_jobs import available_devices
        from earwitness.model.projector_training import ProjectorSettings, make_projector
        from earwitness.model.training_stimuli import BaseCorpus

        torch.set_num_threads(args.threads)
        # On a GPU, products of 19-bit factors: the halves are frozen, and the projector is kept in 16 bits.
        torch.set_float32_matmul_precision("high")
        [device, *_] = available_devices()
        encoder = load_encoder(folder_of("encoder", args.encoder))
        language_model = load_language_model(folder_of("language_model", args.language_model))
        corpus, settings = BaseCorpus(args.speech, args.sounds, args.window_ms), ProjectorSettings(**args.settings)
        make_projector(encoder, language_model, corpus, settings, args.seed, device, args.projector, args.history)


if __name__ == "__main__":
    main()
