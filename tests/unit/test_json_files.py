import pytest

from earwitness.core.errors import InputError
from earwitness.core.json_files import load_record, record_schema, strict_json

SCHEMA = record_schema(a={"type": ["number", "null"]})


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999"])
def test_what_is_no_number_is_refused_though_python_reads_it(tmp_path, text):
    (tmp_path / "x.json").write_text(f'{{"a": {text}}}')
    with pytest.raises(InputError, match=f"x.json: not a record \\(a: {text} is no number\\); make it again"):
        load_record(tmp_path / "x.json", SCHEMA, "a record", "make it again")


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"\\u0061": 1, "a": 2}'])
def test_a_name_that_is_given_twice_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match="a is given twice"):
        load_record(tmp_path / "x.json", SCHEMA, "a record", "make it again")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": {"b": [1, [2, NaN]]}}', "b: NaN is no number"),
        ("[0, -Infinity]", "-Infinity is no number"),
        ('[{"a": [], "b": 1, "a": 2}]', "a is given twice"),
    ],
)
def test_what_is_no_json_is_told_by_its_key(text, told):
    with pytest.raises(ValueError, match=f"^{told}$"):
        strict_json(text)
    with pytest.raises(ValueError, match="surrogates not allowed"):
        strict_json('{"a": "\\ud83d"}')
    assert strict_json('{"a": "\\uD83D\\uDC36"}') == {"a": "\N{DOG FACE}"}
    assert strict_json('{"a": [1, 2.5, {"a": "NaN"}]}') == {"a": [1, 2.5, {"a": "NaN"}]}


def test_a_byte_order_mark_is_no_fault(tmp_path):
    (tmp_path / "x.json").write_text('{"a": 1.5}', encoding="utf-8-sig")
    assert load_record(tmp_path / "x.json", SCHEMA, "a record", "make it again") == {"a": 1.5}
