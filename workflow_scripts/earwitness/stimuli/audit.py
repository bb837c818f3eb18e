"""Whether stimuli are what their design asks for."""

from pathlib import Path

import numpy as np
import pandas as pd

from earwitness.core.errors import InputError
from earwitness.stimuli.design import CONDITION, TOLERANCE_DB, StimulusDesign
from earwitness.tables.columns import LABELS
from earwitness.tables.files import read_table, validate
from earwitness.tables.stimuli import STIMULI


def audit_stimuli(shards: list[Path], design: StimulusDesign) -> pd.DataFrame:
    """The rows of all shards (STIMULI, sorted by stimulus_id), checked against what the design asks for.

    Raises InputError naming the stimulus where two have one name or an SNR or level is off by more than 0.1 dB, and
    naming the class and condition where one has no stimulus.
    """
    index = pd.concat([read_table(path, STIMULI) for path in shards], ignore_index=True).sort_values("stimulus_id", ignore_index=True)
    if index.empty:
        raise InputError("there are no stimuli: no clip was selected; check sources and clips in the configuration, and results/recordings")
    if (twice := index.stimulus_id.duplicated()).any():
        raise InputError(f"stimulus {index.stimulus_id[twice].iloc[0]} was made more than once; two clips have the same clip_id")

    noisy = index.snr_db.notna()
    for what, achieved, asked in (
        ("SNR", index.achieved_snr_db[noisy], index.snr_db[noisy]),
        ("level", index.achieved_level_dbfs, pd.Series(design.window.level.level_dbfs, index.index)),
    ):
        error = (achieved - asked).abs()
        off = error[~(error <= TOLERANCE_DB)]
        if len(off):
            raise InputError(
                f"stimulus {index.stimulus_id[off.index[0]]}: its {what} is {off.iloc[0]:.2f} dB from the request, {len(off)} stimuli in all; "
                "make the shards again with the settings of this run"
            )
    _require_every_condition(index, design)
    return validate(index, STIMULI)


def _require_every_condition(index: pd.DataFrame, design: StimulusDesign) -> None:
    asked = pd.DataFrame([{"label": label, **condition.columns} for label in LABELS for condition in design.conditions])
    made = index[["label", *CONDITION]].drop_duplicates()
    both = asked.merge(made, on=["label", *CONDITION], how="outer", indicator=True)
    for row in both[both._merge != "both"].to_dict("records"):
        noise = "no noise" if np.isnan(row["snr_db"]) else f"{row['snr_db']:g} dB"
        cell = f"{row['label']} {{}} at {row['duration_ms']} ms, {noise}, band {row['band']}, room {row['room']}"
        if row["_merge"] == "right_only":
            raise InputError(f"there are {cell.format('stimuli')}, which the design does not ask for; make the shards again")
        raise InputError(f"there is no {cell.format('stimulus')}; check that sources with {row['label']} recordings are on, and the clips settings")
