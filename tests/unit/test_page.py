import base64
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
from hypothesis import given, settings
from hypothesis import strategies as st

from earwitness.audio.io import decode_flac, encode_flac
from earwitness.core.errors import InputError
from earwitness.evaluation.claims import claims_table, load_claims
from earwitness.report.draws_text import DrawsSection
from earwitness.report.experiment_text import ExperimentSection
from earwitness.report.formats import p_value, percent, percent_range, points
from earwitness.report.listening import choose_examples, listening_examples
from earwitness.report.page import (
    FIGURES,
    BaselineTables,
    ComparisonTables,
    Listening,
    MaterialTables,
    Report,
    RunRecord,
    SystemTables,
    render_page,
)
from earwitness.report.prompt_text import PROMPT_FIGURES
from earwitness.report.summary import summarise
from earwitness.report.threshold_text import PSYCHOACOUSTIC_FIGURES
from earwitness.systems import System
from earwitness.tables.audio import AudioTableWriter
from earwitness.tables.mixed_models import MIXED_MODEL_EFFECTS, MIXED_MODEL_FITS
from earwitness.tables.stimuli import STIMULI

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "workflow_scripts/earwitness/report/report.html.jinja"
LEDGER = load_claims(ROOT / "config" / "claims.yaml")
STATISTICS = {"confidence": 0.95, "equivalence_margin": 0.03}


class Page(HTMLParser):
    """Tags with their attributes, ids, and the text that a reader sees."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def values(self, attribute):
        return [values[attribute] for _, values in self.tags if attribute in values]


SVG = "<svg xmlns='http://www.w3.org/2000/svg'/>"


def inputs(**changes):
    config = examples.config()
    example = {
        "stimulus_id": "s1",
        "label": "SPEECH",
        "category": "speech",
        "duration_ms": 200,
        "snr_db": -5.0,
        "answer": "NONSPEECH",
        "log_odds": -1.5,
    }
    values = {
        "title": config["report"]["title"],
        "figures": dict.fromkeys(FIGURES, SVG),
        "experiments": [ExperimentSection("main", examples.experiment(), examples.learning_curve(), SVG, SVG)],
        "certificates": [examples.certificate("row_random", ["v1", "v2"]), examples.certificate()],
        "claims": claims_table(LEDGER, {"accuracy": examples.accuracy()}, False, 0.95),
    }
    sections = {
        "systems": SystemTables(examples.accuracy(), examples.calibration(), examples.error_rates(), examples.test_sizes()),
        "comparison": ComparisonTables(examples.comparisons(), examples.power(), examples.variance(), examples.ensembles(), examples.leakage()),
        "material": MaterialTables(
            {"voxconverse": examples.audio_check(["audio/bad.wav"]), "esc50": examples.audio_check()},
            examples.stimulus_summary(),
            examples.generation(),
        ),
        "listening": Listening(
            [example | {"flac": base64.b64encode(encode_flac(np.zeros(160, np.float32))).decode()}], [], System.parse("attention-grouped")
        ),
        "record": RunRecord(
            examples.run(),
            config,
            yaml.safe_dump(config),
            pd.DataFrame({"path": ["results/tables/accuracy.csv"], "sha256": ["3" * 64], "bytes": [1234]}),
        ),
    }
    for name, section in sections.items():
        own = {key: changes.pop(key) for key in vars(section) if key in changes}
        values[name] = replace(section, **own)
    return Report(**(values | changes))


def page(**changes) -> Page:
    return Page(render_page(inputs(**changes), TEMPLATE))


def test_the_page_loads_nothing_from_elsewhere_and_shows_every_figure_and_sound():
    html = render_page(inputs(), TEMPLATE)
    parsed = Page(html)
    for attribute in ("src", "href", "srcset", "data", "poster", "action"):
        assert all(value.startswith(("#", "data:")) for value in parsed.values(attribute))
    assert not re.search(r"@import|url\(", html)
    assert not [tag for tag, _ in parsed.tags if tag in ("script", "iframe", "object", "embed")]
    images = [values for tag, values in parsed.tags if tag == "img"]
    assert len(images) == len(FIGURES) + 2 and all(values["alt"] for values in images)
    assert {f"figure-{name}" for name in FIGURES} <= set(parsed.values("id"))
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
    assert dict(parsed.tags[0][1])["lang"].startswith("en")


@pytest.mark.parametrize("place", ["stimulus", "source", "file", "reason", "config", "title", "category"])
def test_names_out_of_the_data_are_inert(place):
    hostile = examples.HOSTILE + "\"'><img src=x onerror=alert(1)>"
    base = inputs()
    certificate = examples.certificate("grouped", [hostile] if place == "source" else ["v1"])
    if place == "reason":
        certificate["checks"][0]["reason"] = hostile
    parsed = page(
        examples=[base.listening.examples[0] | {"stimulus": {"stimulus_id": hostile}, "category": {"category": hostile}}.get(place, {})],
        certificates=[certificate],
        checks={"voxconverse": examples.audio_check([hostile] if place == "file" else [])},
        config_text=hostile if place == "config" else "seed: 1",
        title=hostile if place == "title" else base.title,
    )
    assert not [tag for tag, _ in parsed.tags if tag == "script"]
    assert not [name for _, values in parsed.tags for name in values if name.startswith("on")]
    assert examples.HOSTILE in parsed.text


def test_the_tiny_model_and_few_sources_are_announced():
    assert "not of Qwen2-Audio-7B" in page().text and "fewer than 10 sources" not in page().text
    hub = examples.config(model={"origin": "hub"})
    text = page(config=hub, accuracy=examples.accuracy(sources=4, intervals=False)).text
    assert "not of Qwen2-Audio-7B" not in text and "fewer than 10 sources" in text
    assert "Results on unseen sources rest" in text
    table = examples.accuracy()
    own_rows = table.assign(reliability=table.reliability.where(table.test_set == "unseen", "few_sources"))
    assert "Results on the leaky split's own test rows rest" in page(accuracy=own_rows).text
    assert "nan" not in re.findall(r"\bnan\b", text.lower())


def test_the_main_table_labels_the_leaky_arm_and_the_audit_names_offenders():
    text = page().text
    assert "row-random (leaky)" in text and "Sources: v1, v2." in text and "blocks training" in text
    assert "audio/bad.wav: cannot be read" in text
    assert "scipy not installed (locked 1.0)" in text and "edits that are not committed" in text


def test_what_leakage_buys_is_told_for_each_class_too():
    section = page().text.split("What leakage buys")[-1].split("Figure 3")[0]
    assert re.findall(r"(non-speech alone|speech alone)\W*90\.0\W+82\.0\W+8\.0", section) == ["speech alone", "non-speech alone"]


def test_a_waiver_stands_beside_every_table_of_results_and_only_where_it_was_used():
    waiver = {"check": "L1", "reason": examples.HOSTILE, "by": "Ada", "expires": "2027-01-31"}
    used = examples.certificate("grouped", ["v1"])
    used["checks"][0]["waived"] = True
    text = page(certificates=[used | {"waivers": [waiver], "status": "pass"}]).text
    line = f"L1 source overlap, grouped (honest) split (1 sources are in two parts): {examples.HOSTILE} Waived by Ada until 2027-01-31."
    assert "only because failed checks were waived (L1 source overlap)" in text
    assert text.count(line) == 9 and "do not rely on" not in text and "blocks training" not in text
    assert "Waived by" not in page(certificates=[examples.certificate() | {"waivers": [waiver]}]).text


def test_a_base_that_says_something_else_than_the_two_answers_is_told_at_the_top():
    low = examples.generation().assign(median_coverage=[0.97, 0.012])
    assert f"puts only {percent(0.012)} of its probability on the two answers" in page(generation=low).text
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
        examples=[],
    ).text
    assert "no pair of systems" in text and "No examples" in text


def test_a_missing_figure_is_refused_by_name():
    figures = dict(inputs().figures)
    del figures["leakage"]
    with pytest.raises(InputError, match=r"leakage\.svg"):
        page(figures=figures)


def summary(**changes) -> str:
    tables = {
        "accuracy": examples.accuracy(),
        "comparisons": examples.comparisons(),
        "leakage": examples.leakage(),
        "certificates": [examples.certificate()],
    }
    return " ".join(summarise(**(tables | changes), statistics=STATISTICS)).replace("\N{NO-BREAK SPACE}", " ")


def test_the_summary_states_the_numbers_of_the_tables():
    text = summary()
    assert "balanced accuracy of 80.0 % (95 % interval clustered by source: [74.0, 86.0])" in text
    assert "it reaches 90.0 % [84.0, 96.0], a change of +10.0 points [+4.0, +16.0]: the two differ." in text
    assert "Silero VAD with 85.0 % [79.0, 91.0]" in text
    assert "90.0 % on that split's own test rows but 82.0 % on unseen sources: leakage bought +8.0 points" in text


def test_the_summary_turns_a_comparison_the_right_way_round():
    table = examples.comparisons()
    turned = table.assign(system_a=table.system_b, system_b=table.system_a, difference=-table.difference, low=-table.high, high=-table.low)
    assert summary(comparisons=turned) == summary()


@pytest.mark.parametrize(
    ("conclusion", "words"),
    [("equivalent", "equivalent within ±3 points"), ("inconclusive", "do not settle"), ("descriptive_only", "describes these sources only")],
)
def test_the_summary_claims_no_more_than_the_test(conclusion, words):
    text = summary(comparisons=examples.comparisons(conclusion))
    assert words in text and ": the two differ." not in text


def test_the_summary_does_not_claim_leakage_that_could_be_none():
    text = summary(leakage=examples.leakage(low=-0.01))
    assert "leakage bought" not in text and "cannot tell from none" in text


def test_the_summary_warns_of_an_honest_split_that_failed():
    assert "passed its leakage audit (2 of 2 checks ran)" in summary()
    assert "FAILED its leakage audit (source overlap)" in summary(certificates=[examples.certificate("grouped", ["v1"])])
    assert "failed its leakage audit, as it should" in summary(certificates=[examples.certificate("row_random", ["v1"])])


def test_the_summary_counts_the_splits_of_experiments_and_names_one_that_failed():
    folds = [examples.certificate(f"fold_{fold}") for fold in range(5)]
    assert "Of the experiments, 5 further splits passed theirs." in summary(certificates=[examples.certificate(), *folds])
    text = summary(certificates=[*folds[:4], examples.certificate("fold_4", ["v1"])])
    assert "The split fold_4 FAILED its leakage audit (source overlap)" in text and "4 further splits" in text


def test_the_summary_warns_where_what_was_fitted_failed_its_audit():
    failed = summary(certificates=[examples.certificate(), examples.certificate("tuning", ["v1"])])
    assert "What was fitted (thresholds, statistics) FAILED its leakage audit (source overlap): do not rely on the numbers above." in failed
    passed = summary(certificates=[examples.certificate("tuning")])
    assert "What was fitted (thresholds, statistics) passed its leakage audit (2 of 2 checks ran)." in passed and "gate" not in passed


def test_a_failed_audit_of_what_was_fitted_is_said_first_and_blocks_no_training():
    parsed = page(certificates=[examples.certificate(), examples.certificate("tuning", ["v1"])])
    assert "FAILED its leakage audit" in parsed.text.split("What was run")[0]
    assert "What was fitted: fail" in parsed.text and "fails the audit" in parsed.text and "blocks training" not in parsed.text


def index(sources: int, durations=(200, 600, 1000), snrs=(0.0, 10.0, 20.0)) -> pd.DataFrame:
    rows = [
        (f"{label}{source}-{duration}-{snr:g}", f"{label}{source}", label, duration, snr)
        for label in ("SPEECH", "NONSPEECH")
        for source in range(sources)
        for duration in durations
        for snr in snrs
    ]
    return pd.DataFrame(rows, columns=["stimulus_id", "source_id", "label", "duration_ms", "snr_db"])


def test_examples_spread_over_class_duration_snr_and_source():
    chosen = choose_examples(index(5), 6)
    assert chosen.label.value_counts().to_dict() == {"SPEECH": 3, "NONSPEECH": 3}
    assert set(chosen.duration_ms) == {200, 600, 1000} and chosen.snr_db.nunique() >= 2
    assert chosen.source_id.nunique() == 6


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 2), st.integers(0, 24), st.randoms())
def test_examples_are_distinct_as_many_as_there_can_be_and_independent_of_row_order(sources, count, random):
    table = index(sources)
    chosen = choose_examples(table, count)
    assert chosen.stimulus_id.is_unique and len(chosen) == min(count, len(table))
    order = random.sample(range(len(table)), len(table))
    assert choose_examples(table.iloc[order].reset_index(drop=True), count).stimulus_id.tolist() == chosen.stimulus_id.tolist()


def test_examples_carry_their_own_audio_and_the_bases_answer(tmp_path):
    rows = index(2).assign(
        clip_id="c", recording_id="r", category="speech", noise_id="n", design="factorial", axis="duration_ms", band="full", room="none"
    )
    rows = rows.assign(normalisation="peak", achieved_snr_db=rows.snr_db, achieved_level_dbfs=-20.0, segment_start_s=0.0, segment_end_s=1.0)
    lengths = dict(zip(rows.stimulus_id, range(100, 100 + len(rows)), strict=True))
    shards = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for shard, part in zip(shards, (rows[::2], rows[1::2]), strict=True):
        with AudioTableWriter(shard, STIMULI) as writer:
            writer.write(part, [encode_flac(np.zeros(lengths[name], np.float32)) for name in part.stimulus_id], list(part.stimulus_id))
    predictions = pd.DataFrame({"stimulus_id": rows.stimulus_id, "prompt_id": "p", "answer": "SPEECH", "log_odds": np.arange(len(rows), dtype=float)})
    expected = dict(zip(predictions.stimulus_id, predictions.log_odds, strict=True))
    found = listening_examples(shards, predictions, 4)
    assert len(found) == 4 and listening_examples(shards, predictions, 0) == []
    for example in found:
        assert len(decode_flac(base64.b64decode(example["flac"]))) == lengths[example["stimulus_id"]]
        assert example["log_odds"] == expected[example["stimulus_id"]] and example["answer"] == "SPEECH"


def test_numbers_read_the_same_everywhere():
    assert percent(0.8416) == "84.2\N{NO-BREAK SPACE}%" and percent(np.nan) == "–"
    assert percent_range(0.5, 1.0) == "[50.0,\N{NO-BREAK SPACE}100.0]" and percent_range(np.nan, 1.0) == ""
    assert points(-0.0312) == "\N{MINUS SIGN}3.1" and points(-0.0001) == "0.0" and points(0.1) == "+10.0"
    assert p_value(0.0002) == "<\N{NO-BREAK SPACE}0.001" and p_value(0.0456) == "0.046" and p_value(None) == "–"


def with_baseline(**changes):
    points, _, thresholds = psychometric_examples.study()
    figures = dict.fromkeys([*FIGURES, *PSYCHOACOUSTIC_FIGURES], "<svg xmlns='http://www.w3.org/2000/svg'/>")
    models = [pd.DataFrame(columns=list(schema.columns)) for schema in (MIXED_MODEL_EFFECTS, MIXED_MODEL_FITS)]
    return page(**({"baseline": BaselineTables(thresholds, psychometric_examples.contrasts(), points, *models), "figures": figures} | changes))


def test_with_the_baseline_the_page_shows_thresholds_with_their_status():
    parsed = with_baseline()
    assert {"psychoacoustics", *(f"figure-{name}" for name in PSYCHOACOUSTIC_FIGURES)} <= set(parsed.values("id"))
    text = parsed.text.replace("\N{NO-BREAK SPACE}", " ")
    assert "undecided: too few answers" in text and "< 20 ms" in text
    assert "Between a system and the base, 1 of 1 thresholds differ after Holm's correction: silero against base (duration, no noise) × 0.31" in text
    assert "Between a duration and the longest, 0 of 1 thresholds differ after Holm's correction." in text


def test_without_the_baseline_there_is_no_such_section_and_with_it_every_figure_is_needed():
    assert "psychoacoustics" not in page().values("id")
    with pytest.raises(InputError, match=r"no figure duration_curves.svg; run plot_psychometrics"):
        with_baseline(figures=dict.fromkeys(FIGURES, "<svg/>"))


def test_a_prompt_search_is_shown_with_its_figures_and_its_questions_are_inert():
    figures = dict.fromkeys([*FIGURES, *PROMPT_FIGURES], "<svg xmlns='http://www.w3.org/2000/svg'/>")
    parsed = page(prompts=prompt_examples.gains(hostile=examples.HOSTILE), figures=figures)
    assert {"prompts", *(f"figure-{name}" for name in PROMPT_FIGURES)} <= set(parsed.values("id"))
    assert "which covers zero" in parsed.text and examples.HOSTILE in parsed.text
    assert not [tag for tag, _ in parsed.tags if tag == "script"]
    assert "prompts" not in page().values("id")
    with pytest.raises(InputError, match=r"no figure prompt_progress.svg; run plot_prompts"):
        page(prompts=prompt_examples.gains())


def test_every_claim_stands_in_the_second_section_with_what_was_measured_and_its_verdict():
    parsed = page()
    assert parsed.values("id").index("claims") == parsed.values("id").index("run") + 1
    text = " ".join(parsed.text.replace("\N{NO-BREAK SPACE}", " ").split())
    assert all(" ".join(claim.statement.split()) in text for claim in LEDGER.claims)
    assert "Of 49 claims of the published study, this run finds that 4 hold and 2 do not" in text
    assert "20.7 million" in text and "duration at 75 % balanced accuracy of the base, without noise; true if above 28 ms and below 44 ms" in text
    assert "not measured in this run: finetuning.experiments.ablations.enabled: true" in text


def test_draws_are_shown_where_they_were_made():
    draws = DrawsSection("redrawn", drawn_by_hand(), SVG)
    parsed = page(draws=[draws])
    assert "figure-draws-redrawn" in parsed.values("id") and "figure-draws-redrawn" not in page().values("id")
    assert "The published design on trial: redrawn" in parsed.text and "drawn 2 times" in parsed.text


def test_an_experiment_says_what_folds_and_more_speakers_tell():
    text = Page(render_page(inputs(), TEMPLATE)).text
    assert "Every source tested once, by an adapter that never heard it: attention reaches 90.0\N{NO-BREAK SPACE}%" in text
    assert "the single split says 90.0\N{NO-BREAK SPACE}%" in text
    assert re.search(r"at 50, where the published study guessed 90 to 95 % from 50 on", text)
    assert "attention mlp: leaky split, its own rows" in text
    assert "32 items of 32 sources" in text and "shows in 40 % of 50 drawn test sets" in text


def test_an_experiment_without_folds_or_curve_says_nothing_of_them():
    section = ExperimentSection("main", examples.experiment(splits=("grouped",)), examples.learning_curve(()), SVG, SVG)
    text = Page(render_page(inputs(experiments=[section]), TEMPLATE)).text
    assert "Every source tested once" not in text and "guessed 90 to 95" not in text
    assert "attention mlp: honest split" in text
