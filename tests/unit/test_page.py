import base64
import functools
import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import prompt_examples
import psychometric_examples
import pytest
import report_examples as examples
import yaml
from draws_by_hand import drawn_by_hand

from earwitness.audio.io import decode_flac, encode_flac
from earwitness.core.errors import InputError
from earwitness.evaluation.claims import claims_table, load_claims
from earwitness.model.families.registry import FAMILIES
from earwitness.plan.figure_names import BASELINE_FIGURES, MODEL_FIGURES, PROMPT_FIGURES, STUDY_FIGURES
from earwitness.report.draws_text import DrawsSection
from earwitness.report.experiment_text import ExperimentSection
from earwitness.report.formats import chance, p_value, percent, percent_range, points
from earwitness.report.listening import Answer, Cell, ListeningMatrix
from earwitness.report.origins import RULE_FILES
from earwitness.report.page import (
    BaselineTables,
    ComparisonTables,
    Listening,
    MaterialTables,
    Report,
    RunRecord,
    SystemTables,
    render_page,
)
from earwitness.report.summary import answer_sentences, audit_sentences, audit_warnings, kind_of_numbers
from earwitness.systems import System
from earwitness.tables.draws import LEAKAGE_BUYS
from earwitness.tables.mixed_models import MIXED_MODEL_EFFECTS, MIXED_MODEL_FITS

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "workflow_scripts/earwitness/report/html/page.html.jinja"
LEDGER = load_claims(ROOT / "config" / "claims.yaml")
RECIPES = ("attention", "attention_mlp")
STATISTICS = {"confidence": 0.95, "equivalence_margin": 0.03}


class Page(HTMLParser):
    """Tags with their attributes, ids, the text of the page, and the part of it that is open before anything is unfolded."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.open_text = "", ""
        self.within: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag in ("td", "th", "li"):
            self.handle_data(" ")
        if tag in ("details", "summary", "style", "title"):
            self.within.append("open details" if tag == "details" and ("open", None) in attributes else tag)

    def handle_endtag(self, tag):
        if tag in ("details", "summary", "style", "title"):
            self.within.pop()

    def handle_data(self, data):
        if "style" in self.within or "title" in self.within:
            return
        self.text += data
        if self.within.count("details") - ("summary" in self.within) <= 0:
            self.open_text += data

    def values(self, attribute):
        return [values[attribute] for _, values in self.tags if attribute in values]


SVG = "<svg xmlns='http://www.w3.org/2000/svg'/>"


def section(name="main", recipes=("attention",), **tables):
    whole = {"experiment": examples.experiment(), "learning_curve": examples.learning_curve(), "efficiency": examples.efficiency(recipes)}
    return ExperimentSection(name, **(whole | tables), figure=SVG, efficiency_figure=SVG)


def matrix(**changes):
    sound = base64.b64encode(encode_flac(np.zeros(160, np.float32))).decode()
    answers = (Answer(System.parse("base"), 0.18, False), Answer(System.parse("attention-grouped"), 0.97, True))
    cells = tuple(tuple(Cell(f"s-{snr}-{duration}", sound, answers) for duration in (40, 200)) for snr in (10, -5))
    return replace(ListeningMatrix("SPEECH", "speech", "speaker 7", (40, 200), (10.0, -5.0), cells), **changes)


@functools.cache
def standard() -> Report:
    config = examples.config()
    return Report(
        title=config["report"]["title"],
        figures=dict.fromkeys(STUDY_FIGURES, SVG),
        experiments=[section()],
        certificates=[examples.certificate("row_random", ["v1", "v2"]), examples.certificate()],
        claims=claims_table(LEDGER, {"accuracy": examples.accuracy()}, False, 0.95),
        systems=SystemTables(examples.accuracy(), examples.calibration(), examples.detection(), examples.error_rates(), examples.test_sizes()),
        comparison=ComparisonTables(examples.comparisons(), examples.power(), examples.variance(), examples.ensembles(), examples.leakage()),
        material=MaterialTables(
            {"voxconverse": examples.audio_check(["audio/bad.wav"]), "esc50": examples.audio_check()},
            examples.stimulus_summary(),
            {"base": examples.generation()},
        ),
        listening=Listening([matrix()], [], System.parse("attention-grouped")),
        record=RunRecord(
            examples.run(),
            config,
            yaml.safe_dump(config),
            pd.DataFrame({"path": ["results/tables/accuracy.csv"], "sha256": ["3" * 64], "bytes": [1234]}),
            {"base": {"name": "some/base", "revision": None, "model_type": "qwen2_audio", "sha256": "f" * 64, "bytes": 1}},
        ),
    )


def inputs(**changes) -> Report:
    """The standard page's, with other values of its parts' fields or of its own."""
    parts = {name: getattr(standard(), name) for name in ("systems", "comparison", "material", "listening", "record")}
    changed = {name: replace(part, **{key: changes.pop(key) for key in vars(part) if key in changes}) for name, part in parts.items()}
    return replace(standard(), **(changed | changes))


def page(**changes) -> Page:
    return Page(render_page(inputs(**changes), TEMPLATE)) if changes else standard_page()


@functools.cache
def standard_page() -> Page:
    return Page(render_page(standard(), TEMPLATE))


def test_the_page_loads_nothing_from_elsewhere_and_shows_every_figure_and_sound():
    html = render_page(inputs(), TEMPLATE)
    parsed = Page(html)
    for attribute in ("src", "srcset", "data", "poster", "action"):
        assert all(value.startswith("data:") for value in parsed.values(attribute))
    assert not re.search(r"@import|url\(", html)
    assert not [tag for tag, _ in parsed.tags if tag in ("script", "iframe", "object", "embed")]
    images = [values for tag, values in parsed.tags if tag == "img"]
    assert len(images) == len(STUDY_FIGURES) + 1 and all(values["alt"] for values in images)
    assert {f"figure-{name}" for name in STUDY_FIGURES} <= set(parsed.values("id"))
    sounds = [values["src"] for tag, values in parsed.tags if tag == "audio"]
    assert decode_flac(base64.b64decode(sounds[0].removeprefix("data:audio/flac;base64,"))).shape == (160,)


def test_the_page_says_how_far_scores_and_generated_answers_agree():
    text = page().text
    assert "400 of 400 stimuli (speech: A), 398 of 400 stimuli (speech: B; the others are within 0.02 nats of a tie)" in text
    assert "favours the letter A by 0.31 nats" in text


def test_every_table_has_a_caption_and_every_anchor_a_target():
    parsed = page()
    tags = [tag for tag, _ in parsed.tags]
    assert tags.count("caption") == tags.count("table") > 8
    ids = parsed.values("id")
    assert len(ids) == len(set(ids))
    assert {href[1:] for href in parsed.values("href") if href.startswith("#")} <= set(ids)
    assert len([href for href in parsed.values("href") if href.startswith("#word-")]) >= 4
    assert dict(parsed.tags[0][1])["lang"].startswith("en")


def test_names_out_of_the_data_are_inert():
    places = ("stimulus", "source", "file", "reason", "config", "title", "note", "category")
    hostile = {place: f"{place}: {examples.HOSTILE}\"'><img src=x onerror=alert(1)>" for place in places}
    certificate = examples.certificate("grouped", [hostile["source"]])
    certificate["checks"][0]["reason"] = hostile["reason"]
    parsed = page(
        matrices=[matrix(source_id=hostile["stimulus"], category=hostile["category"])],
        certificates=[certificate],
        checks={"voxconverse": examples.audio_check([hostile["file"]])},
        config_text=hostile["config"],
        title=hostile["title"],
        note=hostile["note"],
    )
    assert not [tag for tag, _ in parsed.tags if tag == "script"]
    assert not [name for _, values in parsed.tags for name in values if name.startswith("on")]
    assert [place for place in places if f"{place}: {examples.HOSTILE}" not in parsed.text] == []


def test_what_the_configuration_notes_stands_before_the_answer():
    first_screen = page(note="These sizes are small.").text.split("As it is, the model tells speech")[0]
    assert "These sizes are small." in first_screen
    assert page().values("class").count("notice") == page(note="These sizes are small.").values("class").count("notice") - 1


def test_the_tiny_model_and_few_sources_are_announced():
    assert "say nothing of Qwen2-Audio-7B" in page().text.split("Answer")[0] and "fewer than 10 sources" not in page().text
    hub = examples.config(models={"base": {"origin": "hub"}})
    text = page(config=hub, accuracy=examples.accuracy(sources=4, intervals=False)).text
    assert "say nothing of Qwen2-Audio-7B" not in text and "Numbers: full" in text and "fewer than 10 sources" in text
    assert "Results on unseen sources rest" in text
    table = examples.accuracy()
    own_rows = table.assign(reliability=table.reliability.where(table.test_set == "unseen", "few_sources"))
    assert "Results on the leaky split's own test rows rest" in page(accuracy=own_rows).text
    assert "nan" not in re.findall(r"\bnan\b", text.lower())


def test_the_family_of_the_base_is_told_with_all_that_it_does_not_hold():
    assert "Family: Qwen2-Audio, which hears a sound's own frames alone" in page().text
    other = {"name": "x", "revision": None, "model_type": "audioflamingo3", "sha256": "f" * 64, "bytes": 1}
    text = page(identities={"base": other}).text
    assert "Family: Audio Flamingo 3" in text and FAMILIES["audioflamingo3"].departures["position"] in text


def test_of_several_models_the_page_says_whose_claims_and_whose_detector_it_shows():
    names = ["base", "voxtral"]
    identity = {"name": "x", "revision": None, "model_type": "qwen2_audio", "sha256": "f" * 64, "bytes": 1}
    config = examples.config(models={"base": {}, "voxtral": {}}, primary_model="voxtral")
    figures = dict.fromkeys((*STUDY_FIGURES, *MODEL_FIGURES), "<svg/>")
    systems = [*examples.accuracy().system_id.unique(), "voxtral.base", "voxtral.attention-grouped"]
    text = page(identities=dict.fromkeys(names, identity), config=config, figures=figures, accuracy=examples.accuracy(systems)).text
    assert "Judged by voxtral, the primary model of this study (primary_model)." in text
    assert "The adapter that is handed over is voxtral's, the primary model of this study (primary_model)." in text
    assert "primary model" not in page().text


def test_the_main_table_labels_the_leaky_arm_and_the_audit_names_offenders():
    text = page().text
    assert "leaky split" in text and "row-random (leaky)" in text and "Sources: v1, v2." in text and "blocks training" in text
    assert "audio/bad.wav: cannot be read" in text
    assert "scipy not installed (locked 1.0)" in text and "edits that are not committed" in text


def test_what_leakage_buys_is_told_for_each_class_too():
    section = page().text.split("The leaky arm on its own test rows and on unseen sources. In per cent")[1].split("tables/leakage.csv")[0]
    assert re.findall(r"(non-speech alone|speech alone)\W*90\.0\W+82\.0\W+8\.0", section) == ["speech alone", "non-speech alone"]


def test_a_waiver_stands_beside_every_table_of_results_and_only_where_it_was_used():
    waiver = {"check": "L1", "reason": examples.HOSTILE, "by": "Ada", "expires": "2027-01-31"}
    used = examples.certificate("grouped", ["v1"])
    used["checks"][0]["waived"] = True
    text = page(certificates=[used | {"waivers": [waiver], "status": "pass"}]).text
    line = f"L1 source overlap, grouped (honest) split (1 sources are in two parts): {examples.HOSTILE} Waived by Ada until 2027-01-31."
    assert "only because failed checks were waived (L1 source overlap)" in text
    assert text.count(line) >= 9 and "do not rely on" not in text and "blocks training" not in text
    assert "Waived by" not in page(certificates=[examples.certificate() | {"waivers": [waiver]}]).text


def test_a_base_that_says_something_else_than_the_two_answers_is_told_at_the_top():
    low = examples.generation().assign(median_coverage=[0.97, 0.012])
    assert f"puts only {percent(0.012)} of its probability on the two answers" in page(generation={"base": low}).text
    assert "of its probability on the two answers that are compared" not in page().text


def test_a_run_of_the_base_alone_still_gives_a_page():
    alone = ("base",)
    text = page(
        accuracy=examples.accuracy(alone),
        leakage=examples.leakage(alone),
        comparisons=examples.comparisons().iloc[:0],
        power=examples.power().iloc[:0],
        ensembles=examples.ensembles().iloc[:0],
        variance=examples.variance(alone),
        calibration=examples.calibration(alone),
        error_rates=examples.error_rates(alone),
        certificates=[examples.certificate()],
        matrices=[],
    ).text
    assert "no pair of systems" in text and "No clips to listen to" in text and "No classic detector" in text


def test_a_missing_figure_is_refused_by_name():
    figures = dict(inputs().figures)
    del figures["leakage"]
    with pytest.raises(InputError, match=r"leakage\.svg"):
        page(figures=figures)


def summary(**changes) -> str:
    tables = {"accuracy": examples.accuracy(), "comparisons": examples.comparisons(), "leakage": examples.leakage(), "thresholds": None}
    return " ".join(answer_sentences(**(tables | changes), statistics=STATISTICS)).replace("\N{NO-BREAK SPACE}", " ")


def audited(*certificates, of=audit_sentences) -> str:
    return " ".join(of(certificates))


def test_the_answer_is_three_sentences_with_the_numbers_of_the_tables():
    tables = examples.accuracy(), examples.comparisons(), examples.leakage()
    assert len(answer_sentences(*tables, psychometric_examples.study()[2], STATISTICS)) == 3
    text = summary(thresholds=psychometric_examples.study()[2])
    assert "in 80.0 % (95 % interval [74.0, 86.0]) of cases" in text and "without noise it is right three times in four from" in text
    assert "it reaches 90.0 % [84.0, 96.0], +10.0 points: the two differ; the best classic detector, Silero VAD, reaches 85.0 %" in text
    assert "the 14 speakers and 14 sounds that it trained on, a leaky adapter scores 90.0 %, and 82.0 % on unseen ones" in text
    assert "leakage bought +8.0 points [+2.0, +14.0]." in text


@pytest.mark.parametrize(
    ("status", "threshold", "words"),
    [
        ("left_censored", -np.inf, "is right three times in four already at 20 ms, the shortest tried"),
        ("right_censored", np.inf, "is not right three times in four even at 1000 ms, the longest tried"),
    ],
)
def test_the_answer_goes_no_further_than_the_durations_that_were_tried(status, threshold, words):
    found = {"status": status, "threshold": threshold, "lowest_level": 20.0, "highest_level": 1000.0, "low": np.nan, "high": np.nan}
    text = summary(thresholds=psychometric_examples.study()[2].assign(**found))
    assert words in text


def test_the_answer_turns_a_comparison_the_right_way_round():
    table = examples.comparisons()
    turned = table.assign(system_a=table.system_b, system_b=table.system_a, difference=-table.difference, low=-table.high, high=-table.low)
    assert summary(comparisons=turned) == summary()


@pytest.mark.parametrize(
    ("conclusion", "words"),
    [("equivalent", "equivalent within ±3 points"), ("inconclusive", "do not settle"), ("descriptive_only", "describes these sources only")],
)
def test_the_answer_claims_no_more_than_the_test(conclusion, words):
    text = summary(comparisons=examples.comparisons(conclusion))
    assert words in text and ": the two differ" not in text


def test_the_answer_does_not_claim_leakage_that_could_be_none():
    text = summary(leakage=examples.leakage(low=-0.01))
    assert "leakage bought" not in text and "cannot tell from none" in text


def test_three_speakers_settle_nothing_and_no_interval_of_theirs_is_shown():
    few = examples.accuracy(sources=3)
    text = summary(accuracy=few, leakage=examples.leakage(low=-0.588))
    assert "3 sources of a class cannot settle what leakage bought" in text and "58.8" not in text
    parsed = page(accuracy=few, leakage=examples.leakage(low=-0.588))
    assert "(too few sources)" in parsed.text and "58.8" not in parsed.text


@pytest.mark.parametrize(
    ("low", "said"),
    [
        (0.07, "cannot settle what leakage bought; over 5 draws of the published design it bought +16.4 points [+7.0, +25.7]."),
        (-0.01, "cannot settle what leakage bought, nor do 5 draws of the published design."),
    ],
)
def test_where_few_speakers_settle_nothing_the_answer_tells_what_draws_of_the_published_design_do(low, said):
    drawn = drawn_by_hand()
    bought = (drawn.quantity == LEAKAGE_BUYS) & (drawn.draw == "all")
    drawn.loc[bought, ["value", "low", "high", "n_draws"]] = [0.164, low, 0.257, 5]
    assert said in summary(accuracy=examples.accuracy(sources=3), draws=drawn)


@pytest.mark.parametrize(
    ("model", "size", "name"),
    [
        ({"origin": "tiny"}, "tiny", "the embedded tiny base"),
        ({"origin": "assembled"}, "middle", "SmolLM2-135M-Instruct"),
        ({"origin": "assembled", "encoder": {"origin": "hub", "repository": "a/b", "revision": "1f"}}, "own", "a/b at 1f with SmolLM2-135M-Instruct"),
        ({"origin": "hub"}, "full", "Qwen/Qwen2-Audio-7B-Instruct"),
        ({"origin": "hub", "repository": "someone/else"}, "own", "someone/else"),
        ({"origin": "path", "path": "models/mine"}, "own", "models/mine"),
    ],
)
def test_the_first_screen_says_which_model_and_what_kind_of_numbers(model, size, name):
    kind = kind_of_numbers(examples.config(models={"base": model})["models"]["base"])
    assert kind.size == size and name in kind.model
    first = page(config=examples.config(models={"base": model})).text.split("Claims")[0]
    assert f"Numbers: {size}" in first and name in first


def test_an_honest_split_that_failed_is_told_before_any_number():
    assert "passed its leakage audit (2 of 2 checks ran)" in audited(examples.certificate())
    failed = examples.certificate("grouped", ["v1"])
    assert "FAILED its leakage audit (source overlap)" in audited(failed) and "FAILED" in audited(failed, of=audit_warnings)
    leaky = examples.certificate("row_random", ["v1"])
    assert "failed its leakage audit, as it should" in audited(leaky) and audited(leaky, of=audit_warnings) == ""
    assert "which it should not" in audited(examples.certificate("row_random"), of=audit_warnings)


def test_the_splits_of_experiments_are_counted_and_one_that_failed_is_named():
    folds = [examples.certificate(f"fold_{fold}") for fold in range(5)]
    assert "Of the experiments, 5 further splits passed theirs." in audited(examples.certificate(), *folds)
    text = audited(*folds[:4], examples.certificate("fold_4", ["v1"]))
    assert "The split fold_4 FAILED its leakage audit (source overlap)" in text and "4 further splits" in text


def test_a_failed_audit_of_what_was_fitted_is_told_too():
    failed = audited(examples.certificate(), examples.certificate("tuning", ["v1"]), of=audit_warnings)
    assert "What was fitted (thresholds, statistics) FAILED its leakage audit (source overlap): do not rely on the numbers of this page." in failed
    passed = audited(examples.certificate("tuning"))
    assert "What was fitted (thresholds, statistics) passed its leakage audit (2 of 2 checks ran)." in passed and "gate" not in passed


def test_a_failed_audit_of_what_was_fitted_is_said_first_and_blocks_no_training():
    parsed = page(certificates=[examples.certificate(), examples.certificate("tuning", ["v1"])])
    assert "FAILED its leakage audit" in parsed.text.split("Claims")[0]
    assert "What was fitted: fail" in parsed.text and "fails the audit" in parsed.text and "blocks training" not in parsed.text


def test_numbers_read_the_same_everywhere():
    assert percent(0.8416) == "84.2\N{NO-BREAK SPACE}%" and percent(np.nan) == "–"
    assert percent_range(0.5, 1.0) == "[50.0,\N{NO-BREAK SPACE}100.0]" and percent_range(np.nan, 1.0) == ""
    assert [chance(value) for value in (0.18, 0.5, 0.4957, 0.50002, 1.0)] == ["18", "50", "49.6", "50", "100"]
    assert points(-0.0312) == "\N{MINUS SIGN}3.1" and points(-0.0001) == "0.0" and points(0.1) == "+10.0"
    assert p_value(0.0002) == "<\N{NO-BREAK SPACE}0.001" and p_value(0.0456) == "0.046" and p_value(None) == "–"


def with_baseline(**changes):
    points, _, thresholds = psychometric_examples.study()
    figures = dict.fromkeys([*STUDY_FIGURES, *BASELINE_FIGURES], "<svg xmlns='http://www.w3.org/2000/svg'/>")
    models = [pd.DataFrame(columns=list(schema.columns)) for schema in (MIXED_MODEL_EFFECTS, MIXED_MODEL_FITS)]
    return page(**({"baseline": BaselineTables(thresholds, psychometric_examples.contrasts(), points, *models), "figures": figures} | changes))


def test_with_the_baseline_the_page_shows_thresholds_with_their_status():
    parsed = with_baseline()
    assert {"thresholds", *(f"figure-{name}" for name in BASELINE_FIGURES)} <= set(parsed.values("id"))
    text = parsed.text.replace("\N{NO-BREAK SPACE}", " ")
    assert "undecided: too few answers" in text and "< 20 ms" in text
    assert (
        "Between a system and the base, 1 of 1 thresholds differ after Holm's correction:"
        " Silero VAD against base model, zero-shot (duration, no noise) × 0.31" in text
    )
    assert "Between a duration and the longest, 0 of 1 thresholds differ after Holm's correction." in text


def test_without_the_baseline_there_is_no_such_section_and_with_it_every_figure_is_needed():
    assert "thresholds" not in page().values("id")
    with pytest.raises(InputError, match=r"no figure duration_curves.svg; run plot_psychometrics"):
        with_baseline(figures=dict.fromkeys(STUDY_FIGURES, "<svg/>"))


def test_a_prompt_search_is_shown_with_its_figures_and_its_questions_are_inert():
    figures = dict.fromkeys([*STUDY_FIGURES, *PROMPT_FIGURES], "<svg xmlns='http://www.w3.org/2000/svg'/>")
    parsed = page(prompts=prompt_examples.gains(hostile=examples.HOSTILE), figures=figures)
    assert {"prompts", *(f"figure-{name}" for name in PROMPT_FIGURES)} <= set(parsed.values("id"))
    assert "which covers zero" in parsed.text and examples.HOSTILE in parsed.text
    assert not [tag for tag, _ in parsed.tags if tag == "script"]
    assert "prompts" not in page().values("id")
    with pytest.raises(InputError, match=r"no figure prompt_progress.svg; run plot_prompts"):
        page(prompts=prompt_examples.gains())


def test_every_claim_stands_in_the_second_section_with_what_was_measured_and_its_verdict():
    parsed = page()
    sections = [values["id"] for tag, values in parsed.tags if tag == "section"]
    assert sections == ["answer", "claims", "finetuning", "leakage", "detectors", "errors", "limits", "cost", "provenance"]
    contents = [href[1:] for href in parsed.values("href") if href[1:] in sections]
    assert contents[1 : len(sections) + 1] == sections, "the contents stand in the page's order, after the link that skips them"
    text = " ".join(parsed.text.replace("\N{NO-BREAK SPACE}", " ").split())
    assert all(" ".join(claim.statement.split()) in text for claim in LEDGER.claims)
    assert "Of 49 claims of the published study, this run finds that 4 hold and 2 do not" in text
    assert "20.7 million" in text and "duration at 75 % balanced accuracy of the base, without noise; true if above 28 ms and below 44 ms" in text
    assert "not measured in this run: finetuning.experiments.ablations.enabled: true" in text


def test_draws_are_shown_where_they_were_made():
    draws = DrawsSection("redrawn", drawn_by_hand(), SVG)
    parsed = page(draws=[draws])
    assert "figure-draws-redrawn" in parsed.values("id") and "figure-draws-redrawn" not in page().values("id")
    assert "The published design, drawn several times: redrawn" in parsed.text and "drawn 2 times" in parsed.text


def test_an_experiment_says_what_folds_and_more_speakers_tell():
    text = Page(render_page(inputs(), TEMPLATE)).text
    assert "Every source tested once, by an adapter that never heard it: attention reaches 90.0\N{NO-BREAK SPACE}%" in text
    assert "the single split says 90.0\N{NO-BREAK SPACE}%" in text
    assert re.search(r"at 50, where the published study guessed 90 to 95 % from 50 on", text)
    assert "attention mlp: leaky split, its own rows" in text
    assert "32 items of 32 sources" in text and "shows in 40 % of 50 drawn test sets" in text


def test_an_experiment_without_folds_or_curve_says_nothing_of_them():
    alone = section(experiment=examples.experiment(splits=("grouped",)), learning_curve=examples.learning_curve(()))
    text = page(experiments=[alone]).text
    assert "Every source tested once" not in text and "guessed 90 to 95" not in text
    assert "attention mlp: honest split" in text


@functools.cache
def everything() -> Page:
    """A page with all that there can be."""
    figures = dict.fromkeys([*STUDY_FIGURES, *PROMPT_FIGURES, *BASELINE_FIGURES], SVG)
    draws = DrawsSection("redrawn", drawn_by_hand(), SVG)
    return with_baseline(figures=figures, prompts=prompt_examples.gains(), draws=[draws], experiments=[section(), section("ablations", RECIPES)])


def test_what_is_open_at_first_is_short():
    parsed = everything()
    assert len(parsed.open_text.split()) <= 2000 < len(parsed.text.split())


def test_every_figure_and_table_is_numbered_in_order_and_named_in_the_text():
    parsed = everything()
    for kind in ("figure", "table"):
        names = [values["id"] for tag, values in parsed.tags if tag == kind]
        assert len(names) > 10 and all(name.startswith(f"{kind}-") for name in names)
        numbers = [int(number) for number in re.findall(rf"\b{kind.capitalize()} ([0-9]+)\. ", parsed.text)]
        assert numbers == list(range(1, len(names) + 1))
        missing = set(names) - {href[1:] for href in parsed.values("href")}
        assert all(re.fullmatch("table-claims-[2-9]", name) for name in missing), missing


def test_every_figure_and_table_links_to_its_data_rule_and_script():
    parsed = everything()
    links = [href for href in parsed.values("href") if not href.startswith(("#", "https://", "data:"))]
    documented = (ROOT / "results/README.md").read_text(encoding="utf-8").replace("{stimulus_set}", "factorial")
    for link in set(links):
        if link.startswith("../"):
            assert (ROOT / link[3:]).is_file(), link
        else:
            known = re.sub(r"(?<=/)(main|ablations|redrawn|grouped|row_random)(?=[./])", "{name}", link)
            pattern = re.escape(known).replace(re.escape("{name}"), r"(\{\w+\}|tuning)")
            assert re.search(pattern, documented), link
    figures_and_tables = sum(tag in ("figure", "table") for tag, _ in parsed.tags)
    assert len([link for link in links if link.startswith("../workflow_scripts/")]) == figures_and_tables
    for name, file in RULE_FILES.items():
        assert re.search(rf"^rule {name}:", (ROOT / f"rules/{file}.smk").read_text(encoding="utf-8"), re.MULTILINE), name


def test_a_verdict_says_whether_its_contrast_was_declared_beforehand():
    text = page(comparisons=examples.comparisons("inconclusive")).text
    assert len(re.findall(r"not settled\s*primary", text)) == 1, "the one pair of the example"


def test_one_clip_is_heard_at_every_duration_and_snr_with_every_systems_answer():
    parsed = page()
    sounds = [values["aria-label"] for tag, values in parsed.tags if tag == "audio"]
    assert sounds == [f"speech, {duration} ms at {snr} dB" for snr in (10, -5) for duration in (40, 200)]
    assert parsed.text.count("✗") == 4 and len([1 for tag, values in parsed.tags if tag == "li" and values.get("class") == "wrong"]) == 4
    assert "base model, zero-shot" in parsed.text and "speaker 7" in parsed.text


def test_whole_recordings_are_told_of_with_error_rates_and_left_out_where_nothing_was_annotated():
    text = page().text.replace("\N{NO-BREAK SPACE}", " ")
    assert "In 12 test recordings of 14 sources, 300 s of speech, the detection error rate" in text
    assert "attention adapter, honest split 20.0 % [15.0, 45.0] (tuned); Silero VAD 30.0 % [15.0, 45.0] (tuned)" in text
    assert "The annotation was made with" not in text
    by_silero = examples.detection()
    by_silero.loc[by_silero.system_id == "silero", "shared_boundaries"] = [0.97, 0.4]
    text = page(detection=by_silero).text.replace("\N{NO-BREAK SPACE}", " ")
    assert "20.0 % [15.0, 45.0] (tuned). The annotation was made with Silero VAD" in text and "; Silero VAD" not in text
    nothing = examples.detection().assign(error_rate=np.nan)
    assert "recordings" not in page(detection=nothing).values("id") and "detection error rate" not in page(detection=nothing).text


def test_bands_and_rooms_are_drawn_only_where_they_differ():
    config = examples.config()
    alike = config | {"baseline": config["baseline"] | {"bands": ["clean"], "rooms": ["anechoic"]}}
    assert "Accuracy by band limit and room" in with_baseline().text
    text = with_baseline(config=alike).text
    assert (
        "Accuracy by band limit and room" not in text and "bands and rooms" not in text and "at several durations and signal-to-noise ratios" in text
    )


def test_costs_are_a_table_and_a_figure_only_where_recipes_differ():
    parsed = everything()
    assert {"table-cost-main", "table-cost-ablations", "figure-efficiency-ablations"} <= set(parsed.values("id"))
    assert "figure-efficiency-main" not in parsed.values("id"), "four panels of one dot"
    assert re.search(r"attention\s+6\s+24,000\s+0\.10\s+20\.0\s+120\s+0\.7", parsed.text)


def test_the_page_can_be_walked_by_headings_and_keyboard():
    parsed = everything()
    levels = [int(tag[1]) for tag, _ in parsed.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1 and all(after <= before + 1 for before, after in itertools.pairwise(levels))
    scrolling = [values for _, values in parsed.tags if values.get("class") == "wide"]
    assert all(values.get("tabindex") == "0" and values.get("aria-label") for values in scrolling if values.get("role"))
    assert parsed.values("href").index("#answer") < 3, "a link that skips to the results stands first"


def test_only_data_sets_that_were_used_are_cited():
    assert "Spot the conversation" in page().text and "environmental sound classification" in page().text
    own = page(checks={"mine": examples.audio_check()}).text
    assert "Spot the conversation" not in own and "environmental sound classification" not in own and "FSD50K" not in page().text.split("seed:")[0]
