"""Train the projector between a Whisper-class encoder and a causal language model, on the embedded base corpus and on recordings where given."""

import argparse
from pathlib import Path

from earwitness.core.arguments import add_half_arguments, count, json_object, settings_of
from earwitness.core.errors import one_line_errors
from earwitness.runtime.devices import leased_devices
from earwitness.runtime.imports import garbage_collection_paused
from earwitness.runtime.threads import let_threads_sleep


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("speech", type=Path, help="base corpus in VoxConverse layout")
    parser.add_argument("sounds", type=Path, help="base corpus in ESC-50 layout")
    parser.add_argument("projector", type=Path, help="where the projector goes (safetensors)")
    parser.add_argument("--history", type=Path, required=True, help="loss per step (CSV)")
    parser.add_argument("--recordings", type=Path, nargs="*", default=[], help="recordings to learn from besides (tables of catalogue_recordings)")
    parser.add_argument("--segments", type=Path, nargs="*", default=[], help="the stretches of these recordings, likewise")
    parser.add_argument("--studied", type=Path, nargs="*", default=[], help="recordings of the study, none of whose sources may be learned from")
    add_half_arguments(parser)
    parser.add_argument("--settings", type=json_object, required=True, help="config models.NAME.projector, without its origin")
    parser.add_argument("--window-ms", type=int, required=True, help="window that stimuli are presented in")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=count, required=True, help="CPU threads; part of the result's last bits")
    args = parser.parse_args()

    let_threads_sleep()
    with leased_devices():
        with garbage_collection_paused():
            # torch looks at the visible devices when it is imported.
            import pandas as pd
            import torch

            from earwitness.model.halves import folder_of, load_encoder, load_language_model
            from earwitness.model.learned_recordings import learned_stretches
            from earwitness.model.prediction_jobs import available_devices
            from earwitness.model.projector_training import ProjectorSettings, make_projector
            from earwitness.model.training_stimuli import CLIP_S, BaseCorpus
            from earwitness.tables.files import read_table
            from earwitness.tables.recordings import RECORDINGS, SEGMENTS

        settings = settings_of(ProjectorSettings, "--settings", args.settings)
        recorded = None
        if args.recordings:
            kinds = (args.recordings, RECORDINGS), (args.segments, SEGMENTS), (args.studied, RECORDINGS)
            learned, segments, studied = (pd.concat([read_table(path, kind) for path in paths], ignore_index=True) for paths, kind in kinds)
            recorded = learned_stretches(learned, segments, studied, CLIP_S)
        torch.set_num_threads(args.threads)
        # On a GPU, products of 19-bit factors: the halves are frozen, and the projector is kept in 16 bits.
        torch.set_float32_matmul_precision("high")
        [device, *_] = available_devices()
        encoder = load_encoder(folder_of("encoder", args.encoder))
        language_model = load_language_model(folder_of("language_model", args.language_model))
        corpus = BaseCorpus(args.speech, args.sounds, args.window_ms, recorded)
        make_projector(encoder, language_model, corpus, settings, args.seed, device, args.projector, args.history)


if __name__ == "__main__":
    main()
