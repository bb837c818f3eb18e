"""The report's answer in plain words: sentences computed from the tables, so that they cannot say more than the numbers do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from earwitness.config import HALVES
from earwitness.evaluation.claims import PUBLISHED_MODEL
from earwitness.leakage.certificate import blocking_checks
from earwitness.model.families.registry import FAMILIES
from earwitness.plan.models import name_of_half
from earwitness.report.formats import counted, percent, percent_range, points, points_range
from earwitness.report.style import headline, in_order, recipe_name, rows_of, system_name
from earwitness.report.threshold_text import interval_words, threshold_words
from earwitness.systems import BASE, LEAKY_SPLIT, System, leaks
from earwitness.tables.draws import LEAKAGE_BUYS

_CONCLUSIONS = {
    "different": "the two differ",
    "equivalent": "the two are equivalent within ±{margin} points",
    "inconclusive": "these data do not settle whether the two differ",
    "descriptive_only": "with so few sources this describes these sources only",
}


@dataclass(frozen=True)
class KindOfNumbers:
    """What kind of numbers a run gives. model: the base's name. size: tiny, middle, full or own. meaning: what the numbers can say."""

    model: str
    size: str
    meaning: str


def kind_of_numbers(model: Mapping[str, Any]) -> KindOfNumbers:
    """The base's name, and what numbers of it say.

    model: the completed configuration's section.
    """
    if model["origin"] == "tiny":
        return KindOfNumbers(
            "the embedded tiny base",
            "tiny",
            f"a small model of {FAMILIES[model['tiny']['family']].name}'s architecture, trained from scratch in this run on synthetic sound."
            " They show what the method finds;"
            " they say nothing of Qwen2-Audio-7B.",
        )
    if model["origin"] == "assembled":
        packaged = all(model[half]["origin"] == "package" for half in HALVES)
        return KindOfNumbers(
            " with ".join(name_of_half(model[half], half) for half in HALVES),
            "middle" if packaged else "own",
            f"a base with real hearing and real language, joined here{', of some 150 million parameters' if packaged else ''}."
            " They are its own, and say nothing of Qwen2-Audio-7B.",
        )
    if model["origin"] == "hub" and model["repository"] == PUBLISHED_MODEL:
        return KindOfNumbers(PUBLISHED_MODEL, "full", "the model of the published study, at the revision that provenance names.")
    return KindOfNumbers(str(model["repository"] if model["origin"] == "hub" else model["path"]), "own", "a model that the configuration names.")


def answer_sentences(
    accuracy: pd.DataFrame,
    comparisons: pd.DataFrame,
    leakage: pd.DataFrame,
    thresholds: pd.DataFrame | None,
    statistics: Mapping[str, float],
    draws: pd.DataFrame | None = None,
) -> list[str]:
    """Three sentences at most: how well the base hears, what fine-tuning changes beside the best detector, and what a leaky test would say.

    accuracy, comparisons, leakage, thresholds: tables of earwitness.tables; thresholds: None without the baseline set.
    statistics: the configuration's section (confidence, equivalence_margin). draws: of the published design (earwitness.tables.draws.DRAWS), None
    where it was not drawn.
    """
    rows = accuracy[(accuracy.test_set == "unseen") & (accuracy.metric == "balanced_accuracy")]
    main = headline(rows).set_index("system_id")
    systems = in_order(main.index)
    sentences = []
    if BASE in systems:
        where = " where guessing gives 50 %"
        sentences.append(
            f"As it is, the model tells speech from other sounds in {_estimate(main.loc[str(BASE)], statistics['confidence'])} of cases,"
            f"{where}, on speakers and sounds that nothing trained on{_reach(thresholds)}."
        )
    sentences.append(_adapted_sentence(systems, main, comparisons, statistics))
    for row in rows_of(headline(leakage[leakage.metric == "balanced_accuracy"]))[:1]:
        sentences.append(_leakage_sentence(row, accuracy, draws))
    return [sentence for sentence in sentences if sentence]


def _estimate(row: Any, confidence: float | None = None) -> str:
    interval = percent_range(row.low, row.high)
    if not interval:
        return percent(row.estimate)
    return f"{percent(row.estimate)} {f'({100 * confidence:g} % interval {interval})' if confidence else interval}"


def _reach(thresholds: pd.DataFrame | None) -> str:
    """From which duration on the base is right three times in four, where that was found."""
    if thresholds is None:
        return ""
    own = thresholds[(thresholds.system_id == str(BASE)) & (thresholds.measure == "balanced_accuracy") & (thresholds.axis == "duration")]
    for row in rows_of(own[own.status.isin(["ok", "left_censored", "right_censored"])])[:1]:
        said = {
            "ok": "is right three times in four from {} on",
            "left_censored": "is right three times in four already at {}, the shortest tried",
            "right_censored": "is not right three times in four even at {}, the longest tried",
        }[row.status]
        limit = said.format(threshold_words(row).lstrip("<>").strip())
        return f"; without noise it {limit} {interval_words(row)}".rstrip()
    return ""


def _adapted_sentence(systems: Sequence[System], main: pd.DataFrame, comparisons: pd.DataFrame, statistics: Mapping[str, float]) -> str:
    adapters = [system for system in systems if system.kind == "adapter" and not system.is_leaky]
    detectors = [system for system in systems if system.kind == "detector"]
    text = ""
    if adapters:
        of_recipe = f" ({recipe_name(adapters[0])})" if len(adapters) > 1 else ""
        text = f"Fine-tuned on other speakers{of_recipe} it reaches {_estimate(main.loc[str(adapters[0])])}"
        for row in rows_of(comparisons[comparisons.test_set == "unseen"]):
            if {row.system_a, row.system_b} == {str(adapters[0]), str(BASE)}:
                sign = 1 if row.system_a == str(adapters[0]) else -1
                conclusion = _CONCLUSIONS[row.conclusion]
                known = {"margin": f"{100 * statistics['equivalence_margin']:g}"}
                text += f", {points(sign * row.difference)} points: {conclusion.format(**known)}"
    if detectors:
        best = max(detectors, key=lambda system: main.loc[str(system)].estimate)
        found = f"the best classic detector, {system_name(best)}, reaches {_estimate(main.loc[str(best)])}"
        text = f"{text}; {found}" if text else found[0].upper() + found[1:]
    return f"{text}." if text else ""


def _leakage_sentence(row: Any, accuracy: pd.DataFrame, draws: pd.DataFrame | None) -> str:
    """What the leaky test says, and whether its sources are enough to tell what leakage bought."""
    own = headline(accuracy[(accuracy.system_id == row.system_id) & (accuracy.test_set == LEAKY_SPLIT) & (accuracy.metric == "balanced_accuracy")])
    counts = "".join(f"the {tested.n_speech_sources} speakers and {tested.n_nonspeech_sources} sounds" for tested in rows_of(own)) or "speakers"
    text = f"Tested on {counts} that it trained on, a leaky adapter scores {percent(row.own_test)}, and {percent(row.unseen_sources)} on unseen ones"
    if (own.reliability == "descriptive_only").any():
        few = min(*own.n_speech_sources, *own.n_nonspeech_sources)
        return f"{text}: {few} sources of a class cannot settle what leakage bought{_drawn(draws)}."
    if not row.low <= 0 <= row.high and not pd.isna(row.low):
        return f"{text}: leakage bought {points(row.inflation)} points {points_range(row.low, row.high)}."
    return f"{text}, a difference of {points(row.inflation)} points that these data cannot tell from none."


def _drawn(draws: pd.DataFrame | None) -> str:
    """What draws of the published design add to a leaky test of too few sources."""
    if draws is not None:
        together = draws[(draws.draw == "all") & (draws.metric == "balanced_accuracy") & (draws.quantity == LEAKAGE_BUYS)]
        for row in rows_of(together[together.n_draws > 1])[:1]:
            told = f"{row.n_draws} draws of the published design"
            return f"; over {told} it bought {points(row.value)} points {points_range(row.low, row.high)}" if row.low > 0 else f", nor do {told}"
    return ", so the figure shows each by itself"


def audit_sentences(certificates: Sequence[dict[str, Any]]) -> list[str]:
    """A sentence per audit, but one for all folds and nested training sets that simply passed.

    certificates: as `load_certificate` returns.
    """
    of_experiments = [certificate for certificate in certificates if certificate["split"]["name"].startswith(("fold_", "train_", "by_"))]
    leaky = [certificate for certificate in of_experiments if leaks(certificate["split"]["name"]) and certificate["status"] == "fail"]
    passed = [certificate for certificate in of_experiments if not leaks(certificate["split"]["name"]) and _clean(certificate)]
    sentences = [_audit_sentence(certificate) for certificate in certificates if certificate not in [*leaky, *passed]]
    sentences += [f"Of the experiments, {counted(len(passed), 'further split')} passed theirs."] if passed else []
    return sentences + ([f"Of the published design by row, {counted(len(leaky), 'draw')} failed theirs, as they should."] if leaky else [])


def audit_warnings(certificates: Sequence[dict[str, Any]]) -> list[str]:
    """The sentences on what must be known before any number is believed: an honest audit that failed or was waived, a leaky one that passed."""
    known = (certificate for certificate in certificates if leaks(certificate["split"]["name"]) == (certificate["status"] == "pass"))
    waived = (certificate for certificate in certificates if certificate["status"] == "pass" and not _clean(certificate))
    unexpected = {certificate["split"]["name"]: certificate for certificate in [*known, *waived]}
    return [_audit_sentence(certificate) for certificate in unexpected.values()]


def _clean(certificate: dict[str, Any]) -> bool:
    return certificate["status"] == "pass" and not any(check["waived"] for check in certificate["checks"])


def _audit_sentence(certificate: dict[str, Any]) -> str:
    name, passed = certificate["split"]["name"], certificate["status"] == "pass"
    blocking = ", ".join(check["name"].replace("_", " ") for check in blocking_checks(certificate["checks"]))
    if leaks(name):
        return (
            f"{'The leaky split' if name == LEAKY_SPLIT else f'The split {name}'} passed its leakage audit, which it should not."
            if passed
            else "The leaky split failed its leakage audit, as it should."
        )
    known = {"tuning": "What was fitted (thresholds, statistics)", "grouped": "The honest split"}
    audited = known.get(name, f"The split {name}")
    waived = ", ".join(f"{check['id']} {check['name'].replace('_', ' ')}" for check in certificate["checks"] if check["waived"])
    if not passed:
        return f"{audited} FAILED its leakage audit ({blocking}): do not rely on the numbers of this page."
    if waived:
        return f"{audited} passed its leakage audit only because failed checks were waived ({waived})."
    gate = "" if name == "tuning" else ", and so its gate opened"
    ran = sum(check["status"] != "not_run" for check in certificate["checks"])
    return f"{audited} passed its leakage audit ({ran} of {len(certificate['checks'])} checks ran){gate}."
