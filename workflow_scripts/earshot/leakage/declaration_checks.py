"""What no look at the data can settle, and so must be declared: what the base model may have heard before."""

from pathlib import Path

import pandas as pd

from earshot.leakage.evidence import AuditInput
from earshot.leakage.registry import EVIDENCE_COLUMNS, Finding, check, judge
from earshot.tables import PRETRAINING_CORPORA, read_table

DECLARATION = Path(__file__).resolve().parents[3] / "config" / "pretraining_corpora.csv"
"""What is publicly known about the training data of base models (earshot.tables.PRETRAINING_CORPORA)."""


def declared_contamination(datasets: pd.Series, declaration: pd.DataFrame) -> pd.DataFrame:
    """The rows of a declaration about these datasets, those that do not exclude contamination first.

    datasets: names, in any case. declaration: earshot.tables.PRETRAINING_CORPORA.
    """
    about = declaration[declaration.dataset.isin(datasets.str.lower())]
    return about.assign(excluded=about.certainty == "excluded").sort_values(["excluded", "model", "dataset"]).reset_index(drop=True)


@check(
    id="L12",
    name="pretraining_contamination",
    severity="info",
    units="datasets",
    remedy="Report it with the results. Recordings that were made or published after the model, or never published, settle the question; "
    "add what you know about other models and datasets to config/pretraining_corpora.csv.",
)
def pretraining_contamination(evidence: AuditInput) -> Finding:
    """Might a base model have heard the recordings when it was trained?

    No audit of the data can tell, so this compares the datasets of the recordings, by name, with a table of what is
    publicly known. It is noted where the table has a dataset as stated, likely or unknown for any model; the statistic
    counts these entries. A dataset that the table does not have passes: it is taken for recordings of the user's own.
    """
    datasets = evidence.recordings.dataset
    about = declared_contamination(datasets, read_table(DECLARATION, PRETRAINING_CORPORA))
    n_open = int((~about.excluded).sum())
    rows = [("", "", row.dataset, row.model, "", "", f"{row.certainty}: {row.known} Source: {row.stated}") for row in about.itertuples() if n_open]
    offenders = pd.DataFrame(rows, columns=list(EVIDENCE_COLUMNS), dtype=str)
    models = ", ".join(sorted(about.model[~about.excluded].unique()))
    reason = f"that {models} heard {', '.join(sorted(about.dataset[~about.excluded].unique()))} in training is not excluded"
    return judge(offenders, datasets.nunique(), n_open, 0, reason)
