"""The report's plain summary: sentences computed from the tables, so that they cannot say more than the numbers do."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from earwitness.leakage.certificate import blocking_checks
from earwitness.report.formats import counted, percent, percent_range, points, points_range
from earwitness.report.style import headline, in_order, recipe_name, rows_of, system_name
from earwitness.systems import BASE, LEAKY_SPLIT, System, leaks

_CONCLUSIONS = {
    "different": "the two differ",
    "equivalent": "the two are equivalent within ±{margin} points",
    "inconclusive": "these data do not settle whether the two differ",
    "descriptive_only": "with so few sources this describes these sources only",
}


def summarise(
    accuracy: pd.DataFrame, comparisons: pd.DataFrame, leakage: pd.DataFrame, certificates: list[dict[str, Any]], statistics: dict[str, float]
) -> list[str]:
    """Sentences on the base, every honest adapter, the best detector, what leakage bought, and the audits.

    accuracy, comparisons, leakage: tables of earwitness.tables. certificates: as `load_certificate` returns.
    statistics: the configuration's section (confidence, equivalence_margin).
    """
    rows = accuracy[(accuracy.test_set == "unseen") & (accuracy.metric == "balanced_accuracy")]
    main = headline(rows).set_index("system_id")
    sentences = []
    systems = in_order(main.index)
    if BASE in systems:
        estimate = _estimate(main.loc[str(BASE)], statistics["confidence"])
        sentences.append(f"On sources that no system trained on, the base model reaches a balanced accuracy of {estimate}.")
    for system in systems:
        if system.kind == "adapter" and not system.is_leaky:
            sentences.append(_adapter_sentence(system, main, comparisons, statistics))
    detectors = [system for system in systems if system.kind == "detector"]
    if detectors:
        best = max(detectors, key=lambda system: main.loc[str(system)].estimate)
        sentences.append(f"The best classic detector on these stimuli is {system_name(best)} with {_estimate(main.loc[str(best)])}.")
    for row in rows_of(headline(leakage[leakage.metric == "balanced_accuracy"])):
        sentences.append(_leakage_sentence(row))
    sentences += _audit_sentences(certificates)
    return sentences


def _estimate(row: Any, confidence: float | None = None) -> str:
    interval = percent_range(row.low, row.high)
    if not interval:
        return percent(row.estimate)
    return f"{percent(row.estimate)} {f'({100 * confidence:g} % interval clustered by source: {interval})' if confidence else interval}"


def _adapter_sentence(system: System, main: pd.DataFrame, comparisons: pd.DataFrame, statistics: dict[str, float]) -> str:
    text = f"Fine-tuned on the honest split ({recipe_name(system)}), it reaches {_estimate(main.loc[str(system)])}"
    for row in rows_of(comparisons[comparisons.test_set == "unseen"]):
        if {row.system_a, row.system_b} != {str(system), str(BASE)}:
            continue
        sign = 1 if row.system_a == str(system) else -1
        low, high = sorted((sign * row.low, sign * row.high))
        conclusion = _CONCLUSIONS[row.conclusion].format(margin=f"{100 * statistics['equivalence_margin']:g}")
        change = f"{points(sign * row.difference)} points {points_range(low, high)}".rstrip()
        return f"{text}, a change of {change}: {conclusion}."
    return f"{text}."


def _leakage_sentence(row: Any) -> str:
    name = recipe_name(System.parse(row.system_id))
    text = (
        f"Trained on the leaky row-random split ({name}), it scores {percent(row.own_test)} on that split's own test rows"
        f" but {percent(row.unseen_sources)} on unseen sources"
    )
    if row.inflation <= 0:
        text = text.replace(" but ", " and ")
    bought = f"{points(row.inflation)} points {points_range(row.low, row.high)}".rstrip()
    if row.low > 0:
        verdict = f"leakage bought {bought}"
    elif pd.isna(row.low):
        verdict = f"a difference of {bought}, for which there are too few sources to give an interval"
    else:
        verdict = f"a difference of {bought}, which these data cannot tell from none" if row.high >= 0 else f"a difference of {bought}"
    base = f"the base scores {percent(row.base_own_test)} and {percent(row.base_unseen_sources)} on the same two sets"
    return f"{text}: {verdict} ({base})."


def _audit_sentences(certificates: Sequence[dict[str, Any]]) -> list[str]:
    """A sentence per audit, but one for all folds and nested training sets that simply passed."""
    of_experiments = [certificate for certificate in certificates if certificate["split"]["name"].startswith(("fold_", "train_", "by_"))]
    leaky = [certificate for certificate in of_experiments if leaks(certificate["split"]["name"]) and certificate["status"] == "fail"]
    passed = [certificate for certificate in of_experiments if not leaks(certificate["split"]["name"]) and _clean(certificate)]
    sentences = [_audit_sentence(certificate) for certificate in certificates if certificate not in [*leaky, *passed]]
    sentences += [f"Of the experiments, {counted(len(passed), 'further split')} passed theirs."] if passed else []
    return sentences + ([f"Of the published design by row, {counted(len(leaky), 'draw')} failed theirs, as they should."] if leaky else [])


def _clean(certificate: dict[str, Any]) -> bool:
    return certificate["status"] == "pass" and not any(check["waived"] for check in certificate["checks"])


def _audit_sentence(certificate: dict[str, Any]) -> str:
    name, passed = certificate["split"]["name"], certificate["status"] == "pass"
    blocking = ", ".join(check["name"] for check in blocking_checks(certificate["checks"]))
    if leaks(name):
        return (
            f"{'The leaky split' if name == LEAKY_SPLIT else f'The split {name}'} passed its leakage audit, which it should not."
            if passed
            else f"The leaky split failed its leakage audit, as it should ({blocking})."
        )
    known = {"tuning": "What was fitted (thresholds, statistics)", "grouped": "The honest split"}
    audited = known.get(name, f"The split {name}")
    waived = ", ".join(f"{check['id']} {check['name']}" for check in certificate["checks"] if check["waived"])
    if not passed:
        return f"{audited} FAILED its leakage audit ({blocking}): do not rely on the numbers above."
    if waived:
        return f"{audited} passed its leakage audit only because failed checks were waived ({waived})."
    gate = "" if name == "tuning" else ", and so its gate opened"
    ran = sum(check["status"] != "not_run" for check in certificate["checks"])
    return f"{audited} passed its leakage audit ({ran} of {len(certificate['checks'])} checks ran){gate}."
