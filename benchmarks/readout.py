"""How much of its answers a base's ear holds, by duration and noise: the encoder probe, fitted to all conditions together and to each alone.

For docs/middle_size.md, of the stimuli of benchmarks/wordings.py:

    .venv/bin/snakemake --cores 2 --configfile config/middle.yaml real.yaml wordings.yaml -- results/features/base/factorial/shard-00{0,1}.parquet
    PYTHONPATH=workflow_scripts python benchmarks/readout.py \\
        --stimuli results/stimuli/factorial/shard-*.parquet --features results/features/base/factorial/shard-*.parquet

In five folds by source: three fit, one chooses the penalty, one is tested. Prints balanced accuracy in %, intervals clustered by source.
"""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from wordings import balanced

from earwitness.detectors.encoder_probe import fit_readout, read_vectors

FOLDS = 5
CONDITION = ["duration_ms", "snr_db"]


def folds_of(stimuli: pd.DataFrame) -> pd.Series:
    """The fold of every stimulus; of the sources of each class as many in each fold as can be."""
    sources = stimuli[["source_id", "label"]].drop_duplicates()
    order = sources.source_id.map(lambda source: hashlib.sha256(source.encode()).hexdigest()).sort_values().index
    fold = sources.loc[order].groupby("label").cumcount() % FOLDS
    return stimuli.source_id.map(fold.set_axis(sources.source_id.loc[fold.index]))


def answered(stimuli: pd.DataFrame, vectors: pd.DataFrame) -> pd.DataFrame:
    """Every stimulus, right or wrong by the readout that was fitted without its fold."""
    found = []
    for tested in range(FOLDS):
        parts = {tested: "test", (tested + 1) % FOLDS: "dev"}
        split = stimuli.assign(part=stimuli.fold.map(lambda fold, parts=parts: parts.get(fold, "train")))
        readout, _ = fit_readout(vectors, split)
        rows = split[split.part == "test"]
        speech = readout.predict(vectors.loc[rows.stimulus_id].to_numpy())
        found.append(rows.assign(correct=speech == (rows.label == "SPEECH")))
    return pd.concat(found)


def line(name: str, conditions: Sequence[tuple[float, float]], rows: pd.DataFrame) -> None:
    of_each = rows.groupby(CONDITION)
    print(f"| {name} | " + " | ".join(balanced(of_each.get_group(condition)) for condition in conditions) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stimuli", type=Path, nargs="+", required=True)
    parser.add_argument("--features", type=Path, nargs="+", required=True, help="what the tower hears of them")
    args = parser.parse_args()
    columns = ["stimulus_id", "label", "source_id", *CONDITION]
    stimuli = pd.concat([pd.read_parquet(shard, columns=columns) for shard in args.stimuli], ignore_index=True)
    stimuli["fold"] = folds_of(stimuli)
    vectors = read_vectors(args.features, "heard")
    conditions = sorted(set(stimuli[CONDITION].itertuples(index=False, name=None)), key=lambda condition: (-condition[1], condition[0]))
    print("| fitted to | " + " | ".join(f"{duration} ms, {snr:g} dB" for duration, snr in conditions) + " |")
    print("| --- |" + " ---: |" * len(conditions))
    line("all of them", conditions, answered(stimuli, vectors))
    line("each alone", conditions, pd.concat([answered(rows, vectors) for _, rows in stimuli.groupby(CONDITION)]))


if __name__ == "__main__":
    main()
