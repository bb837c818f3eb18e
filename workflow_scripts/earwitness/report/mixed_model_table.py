"""What the mixed models say, in words: what moves sensitivity, by how much, and how sure that is."""

from typing import Any

import pandas as pd

from earwitness.evaluation.scored_answers import ALL_SEEDS, NOT_TRAINED
from earwitness.report.formats import MISSING, decimal, p_value
from earwitness.report.style import in_order, rows_of, system_name, without_value
from earwitness.systems import System

_TERMS = {
    "label": "sensitivity (d′) at {reference}",
    "label:logdur": "gain in d′ per tenfold duration{at_snr}",
    "label:snr": "gain in d′ per 10 dB{at_duration}",
    "label:logdur:snr": "change, per tenfold duration, of the gain in d′ per 10 dB",
    "intercept": "leaning towards “speech” at {reference}",
}
"""The terms that the report shows, in its order; `_effect` fills in the reference."""

_PROBLEMS = {
    "separated": "its answers are predicted perfectly, so that sensitivity has no finite estimate",
    "not_available": "the fit needs the package gpboost, which is not installed here, so that no estimate is given",
    "single_source": "a class has a single source, so that nothing tells how sources differ",
    "not_converged": "the fit did not converge, so that no estimate is given",
}

WIDEST = 4.7
"""Of an interval that tells anything: d' goes from 0 at chance to 4.65 where 99 % of both classes are right."""

_SETS = {"noisy": "in noise", "clean": "without noise"}


def mixed_model_rows(effects: pd.DataFrame, fits: pd.DataFrame) -> list[dict[str, str]]:
    """The rows of the page's table: system, stimuli, effect, estimate, interval, p, remark; all text.

    effects, fits: earwitness.tables.mixed_models.MIXED_MODEL_EFFECTS and MIXED_MODEL_FITS. A fit without estimates has no row, nor has an
    effect whose interval is wider than all of d'; `left_out_sentence` names them.
    """
    rows = []
    for fitted in _ordered(fits):
        shown = {"system": _name(fitted), "stimuli": _SETS[fitted.stimuli]}
        if fitted.status != "ok":
            continue
        own = _of_fit(effects, fitted)
        terms = [term for term in _TERMS if term in own.index and _tells(own.loc[term])]
        for term in terms:
            row: Any = own.loc[term]
            rows.append(
                shown
                | {
                    "effect": _effect(term, "snr" in own.index, "logdur" in own.index),
                    "estimate": decimal(row.estimate),
                    "interval": _interval(row),
                    "p": p_value(row.p_holm),
                    "remark": _remark(fitted) if term == terms[0] else "",
                }
            )
    return rows


def left_out_sentence(effects: pd.DataFrame, fits: pd.DataFrame) -> str:
    """Which fits and effects the table does not show, and why; empty where it shows all."""
    failed: dict[str, list[str]] = {}
    for fitted in _ordered(fits):
        if fitted.status != "ok":
            failed.setdefault(_PROBLEMS[fitted.status], []).append(f"{_name(fitted)} {_SETS[fitted.stimuli]}")
    parts = [f"{', '.join(named)}: {problem}" for problem, named in failed.items()]
    for fitted in _ordered(fits):
        own = _of_fit(effects, fitted)
        vague = sum(not _tells(own.loc[term]) for term in _TERMS if term in own.index) if fitted.status == "ok" else 0
        if vague:
            of_all = f"{vague} of its effects has" if vague == 1 else f"{vague} of its effects have"
            parts.append(f"{_name(fitted)} {_SETS[fitted.stimuli]}: {of_all} an interval wider than {WIDEST:g} in d′, which tells nothing")
    return f"Not shown: {'; '.join(parts)}." if parts else ""


def mixed_model_sentences(effects: pd.DataFrame, fits: pd.DataFrame, confidence: float) -> list[str]:
    """One sentence or two per fit: whether duration and SNR move sensitivity, and whether one matters more with the other.

    effects, fits: as for `mixed_model_rows`. confidence: of the intervals; 1 - confidence is the level of the tests, on
    p-values that Holm's method adjusted over the label terms of the fit.
    """
    shown = [fitted for fitted in _ordered(fits) if fitted.status == "ok"]
    return [f"{_name(fitted)}, {_SETS[fitted.stimuli]}: {_finding(_of_fit(effects, fitted), fitted, confidence)}" for fitted in shown]


def _tells(row: Any) -> bool:
    return without_value(row.low) or bool(row.high - row.low <= WIDEST)


def _ordered(fits: pd.DataFrame) -> list[Any]:
    """The fits that count, in the order of the page: of a system with several seeds their mean, or where that has no estimate the seeds."""
    pooled = set(map(tuple, fits.loc[(fits.seed == ALL_SEEDS) & (fits.status == "ok"), ["system_id", "stimuli"]].to_numpy()))
    with_mean = [key in pooled for key in zip(fits.system_id, fits.stimuli, strict=True)]
    fits = fits[(fits.seed == ALL_SEEDS) == with_mean]
    systems = list(map(str, in_order(fits.system_id)))
    keys = fits.assign(_system=fits.system_id.map(systems.index), _stimuli=fits.stimuli.map(list(_SETS).index))
    return rows_of(keys.sort_values(["_system", "seed", "_stimuli"], kind="stable")[list(fits.columns)])


def _of_fit(effects: pd.DataFrame, fitted: Any) -> pd.DataFrame:
    own = (effects.system_id == fitted.system_id) & (effects.seed == fitted.seed) & (effects.stimuli == fitted.stimuli)
    return effects[own].set_index("term")


def _name(fitted: Any) -> str:
    name = system_name(System.parse(fitted.system_id))
    return name if fitted.seed in (NOT_TRAINED, ALL_SEEDS) else f"{name}, seed {fitted.seed}"


def _effect(term: str, with_snr: bool, with_duration: bool) -> str:
    places = [place for place, there in (("100 ms", with_duration), ("0 dB", with_snr)) if there]
    return _TERMS[term].format(
        reference=" and ".join(places) or "the only condition",
        at_snr=", at 0 dB" if with_snr else "",
        at_duration=", at 100 ms" if with_duration else "",
    )


def _interval(row: Any) -> str:
    return MISSING if without_value(row.low) else f"[{decimal(row.low)},\N{NO-BREAK SPACE}{decimal(row.high)}]"


def _remark(fitted: Any) -> str:
    few = {"few_sources": "few sources", "descriptive_only": "describes these sources only"}
    remarks = [few.get(fitted.reliability, ""), "" if fitted.note == "-" else fitted.note]
    return "; ".join(remark for remark in remarks if remark)


def _finding(own: pd.DataFrame, fitted: Any, confidence: float) -> str:
    parts = []
    for term, what in (("label:logdur", "a tenfold duration"), ("label:snr", "10 dB more")):
        if term in own.index and not _tells(own.loc[term]):
            parts.append(f"what {what} changes is too uncertain to say")
        elif term in own.index:
            parts.append(f"{what} {_change(own.loc[term])}")
    text = " and ".join(parts) + (" (at the reference of 100 ms and 0 dB)" if len(parts) == 2 else "") if parts else "one condition only"
    if "label:logdur:snr" in own.index:
        text += f". {_interaction(own.loc['label:logdur:snr'], 1 - confidence)}"
    if fitted.reliability == "descriptive_only":
        text += ". With so few sources this describes these sources only"
    return f"{text}."


def _change(row: Any) -> str:
    return f"changes d′ by {decimal(row.estimate)} {_interval(row)}"


def _interaction(row: Any, level: float) -> str:
    numbers = f"{decimal(row.estimate)} {_interval(row)} in d′ per 10 dB and tenfold duration, before correction"
    if not _tells(row):
        return "Whether a higher SNR helps more at short durations is too uncertain to say"
    if without_value(row.p_holm):
        return f"Whether a higher SNR helps more at short durations is not tested ({numbers})"
    numbers += f"; p = {p_value(row.p_holm)} after Holm" if row.p_holm >= 0.001 else f"; p {p_value(row.p_holm)} after Holm"
    if row.p_holm >= level:
        return f"Whether a higher SNR helps more at short or at long durations these data do not settle ({numbers})"
    return f"A higher SNR helps more at {'short' if row.estimate < 0 else 'long'} durations ({numbers})"
