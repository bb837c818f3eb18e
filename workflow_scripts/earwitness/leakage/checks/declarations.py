"""What no look at the data can settle, and so must be declared: what the base model may have heard before."""

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
    question="Might the base model have heard the recordings when it was trained?",
    stage="tuning",
    remedy="Report it with the results. Recordings that were made or published after the model, or never published, settle the question; "
    "add what you know about other models and datasets to config/pretraining_corpora.csv.",
)
def pretraining_contamination(data: TuningInput) -> Finding:
    """What is publicly known of the base model's training data, and of the data sets of the recordings.

    No audit of the data can tell, so this compares the datasets of the recordings, by name, with a table of what is
    publicly known about the base model in use. It is noted where the table has a dataset as stated, likely or unknown;
    the statistic counts these entries. Of a dataset or a model that the table does not have, nothing can be told.
    """
    of_base = data.corpora[data.corpora.model == data.base]
    if of_base.empty:
        return not_run(f"config/pretraining_corpora.csv says nothing about the base model {data.base}")
    about = declared_contamination(data.datasets, of_base)
    unknown = set(data.datasets.str.lower()) - set(about.dataset)
    if about.empty:
        return not_run(f"config/pretraining_corpora.csv says nothing about {some(unknown)} and {data.base}")
    n_open = int((~about.excluded).sum())
    rows = [("", "", row.dataset, row.model, "", "", f"{row.certainty}: {row.known} Source: {row.stated}") for row in about.itertuples() if n_open]
    offenders = pd.DataFrame(rows, columns=list(EVIDENCE_COLUMNS), dtype=str)
    reason = f"that {data.base} heard {', '.join(sorted(about.dataset[~about.excluded].unique()))} in training is not excluded"
    remarks = [f"The table says nothing about {some(unknown)}."] if unknown else []
    return judge(offenders, about.dataset.nunique(), n_open, 0, reason, remarks)
