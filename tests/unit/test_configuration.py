import ast
import copy
import importlib
import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from snakemake.utils import update_config

import check_config
from document_config import README, documented
from earwitness.config import complete_config, layered, load_schema, option_table, overlaid
from earwitness.core.arguments import QUANTISATIONS
from earwitness.core.errors import InputError

ROOT = Path(__file__).parents[2]


def message_of(text: str) -> str:
    with pytest.raises(InputError) as caught:
        complete_config(yaml.safe_load(text))
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("text", "key", "value", "hint"),
    [
        ("{sed: 3}", "unknown key sed", "3", "did you mean seed?"),
        ("{clips: {per_sorce: 3}}", "unknown key clips.per_sorce", "3", "did you mean per_source?"),
        ("{splits: {row_random: {stimulus: 9}}}", "unknown key splits.row_random.stimulus", "9", "did you mean stimuli?"),
        ("{finetuning: {recipes: {mine: {rnk: 8}}}}", "unknown key finetuning.recipes.mine.rnk", "8", "did you mean rank?"),
        (
            "{finetuning: {experiments: {main: {recipe: [attention]}}}}",
            "unknown key finetuning.experiments.main.recipe",
            "attention",
            "did you mean recipes?",
        ),
        ("{sources: {esc50: {archives: [{ulr: x}]}}}", "unknown key sources.esc50.archives[0].ulr", '"x"', "did you mean url?"),
        ("{1: 2}", "unknown key 1", "2", "known keys: seed"),
        ('{sources: {"\\n": {}}}', "sources", '"\\n"', "letters, digits, hyphens"),
        ("{sources: {mine_segments: {}}}", "sources", '"mine_segments"', "does not end in _segments"),
        ("{sources: {mine: {lables: {}}}}", "unknown key sources.mine.lables", "{}", "did you mean labels?"),
        ("{sources: {mine: {labels: {dog: NOSPEECH}}}}", "sources.mine.labels.dog", '"NOSPEECH"', "did you mean NONSPEECH?"),
        ("{finetuning: {recipes: {attention: {learning_rate: 1e-4}}}}", "finetuning.recipes.attention.learning_rate", '"1e-4"', "1.0e-4"),
        ("{seed: yes}", "seed", "true", "of type integer"),
        ("{clips: {per_source: 0}}", "clips.per_source", "0", "at least 1"),
        ("{clips: {per_source: 1.5}}", "clips.per_source", "1.5", "of type integer"),
        ("{statistics: {confidence: 1}}", "statistics.confidence", "1", "less than 1"),
        ("{stimuli: {snrs_db: [0, .nan]}}", "stimuli.snrs_db[1]", "nan", "finite"),
        ("{check: {silence_dbfs: -.inf}}", "check.silence_dbfs", "-inf", "finite"),
        ("{stimuli: {durations_ms: []}}", "stimuli.durations_ms", "[]", "at least 1 item"),
        ("{finetuning: {experiments: {main: {seeds: [7, 7]}}}}", "finetuning.experiments.main.seeds", "[7, 7]", "not repeat"),
        ("{finetuning: {recipes: {Mine: {}}}}", "finetuning.recipes", '"Mine"', "small letters"),
        ("{finetuning: {recipes: {1: {}}}}", "finetuning.recipes", "1", "of type string"),
        ("{finetuning: {experiments: {main: {splits: [fold_0]}}}}", "finetuning.experiments.main.splits[0]", '"fold_0"', "did you mean folds?"),
        ("{finetuning: {experiments: {mine: {}}}}", "finetuning.experiments", "mine", "needs the keys main"),
        ("{sources: {esc50: {origin: embeded}}}", "sources.esc50.origin", '"embeded"', "did you mean embedded?"),
        ("{baseline: {bands: [telefone]}}", "baseline.bands[0]", '"telefone"', "did you mean telephone?"),
        ("{sources: {esc50: {archives: [{url: 'file:///x', checksum: 'md5:0'}]}}}", "sources.esc50.archives[0]", "md5:0", "sha256:... or md5:..."),
        ("{clips: }", "clips", "null", "remove the key"),
        ("{seed: }", "seed", "null", "remove the key"),
    ],
)
def test_a_wrong_key_or_value_is_refused_with_its_place_and_a_hint(text, key, value, hint):
    message = message_of(text)
    assert message.startswith(f"config: {key}")
    assert value in message
    assert hint in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{sources: {esc50: {origin: path}}}", "sources.esc50.path is not set"),
        ("{sources: {esc50: {origin: download}}}", "sources.esc50.archives"),
        ("{sources: {esc50: {origin: none}, voxconverse: {origin: none}}}", "no data set has the role study"),
        ("{sources: {mine: {}}}", "sources.mine.origin = embedded: only voxconverse, esc50, fsd50k are synthesised"),
        ("{sources: {mine: {origin: manifest}}}", "sources.mine.path is not set: origin is manifest; hint: name the table"),
        ("{sources: {voxconvers: {origin: path, path: x}}}", "sources.voxconvers.layout is not set: origin is path; hint: did you mean sources.vo"),
        ("{sources: {mine: {origin: folder, path: x}}}", "sources.mine.pattern is not set: origin is folder; hint: say where label and source"),
        ('{sources: {mine: {origin: folder, path: x, pattern: "{label}/*.wav"}}}', "sources.mine.pattern = "),
        ('{sources: {mine: {origin: folder, path: x, pattern: "{label}/{source}/{take}.wav"}}}', "cannot hold {take}; hint: use {label}"),
        ("{sources: {noises: {origin: path, path: x, role: noise}}}", "sources.noises.origin = path: role is noise; hint: set origin to folder"),
        (
            "{sources: {a: {origin: folder, path: x, role: noise}, b: {origin: folder, path: y, role: noise}}}",
            "sources.b.role = noise: so is a's",
        ),
        (
            "{sources: {mine: {origin: path, path: x, layout: esc50, role: projector}}}",
            "sources.mine.role = projector: no projector is trained; hint: set models.NAME.projector.origin to trained",
        ),
        ("{baseline: {noise: babble}}", "no data set has the role noise, but baseline.noise is babble; hint: add one"),
        ("{stimuli: {noise: recorded}}", "no data set has the role noise, but stimuli.noise is recorded"),
        ("{models: {base: {origin: path}}}", "models.base.path is not set"),
        ("{prompt_search: {proposers: [opro], opro: {origin: path}}}", "prompt_search.opro.path is not set"),
        ("{prompt_search: {systems: [attention-row_random-seed-42]}}", "adapters of other splits have heard sources that a search"),
        ("{prompt_search: {systems: [base, small-grouped-seed-42]}}", 'prompt_search.systems[1] = "small-grouped-seed-42": recipe small'),
        ("{prompt_search: {use_question_of: opro}}", "prompt_search.use_question_of = opro: no such search; hint: add opro to proposers"),
        ("{prompt_search: {use_question_of: edits, systems: [attention-grouped-seed-1]}}", "hint: add edits to proposers, and base to systems"),
        (
            "{prompt_search: {use_question_of: edits}, sources: {esc50: {role: both}}}",
            "searched on esc50, which the baseline measures too",
        ),
        (
            "{finetuning: {experiments: {main: {recipes: [attention, bigger]}}}}",
            'finetuning.experiments.main.recipes[1] = "bigger": is not defined; hint: one of attention',
        ),
        ("{finetuning: {experiments: {main: {enabled: false}}}}", "finetuning.experiments.main.enabled = false"),
        (
            "{finetuning: {recipe: {normalisation: rms}, recipes: {attention: {}, outside: {scope: language_model}}}}",
            'finetuning.recipes.outside.normalisation = "rms": scope language_model hears audio that was encoded once',
        ),
        ("{stimuli: {window_ms: 900}}", "stimuli.window_ms = 900: shorter than the longest stimulus; hint: at least 1000"),
        ("{stimuli: {window_ms: 1000, durations_ms: [200]}, baseline: {durations_ms: [1100]}}", "stimuli.window_ms = 1000: shorter than the longest"),
        ("{clips: {duration_s: 0.5}}", "clips.duration_s = 0.5: shorter than the longest stimulus; hint: at least 1.0"),
        ("{splits: {dev_fraction: 0.5, test_fraction: 0.5}}", "leave nothing to train on"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(text, expected):
    assert expected in message_of(text)


def test_a_misspelt_key_is_named_before_the_errors_that_follow_from_it():
    assert "unknown key finetuning.experiments.main.recpes" in message_of("{finetuning: {experiments: {main: {recpes: [attention]}}}, seed: x}")


def test_a_long_value_does_not_drown_the_message():
    assert len(message_of("{finetuning: " + str(list(range(1000))) + "}")) < 250


def test_every_default_is_filled_in_at_every_depth():
    completed = complete_config({})
    assert completed["models"]["base"]["tiny"]["steps"] == 900
    assert completed["sources"]["fsd50k"]["origin"] == "embedded"
    assert completed["finetuning"]["recipes"]["attention"]["rank"] == 16
    assert completed == complete_config(completed)


def test_a_recipe_is_the_default_recipe_with_its_own_keys_in_place():
    """Its own keys win over the default recipe's, those over the schema's."""
    settings = {
        "recipe": {"rank": 8, "steps": 9},
        "recipes": {"plain": {}, "mine": {"rank": 4}},
        "experiments": {"main": {"recipes": ["mine"]}, "ablations": {"recipes": ["plain"]}},
    }
    recipes = complete_config({"finetuning": settings})["finetuning"]["recipes"]
    assert set(recipes) == {"plain", "mine"}
    assert (recipes["plain"]["rank"], recipes["mine"]["rank"]) == (8, 4)
    assert recipes["mine"]["steps"] == recipes["plain"]["steps"] == 9
    assert {key: value for key, value in recipes["mine"].items() if key != "rank"} == {k: v for k, v in recipes["plain"].items() if k != "rank"}
    assert complete_config({"finetuning": {"recipe": {"rank": 8}}})["finetuning"]["recipes"]["rank_4"]["rank"] == 4


def test_an_archive_gets_its_defaults():
    archive = {"url": "https://example.org/a.zip", "checksum": "md5:" + "0" * 32}
    completed = complete_config({"sources": {"esc50": {"origin": "download", "archives": [archive]}}})
    assert completed["sources"]["esc50"]["archives"] == [{**archive, "into": ".", "strip": 0}]


def test_the_given_configuration_is_left_as_it_was():
    given_config = {"clips": {"per_source": 3}}
    complete_config(given_config)["clips"]["per_source"] = 9
    assert given_config == {"clips": {"per_source": 3}}


def test_completing_twice_never_shares_a_default():
    complete_config({})["finetuning"]["experiments"]["main"]["seeds"].append(1)
    assert 1 not in complete_config({})["finetuning"]["experiments"]["main"]["seeds"]


def test_a_whole_float_given_for_a_count_becomes_an_integer():
    rank = complete_config({"finetuning": {"recipe": {"rank": 8.0}}})["finetuning"]["recipes"]["attention"]["rank"]
    assert rank == 8
    assert isinstance(rank, int)


@pytest.mark.parametrize(("path", "message"), [("~nobody-of-that-name/x", "there is no such home"), ("a\0b", "holds a null byte")])
def test_a_path_that_can_be_none_is_refused(path, message):
    with pytest.raises(InputError, match=f"config: path = .*: {message}; hint: "):
        complete_config({"sources": {"esc50": {"origin": "path", "path": path}}})


def test_a_path_may_start_at_home(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    completed = complete_config({"sources": {"esc50": {"origin": "path", "path": "~/sounds"}}})
    assert completed["sources"]["esc50"]["path"] == "/somewhere/sounds"


def test_a_choice_between_truth_values_and_a_word_is_told_as_yaml_writes_them():
    with pytest.raises(InputError) as raised:
        complete_config({"finetuning": {"experiments": {"main": {}, "redrawn": {"enabled": "maybe"}}}})
    assert "redrawn.enabled" in str(raised.value) and "true, false, where_it_fits" in str(raised.value)


@pytest.mark.parametrize(
    ("config", "enabled"),
    [
        ({}, True),  # 3 speakers x 2 clips x 25 conditions x 2 classes = 300 stimuli, of which the design takes 160 + 96
        ({"clips": {"per_source": 1}}, False),
        ({"sources": {"esc50": {"clips_per_source": 1}}}, False),
        ({"stimuli": {"durations_ms": [200, 1000]}}, False),
        ({"embedded": {"sounds": 24}}, False),  # 43 % of them train, the design takes 10
        ({"embedded": {"sounds": 26}}, True),
        ({"sources": {"esc50": {"origin": "path", "path": "sounds"}}}, False),
        ({"sources": {"mine": {"origin": "manifest", "path": "mine.csv", "role": "study"}}}, False),
        ({"sources": {"mine": {"origin": "manifest", "path": "mine.csv", "role": "baseline"}}}, True),
        ({"finetuning": {"experiments": {"main": {}, "redrawn": {"enabled": True, "splits": ["by_row"]}}}, "clips": {"per_source": 1}}, True),
    ],
)
def test_the_published_design_is_redrawn_by_default_where_it_is_known_to_fit(config, enabled):
    assert complete_config(config)["finetuning"]["experiments"]["redrawn"]["enabled"] is enabled


def test_without_a_baseline_its_data_set_and_its_durations_do_not_count():
    complete_config({"baseline": {"durations_ms": [5000], "noise": "babble"}, "sources": {"fsd50k": {"origin": "none"}}})


def test_a_data_set_keeps_what_belongs_to_its_name_and_any_other_starts_from_nothing():
    own = {"origin": "manifest", "path": "y", "labels": {1: "SPEECH"}}
    sources = complete_config({"sources": {"fsd50k": {"origin": "path", "path": "x"}, "mine": own}})["sources"]
    assert (sources["fsd50k"]["layout"], sources["fsd50k"]["role"]) == ("fsd50k", "baseline")
    assert [sources["mine"][key] for key in ("layout", "role", "licence", "labels")] == ["none", "study", "not stated", {"1": "SPEECH"}]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_whatever_stands_under_a_key_it_is_accepted_or_refused_in_one_line(value):
    for key in load_schema()["properties"]:
        try:
            complete_config({key: value})
        except InputError as error:
            assert "\n" not in str(error)


def test_a_name_with_a_line_break_is_shown_on_one_line():
    with pytest.raises(InputError, match=r"config: unknown key sources\['a\\nb'\]\.x = null; hint: ") as refused:
        complete_config({"sources": {"a\nb": {"x": None}}})
    assert "\n" not in str(refused.value)


def test_a_whole_text_is_the_question_itself_and_a_template_that_cannot_be_asked_is_refused():
    text = "Is it SPEECH or NON-SPEECH?"
    prompt = complete_config({"prompt": {"template": text, "answer_format": "words"}})["prompt"]
    assert (prompt["question"], prompt["template"]) == (text, "{question}")
    assert "{questoin} stands for nothing" in message_of("prompt: {template: '{questoin}', answer_format: words}")
    assert "which letter means what" in message_of("prompt: {template: '{question}'}")


@pytest.mark.parametrize("where", ["{models: {base: {quantisation: %s}}}", "{prompt_search: {opro: {quantisation: %s}}}"])
def test_the_programs_take_the_quantisations_that_the_configuration_has(where):
    for quantisation in QUANTISATIONS:
        complete_config(yaml.safe_load(where % quantisation))
    assert str(list(QUANTISATIONS))[1:-1].replace("'", "") in message_of(where % "int8").replace('"', "")


def test_every_key_has_a_description():
    def leaves(node, where):
        for key, child in node.get("properties", {}).items():
            assert "$ref" in child or child.get("description"), f"{where}.{key}"
            leaves(child, f"{where}.{key}")

    leaves(load_schema(), "")


def test_every_default_in_the_schema_is_valid_where_it_stands():
    complete_config(complete_config({}))


def test_the_published_study_is_valid_and_has_its_recipes_and_seeds():
    config, reproduction = (yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8")) for name in ("config.yaml", "reproduction.yaml"))
    update_config(config, reproduction)
    finetuning = complete_config(config)["finetuning"]
    main = finetuning["experiments"]["main"]
    assert (main["recipes"], main["splits"]) == (["attention", "attention_mlp"], ["grouped", "row_random"])
    assert main["seeds"] == [42, 123, 456, 789, 2024]
    assert {recipe["learning_rate"] for name, recipe in finetuning["recipes"].items() if not name.startswith(("rate_", "published"))} == {1e-4}


def test_the_default_states_what_the_schema_defaults_to():
    """config.yaml shows the defaults that are worth changing; where it differs from the schema, one of them misleads."""
    assert complete_config(yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))) == complete_config({})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seed: 3\n# caf\xe9\n", r"error: .*mine\.yaml:2: not UTF-8 text"),
        (b"seed: 3\nclips: [1,\n", r"error: .*mine\.yaml:3: not valid YAML"),
        (b"sed: 3\n", r"error: .*mine\.yaml: unknown key sed = 3; hint: did you mean seed\?"),
        (b"<!DOCTYPE html>", r"error: .*mine\.yaml: no sections and keys at its top level; .*Targets stand before --configfile"),
        (None, r"error: .*mine\.yaml: cannot be read \(No such file"),
    ],
)
def test_a_configuration_can_be_checked_without_snakemake(tmp_path, monkeypatch, capsys, content, message):
    (tmp_path / "other.yaml").write_text("clips: {per_source: 2}\n")
    monkeypatch.setattr(sys, "argv", ["check_config", str(tmp_path / "other.yaml")])
    check_config.main()
    assert capsys.readouterr().out.endswith("other.yaml: nothing wrong\n")
    if content is not None:
        (tmp_path / "mine.yaml").write_bytes(content)
    monkeypatch.setattr(sys, "argv", ["check_config", str(tmp_path / "other.yaml"), str(tmp_path / "mine.yaml")])
    with pytest.raises(SystemExit, match=message):
        check_config.main()


@given(*[st.dictionaries(st.sampled_from("abc"), st.recursive(st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner)))] * 2)
def test_overlays_merge_as_snakemake_merges_them(config, overlay):
    expected = copy.deepcopy(config)
    update_config(expected, overlay)
    assert overlaid(config, overlay) == expected


def layers_in(folder, *texts):
    """Configuration files that hold these texts: a.yaml, b.yaml, ..."""
    paths = [folder / f"{name}.yaml" for name in "abc"[: len(texts)]]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def test_each_file_is_laid_over_those_before_it_and_what_is_given_by_hand_over_all(tmp_path):
    files = layers_in(tmp_path, "seed: 1\nclips: {per_source: 2, duration_s: 1.5}\n", "clips: {per_source: 3}\n")
    assert layered(files, {"seed": 4}) == {"seed": 4, "clips": {"per_source": 3, "duration_s": 1.5}}
    assert layered(files) == {"seed": 1, "clips": {"per_source": 3, "duration_s": 1.5}}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["stimuli: [1]", "stimuli: {window_ms: 1500}"], r"a\.yaml: stimuli = \[1\]: must be of type object; hint: "),
        (["seed: many", "seed: 5"], r'a\.yaml: seed = "many": must be of type integer; hint: '),
        (["detectors: [silero]", "detectors: {}"], r"b\.yaml: detectors = \{\}: must be of type array; hint: "),
        (["seed: 5", "clips: {per_sorce: 5}"], r"b\.yaml: unknown key clips\.per_sorce = 5; hint: did you mean per_source\?"),
        (["finetuning: {recipes: {wide: {}}}", "finetuning: {recipes: {}}"], r"b\.yaml: finetuning\.recipes = \{\}: takes nothing away, .*; hint: "),
        (["sources: {mine: {labels: {a: SPEECH}}}", "sources: {mine: {labels: {}}}"], r"b\.yaml: sources\.mine\.labels = \{\}: takes nothing"),
        (["seed: 5", "[seed]"], r"b\.yaml: no sections and keys at its top level"),
    ],
)
def test_a_fault_of_a_file_is_told_by_its_name_also_where_another_hides_it(tmp_path, texts, message):
    with pytest.raises(InputError, match=message):
        layered(layers_in(tmp_path, *texts))


def test_a_file_need_not_hold_what_another_does_and_may_leave_a_section_as_it_is(tmp_path):
    whole = "sources: {mine: {origin: manifest, path: m.csv, columns: {path: p, label: l, source: s}}}\nfinetuning: {recipes: {wide: {rank: 64}}}\n"
    part = "sources: {mine: {columns: {source: t}}}\nfinetuning: {recipes: {wide: {}}}\nstimuli: {}\n"
    layers = layered(layers_in(tmp_path, whole, part))
    assert layers["sources"]["mine"]["columns"] == {"path": "p", "label": "l", "source": "t"}
    assert layers["finetuning"]["recipes"] == {"wide": {"rank": 64}}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (
            "{stimuli: {window_ms: 1500, snrs_db: [-5, 0.5], durations_ms: [200]}}",
            {"stimuli": {"window_ms": 1500, "snrs_db": [-5, 0.5], "durations_ms": [200]}},
        ),
        ("{finetuning: {recipe: {learning_rate: 1e-4}}}", {"finetuning": {"recipe": {"learning_rate": 0.0001}}}),
        (
            "{finetuning: {experiments: {ablations: {enabled: false}, redrawn: {enabled: where_it_fits}}}}",
            {"finetuning": {"experiments": {"ablations": {"enabled": False}, "redrawn": {"enabled": "where_it_fits"}}}},
        ),
        (
            "{models: {base: {origin: path, path: null, revision: 1234567}}}",
            {"models": {"base": {"origin": "path", "path": None, "revision": "1234567"}}},
        ),
        (
            "{primary_model: None, models: {a: {path: None}, b: {path: }}}",
            {"primary_model": None, "models": {"a": {"path": None}, "b": {"path": None}}},
        ),
        ("{prompt: {question: 12}, detectors: [silero]}", {"prompt": {"question": "12"}, "detectors": ["silero"]}),
        ("{sources: {mine: {labels: {1: SPEECH}}}}", {"sources": {"mine": {"labels": {"1": "SPEECH"}}}}),
    ],
)
def test_what_snakemake_leaves_as_text_is_read_as_its_key_asks_for(written, meant):
    """Snakemake reads a section given with --config, or in a profile, as text throughout."""
    assert json.dumps(layered([], yaml.load(written, yaml.BaseLoader))) == json.dumps(meant)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{stimuli: {window_ms: long}}", r'--config: stimuli\.window_ms = "long": must be of type integer'),
        ("{stimuli: {window_ms: 1.5}}", r"--config: stimuli\.window_ms = 1\.5: must be of type integer"),
        ("{stimuli: {window_ms: 1:00}}", r'--config: stimuli\.window_ms = "1:00": must be of type integer'),
        ("{stimuli: {window_ms: 01500}}", r'--config: stimuli\.window_ms = "01500": must be of type integer'),
        ("{stimuli: {window_ms: 1_500}}", r'--config: stimuli\.window_ms = "1_500": must be of type integer'),
        ("{stimuli: {floor_dbfs: nan}}", r'--config: stimuli\.floor_dbfs = "nan": must be of type number'),
        ("{models: {base: }}", r'--config: models\.base = "": must be of type object'),
        (
            "{finetuning: {experiments: {main: {enabled: no}}}}",
            r'--config: finetuning\.experiments\.main\.enabled = "no": must be one of true, false',
        ),
    ],
)
def test_what_is_no_value_of_its_key_is_refused_in_a_section_given_by_hand(written, message):
    with pytest.raises(InputError, match=message):
        layered([], yaml.load(written, yaml.BaseLoader))


def test_the_table_of_options_is_current():
    text = README.read_text(encoding="utf-8")
    assert documented(text) == text, "run `python workflow_scripts/document_config.py`"


def test_the_conda_environments_are_current(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "envs")
    lock = importlib.import_module("lock")
    try:
        for name, text in lock.derived().items():
            assert (ROOT / "envs" / name).read_text(encoding="utf-8") == text, "run `python envs/lock.py --derive`"
    finally:
        del sys.modules["lock"]


def test_keys_that_messages_name_are_keys_of_the_configuration():
    rows = [row.split("`")[1].replace("[]", "") for row in option_table().splitlines() if "`" in row]
    known = {".".join(row.split(".")[:depth]) for row in rows for depth in range(1, row.count(".") + 2)}
    sections = {key.split(".")[0] for key in known} | {"model"}
    named = set()
    for path in (ROOT / "workflow_scripts").rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        texts = [text for call in calls if ast.unparse(call.func) == "InputError" for text in ast.walk(call) if isinstance(text, ast.Constant)]
        named |= {key for text in texts for key in re.findall(r"(?<![\w./{-])[a-z_]+(?:\.\w+)+", str(text.value))}
    named = {key.replace("experiments.main", "experiments.NAME") for key in named if not key.endswith((".json", ".txt"))}
    keys = {key for key in named if key.split(".")[0] in sections}
    assert len(keys) > 20 and keys <= known
