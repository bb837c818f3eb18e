"""Why scoring by logits and generate() disagree: each usual mistake reproduced, with what it costs. Prints a Markdown table."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from earwitness.audio.acoustics import samples_of
from earwitness.audio.io import Waveform
from earwitness.audio.window import middle
from earwitness.core.randomness import stream
from earwitness.model.engine.features import AudioEmbeddings, encode_waveforms
from earwitness.model.engine.generation import generate_answers
from earwitness.model.engine.key_value_cache import splice, texts_of
from earwitness.model.engine.loading import load_model
from earwitness.model.engine.prompting import Prompt, TokenisedPrompt, tokenise
from earwitness.model.engine.scoring import Scorer
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.identity import identified
from earwitness.model.tiny_base_questions import QUESTIONS
from earwitness.tables.audio import iterate_audio
from earwitness.tables.stimuli import STIMULI

BATCH = 32
TYPICAL_LOGIT = 24.0
"""Where a large model's answer logits lie: bfloat16 has steps of 0.125 there."""


def answers_of(shards: Sequence[Path], count: int) -> tuple[list[Waveform], np.ndarray]:
    """Segments without their window, so that they differ in length, and whether each is speech."""
    waveforms, speech = [], []
    for shard in shards:
        for rows, windows in iterate_audio(shard, STIMULI):
            for window, duration_ms, label in zip(windows, rows.duration_ms, rows.label, strict=True):
                waveforms.append(window[middle(len(window), min(samples_of(duration_ms), len(window)))])
                speech.append(label == "SPEECH")
    chosen = stream(1, "disagreement").permutation(len(waveforms))[:count]
    return [waveforms[i] for i in chosen], np.array(speech)[chosen]


@torch.inference_mode()
def last_logits(loaded: LoadedModel, audio: AudioEmbeddings, order: TokenisedPrompt, right_padded: bool = False) -> torch.Tensor:
    """The logits that a careless scorer reads: those at the last place of each row."""
    embeddings, _, mask = splice(loaded, audio, texts_of(loaded, [order] * len(audio.n_tokens)))
    if right_padded:
        rows = [row[valid.bool()] for row, valid in zip(embeddings, mask, strict=True)]
        length = max(map(len, rows))
        filler = loaded.embed([loaded.model.generation_config.pad_token_id])[0]
        embeddings = torch.stack([torch.cat([row, filler.expand(length - len(row), -1)]) for row in rows])
        mask = torch.stack([torch.arange(length) < len(row) for row in rows]).long().to(mask.device)
    hidden = loaded.language_model(inputs_embeds=embeddings, attention_mask=mask, use_cache=False).last_hidden_state
    return loaded.head(hidden[:, -1])


def balanced_accuracy(says_speech: np.ndarray, speech: np.ndarray) -> float:
    return float((says_speech[speech].mean() + (~says_speech[~speech]).mean()) / 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=Path, nargs="+", help="stimuli with audio (Parquet)")
    parser.add_argument("--base", type=Path, required=True, help="checkpoint folder, such as data/models/tiny/base")
    parser.add_argument("--stimuli", type=int, default=1000)
    args = parser.parse_args()

    torch.set_num_threads(1)
    loaded = load_model(identified(args.base))
    waveforms, speech = answers_of(args.shards, args.stimuli)
    batches = [encode_waveforms(loaded, waveforms[start : start + BATCH]) for start in range(0, len(waveforms), BATCH)]
    rows = routes(loaded, batches)
    generated = rows["constrained generate()"]
    print(f"{len(speech)} stimuli, option order A: speech\n")
    print("| route | same answer as constrained generate() | says speech | balanced accuracy |")
    print("| --- | ---: | ---: | ---: |")
    for name, says in rows.items():
        print(f"| {name} | {100 * np.mean(says == generated):.1f} % | {100 * says.mean():.1f} % | {100 * balanced_accuracy(says, speech):.1f} % |")


def routes(loaded: LoadedModel, batches: Sequence[AudioEmbeddings]) -> dict[str, np.ndarray]:
    """Route -> whether it says speech, per stimulus."""
    tokenizer = loaded.processor.tokenizer
    orders = tokenise(loaded, Prompt(QUESTIONS[0]))
    order = orders[0]
    a, b = order.speech[0], order.nonspeech[0]
    turn = tuple(tokenizer.encode("<|im_start|>assistant\n", add_special_tokens=False))
    assert order.after[-len(turn) :] == turn
    unprompted = replace(order, after=order.after[: -len(turn)])
    spaced = tokenizer.encode(" A", add_special_tokens=False)[-1], tokenizer.encode(" B", add_special_tokens=False)[-1]
    spaced_first = tokenizer.encode(" A", add_special_tokens=False)[0], tokenizer.encode(" B", add_special_tokens=False)[0]
    whole = [last_logits(loaded, audio, order) for audio in batches]

    def compare(logits: Sequence[torch.Tensor], first: int, second: int) -> np.ndarray:
        """argmax over the two, ties to the lower id as argmax gives them."""
        pairs = torch.cat(list(logits))[:, sorted((first, second))]
        return (pairs.argmax(1) == (0 if first <= second else 1)).numpy()

    scored = [Scorer(loaded, [[order]])(audio)[0].log_odds for audio in batches]
    averaged = [Scorer(loaded, [orders])(audio)[0].log_odds for audio in batches]
    rounded = [(logits - logits[:, [a, b]].mean(1, keepdim=True) + TYPICAL_LOGIT).bfloat16() for logits in whole]
    found = {
        "constrained generate()": np.concatenate([np.array(generate_answers(loaded, audio, order)) == "SPEECH" for audio in batches]),
        "exact scores, this order": np.concatenate(scored) > 0,
        "no generation prompt": compare([last_logits(loaded, audio, unprompted) for audio in batches], a, b),
        "right padding, last place": compare([last_logits(loaded, audio, order, right_padded=True) for audio in batches], a, b),
        "logits rounded to bfloat16, as large as a large model's": compare(rounded, a, b),
        "free generation, first token": (torch.cat(whole).argmax(1) == a).numpy(),
        "exact scores, both orders averaged": np.concatenate(averaged) > 0,
    }
    if spaced_first[0] == spaced_first[1]:
        found["' A' and ' B' compared at their first token, the space"] = compare(whole, *spaced_first)
    if spaced != (a, b):
        found["' A' and ' B' instead of 'A' and 'B'"] = compare(whole, *spaced)
    return found


if __name__ == "__main__":
    main()
