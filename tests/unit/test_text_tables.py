import unicodedata

import pandas as pd
import pyarrow
import pyarrow.parquet as parquet
import pytest

from earwitness.core.errors import InputError
from earwitness.corpora.text_tables import file_named, read_text_table


@pytest.mark.parametrize(
    "text",
    [
        "path,label\na.wav,dog\nb.wav,NA\n",
        "\ufeffpath;label\r\na.wav;dog\r\nb.wav;NA\r\n",
        "path\tlabel\ra.wav\tdog\rb.wav\tNA",
        "path,label,\na.wav,dog,\n\n,,\nb.wav,NA,,,\n",
        "path , label\na.wav,dog\nb.wav,NA\n",
        "path,\u200b\u200blabel\ufeff,\na.wav,dog\nb.wav,NA\n",
        "Path;LABEL\na.wav;dog\nb.wav;NA\n",
        'path,label\n"a.wav","dog"\n"b.wav",NA\n',
        '"path","label"\n"a.wav","dog"\n"b.wav","NA"\n',
        '"path";"label"\r\n"a.wav";"dog"\r\n"b.wav";"NA"\r\n',
        '"path";label\na.wav;dog\nb.wav;NA\n',
        '"path"\t"label"\na.wav\tdog\nb.wav\tNA\n',
        "sep=;\r\npath;label\r\na.wav;dog\r\nb.wav;NA\r\n",
        "\ufeffSEP=,\npath,label\na.wav,dog\nb.wav,NA\n",
        '"sep=,",\npath,label\na.wav,dog\nb.wav,NA\n',
        "sep=\t\npath\tlabel\na.wav\tdog\nb.wav\tNA\n",
        ",path,label\n0,a.wav,dog\n7,b.wav,NA\n",
        '"","path","label"\n"1","a.wav","dog"\n"2","b.wav","NA"\n',
    ],
)
def test_unambiguous_tables_are_read(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8", newline="")
    table = read_text_table(path, ["path", "label"])
    assert table.to_numpy().tolist() == [["a.wav", "dog"], ["b.wav", "NA"]]


@pytest.mark.parametrize(("written", "number"), [("1,5", "1.5"), ("-0,25", "-0.25"), ("1,5e3", "1.5e3"), ("2", "2"), ("1,2,3", "1,2,3"), ("", "")])
def test_a_decimal_comma_is_read_where_semicolons_separate(tmp_path, written, number):
    path = tmp_path / "table.csv"
    path.write_text(f"path;start_s\na,b.wav;{written}\n", encoding="utf-8")
    assert read_text_table(path, ["path"], ["start_s"]).to_numpy().tolist() == [["a,b.wav", number]]
    path.write_text(f'path,start_s\na.wav,"{written}"\n', encoding="utf-8")
    assert read_text_table(path, ["path"], ["start_s"]).start_s.tolist() == [written], "quoted among commas it may be anything"


def test_the_separator_that_the_first_line_names_counts_and_lines_are_those_of_the_file(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("sep=;\npath;a,b,c,d,e\n\nx.wav;1,5\n", encoding="utf-8")
    table = read_text_table(path)
    assert list(table) == ["path", "a,b,c,d,e"], "as many commas as there are, they divide nothing"
    assert list(table.index) == [4]


def test_decimal_commas_and_points_in_one_column_are_refused_by_line(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("path;end_s\na.wav;1,5\nb.wav;1.500\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"table\.csv:3: end_s has a decimal comma in line 2 and a point in line 3; use one of them"):
        read_text_table(path, ["path"], ["end_s"])


def test_the_index_is_the_line_also_after_blank_lines_and_values_of_several_lines(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('path,note\na,"two\nlines"\n\nb,\u2028\n', encoding="utf-8")
    assert list(read_text_table(path).index) == [2, 5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", r"it is empty"),
        (b"path,label\na,b,c\n", r"table\.csv:2: 3 values, but 2 columns \(path, label\); put a value"),
        (b"path,label\na,b\nc\n", r"table\.csv:3: 1 values, but 2 columns"),
        (b"path,path,label\n", r"column path is there twice"),
        (b"Path,PATH,label\n", r"table\.csv:1: columns Path, PATH are both path; rename one"),
        (b"path,,label\n", r"column 2 has no name"),
        (b",path,label\na.wav,b,dog\n", r"column 1 has no name, and its values are no numbers of rows; name it, or remove the separator"),
        (b",path,label\n1,a.wav,dog\n1,b.wav,dog\n", r"column 1 has no name, and its values are no numbers of rows"),
        (b"path|label\na.wav|dog\n", r"no column path; it has path\|label, and no comma, semicolon or tab divides its first line"),
        (b"path,kind\na,b\n", r"no column label; it has path, kind"),
        (b"path,label\n\xe9,dog\n", r"table\.csv:2: not UTF-8 text \(byte 0xe9\)"),
        (b"path,label\na\0,b\n", r"null bytes"),
        (b"sep=|\npath|label\na|b\n", r"table\.csv:1: 'sep=\|' names no comma, semicolon or tab as separator"),
        (b"sep=\npath,label\n", r"table\.csv:1: 'sep=' names no comma, semicolon or tab"),
        (b"sep=;\npath,label\na,b\n", r"no column path; it has path,label, divided as its first line says"),
        (b"sep=;\npath;label\na;b;c\n", r"table\.csv:3: 3 values, but 2 columns"),
        (b"sep=;\npath;label;path\n", r"table\.csv:2: column path is there twice"),
        (b"sep=;\n", r"it is empty"),
        (b'path,label\na,b\n"c,d\n', r"table\.csv:3: not a readable CSV"),
    ],
)
def test_what_would_be_a_guess_is_refused_by_file_and_line(tmp_path, text, message):
    path = tmp_path / "table.csv"
    path.write_bytes(text)
    with pytest.raises(InputError, match=message):
        read_text_table(path, ["path", "label"])


def test_a_parquet_table_is_text_without_its_audio_and_a_number_keeps_its_form(tmp_path):
    path = tmp_path / "table.parquet"
    rows = {
        "path": ["a", "b"],
        "source": [12, None],
        "start_s": [0.25, 1.0],
        "day": pd.to_datetime(["2020-01-02", "2020-01-03 10:00"], format="ISO8601"),
        "audio": [{"bytes": b"x", "path": "a"}] * 2,
        "raw": [b"x"] * 2,
    }
    pd.DataFrame(rows).to_parquet(path, index=False)
    table = read_text_table(path, ["path"])
    assert table.to_numpy().tolist() == [["a", "12.0", "0.25", "2020-01-02"], ["b", "", "1.0", "2020-01-03 10:00:00"]]
    path.write_bytes(b"PAR1 not")
    with pytest.raises(InputError, match=r"cannot be read as Parquet"):
        read_text_table(path)


def test_a_parquet_table_with_null_bytes_in_its_text_is_refused_by_row_as_a_csv_file_is(tmp_path):
    path = tmp_path / "table.parquet"
    pd.DataFrame({"path": ["a.wav", "b\0.wav"]}).to_parquet(path, index=False)
    with pytest.raises(InputError, match=r"table\.parquet:2: path holds null bytes"):
        read_text_table(path, ["path"])


def test_columns_of_parquet_are_found_in_any_case_and_none_is_there_twice(tmp_path):
    path = tmp_path / "table.parquet"
    pd.DataFrame({" Path": ["a"], "Start_S": [1.5], "Other": ["x"]}).to_parquet(path, index=False)
    assert list(read_text_table(path, ["path"], ["start_s"], ["label"])) == ["path", "start_s", "Other"]
    columns = [pyarrow.array(["a"]), pyarrow.array(["b"]), pyarrow.array(["c"])]
    parquet.write_table(pyarrow.Table.from_arrays(columns, names=["path", "note", "note"]), path)
    with pytest.raises(InputError, match=r"table\.parquet: column note is there twice; rename one"):
        read_text_table(path, ["path"])


def test_a_name_with_composed_letters_finds_its_file_with_decomposed_ones(tmp_path):
    (tmp_path / unicodedata.normalize("NFD", "café.wav")).write_bytes(b"")
    assert file_named(tmp_path, "café.wav").exists()
    assert not file_named(tmp_path, "tea.wav").exists()


def test_a_name_too_long_for_any_file_finds_none(tmp_path):
    assert file_named(tmp_path, "a" * 300) == tmp_path / ("a" * 300)


def test_a_name_written_on_windows_finds_its_file(tmp_path):
    (tmp_path / "wav" / "ana").mkdir(parents=True)
    (tmp_path / "wav" / "ana" / "1.wav").write_bytes(b"")
    (tmp_path / "a\\b.wav").write_bytes(b"")
    assert file_named(tmp_path, r"wav\ana\1.wav") == tmp_path / "wav" / "ana" / "1.wav"
    assert file_named(tmp_path, r"a\b.wav").name == r"a\b.wav", "a file of that very name comes first"


def test_parquet_whose_text_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "table.parquet"
    pd.DataFrame({"path": ["a.wav", "b.wav"]}).to_parquet(path, compression=None)
    path.write_bytes(path.read_bytes().replace(b"a.wav", b"\xe9.wav"))
    with pytest.raises(InputError, match=r"table\.parquet: cannot be read as Parquet \('utf-8' codec can't decode byte 0xe9"):
        read_text_table(path)
