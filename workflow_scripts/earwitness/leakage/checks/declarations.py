"""What no look at the data can settle, and so must be declared: what a model may have heard before."""

from dataclasses import dataclass

import pandas as pd

from earwitness.leakage.checks.tuning import TuningInput
from earwitness.leakage.registry import EVIDENCE_COLUMNS, Finding, check, judge, not_run, some


def declared_contamination(datasets: pd.Series, declaration: pd.DataFrame) -> pd.DataFrame:
    """The rows of a declaration about these datasets, those that do not exclude contamination first.

    datasets: names, in any case. declaration: earwitness.tables.pretraining.PRETRAINING_CORPORA.
    """
    about = declaration[declaration.dataset.isin(datasets.str.lower())]
    return about.assign(excluded=about.certainty == "excluded").sort_values(["excluded", "model", "dataset"]).reset_index(drop=True)


@check(
    id="L12",
    name="pretraining_contamination",
    severity="info",
    units="datasets",
    question="Might a model have heard the recordings when it was trained?",
    stage="tuning",
    remedy="Report it with the results. Recordings that were made or published after the model, or never published, settle the question; "
    "add what you know about other models and datasets to config/pretraining_corpora.csv.",
)
def pretraining_contamination(data: TuningInput) -> Finding:
    """What is publicly known of every model's training data, and of the data sets of the recordings.

    No audit of the data can tell, so this compares the datasets of the recordings, by name, with a table of what is
    publicly known about the models in use. It is noted where the table has a dataset as stated, likely or unknown;
    the statistic counts these entries. Of a dataset or a model that the table does not have, nothing can be told.
    """
    names = list(dict.fromkeys(data.declared.values()))
    told = [_told_of(data, name) for name in names]
    rows = [row for own in told for row in own.rows]
    known = [own for own in told if own.n_datasets]
    if not known:
        return not_run("config/pretraining_corpora.csv says nothing about " + ", nor about ".join(f"{own.unknown} and {own.name}" for own in told))
    offenders = pd.DataFrame(rows, columns=list(EVIDENCE_COLUMNS), dtype=str)
    several = len(told) > 1
    remarks = [f"The table says nothing about {own.unknown}{f' and {own.name}' * several}." for own in told if own.unknown]
    reason = "; ".join(own.reason for own in known if own.rows)
    return judge(offenders, sum(own.n_datasets for own in known), sum(own.n_open for own in known), 0, reason, remarks)


@dataclass(frozen=True)
class _Told:
    """What the table says of one model: how many data sets it knows of, how many entries exclude nothing, evidence, why, and what it does not
    know of."""

    name: str
    n_datasets: int
    n_open: int
    rows: list[tuple[str, ...]]
    reason: str
    unknown: str


def _told_of(data: TuningInput, name: str) -> _Told:
    of_base = data.corpora[data.corpora.model == name]
    about = declared_contamination(data.datasets, of_base)
    unknown = some(set(data.datasets.str.lower()) - set(about.dataset))
    n_open = int((~about.excluded).sum())
    rows: list[tuple[str, ...]] = [
        ("", "", str(row.dataset), str(row.model), "", "", f"{row.certainty}: {row.known} Source: {row.stated}")
        for row in about.itertuples()
        if n_open
    ]
    reason = f"that {name} heard {', '.join(sorted(about.dataset[~about.excluded].unique()))} in training is not excluded"
    return _Told(name, about.dataset.nunique(), n_open, rows, reason, unknown)
