"""Which stimuli a system gets wrong, and how often per class, category, duration and signal-to-noise ratio."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from earwitness.evaluation.scored_answers import Outcomes
from earwitness.statistics.clustered import estimate, sample_by_source
from earwitness.tables.columns import LABELS
from earwitness.tables.error_analysis import ERROR_RATES, ERRORS
from earwitness.tables.files import validate

FACTORS = ("category", "duration_ms", "snr_db")


def error_table(systems: Sequence[Outcomes], index: pd.DataFrame) -> pd.DataFrame:
    """earwitness.tables.error_analysis.ERRORS: the stimuli that any seed gets wrong. Within a system and class, the most confident error comes first.

    index: earwitness.tables.stimuli.STIMULI.
    """
    category = index.set_index("stimulus_id").category
    tables = []
    for outcomes in systems:
        wrong = (~outcomes.correct).sum(axis=0)
        table = outcomes.items.assign(
            system_id=outcomes.system_id,
            category=category.loc[outcomes.items.stimulus_id].to_numpy(),
            n_wrong=wrong,
            n_seeds=len(outcomes.seeds),
            log_odds=outcomes.log_odds.mean(axis=0),
        )[wrong > 0]
        confidence = table.log_odds.abs()
        tables.append(table.assign(_sure=confidence).sort_values(["label", "n_wrong", "_sure"], ascending=[False, False, False], kind="stable"))
    return validate(pd.concat(tables, ignore_index=True), ERRORS)


def error_rate_table(systems: Sequence[Outcomes], index: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """earwitness.tables.error_analysis.ERROR_RATES: misses (SPEECH) and false alarms (NONSPEECH), overall and by factor.

    index: earwitness.tables.stimuli.STIMULI. A group of one source has no interval.
    """
    category = index.set_index("stimulus_id").category
    rows = []
    for outcomes in systems:
        items = outcomes.items.assign(category=category.loc[outcomes.items.stimulus_id].to_numpy(), all="all")
        for label in LABELS:
            of_class = (items.label == label).to_numpy()
            for factor in ("all", *FACTORS):
                for value in sorted(items.loc[of_class, factor].dropna().unique()):
                    chosen = of_class & (items[factor] == value).to_numpy()
                    sample = sample_by_source(~outcomes.correct[:, chosen], items.source_id[chosen].to_numpy())
                    rate = estimate([sample], [1.0])
                    low, high = rate.interval(confidence, 0, 1)
                    rows.append(
                        {
                            "system_id": outcomes.system_id,
                            "label": label,
                            "factor": factor,
                            "value": value if isinstance(value, str) else f"{value:g}",
                            "error_rate": float(np.clip(rate.value, 0, 1)),
                            "low": low,
                            "high": high,
                            "n_items": sample.n_items,
                            "n_sources": sample.n_sources,
                        }
                    )
    return validate(pd.DataFrame(rows), ERROR_RATES)
