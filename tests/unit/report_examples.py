"""Made-up tables of a small study, for the tests of figures and report."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from earwitness.config import complete_config
from earwitness.evaluation.phases import PHASE_OF_KIND
from earwitness.leakage.certificate import SCHEMA_NAME, overall_status
from earwitness.systems import System
from earwitness.tables.accuracy import ACCURACY, CONDITION_ACCURACY, SOURCE_ACCURACY
from earwitness.tables.calibration import CALIBRATION, CALIBRATION_FITS, RELIABILITY
from earwitness.tables.comparisons import COMPARISONS, LEAKAGE
from earwitness.tables.detection import DETECTION
from earwitness.tables.ensembles import ENSEMBLES
from earwitness.tables.error_analysis import ERROR_RATES
from earwitness.tables.experiments import EFFICIENCY, EXPERIMENT, LEARNING_CURVE, TEST_SIZES
from earwitness.tables.files import validate
from earwitness.tables.generation import GENERATION
from earwitness.tables.phases import PHASES
from earwitness.tables.power import POWER, VARIANCE
from earwitness.tables.recordings import AUDIO_CHECK
from earwitness.tables.stimulus_summary import STIMULUS_SUMMARY

SYSTEMS = ("base", "attention-grouped", "attention-row_random", "silero", "webrtc", "energy")
SEEDS = ("42", "123", "456")
LEVELS = {"base": 0.8, "attention-grouped": 0.9, "attention-row_random": 0.82, "silero": 0.85, "webrtc": 0.75, "energy": 0.6}
HOSTILE = "<script>alert(1)</script>"


def _split_of(system: str) -> str:
    return System.parse(system).split or "-"


def _sets_of(system: str) -> list[str]:
    return ["unseen", "row_random"] if system == "base" or _split_of(system) == "row_random" else ["unseen"]


def accuracy(systems: Sequence[str] = SYSTEMS, sources: int = 14, intervals: bool = True) -> pd.DataFrame:
    rows = []
    for system in systems:
        for test_set in _sets_of(system):
            for seed in (*SEEDS, "all") if "-" in system else ("-",):
                for metric, shift in (("balanced_accuracy", 0), ("accuracy", 0), ("speech_accuracy", 0.04), ("nonspeech_accuracy", -0.04)):
                    value = LEVELS.get(system, 0.7) + shift + (0.08 if test_set == "row_random" else 0)
                    value += 0 if seed in ("all", "-") else 0.01 * (SEEDS.index(seed) - 1)
                    bounds = [value - 0.06, min(1, value + 0.06), value - 0.02, min(1, value + 0.02)] if intervals else [np.nan] * 4
                    reliability = "descriptive_only" if sources < 10 else "ok"
                    rows.append(
                        [system, _split_of(system), test_set, seed, metric, value, *bounds, "jackknife_t", 700, sources, sources, reliability]
                    )
    return validate(pd.DataFrame(rows, columns=list(ACCURACY.columns)), ACCURACY)


def sources(systems: Sequence[str] = SYSTEMS, number: int = 14) -> pd.DataFrame:
    rows = []
    for system in systems:
        for seed in (*SEEDS, "all") if "-" in system else ("-",):
            for label in ("SPEECH", "NONSPEECH"):
                rows += [[system, _split_of(system), "unseen", seed, f"{label}-{k}", label, 50, (k % 11) / 10] for k in range(number)]
    return validate(pd.DataFrame(rows, columns=list(SOURCE_ACCURACY.columns)), SOURCE_ACCURACY)


def conditions(systems: Sequence[str] = SYSTEMS) -> pd.DataFrame:
    rows = [
        [system, _split_of(system), test_set, duration, snr, 0.5 + duration / 4000 + snr / 100, 28]
        for system in systems
        for test_set in _sets_of(system)
        for duration in (200, 600, 1000)
        for snr in (0.0, 10.0, 20.0)
    ]
    return validate(pd.DataFrame(rows, columns=list(CONDITION_ACCURACY.columns)), CONDITION_ACCURACY)


def leakage(systems: Sequence[str] = SYSTEMS, low: float = 0.02) -> pd.DataFrame:
    rows = [
        [system, seed, metric, 0.9, 0.82, 0.08, low, 0.14, 0.81, 0.8]
        for system in systems
        if _split_of(system) == "row_random"
        for seed in (*SEEDS, "all")
        for metric in ("balanced_accuracy", "speech_accuracy", "nonspeech_accuracy")
    ]
    return validate(pd.DataFrame(rows, columns=list(LEAKAGE.columns)), LEAKAGE)


def comparisons(conclusion: str = "different") -> pd.DataFrame:
    row: dict[str, Any] = {name: 0.0004 for name in COMPARISONS.columns if name.startswith("p_")}
    row |= {"system_a": "attention-grouped", "system_b": "base", "test_set": "unseen", "difference": 0.1, "low": 0.04, "high": 0.16}
    row |= {"question": "fine_tuning", "role": "primary", "interval_confidence": 0.95}
    row |= {"conclusion": conclusion, "only_a_correct": 90, "only_b_correct": 20, "n_items": 700, "n_sources": 28}
    return validate(pd.DataFrame([row]), COMPARISONS)


RECIPES = ("attention", "attention_mlp", "language_model")


def experiment(recipes: Sequence[str] = RECIPES, splits: Sequence[str] = ("grouped", "row_random", "fold_0", "folds")) -> pd.DataFrame:
    """Both of the leaky split's test sets; intervals as after few sources."""
    rows = []
    for number, recipe in enumerate(recipes):
        for split in splits:
            own = {"row_random": ["unseen", "row_random"], "folds": ["every_source"]}.get(split, [split] if split.startswith("fold_") else ["unseen"])
            for test_set in own:
                for seed in (*SEEDS, "all"):
                    value = 0.9 - 0.02 * number + (0 if seed == "all" else 0.01 * (SEEDS.index(seed) - 1))
                    against = [np.nan] * 3 if number == 0 else [-0.02 * number, -0.05, 0.01]
                    row = [recipe, split, test_set, seed, 40, 41, value, value - 0.06, min(1, value + 0.06), 0.1, 0.05, 0.15, *against]
                    rows.append([*row, "two_way_t", 700, 28, 27, "ok"])
    return validate(pd.DataFrame(rows, columns=list(EXPERIMENT.columns)), EXPERIMENT)


def learning_curve(recipes: Sequence[str] = RECIPES) -> pd.DataFrame:
    rows = []
    for number, recipe in enumerate(recipes):
        for kind, speakers in (("measured", (3, 6, 12, 40)), ("fitted", (3, 6, 12, 40)), ("extrapolated", (50, 100, 200))):
            rows += [[recipe, kind, n, 0.8 + 0.02 * np.log2(n) - 0.02 * number, 0.7, 0.96] for n in speakers]
    return validate(pd.DataFrame(rows, columns=list(LEARNING_CURVE.columns)), LEARNING_CURVE)


def test_sizes(systems: Sequence[str] = SYSTEMS[:3]) -> pd.DataFrame:
    rows = []
    for size, draws, half in ((32, 50, 0.15), (96, 50, 0.09), (2800, 1, 0.05)):
        for system in systems:
            value, gains = LEVELS.get(system, 0.7), [0.1, 0.8 * half, half, 0.4] if system != "base" else [np.nan] * 4
            rows.append([system, size, min(size, 56), draws, value, value - half, min(1, value + half), half, *gains])
    return validate(pd.DataFrame(rows, columns=list(TEST_SIZES.columns)), TEST_SIZES)


test_sizes.__test__ = False


def efficiency(recipes: Sequence[str] = RECIPES) -> pd.DataFrame:
    rows = [
        [recipe, split, seed, 0.9 - 0.02 * number, 24_000 * (number + 1), 10**5 * (number + 1), 1.5, 20.0, 19.0, 4800, 4.2, 7 * 10**8, "CPU (x86_64)"]
        for number, recipe in enumerate(recipes)
        for split in ("grouped", "row_random")
        for seed in SEEDS
    ]
    return validate(pd.DataFrame(rows, columns=list(EFFICIENCY.columns)), EFFICIENCY)


def power() -> pd.DataFrame:
    pair = comparisons()[["system_a", "system_b", "conclusion", "difference"]].iloc[0].to_dict()
    pair |= {"standard_error": 0.03, "n_seeds": 3, "n_speech_sources": 14, "n_nonspeech_sources": 14, "level": 0.05, "power": 0.8}
    times = {"minimum_detectable_difference": 0.09, "times_sources_for_observed": 2.2, "times_sources_for_margin": np.inf}
    return validate(pd.DataFrame([pair | times | {"times_sources_for_equivalence": 3.01}]), POWER)


def variance(systems: Sequence[str] = SYSTEMS) -> pd.DataFrame:
    components = ("seed", "speech_source", "nonspeech_source", "speech_residual", "nonspeech_residual")
    rows = []
    for system in systems:
        for name in components:
            known = "source" in name or "-" in system
            rows.append([system, "unseen", name, 14, 0.1 if known else np.nan, 0.2 if known else np.nan])
    return validate(pd.DataFrame(rows, columns=list(VARIANCE.columns)), VARIANCE)


def ensembles() -> pd.DataFrame:
    rows = [
        [f"attention-grouped+{rule}", "attention-grouped", rule, 3, 0.95, 0.91, 0.9, 0.01, -0.01, 0.03, 0.975, 0.2, 0.01, 0.4, "equivalent", 700, 28]
        for rule in ("mean", "vote")
    ]
    return validate(pd.DataFrame(rows, columns=list(ENSEMBLES.columns)), ENSEMBLES)


def calibration(systems: Sequence[str] = SYSTEMS) -> pd.DataFrame:
    rows = [
        [system, _split_of(system), seed, method, 0.4, 0.3, 0.5, 0.12, 0.1, 0.14, 0.05, 0.02, 0.046, 0.02, 0.08, 0.9, 700, 14, 14]
        for system in systems
        for seed in ((*SEEDS, "all") if "-" in system else ("-",))
        for method in ("none", "temperature", "platt")
    ]
    return validate(pd.DataFrame(rows, columns=list(CALIBRATION.columns)), CALIBRATION)


def calibration_fits(systems: Sequence[str] = SYSTEMS) -> pd.DataFrame:
    rows = [
        [system, seed, method, 0.7, 0.0, 0.0, 0.4, method == "temperature", 300, 6, 6]
        for system in systems
        for seed in (SEEDS if "-" in system else ("-",))
        for method in ("temperature", "platt")
    ]
    return validate(pd.DataFrame(rows, columns=list(CALIBRATION_FITS.columns)), CALIBRATION_FITS)


def reliability(systems: Sequence[str] = SYSTEMS) -> pd.DataFrame:
    rows = [
        [system, method, k, (k + 0.5) / 10, (k + 0.3) / 10, k / 10, (k + 1) / 10, 70, 20]
        for system in systems
        for method in ("none", "temperature", "platt")
        for k in range(10)
    ]
    return validate(pd.DataFrame(rows, columns=list(RELIABILITY.columns)), RELIABILITY)


def error_rates(systems: Sequence[str] = SYSTEMS) -> pd.DataFrame:
    levels = [("all", "all"), ("category", "dog"), ("duration_ms", "200"), ("snr_db", "-5")]
    rows = [[system, label, *level, 0.2, 0.1, 0.3, 350, 14] for system in systems for label in ("SPEECH", "NONSPEECH") for level in levels]
    return validate(pd.DataFrame(rows, columns=list(ERROR_RATES.columns)), ERROR_RATES)


def detection(systems: Sequence[str] = ("attention-grouped", "silero")) -> pd.DataFrame:
    rows = [
        [system, rule, 12, 14, 300.0, 200.0, 0.2 + 0.1 * number, 0.15, 0.45, 0.12, 0.08 + 0.1 * number, 0.1, 0.9, 0.06, 0.5, 0.35, 0.1, 0.2]
        for number, system in enumerate(systems)
        for rule in ("own", "tuned")
    ]
    return validate(pd.DataFrame(rows, columns=list(DETECTION.columns)), DETECTION)


def phases(systems: Sequence[str] = SYSTEMS) -> pd.DataFrame:
    rows = [
        [PHASE_OF_KIND[System.parse(name).kind], name, name, LEVELS.get(name, 0.7), 0.6, 0.95, 0.1, 0.0, 0.2, 28]
        for name in systems
        if "row_random" not in name
    ]
    rows.append(["prompt", "base", "searched question", 0.81, 0.7, 0.9, 0.01, -0.01, 0.03, 28])
    return validate(pd.DataFrame(rows, columns=list(PHASES.columns)), PHASES)


def histories(systems: Sequence[str] = SYSTEMS, steps: int = 40) -> pd.DataFrame:
    step = np.arange(1, steps + 1)
    return pd.concat(
        [
            pd.DataFrame({"step": step, "loss": 0.7 * np.exp(-step / 20) + 0.02 * int(seed) % 0.1, "learning_rate": 0.002 * step / steps}).assign(
                system_id=system, seed=seed
            )
            for system in systems
            if "-" in system
            for seed in SEEDS
        ]
    )


def stimulus_summary() -> pd.DataFrame:
    rows = [
        [label, "factorial", "duration_x_snr", duration, snr, "clean", "none", 28, 14, 0.0123, 0.0045]
        for label in ("SPEECH", "NONSPEECH")
        for duration in (200, 600, 1000)
        for snr in (0.0, 10.0, 20.0)
    ]
    return validate(pd.DataFrame(rows, columns=list(STIMULUS_SUMMARY.columns)), STIMULUS_SUMMARY)


def generation() -> pd.DataFrame:
    rows = [["0123456789", "A", 400, 400, 1.0, np.nan, 0.97, 0.31], ["0123456789", "B", 400, 398, 0.995, 0.02, 0.97, 0.31]]
    return validate(pd.DataFrame(rows, columns=list(GENERATION.columns)), GENERATION)


def audio_check(broken: Sequence[str] = ()) -> pd.DataFrame:
    rows = [[f"audio/{k}.wav", "ok", "", 16000, 1, 2.0, -20.0, 0.5, 0.0, 0.0, 0] for k in range(5)]
    rows += [[path, "broken", "cannot be read", None, None, None, None, None, None, None, None] for path in broken]
    return validate(pd.DataFrame(rows, columns=list(AUDIO_CHECK.columns)), AUDIO_CHECK)


def certificate(split: str = "grouped", offenders: Sequence[str] = ()) -> dict[str, Any]:
    def check(number: int, name: str, sources: Sequence[str]) -> dict[str, Any]:
        return {
            "id": f"L{number}",
            "name": name,
            "question": f"Is there {name}?",
            "severity": "error",
            "required": True,
            "status": "fail" if sources else "pass",
            "n_compared": 28,
            "units": "sources",
            "statistic": float(len(sources)),
            "threshold": 0.0,
            "reason": f"{len(sources)} sources are in two parts" if sources else None,
            "offenders": len(sources),
            "offending_sources": list(sources),
            "remarks": [],
            "waived": False,
        }

    checks = [check(1, "source overlap", offenders), check(2, "duplicate audio", ())]
    return {
        "schema": SCHEMA_NAME,
        "split": {"name": split, "sha256": "0" * 64},
        "subject": [{"role": "index", "name": "index", "sha256": "1" * 64}],
        "policy": {"settings": {}, "sha256": "2" * 64},
        "parts": {part: {"stimuli": 1200, "speech_sources": 14, "nonspeech_sources": 13} for part in ("train", "dev", "test")},
        "checks": checks,
        "evidence": {"rows": sum(check["offenders"] for check in checks), "sha256": "3" * 64},
        "waivers": [],
        "status": overall_status(checks),
        "fail_closed": True,
    }


def config(**changes: Any) -> dict[str, Any]:
    return complete_config(changes)


def run() -> dict[str, Any]:
    return {
        "date": "2026-01-01",
        "git": {"revision": "a" * 40, "dirty": True},
        "python": "3.12.1",
        "packages": {"numpy": "2.0"},
        "differences_from_lock": [{"package": "scipy", "locked": "1.0", "installed": None}],
        "platform": "Linux",
        "cpu": "a processor",
        "cores": 2,
        "memory_gib": 7.5,
        "gpus": [],
    }
