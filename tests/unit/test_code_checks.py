import pandas as pd
import pytest

from earwitness.core.errors import InputError
from earwitness.leakage.audit_input import AuditInput
from earwitness.leakage.checks.code import fit_before_split, fits_before_splits


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("s.fit(x)\na, b = train_test_split(x)", [(1, 2)]),
        ("a, b = train_test_split(x)\ns.fit(a)", []),
        ("x = s.fit_transform(x)\nfor a, b in splitter.split_groups(x): pass", [(1, 2)]),
        ("def f(x):\n    s.fit(x)\n    y = 1\n    return train_test_split(x)", [(2, 4)]),
        ("def f(x):\n    s.fit(x)\ntrain_test_split(x)", []),
        ("s.fit(x)\nwords = text.split(' ')", []),
        ("fit(x)\ntrain_test_split(x)", []),
    ],
)
def test_a_fit_is_told_only_where_a_split_of_data_follows_in_the_same_scope(source, found):
    assert fits_before_splits(source) == found


def finding(folder):
    return fit_before_split(AuditInput(pd.DataFrame(), (), None, code=folder))


def test_the_scripts_of_a_folder_are_named_with_their_lines(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "leaky.py").write_text("s.fit(x)\ntrain_test_split(x)\n")
    (tmp_path / "clean.py").write_text("train_test_split(x)\n")
    found = finding(tmp_path)
    assert (found.status, found.n_compared, found.statistic) == ("fail", 2, 1)
    assert found.offenders.item_a.tolist() == ["deep/leaky.py"] and found.offenders.detail.tolist() == ["line 1: fits; line 2: splits"]


def test_without_a_folder_the_check_does_not_apply():
    assert finding(None).status == "not_applicable"


def test_a_script_that_is_no_python_is_refused(tmp_path):
    (tmp_path / "broken.py").write_text("def (")
    with pytest.raises(InputError, match=r"broken\.py: cannot be read as Python"):
        finding(tmp_path)
