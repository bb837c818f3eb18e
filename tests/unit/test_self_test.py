"""The command that plants leaks in copies of a split, on manifests of synthetic speech and noise."""

import json
import sys
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import soundfile
from spoken import spoken

import self_test_audit
from earwitness.audio.io import SAMPLE_RATE
from earwitness.config import complete_config
from earwitness.leakage import self_test as library
from earwitness.leakage.audit import checks
from earwitness.leakage.audit_input import Policy
from earwitness.leakage.checks import shortcuts as shortcut_checks
from earwitness.leakage.manifests import Columns, audited_manifests
from earwitness.leakage.self_test import LEAKS, Leak, detection_table, plant_neighbour, sampled, self_test

SOURCES = 5
BY_TABLES = {"L01", "L02", "L05", "L06", "L13"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two manifests of 5 speakers and 5 noises each; every source has one recording, cut into two items."""
    folder = tmp_path_factory.mktemp("manifests")
    for number, part in enumerate(("train", "test")):
        rows = []
        for source in range(SOURCES):
            voice = spoken(seconds=1.6, speaker=number * SOURCES + source)
            rng = np.random.default_rng([number, source])
            sound = rng.normal(0, np.sqrt(np.mean(np.square(voice))), len(voice))
            for label, waveform in (("SPEECH", voice), ("NONSPEECH", sound)):
                group = f"{label.lower()}-{part}-{source}"
                for k, half in enumerate(np.array_split(waveform, 2)):
                    soundfile.write(folder / f"{group}-{k}.flac", half, SAMPLE_RATE)
                    rows.append((f"{group}-{k}.flac", label, group, f"r-{group}", 10.0 + k, 10.8 + k, f"noise-{group}"))
        pd.DataFrame(rows, columns=["path", "label", "group", "recording", "start_s", "end_s", "noise"]).to_csv(folder / f"{part}.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def audited(folder, tmp_path_factory):
    settings = complete_config({})["audit"]
    del settings["waivers"]
    manifests = {part: folder / f"{part}.csv" for part in ("train", "test")}
    return audited_manifests(manifests, Columns(), Policy.from_settings(settings), tmp_path_factory.mktemp("audio"))


def quick(audited):
    """Only the checks that look at tables."""
    return replace(audited, impossible={check.id: "too slow" for check in checks() if check.id not in BY_TABLES})


def run(*arguments: object) -> int | str:
    with patch.object(sys, "argv", ["self_test_audit.py", *map(str, arguments)]), pytest.raises(SystemExit) as end:
        self_test_audit.main()
    return end.value.code


def rows_of(result: dict) -> dict[str, dict]:
    return {row["kind"]: row for row in result["leaks"]}


@pytest.mark.slow
def test_every_planted_leak_is_found_by_its_check_and_by_the_stated_ones_only(folder, capsys, monkeypatch):
    # Fewer draws of chance make the slowest check fast; the planted shortcut is no near thing.
    monkeypatch.setattr(shortcut_checks, "PERMUTATIONS", 5)
    code = run("--train", folder / "train.csv", "--test", folder / "test.csv", "--json", folder / "result.json")
    result = json.loads((folder / "result.json").read_text())
    of_voices = {"renamed speaker"}
    outcomes = {kind: (row["result"], row["reason"]) for kind, row in rows_of(result).items() if kind not in of_voices}
    surely = {leak.kind for leak in LEAKS if not leak.limit} - of_voices
    assert {kind: outcome for kind, outcome in outcomes.items() if kind in surely} == dict.fromkeys(surely, ("detected", ""))
    assert {result for result, _ in outcomes.values()} <= {"detected", "within its limit"}
    assert outcomes["copy, 1 % faster"] == ("detected", "")
    assert code == 0 and result["passed"] and result["planted"] >= len(surely)
    table = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [cell.strip() for cell in table[0]][2:-2] == [check.id for check in checks()]
    assert len(table) == 2 + len(LEAKS) and all("x" in "".join(cells[2:-2]) for cells in table[2:] if "detected" in cells[-2])


def test_a_leak_that_is_missed_or_seen_by_the_wrong_check_is_told(audited, monkeypatch):
    leaks = (
        Leak("nothing", "nothing", ("L01",), lambda data: data),
        Leak("unsure", "nothing", ("L01",), lambda data: data, limit="there is nothing"),
        Leak("neighbour", "a neighbour", ("L06",), plant_neighbour),
        Leak("heard", "nothing", ("L03", "L99"), lambda data: data),
    )
    monkeypatch.setattr(library, "LEAKS", leaks)
    result = self_test(quick(audited))
    rows = rows_of(result)
    assert not result["passed"] and (result["planted"], result["detected"]) == (3, 0)
    assert rows["nothing"]["result"] == "missed" and rows["neighbour"]["result"] == "false alarm" and rows["neighbour"]["unexpected"] == ["L02"]
    assert (rows["unsure"]["result"], rows["unsure"]["reason"]) == ("within its limit", "L01 did not find it: there is nothing")
    assert rows["heard"]["reason"] == "L03 does not run: too slow; L99 is no check of this audit"
    assert "No edit of tables or audio makes a leak for L02, L04" in detection_table(result)


@pytest.mark.parametrize("names", [{"speech-test-3": "speech-train-4"}, {"speech-test-0": "a", "speech-train-0": "a"}])
def test_a_leak_is_found_in_a_split_that_has_such_a_leak_already(audited, names):
    stimuli = audited.data.stimuli
    shared = stimuli.source_id.replace(names)
    leaky = quick(replace(audited, data=replace(audited.data, stimuli=stimuli.assign(source_id=shared))))
    row = rows_of(self_test(leaky))["shared source"]
    assert row["result"] == "detected" and row["found_by"] == ["L01"]


def test_what_cannot_be_planted_is_told_and_nothing_planted_is_no_pass(audited):
    stimuli = audited.data.stimuli
    bare = replace(audited.data, stimuli=stimuli[stimuli.part == "train"].assign(snr_db=np.nan).reset_index(drop=True))
    result = self_test(quick(replace(audited, data=bare)))
    reasons = {kind: row["reason"] for kind, row in rows_of(result).items()}
    assert reasons["shared source"] == "the test part has no SPEECH"
    assert reasons["shared noise"] == "L05 does not run: no noise was added to any stimulus"
    assert result["planted"] == 0 and not result["passed"]


def test_planting_changes_the_copy_only(audited):
    before = audited.data.stimuli.copy()
    self_test(quick(audited))
    pd.testing.assert_frame_equal(audited.data.stimuli, before)


def test_a_sample_keeps_every_part_and_class_and_whole_rows(audited):
    sample = sampled(audited, sources=2, stimuli=1).data.stimuli
    assert sample.groupby(["part", "label"]).source_id.nunique().tolist() == [2, 2, 2, 2] and len(sample) == 8
    assert len(sample.merge(audited.data.stimuli)) == 8
