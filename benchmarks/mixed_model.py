"""Coverage of the mixed model's intervals and time per fit, on simulated observers.

PYTHONPATH=workflow_scripts python benchmarks/mixed_model.py --replicates 60 --jobs 8

Observers answer the stratified set (4 durations x 6 SNRs, one clip per source). Sources differ in their intercepts, and with
--slopes in their effects of duration, of SNR and of both together too. With --intercepts-alone the model has no random slopes.
"""

import argparse
import itertools
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from threadpoolctl import threadpool_limits

from earwitness.core.randomness import stream
from earwitness.evaluation.response_models import response_model
from earwitness.statistics.mixed_models import Fit, MixedModel, fit, precision, robust_precision

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


def one_replicate(n_sources: int, slopes: float, intercepts_alone: bool, seed: int, k: int) -> pd.DataFrame:
    """Of observer k, by term: the error of the estimate; whether intervals cover it and whether tests reject 0, by the errors in use, by those from
    leaving out sources alone, and by the model's own with the normal distribution; and the seconds that fit and errors took."""
    model = simulate(n_sources, slopes, stream(seed, "mixed_model", n_sources, slopes, k))
    if intercepts_alone:
        model = model.without_random([effect.name for effect in model.random if "_sources_" in effect.name])
    start = time.process_time()
    fitted: Fit = fit(model)
    own = precision(model, fitted).errors
    jackknife = robust_precision(model, fitted)
    if jackknife is None:
        raise RuntimeError("no errors over sources")
    used = jackknife.at_least(own)
    seconds = time.process_time() - start
    away = fitted.coefficients - TRUTH
    t, z = stats.t.ppf((1 + CONFIDENCE) / 2, used.df), float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    halves = {"": t * used.errors, "_jackknife": t * jackknife.errors, "_own": z * own}
    found = {f"held{kind}": away.abs() <= half for kind, half in halves.items()}
    found |= {f"rejected{kind}": fitted.coefficients.abs() > half for kind, half in halves.items()}
    return pd.DataFrame(found).astype(float).assign(away=away, seconds=seconds)


def coverage(n_sources: int, slopes: float, found: list[pd.DataFrame]) -> dict[str, float]:
    """One row of the table, from what was found of its observers."""
    mean = pd.concat(found).groupby(level=0).mean()
    terms = ["intercept", "label", "label:logdur", "label:snr", "label:logdur:snr"]
    return {
        "sources per class": n_sources,
        "SD of slopes": slopes,
        "observers": len(found),
        **{term: mean.held[term] for term in terms},
        "d' by duration, leaving out sources alone": mean.held_jackknife["label:logdur"],
        "least of these by own errors": mean.held_own[terms].min(),
        "bias of d' by duration": mean.away["label:logdur"],
        "false interactions": mean.rejected["label:logdur:snr"],
        "false interactions of the criterion": mean.rejected["logdur:snr"],
        "false interactions, leaving out sources alone": mean.rejected_jackknife["label:logdur:snr"],
        "false interactions by own errors": mean.rejected_own["label:logdur:snr"],
        "seconds per fit": mean.seconds.mean(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, nargs="+", default=[10, 28, 56], help="sources per class")
    parser.add_argument("--slopes", type=float, nargs="+", default=[0.0, 0.3, 1.0], help="SD of the sources' own slopes")
    parser.add_argument("--replicates", type=int, default=60)
    parser.add_argument("--intercepts-alone", action="store_true", help="fit the model without random slopes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="observers at a time")
    args = parser.parse_args()
    with ProcessPoolExecutor(args.jobs, initializer=threadpool_limits, initargs=(1,)) as pool:
        for slopes, n_sources in itertools.product(args.slopes, args.sources):
            found = pool.map(partial(one_replicate, n_sources, slopes, args.intercepts_alone, args.seed), range(args.replicates))
            row = pd.DataFrame([coverage(n_sources, slopes, list(found))]).round(3)
            print(row.to_csv(sep="|", index=False, header=(slopes, n_sources) == (args.slopes[0], args.sources[0])), end="", flush=True)


if __name__ == "__main__":
    main()
