import pytest

from earwitness.core.errors import InputError
from earwitness.core.json_files import load_record, record_schema

SCHEMA = record_schema(a={"type": ["number", "null"]})


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999"])
def test_what_is_no_number_is_refused_though_python_reads_it(tmp_path, text):
    (tmp_path / "x.json").write_text(f'{{"a": {text}}}')
    with pytest.raises(InputError, match=f"x.json: not a record \\({text} is no number\\); make it again"):
        load_record(tmp_path / "x.json", SCHEMA, "a record", "make it again")


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"\\u0061": 1, "a": 2}'])
def test_a_name_that_is_given_twice_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match="a is given twice"):
        load_record(tmp_path / "x.json", SCHEMA, "a record", "make it again")


def test_a_byte_order_mark_is_no_fault(tmp_path):
    (tmp_path / "x.json").write_text('{"a": 1.5}', encoding="utf-8-sig")
    assert load_record(tmp_path / "x.json", SCHEMA, "a record", "make it again") == {"a": 1.5}
