"""How well a base hears by duration and noise, asked in several wordings and formats, negated ones among them.

On stimuli of the workflow, one clip of every source of your own recordings. For the table of docs/middle_size.md:

    .venv/bin/snakemake --cores 2 --configfile config/middle.yaml real.yaml wordings.yaml -- results/stimuli/factorial/index.parquet
    PYTHONPATH=workflow_scripts python benchmarks/wordings.py data/models/assembled results/stimuli/factorial/shard-*.parquet

where wordings.yaml holds `stimuli: {durations_ms: [20, 40, 80, 200, 500, 1000], snrs_db: [-5, 20]}` and `clips: {per_source: 1}`. Prints a
Markdown table: balanced accuracy in %, intervals clustered by source. With --detectors silero, what it says to the same stimuli. With --tuned,
every row a second time with a boundary of its own for each condition, chosen on one half of the sources and measured on the other, both ways.
"""

import argparse
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from earwitness.detectors.classic import DETECTORS
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.loading import load_model
from earwitness.model.engine.prompting import Prompt
from earwitness.model.identity import identified
from earwitness.model.prediction import answer_rows, from_audio
from earwitness.statistics.clustered import estimate, sample_by_source
from earwitness.tables.audio import iterate_audio
from earwitness.tables.columns import LABELS
from earwitness.tables.stimuli import STIMULI

PLAIN = "Does this sound contain human speech?"
ASKED = {
    "plain, letters": Prompt(PLAIN),
    "plain, letters, sound after": Prompt(PLAIN, audio_position="after"),
    "plain, words": Prompt(PLAIN, "words"),
    "plain, yes or no": Prompt(PLAIN, "yes_no"),
    "published, bare": Prompt(
        "Does this audio contain human speech?\nReply with ONLY one word: SPEECH or NON-SPEECH.", "words", template="{question}"
    ),
}
NO_SPEECH = (
    "Is this free of any human voice?",
    "Is it true that nobody talks here?",
    "Is there no human speech in this sound?",
    "Does nobody say a word in this recording?",
)
"""Where "yes" means no speech, so that answers are turned round. None of them is a wording that projectors learned with."""

NEGATED = {f"negated, {text}": Prompt(text, "yes_no") for text in NO_SPEECH}


def balanced(rows: pd.DataFrame) -> str:
    of_class = [rows[rows.label == label] for label in LABELS]
    samples = [sample_by_source(part.correct.to_numpy(float), part.source_id.to_numpy()) for part in of_class]
    result = estimate(samples, [0.5, 0.5])
    low, high = result.interval(0.95, 0, 1)
    return f"{100 * result.value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def tuned(rows: pd.DataFrame) -> pd.DataFrame:
    """The same rows, right or wrong by the boundary that is best for balanced accuracy on the other half of the sources."""
    half = rows.source_id.map(lambda source: hashlib.sha256(source.encode()).digest()[0] % 2)
    correct = pd.Series(False, index=rows.index)
    for tested in (0, 1):
        chosen, speech = rows.log_odds[half != tested].to_numpy(), (rows.label[half != tested] == "SPEECH").to_numpy()
        values = np.unique(chosen)
        boundaries = np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]])
        accuracy = [(chosen[speech] > boundary).mean() + (chosen[~speech] <= boundary).mean() for boundary in boundaries]
        best = np.flatnonzero(np.isclose(accuracy, max(accuracy)))
        of_half = rows[half == tested]
        correct[of_half.index] = (of_half.log_odds > boundaries[best[len(best) // 2]]) == (of_half.label == "SPEECH")
    return rows.assign(correct=correct)


def heard_by(detector: str, shards: list[Path]) -> Iterator[pd.DataFrame]:
    """What a classic detector that needs no tuning says to every stimulus."""
    measure = DETECTORS[detector]().measure
    for shard in shards:
        for rows, waveforms in iterate_audio(shard, STIMULI, 128, None):
            yield pd.DataFrame({"stimulus_id": rows.stimulus_id.to_numpy(), "log_odds": measure(waveforms)[:, 0]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path, help="checkpoint folder")
    parser.add_argument("shards", type=Path, nargs="+", help="stimuli of the workflow")
    parser.add_argument("--detectors", nargs="*", default=[], choices=["silero", "firered", "pyannote"])
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loaded = load_model(identified(args.base), device=device)
    asked = ASKED | NEGATED
    answers = answer_rows(loaded, from_audio(loaded, args.shards), list(asked.values()), Batches(28 if device.type == "cpu" else None, device))
    stimuli = pd.concat(pd.read_parquet(shard, columns=["stimulus_id", "label", "source_id", "duration_ms", "snr_db"]) for shard in args.shards)
    conditions = sorted(set(zip(stimuli.duration_ms, stimuli.snr_db, strict=True)), key=lambda condition: (-condition[1], condition[0]))
    print("| asked | " + " | ".join(f"{duration} ms, {snr:g} dB" for duration, snr in conditions) + " | coverage |")
    print("| --- |" + " ---: |" * (len(conditions) + 1))
    said = {name: answers[answers.prompt_id == prompt.prompt_id] for name, prompt in asked.items()}
    said |= {name: pd.concat(heard_by(name, args.shards)).assign(coverage=np.nan) for name in args.detectors}
    for name, rows in said.items():
        rows = rows[["stimulus_id", "log_odds", "coverage"]].merge(stimuli, on="stimulus_id", validate="1:1")
        rows["log_odds"] *= -1 if name in NEGATED else 1
        rows["correct"] = (rows.log_odds > 0) == (rows.label == "SPEECH")
        of_conditions = [rows[(rows.duration_ms == duration) & (rows.snr_db == snr)] for duration, snr in conditions]
        print(f"| {name} | " + " | ".join(map(balanced, of_conditions)) + f" | {rows.coverage.mean():.1%} |".replace("nan%", ""), flush=True)
        if args.tuned:
            print(f"| {name}, tuned | " + " | ".join(balanced(tuned(of_one)) for of_one in of_conditions) + " | |", flush=True)


if __name__ == "__main__":
    main()
