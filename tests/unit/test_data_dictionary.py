"""Every column of every table says what it holds and in what unit, and docs/data_dictionary.md says the same."""

import re
from pathlib import Path

from document_tables import FILES, NOT_OF_A_RUN, PAGE, page, schemas
from earwitness.core.code_identity import meaning_of

ROOT = Path(__file__).parents[2]
FOUND = schemas()
COLUMNS = {f"{table}.{name}": column for table, (schema, _) in FOUND.items() for name, column in schema.columns.items()}

UNITS = {"_ms": "ms", "_s": "s", "_db": "dB", "_dbfs": "dBFS", "_bytes": "bytes", "sample_rate": "Hz", "log_odds": "nats", "letter_bias": "nats"}
"""End of a column's name -> its unit."""


def test_the_page_is_what_the_schemas_say():
    assert PAGE.read_text(encoding="utf-8") == page(FOUND), "run `python workflow_scripts/document_tables.py`"


def test_every_column_says_what_it_holds_in_a_few_words():
    about = {name: column.description or "" for name, column in COLUMNS.items()}
    assert [name for name, words in about.items() if words in ("", name.partition(".")[2]) or words.endswith(".")] == [], "say it in `means`"


def test_a_column_whose_name_tells_its_unit_has_that_unit():
    told = {name: next(unit for end, unit in UNITS.items() if name.endswith(end)) for name in COLUMNS if name.endswith(tuple(UNITS))}
    assert len(told) > 40
    assert [name for name, unit in told.items() if COLUMNS[name].metadata["unit"] != unit] == []


def test_every_table_says_what_a_row_is_and_where_it_is():
    assert FOUND.keys() == FILES.keys() | NOT_OF_A_RUN.keys(), "say where a new table is written, in document_tables.FILES"
    assert not [name for name, (_, about) in FOUND.items() if not about]
    listed = (ROOT / "results/README.md").read_text(encoding="utf-8")
    for path in FILES.values():
        assert f"`{path.replace('{split}.csv', 'grouped.csv')}" in listed, path


def test_no_schema_of_the_library_is_left_out():
    defined = set()
    for path in (ROOT / "workflow_scripts/earwitness").rglob("*.py"):
        defined |= set(re.findall(r'^[A-Z_]+ = schema\(\s*"(\w+)"', path.read_text(encoding="utf-8"), re.MULTILINE))
    assert defined == FOUND.keys(), "name its module in document_tables.MODULES"


def test_what_a_column_holds_in_words_runs_nothing_again_and_what_it_may_hold_does():
    column = 'COLUMNS = {"snr_db": number(means="level over noise", unit="dB", nullable=True)}'
    assert meaning_of(column) == meaning_of(column.replace("level over noise", "the ratio")) == meaning_of(column.replace('"dB"', '"decibels"'))
    assert meaning_of(column) != meaning_of(column.replace("True", "False"))
    assert meaning_of('axis.text(means="a")') != meaning_of('axis.text(means="b")'), "only the functions of earwitness.tables.columns"
