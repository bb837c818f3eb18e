"""What a set of stimuli holds and how well each condition was met.

Apart from what makes and checks the stimuli, so that another column here retrains nothing.
"""

from collections.abc import Mapping

import pandas as pd

from earwitness.stimuli.design import CONDITION
from earwitness.tables.files import validate
from earwitness.tables.stimulus_summary import STIMULUS_SUMMARY


def summarise_stimuli(index: pd.DataFrame, levels_dbfs: Mapping[str, float]) -> pd.DataFrame:
    """STIMULUS_SUMMARY of a set: counts and the largest deviations of every class and condition.

    index: earwitness.tables.stimuli.STIMULI. levels_dbfs: what each normalisation, "peak" and "rms", brings a stimulus to.
    """
    errors = index.assign(
        snr_error_db=(index.achieved_snr_db - index.snr_db).abs(),
        level_error_db=(index.achieved_level_dbfs - index.normalisation.map(levels_dbfs)).abs(),
    )
    summary = errors.groupby(["label", *CONDITION], dropna=False).agg(
        n=("stimulus_id", "size"),
        n_sources=("source_id", "nunique"),
        max_abs_snr_error_db=("snr_error_db", "max"),
        max_abs_level_error_db=("level_error_db", "max"),
    )
    return validate(summary.reset_index(), STIMULUS_SUMMARY)
