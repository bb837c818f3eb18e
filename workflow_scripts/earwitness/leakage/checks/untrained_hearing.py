"""The control of L17: can an ear that never learned anything tell the part?"""

import numpy as np
import pandas as pd

from earwitness.leakage.checks.shortcuts import Features, sample_items, told_of_unseen
from earwitness.leakage.checks.tuning import TuningInput
from earwitness.leakage.registry import EVIDENCE_COLUMNS, Finding, check, judge, not_run
from earwitness.tables.columns import LABELS

MOST_DIMENSIONS = 32
"""Principal components of what a tower hears that the classifiers see: a small classifier stays small, however wide the tower is."""


def clearest(stimuli: pd.DataFrame) -> pd.DataFrame:
    """One stimulus of every clip, with the least noise and of those the longest: what was added to a clip says nothing of where it was recorded."""
    clean = stimuli.assign(least_noise=-stimuli.snr_db.fillna(np.inf), shortest=-stimuli.duration_ms)
    ordered = clean.sort_values(["least_noise", "shortest", "stimulus_id"])
    return ordered.drop_duplicates("clip_id").sort_values("stimulus_id")[list(stimuli.columns)].reset_index(drop=True)


@check(
    id="L19",
    name="untrained_hearing",
    severity="warn",
    units="stimuli",
    question="Can the part be told by an ear that was never trained?",
    stage="tuning",
    remedy="Where L17 names what differs, mend that; where it does not, it is within the sounds: another codec, room or kind of recording. "
    "Mix it over the parts, or say that the test asks about other recordings.",
)
def untrained_hearing(data: TuningInput) -> Finding:
    """L17 asked again of what an untrained tower of each model's shape hears: training or another part, within either class.

    L17 looks at the background alone, so what differs within the sounds escapes it. A tower of random weights hears all of a stimulus and has learned
    nothing, neither of speech nor of these parts. Its mean output, in 32 principal components at most, goes to the classifiers of L10, with their
    cross-validation by session (or source), clustered interval, permutations and limit (earwitness.leakage.checks.shortcuts). Heard is the
    stimulus of each clip with the least noise, the longest of those. That the class can be told is no fault, since it is meant to be heard; how
    well an untrained ear tells it is the control of the encoder probes (earwitness.detectors.encoder_probe). The statistic is the highest AUC.
    """
    if data.untrained is None:
        return not_run("no untrained tower was asked")
    from sklearn.decomposition import PCA  # loads slowly, and programs that only name the checks need not wait
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    limit, asked, highest, remarks, reasons, rows = data.untrained.shortcut_auc_warn, 0, 0.0, [], [], []
    stimuli = clearest(data.untrained.stimuli)
    stimuli = stimuli.assign(source_id=stimuli.session.where(stimuli.session != "", stimuli.source_id))
    sampled = sample_items(stimuli[["stimulus_id", "source_id", "label", "part"]], "stimulus_id")
    several = len(data.untrained.heard) > 1
    for model, vectors in data.untrained.heard.items():
        heard = vectors.loc[sampled.stimulus_id].to_numpy()
        components = PCA(min(MOST_DIMENSIONS, *heard.shape), svd_solver="full")
        table = pd.DataFrame(make_pipeline(StandardScaler(), components).fit_transform(heard))
        for label in LABELS:
            chosen = sampled.label.eq(label).to_numpy()
            what = f"the part of {label} stimuli"
            side, sources = sampled.part[chosen].eq("train").to_numpy(), sampled.source_id[chosen].to_numpy(object)
            told = told_of_unseen(Features(what, table[chosen], side, sources), limit, f"untrained {what}")
            asked, highest = asked + told.asked, max(highest, told.auc)
            remarks += [told.remark] * bool(told.remark and told.remark not in remarks)
            if told.reason:
                reasons.append(f"{model}: {told.reason}" if several else told.reason)
                rows.append(("", "", model, "", "", "", told.reason))
    if not asked:
        return not_run("no class has enough sources in training and outside it", threshold=limit, remarks=remarks)
    offenders = pd.DataFrame(rows, columns=list(EVIDENCE_COLUMNS), dtype=str)
    return judge(offenders, asked, highest, limit, "; ".join(reasons), remarks)
