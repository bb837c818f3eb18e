"""The second audit: fitted artefacts, the base model's answers to changed stimuli, and the program that runs it."""

import json
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

import audit_tuning as program
import gate_tuning
import render_audit
from earwitness.audio.io import SAMPLE_RATE
from earwitness.core.errors import InputError
from earwitness.core.files import sha256_of, write_json
from earwitness.core.randomness import stream
from earwitness.leakage.certificate import load_certificate
from earwitness.leakage.checks.tuning import TuningInput
from earwitness.leakage.tuning_audit import audit_tuning, checks
from earwitness.leakage.tuning_records import load_tuning_record, tuning_record
from earwitness.leakage.waivers import Waiver
from earwitness.stimuli.counterfactuals import CARRIER, CHANGES, MOST_STIMULI, probed, variants
from earwitness.tables.columns import LABELS
from earwitness.tables.files import read_table, write_table
from earwitness.tables.pretraining import PRETRAINING_CORPORA
from earwitness.tables.recordings import RECORDINGS
from earwitness.tables.splits import SPLIT

SOURCES = 8
CORPORA = Path(__file__).parents[2] / "config" / "pretraining_corpora.csv"


@pytest.fixture
def split(tmp_path):
    """Per part and class 8 sources of 3 stimuli."""
    rows = [
        (f"{label}-{part}-{source}-{k}", f"{label}-{part}-{source}-{k}", f"{label}-{part}-{source}", label, part)
        for part in ("train", "dev", "test")
        for label in LABELS
        for source in range(SOURCES)
        for k in range(3)
    ]
    table = pd.DataFrame(rows, columns=list(SPLIT.columns))
    write_table(tmp_path / "grouped.csv", table, SPLIT)
    return table


def record(tmp_path, rows: pd.DataFrame, *kinds: str, system: str = "energy") -> dict:
    return tuning_record(system, kinds or ("statistics", "threshold"), {"intercept": 0.5}, tmp_path / "grouped.csv", rows)


def answers(split: pd.DataFrame, shift: float = 0.0, carrier_tells: bool = False) -> pd.DataFrame:
    """A model that hears the class with some errors; `shift` is added to its log-odds of earlier stimuli."""
    test = split[split.part == "test"]
    sign = np.where(test.label == "SPEECH", 1.0, -1.0)
    heard = sign + stream(1, "errors").normal(0, 0.4, len(test))
    tables = []
    for variant in ("original", *CHANGES, CARRIER):
        chance = stream(2, "carrier").normal(0, 1, len(test))
        log_odds = (sign if carrier_tells else chance) if variant == CARRIER else heard + (shift if variant == "earlier" else 0)
        tables.append(test[["stimulus_id", "source_id", "label"]].assign(variant=variant, log_odds=log_odds))
    return pd.concat(tables, ignore_index=True)


def evidence(tmp_path, split, records, needed=None, counterfactuals=None) -> TuningInput:
    needed = {"energy": ("statistics", "threshold"), "silero": ()} if needed is None else needed
    corpora = read_table(CORPORA, PRETRAINING_CORPORA)
    declared, asked = {"base": "tiny base"}, {} if counterfactuals is None else {"base": counterfactuals}
    return TuningInput(split, sha256_of(tmp_path / "grouped.csv"), records, needed, pd.Series(["esc50"]), corpora, declared, asked)


def statuses(tmp_path, split, records, **others) -> dict[str, str]:
    subject = [{"role": "split", "name": "grouped.csv", "sha256": sha256_of(tmp_path / "grouped.csv")}]
    certificate, _ = audit_tuning(evidence(tmp_path, split, records, **others), subject)
    return {check["id"]: check["status"] for check in certificate["checks"]} | {"verdict": certificate["status"]}


def test_what_is_fitted_on_the_development_part_passes(tmp_path, split):
    found = statuses(tmp_path, split, [record(tmp_path, split[split.part == "dev"])], counterfactuals=answers(split))
    assert found == {"L07": "pass", "L08": "not_applicable", "L09": "pass", "L11": "pass", "L12": "pass", "L19": "not_run", "verdict": "pass"}


def test_a_search_on_a_draw_of_train_and_development_stimuli_passes_and_must_be_told_of(tmp_path, split):
    drawn = split[split.part != "test"].iloc[::5]
    search = tuning_record("edits-seed-1", ["prompt"], {"question": "Speech?"}, tmp_path / "grouped.csv", drawn, drawn=True)
    needed = {"edits-seed-1": ("prompt",)}
    assert statuses(tmp_path, split, [search], needed=needed)["L08"] == "pass"
    assert statuses(tmp_path, split, [], needed=needed)["L08"] == "fail"


def test_a_draw_with_a_test_stimulus_or_other_stimuli_than_it_names_fails(tmp_path, split):
    drawn = split[split.part == "dev"].iloc[:4]
    search = tuning_record("edits-seed-1", ["prompt"], {}, tmp_path / "grouped.csv", drawn, drawn=True)
    test = split.stimulus_id[split.part == "test"].iloc[0]
    foreign = tuning_record("edits-seed-1", ["prompt"], {}, tmp_path / "grouped.csv", drawn.assign(stimulus_id=[test, *"abc"]), drawn=True)
    for changed in (search | {"drawn": search["drawn"][1:]}, foreign):
        assert statuses(tmp_path, split, [changed], needed={})["L08"] == "fail"


def test_a_source_that_is_tested_too_is_no_source_to_tune_on(tmp_path, split):
    """One development source also has a stimulus in the test part."""
    split.loc[split.stimulus_id == "SPEECH-dev-0-2", "part"] = "test"
    write_table(tmp_path / "grouped.csv", split, SPLIT)
    found = statuses(tmp_path, split, [record(tmp_path, split[split.part == "dev"])], counterfactuals=answers(split))
    assert (found["L07"], found["L09"], found["L08"]) == ("fail", "fail", "not_applicable")


@pytest.mark.parametrize(
    ("kind", "id"), [("statistics", "L07"), ("prompt", "L08"), ("threshold", "L09"), ("temperature", "L09"), ("calibration", "L09")]
)
def test_a_test_source_in_the_fit_fails_the_check_of_its_kind_and_no_other(tmp_path, split, kind, id):
    leaked = pd.concat([split[split.part == "dev"], split[split.part == "test"].head(1)])
    finding = {check.id: check.run(evidence(tmp_path, split, [record(tmp_path, leaked, kind)], {})) for check in checks() if check.id < "L10"}
    assert {name for name, found in finding.items() if found.status == "fail"} == {id}
    row = finding[id].offenders.iloc[0]
    assert (row.item_a, row.part_b, row.source_b) == ("energy", "test", "SPEECH-test-0") and "fitted on a source of the test part" in row.detail


def test_a_system_that_must_tell_and_does_not_fails_closed(tmp_path, split):
    found = statuses(tmp_path, split, [])
    assert (found["L07"], found["L09"], found["verdict"]) == ("fail", "fail", "fail")


@pytest.mark.parametrize(
    ("rows", "detail"),
    [
        (lambda split: split[split.part == "dev"].iloc[1:], "other stimuli than the whole"),
        (lambda split: split.iloc[:0], "fitted on nothing"),
        (lambda split: split[split.part == "dev"].assign(source_id="someone"), "a source that the split does not have"),
    ],
)
def test_a_fit_that_is_not_of_a_whole_allowed_part_fails(tmp_path, split, rows, detail):
    finding = checks()[2].run(evidence(tmp_path, split, [record(tmp_path, rows(split))]))
    assert finding.status == "fail" and detail in finding.offenders.detail.iloc[0]


def test_a_fit_by_another_split_fails(tmp_path, split):
    old = record(tmp_path, split[split.part == "dev"])
    write_table(tmp_path / "grouped.csv", split.iloc[::-1], SPLIT)
    finding = checks()[0].run(evidence(tmp_path, split, [old]))
    assert finding.status == "fail" and "by another split" in finding.offenders.detail.iloc[0]


def test_a_record_that_is_none_is_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.json: no such file"):
        load_tuning_record(tmp_path / "nowhere.json")
    write_json(tmp_path / "some.json", {"schema": "tuning/1"})
    with pytest.raises(InputError, match="not a record of what was fitted"):
        load_tuning_record(tmp_path / "some.json")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [({"shift": -3.0}, "stimuli made earlier are heard worse"), ({"carrier_tells": True}, "noise in the segments' place tells their class")],
)
def test_an_answer_that_follows_place_or_length_is_noted(tmp_path, split, changed, reason):
    finding = checks()[3].run(evidence(tmp_path, split, [], counterfactuals=answers(split, **changed)))
    assert finding.status == "fail" and finding.reason == reason and len(finding.offenders) == 1


def test_too_few_sources_judge_no_counterfactual(tmp_path, split):
    few = answers(split)
    few = few[few.source_id.str[-1].astype(int) < 5]
    finding = checks()[3].run(evidence(tmp_path, split, [], counterfactuals=few))
    assert finding.status == "not_run" and "has 5; 6 are needed" in finding.reason


def test_variants_change_place_level_or_content_and_nothing_else():
    window = stream(1, "floor").normal(0, 1e-4, SAMPLE_RATE).astype(np.float32)
    segment = slice(6400, 9600)
    window[segment] += np.sin(np.arange(3200) / 5).astype(np.float32) / 2
    made = variants("s", window, 200, seed=1, longest=2 * SAMPLE_RATE)
    assert set(made) == {"original", *CHANGES, CARRIER}
    np.testing.assert_array_equal(made["less padded"], window[3200:-3200])
    np.testing.assert_array_equal(made["more padded"][3200:-3200], window)
    np.testing.assert_array_equal(made["more padded"][:3200], window[:3200][::-1])
    assert len(variants("s", window, 200, seed=1, longest=SAMPLE_RATE + 100)["more padded"]) == SAMPLE_RATE + 100
    short = variants("s", window, 1000, seed=1, longest=SAMPLE_RATE)
    assert all(np.array_equal(short[name], window) for name in ("earlier", "later", "less padded", "more padded")), "nothing to move or pad"
    for name, shift in (("earlier", -3200), ("later", 3200)):
        np.testing.assert_array_equal(np.roll(made[name], -shift), window)
    assert np.max(made["louder"]) == pytest.approx(1.995 * np.max(window), rel=1e-3) and np.max(made["quieter"]) < 0.51 * np.max(window)
    noise = made[CARRIER][segment]
    assert np.mean(noise**2) == pytest.approx(np.mean(window[segment] ** 2), rel=1e-4) and abs(np.corrcoef(noise, window[segment])[0, 1]) < 0.1
    outside = np.r_[0:6400, 9600:SAMPLE_RATE]
    np.testing.assert_array_equal(made[CARRIER][outside], window[outside])


def test_the_stimuli_that_are_probed_are_balanced_bounded_and_the_same_every_time():
    many = pd.DataFrame({"stimulus_id": [f"s{k}" for k in range(900)], "label": ["SPEECH"] * 300 + ["NONSPEECH"] * 600})
    first, again = probed(many, 1), probed(many.sample(frac=1, random_state=3), 1)
    assert first.label.value_counts().tolist() == [MOST_STIMULI // 2] * 2 and first.stimulus_id.tolist() == again.stimulus_id.tolist()
    assert set(first.stimulus_id) != set(probed(many, 2).stimulus_id)


def run(main, *arguments: object) -> None:
    with patch.object(sys, "argv", ["program", *map(str, arguments)]):
        main()


def test_the_program_writes_a_certificate_that_loads_and_a_report(tmp_path, split):
    write_json(tmp_path / "energy.tuning.json", record(tmp_path, split[split.part == "test"]))
    constant = {
        "dataset": "own",
        "path": "a.wav",
        "sha256": "0" * 64,
        "sample_rate": 16_000,
        "duration_s": 1.0,
        "licence": "CC0-1.0",
        "original": "",
        "session": "",
    }
    recordings = pd.DataFrame([{"recording_id": "r", "source_id": "s", "category": "any", "label": "SPEECH"} | constant])
    write_table(tmp_path / "recordings.parquet", recordings[list(RECORDINGS.columns)], RECORDINGS)
    waiver = {"check": "L09", "reason": "shown on purpose", "by": "A. Lovelace", "expires": "2100-01-01"}
    outputs = ["--certificate", tmp_path / "certificate.json", "--evidence", tmp_path / "evidence.csv"]
    inputs = [tmp_path / "grouped.csv", "--tuning", tmp_path / "energy.tuning.json", "--systems", "energy", "silero"]
    inputs += ["--recordings", tmp_path / "recordings.parquet", "--corpora", CORPORA, "--models", "base", "--declared", "tiny base"]
    inputs += ["--waivers", json.dumps({"waivers": [waiver]})]
    run(program.main, *inputs, *outputs)
    certificate = load_certificate(tmp_path / "certificate.json")
    by_id = {check["id"]: check for check in certificate["checks"]}
    assert certificate["status"] == "fail" and by_id["L07"]["status"] == "fail" and by_id["L09"]["waived"]
    assert len(by_id["L07"]["offending_sources"]) == 2 * SOURCES
    assert {"role": "corpora", "name": CORPORA.name, "sha256": sha256_of(CORPORA)} in certificate["subject"]
    run(render_audit.main, tmp_path / "certificate.json", tmp_path / "evidence.csv", "--report", tmp_path / "report.md")
    report = (tmp_path / "report.md").read_text()
    assert "L07 statistics_fitted_outside: FAIL" in report and "does not apply" in report


def gated(folder, records: list[dict], *waived: str) -> str:
    """What the gate says after an audit of these records; "" where it opens."""
    certificate, _ = audit_tuning(
        evidence(folder, pd.read_csv(folder / "grouped.csv"), records),
        [{"role": "split", "name": "grouped.csv", "sha256": sha256_of(folder / "grouped.csv")}],
        [Waiver(check, "shown on purpose", "A. Lovelace", "2100-01-01") for check in waived],
    )
    write_json(folder / "certificate.json", certificate)
    try:
        run(gate_tuning.main, folder / "certificate.json", folder / "gate.json", "--split", folder / "grouped.csv")
    except SystemExit as end:
        return str(end.code)
    return ""


def test_the_reports_gate_opens_for_what_was_fitted_on_its_part_and_shuts_again(tmp_path, split):
    assert gated(tmp_path, [record(tmp_path, split[split.part == "dev"])]) == "" and (tmp_path / "gate.json").exists()
    said = gated(tmp_path, [record(tmp_path, split[split.part == "test"])])
    assert said.startswith("error: what was fitted fails its leakage audit (L07 statistics_fitted_outside: what energy fitted is not shown")
    assert "offending sources: NONSPEECH-test-0, " in said and "\n" not in said and not (tmp_path / "gate.json").exists()


def test_a_system_that_does_not_tell_shuts_the_reports_gate_unless_every_check_is_waived(tmp_path, split):
    assert "L09 decision_fitted_outside" in gated(tmp_path, [], "L07")
    assert gated(tmp_path, [], "L07", "L09") == ""


def test_the_reports_gate_needs_every_check_and_the_split_that_was_fitted_by(tmp_path, split):
    assert gated(tmp_path, [record(tmp_path, split[split.part == "dev"])]) == ""
    certificate = json.loads((tmp_path / "certificate.json").read_text())
    write_json(tmp_path / "fewer.json", certificate | {"checks": certificate["checks"][1:]})
    with pytest.raises(SystemExit, match="lacks check L07"):
        run(gate_tuning.main, tmp_path / "fewer.json", tmp_path / "gate.json", "--split", tmp_path / "grouped.csv")
    write_table(tmp_path / "grouped.csv", split.iloc[::-1], SPLIT)
    with pytest.raises(SystemExit, match="certifies another split"):
        run(gate_tuning.main, tmp_path / "certificate.json", tmp_path / "gate.json", "--split", tmp_path / "grouped.csv")
