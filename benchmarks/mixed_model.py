"""Coverage of the mixed model's intervals and time per fit, on simulated observers.

PYTHONPATH=workflow_scripts python benchmarks/mixed_model.py --replicates 150

Observers answer the stratified set (4 durations x 6 SNRs, one clip per source). Sources differ in their intercepts, and with
--slopes in their effects of duration, of SNR and of both together too, which the model does not have.
"""

import argparse
import itertools
import time

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from earwitness.core.randomness import stream
from earwitness.evaluation.response_models import response_model
from earwitness.statistics.mixed_models import Fit, MixedModel, fit, laplace_fit, precision, robust_precision

DURATIONS_MS, SNRS_DB = (80, 200, 500, 1000), (-10.0, -5.0, 0.0, 5.0, 10.0, 20.0)
TRUTH = pd.Series(
    {
        "intercept": -0.4,
        "logdur": 0.3,
        "snr": 0.2,
        "logdur:snr": 0.0,
        "label": 1.2,
        "label:logdur": 1.5,
        "label:snr": 0.8,
        "label:logdur:snr": 0.0,
    }
)
SPREAD = {"SPEECH": 0.5, "NONSPEECH": 0.8}
CONFIDENCE = 0.95


def simulate(n_sources: int, slopes: float, rng: np.random.Generator) -> MixedModel:
    """The model of one observer's answers to n_sources sources per class; slopes: SD of the sources' slopes."""
    conditions = list(itertools.product(("SPEECH", "NONSPEECH"), range(n_sources), DURATIONS_MS, SNRS_DB))
    rows = pd.DataFrame(conditions, columns=["label", "number", "duration_ms", "snr_db"])
    rows["source_id"] = rows["clip_id"] = rows.label + rows.number.astype(str)
    design = response_model(rows.assign(said_speech=0.0), "simulated").design
    codes, names = pd.factorize(rows.source_id)
    deviations: npt.NDArray[np.float64] = rng.normal(size=(4, len(names)))[:, codes]
    latent = design.to_numpy() @ TRUTH[design.columns].to_numpy() + rows.label.map(SPREAD) * deviations[0]
    latent += slopes * (deviations[1] * design.logdur + deviations[2] * design.snr + deviations[3] * design["logdur:snr"])
    return response_model(rows.assign(said_speech=(rng.normal(size=len(rows)) < latent).astype(float)), "simulated")


def one_replicate(model: MixedModel) -> tuple[pd.Series, pd.Series, float, float, float]:
    """Whether each interval covers, the errors of the estimates, p of the absent interaction, the same by the model's own standard error, and
    seconds for fit and errors."""
    start = time.process_time()
    fitted: Fit = fit(model)
    own = precision(model, fitted)
    known = robust_precision(model, fitted)
    seconds = time.process_time() - start
    if known is None:
        raise RuntimeError("no errors over sources")
    interaction = "label:logdur:snr"
    p = 2 * stats.t.sf(abs(fitted.coefficients[interaction] / known.errors[interaction]), known.df[interaction])
    p_own = 2 * stats.norm.sf(abs(fitted.coefficients[interaction] / own.errors[interaction]))
    half = stats.t.ppf((1 + CONFIDENCE) / 2, known.df) * known.errors
    return (fitted.coefficients - TRUTH).abs() <= half, fitted.coefficients - TRUTH, float(p), float(p_own), seconds


def coverage(n_sources: int, slopes: float, replicates: int, seed: int) -> dict[str, float]:
    """One row of the table."""
    models = [simulate(n_sources, slopes, stream(seed, "mixed_model", n_sources, slopes, k)) for k in range(replicates)]
    covers, errors, ps, ps_own, seconds = zip(*map(one_replicate, models), strict=True)
    covered, bias = pd.DataFrame(covers).mean(), pd.DataFrame(errors).mean()
    start = time.process_time()
    for model in models[:5]:
        laplace_fit(model)
    return {
        "sources per class": n_sources,
        "SD of slopes": slopes,
        **covered[["intercept", "label", "label:logdur", "label:snr", "label:logdur:snr"]].to_dict(),
        "bias of label": bias["label"],
        "false alarms of the interaction's test": float(np.mean(np.array(ps) < 1 - CONFIDENCE)),
        "the same by the model's own errors": float(np.mean(np.array(ps_own) < 1 - CONFIDENCE)),
        "seconds per fit": float(np.mean(seconds)),
        "of which GPBoost": (time.process_time() - start) / min(5, replicates),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, nargs="+", default=[10, 20, 40], help="sources per class")
    parser.add_argument("--slopes", type=float, nargs="+", default=[0.0, 0.5], help="SD of the sources' own slopes")
    parser.add_argument("--replicates", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    for slopes, n_sources in itertools.product(args.slopes, args.sources):
        row = pd.DataFrame([coverage(n_sources, slopes, args.replicates, args.seed)]).round(3)
        print(row.to_csv(sep="|", index=False, header=(slopes, n_sources) == (args.slopes[0], args.sources[0])), end="", flush=True)


if __name__ == "__main__":
    main()
