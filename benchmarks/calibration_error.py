"""How often the interval of the expected calibration error holds it, where sources share noise. Prints a table.

    PYTHONPATH=workflow_scripts python benchmarks/calibration_error.py --studies 300

Log-odds of the classes are normal with means +-m and variance 2m, so that they are calibrated; multiplied by a stretch they are not. A
share of their variance is the source's. The true error is that of the population, without bins.
"""

import argparse

import numpy as np
import pandas as pd
from scipy.special import expit

from earwitness.core.randomness import stream
from earwitness.evaluation.calibration import clustered_calibration_error
from earwitness.evaluation.scored_answers import Outcomes
from earwitness.systems import BASE

DESIGNS = (
    (28, 28, 50, 0.0, 2.0, 1.0),
    (28, 28, 50, 0.3, 2.0, 1.0),
    (28, 28, 50, 0.6, 2.0, 1.0),
    (10, 19, 50, 0.3, 2.0, 1.0),
    (28, 28, 50, 0.3, 2.0, 1.5),
    (28, 28, 50, 0.3, 2.0, 3.0),
    (28, 28, 50, 0.3, 6.0, 1.0),
    (100, 100, 20, 0.3, 2.0, 1.0),
)
"""Sources of either class, stimuli of each, share of the source, m, stretch."""


def true_error(mean: float, stretch: float) -> float:
    """Mean distance between the stretched and the calibrated probability in the population."""
    random = stream(1, "population", mean)
    log_odds = mean + np.sqrt(2 * mean) * random.normal(size=1_000_000)
    return float(np.abs(expit(log_odds) - expit(stretch * log_odds)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=300, help="simulated studies per design (default: 300)")
    args = parser.parse_args()
    print("| sources, stimuli | share of the source | m | stretch | true | measured | floor | corrected | hold the truth | median width |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for design in DESIGNS:
        n_speech, n_nonspeech, each, shared, mean, stretch = design
        truth = true_error(mean, stretch)
        sources = np.repeat([f"s{k}" for k in range(n_speech)] + [f"n{k}" for k in range(n_nonspeech)], each)
        speech = np.arange(len(sources)) < n_speech * each
        items = pd.DataFrame({"source_id": sources, "label": np.where(speech, "SPEECH", "NONSPEECH")})
        found = []
        for study in range(args.studies):
            random = stream(2, "calibration_error", *design, study)
            of_source = np.repeat(random.normal(size=n_speech + n_nonspeech), each)
            noise = np.sqrt(shared) * of_source + np.sqrt(1 - shared) * random.normal(size=len(sources))
            log_odds = stretch * (np.where(speech, mean, -mean) + np.sqrt(2 * mean) * noise)[None]
            right = (log_odds[0] > 0) == speech
            error = clustered_calibration_error(expit(log_odds), Outcomes(BASE, "unseen", ("-",), items, right[None], log_odds, right), 0.95, random)
            found.append([error.measured, error.floor, error.corrected, error.low <= truth <= error.high, error.high - error.low])
        measured, floor, corrected, held, _ = np.mean(found, axis=0)
        width = np.median([row[-1] for row in found])
        named = f"{n_speech} + {n_nonspeech}, {each} | {shared:g} | {mean:g} | {stretch:g}"
        print(f"| {named} | {truth:.4f} | {measured:.4f} | {floor:.4f} | {corrected:.4f} | {100 * held:.1f} % | {width:.4f} |", flush=True)


if __name__ == "__main__":
    main()
