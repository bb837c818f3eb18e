"""Write a model with random weights in the hub's layout, to try a run at full size without a download; its answers mean nothing."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.core.files import require_replaceable
from earwitness.model.qwen_ranks import byte_pairs, ranks_file
from earwitness.model.stand_in import STAND_INS, write_stand_in


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the model goes")
    parser.add_argument("--part", choices=STAND_INS, default="base", help="base: Qwen2-Audio-7B-Instruct; writer: Qwen2.5-3B-Instruct")
    parser.add_argument("--size", choices=["full", "small"], default="small", help="full: 16.8 GB, the writer 6.2 GB")
    parser.add_argument("--ranks", type=Path, help="qwen.tiktoken, the ranks of the tokenizer; without it, that of the installed package dashscope")
    parser.add_argument("--no-tokenizer-json", action="store_true", help="leave the tokenizer in vocab.json and merges.txt alone")
    args = parser.parse_args()

    require_replaceable(args.folder)
    pairs = byte_pairs(ranks_file(args.ranks))
    total = write_stand_in(args.folder, args.part, args.size, pairs, tokenizer_json=not args.no_tokenizer_json)
    print(f"{args.folder}: {total:,} weights")


if __name__ == "__main__":
    main()
