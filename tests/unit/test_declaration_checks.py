from pathlib import Path

import pandas as pd
import pytest

from earwitness.leakage.checks.declarations import declared_contamination, pretraining_contamination
from earwitness.leakage.checks.tuning import TuningInput
from earwitness.tables.files import read_table
from earwitness.tables.pretraining import PRETRAINING_CORPORA

SHIPPED = Path(__file__).parents[2] / "config" / "pretraining_corpora.csv"


def check(*datasets: str, base: str = "Qwen2-Audio"):
    corpora = read_table(SHIPPED, PRETRAINING_CORPORA)
    return pretraining_contamination(TuningInput(pd.DataFrame(), "", [], {}, pd.Series(datasets), corpora, {"base": base}, {}))


def test_a_public_dataset_is_noted_with_what_is_known_and_where_it_is_stated():
    finding = check("esc50", "ESC50", "own")
    assert (
        finding.status == "fail" and finding.n_compared == 1 and finding.remarks == ("The table says nothing about own.",) and finding.statistic == 1
    )
    first = finding.offenders.iloc[0]
    assert (first.item_a, first.item_b) == ("esc50", "Qwen2-Audio") and first.detail.startswith("unknown: ") and "Source: " in first.detail
    assert finding.reason == "that Qwen2-Audio heard esc50 in training is not excluded"


def test_a_base_that_cannot_have_heard_it_passes_and_an_undeclared_base_is_not_run():
    assert check("esc50", "voxconverse", base="tiny base").status == "pass"
    other = check("esc50", base="another")
    assert other.status == "not_run" and "says nothing about esc50 and another" in other.reason


def test_of_recordings_that_nobody_declared_nothing_is_told():
    finding = check("my recordings")
    assert finding.status == "not_run" and finding.offenders.empty and "says nothing about my recordings and Qwen2-Audio" in finding.reason


def test_a_dataset_that_is_excluded_for_every_model_passes():
    declaration = pd.DataFrame([("m", "d", "excluded", "known.", "here")], columns=list(PRETRAINING_CORPORA.columns))
    assert declared_contamination(pd.Series(["d"]), declaration).excluded.tolist() == [True]


@pytest.mark.parametrize("dataset", ["voxconverse", "esc50", "fsd50k"])
def test_every_dataset_of_the_workflow_is_declared_for_every_base(dataset):
    declaration = read_table(SHIPPED, PRETRAINING_CORPORA)
    assert set(declaration.model[declaration.dataset == dataset]) == {"Qwen2-Audio", "tiny base", "assembled base"}
