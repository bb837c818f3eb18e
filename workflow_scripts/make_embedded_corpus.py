"""Synthesise an embedded corpus: speech in VoxConverse's layout, sounds in ESC-50's."""

import argparse
from pathlib import Path

from earwitness.core.arguments import count, json_object
from earwitness.core.errors import one_line_errors
from earwitness.core.files import atomic_folder
from earwitness.corpora.synthesis.corpus import CORPORA, write_corpus


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("speech", type=Path, help="where the speech goes (a folder)")
    parser.add_argument("sounds", type=Path, help="where the sounds go (a folder)")
    parser.add_argument("--corpus", choices=CORPORA, required=True)
    parser.add_argument("--settings", type=json_object, required=True, help="how many speakers and sounds (JSON)")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=count, default=1)
    args = parser.parse_args()

    with atomic_folder(args.speech) as speech, atomic_folder(args.sounds) as sounds:
        write_corpus(args.corpus, speech, sounds, args.settings["speakers"], args.settings["sounds"], args.seed, args.threads)


if __name__ == "__main__":
    main()
