import pytest

from earwitness.core.errors import InputError
from earwitness.core.yaml_text import load_yaml


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stimuli:\n  snrs_db: [0]\nseed: 7\nstimuli:\n  durations_ms: [200]\n", r"mine\.yaml:4: stimuli is given twice, first in line 1"),
        ("clips:\n  a: 1\n  a: 1\n", r"mine\.yaml:3: a is given twice, first in line 2"),
        ("clips: {per_source: 2, per_source: 3}\n", r"mine\.yaml:1: per_source is given twice"),
        ("x: [{a: 1,\n b: 2,\n a: 3}]\n", r"mine\.yaml:3: a is given twice, first in line 1"),
        ("seed: 010\n", r"mine\.yaml:1: YAML reads 010 as 8; write 8, or \"010\" in quotes"),
        ("a: 1\nb: [1:00]\n", r"mine\.yaml:2: YAML reads 1:00 as 60"),
        ("b: 1:00.5\n", r"YAML reads 1:00\.5 as 60\.5"),
        ("labels:\n  no: NONSPEECH\n", r"mine\.yaml:2: YAML reads the key no as a truth value; write \"no\" in quotes"),
        ("a: [1\nb: 2\n", r"mine\.yaml:\d: not valid YAML"),
        ("seed: !!python/object/apply:os.system [x]\n", r"mine\.yaml:1: not valid YAML \(could not determine a constructor"),
        ("a: 1\nb: 2026-02-31\n", r"mine\.yaml:2: '2026-02-31' cannot be read \(day is out of range"),
        ("a: !!int\n", r"mine\.yaml:1: '' cannot be read"),
        ("a: !!int many\n", r"mine\.yaml:1: 'many' cannot be read"),
        ('a: "\\ud800"\n', r"mine\.yaml:1: .* cannot be read \(.*surrogates"),
        ("{[1]: 2}\n", r"mine\.yaml:1: not valid YAML \(found unhashable key"),
        ("a: 1\n---\na: 2\n", r"mine\.yaml:2: not valid YAML \(but found another document"),
        ("a: 1\nb: &b [*b]\n", r"mine\.yaml:2: holds an alias of itself"),
        ("".join(f"a{k}: &a{k} [{f'*a{k - 1}, ' * 10}1]\n" if k else "a0: &a0 [1]\n" for k in range(6)), "aliases stand for more than 100000 values"),
        ("[" * 3000, "nested too deeply for YAML"),
        ("a: \t@\n", r"mine\.yaml:1: not valid YAML"),
    ],
)
def test_what_yaml_would_change_without_a_word_is_refused_by_line(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_yaml(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("labels: {+1: SPEECH}", r"c\.yaml:1: YAML reads the key \+1 as 1; write"),
        ("labels:\n  1.50: SPEECH", r"c\.yaml:2: YAML reads the key 1\.50 as 1\.5; write"),
        ("labels:\n  1: SPEECH\n  0x1: NONSPEECH", r"c\.yaml:3: YAML reads the key 0x1 as 1; write"),
        ("labels:\n  1: SPEECH\n  1.0: NONSPEECH", r"c\.yaml:3: 1\.0 is the same key as in line 2, and YAML keeps one"),
        ("null: 1", r"c\.yaml:1: YAML reads the key null as nothing; write"),
        ("~: 1", r"YAML reads the key ~ as nothing"),
    ],
)
def test_a_key_that_is_not_what_is_written_is_refused_by_line(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        load_yaml(tmp_path / "c.yaml")


def test_keys_that_are_read_as_they_are_written_pass(tmp_path):
    (tmp_path / "c.yaml").write_text('a: &a {1: x, -1: y, 2.5: z, "+1": p, "1.50": q, "null": n}\nb:\n  <<: *a\n  1: w\n')
    assert load_yaml(tmp_path / "c.yaml")["b"] == {1: "w", -1: "y", 2.5: "z", "+1": "p", "1.50": "q", "null": "n"}


def test_text_that_is_not_utf8_is_refused_by_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"seed: 1\npath: caf\xe9\n")
    with pytest.raises(InputError, match=r"mine\.yaml:2: not UTF-8 text \(byte 0xe9\)"):
        load_yaml(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: 0\nb: 0.5\nc: '010'\nd: \"1:00\"\ne: 10\n", {"a": 0, "b": 0.5, "c": "010", "d": "1:00", "e": 10}),
        ("x: &x {a: 1}\ny: {<<: *x, b: 2}\nz: [*x, *x]\n", {"x": {"a": 1}, "y": {"a": 1, "b": 2}, "z": [{"a": 1}, {"a": 1}]}),
        ("a: true\n", {"a": True}),
    ],
)
def test_what_means_what_it_says_passes(tmp_path, text, value):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_yaml(path) == value


def test_json_is_read_as_json(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text('{\n\t"rate": 1e-4,\n\t"word": "yes"\n}\n')
    assert load_yaml(path) == {"rate": 0.0001, "word": "yes"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"seed": 5,\n"seed": 6}', r"mine\.json: seed is given twice; correct it"),
        ('{"seed": NaN}', r"mine\.json: seed: NaN is no number; correct it"),
        ('{"seed": 5', r"mine\.json:1: not valid YAML"),
    ],
)
def test_json_that_does_not_hold_what_is_seen_in_it_is_refused(tmp_path, text, message):
    (tmp_path / "mine.json").write_text(text)
    with pytest.raises(InputError, match=message):
        load_yaml(tmp_path / "mine.json")
