"""Join a Whisper-class encoder and a causal language model, with the projector trained between them, into one Qwen2-Audio checkpoint."""

import argparse
from pathlib import Path

from earwitness.core.arguments import add_half_arguments
from earwitness.core.errors import one_line_errors


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the base goes")
    add_half_arguments(parser)
    parser.add_argument("--projectors", type=Path, nargs="+", required=True, help="candidates; the one trained between these halves is taken")
    parser.add_argument("--rank", type=int, required=True, help="rank of the change of the language model that the projector was trained with")
    args = parser.parse_args()

    from earwitness.model.assembly import assemble
    from earwitness.model.engine.saving import save_model
    from earwitness.model.halves import folder_of, load_encoder, load_language_model
    from earwitness.model.projector import fitting_projector, put_projector

    encoder = load_encoder(folder_of("encoder", args.encoder))
    language_model = load_language_model(folder_of("language_model", args.language_model))
    projector = fitting_projector(args.projectors, encoder, language_model, args.rank)
    assembled = assemble(encoder, language_model)
    put_projector(assembled, projector)
    save_model(assembled, args.folder)


if __name__ == "__main__":
    main()
