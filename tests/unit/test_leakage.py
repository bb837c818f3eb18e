import html
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import call_program, started_here

import audit_leakage
import gate_leakage
import predict_adapter
import train_adapter
from earwitness.audio.io import decode_flac, encode_flac
from earwitness.core.errors import InputError
from earwitness.core.files import write_json
from earwitness.leakage import audit_input
from earwitness.leakage.audit import audit, audited_files, checks, run_checks
from earwitness.leakage.audit_input import Audited, AuditInput, OnePass, Policy
from earwitness.leakage.certificate import load_certificate
from earwitness.leakage.checks.exact_duplicates import pcm_digest
from earwitness.leakage.checks.structure import misplaced_in_folds
from earwitness.leakage.gate import decide_gate, verify_gate
from earwitness.leakage.registry import EVIDENCE_COLUMNS, Check, Finding, no_offenders
from earwitness.leakage.report import escape
from earwitness.leakage.self_test import plant_copy, plant_neighbour
from earwitness.leakage.waivers import Waiver, read_waivers
from earwitness.leakage.workers import Workers
from earwitness.tables.audio import AudioTableWriter
from earwitness.tables.audit_evidence import EVIDENCE
from earwitness.tables.clips import CLIPS
from earwitness.tables.files import read_table, write_table
from earwitness.tables.recordings import RECORDINGS, SEGMENTS
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI

POLICY = Policy(
    adjacency_guard_s=5.0,
    min_sources_per_class=2,
    near_duplicate_correlation=0.6,
    shortcut_auc_warn=0.6,
    speech_in_nonspeech_probability=0.5,
    voice_false_alarms=1e-4,
    speaker_model="campplus",
)
CLIP_S = 0.05


@pytest.fixture(scope="module", autouse=True)
def few_permutations():
    """What L10 tells is tried in test_shortcut_checks; here its permutations would be most of the time."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("earwitness.leakage.checks.shortcuts.PERMUTATIONS", 4)
        yield


@dataclass
class Study:
    """A small study in memory; `audio` maps clip_id to its waveform."""

    stimuli: pd.DataFrame
    parts: pd.Series
    clips: pd.DataFrame
    audio: dict
    dataset: str = "small"

    def save(self, folder: Path) -> dict[str, Path]:
        folder.mkdir(parents=True, exist_ok=True)
        paths = {
            "split": folder / "grouped.csv",
            "index": folder / "index.parquet",
            "speech": folder / "speech.parquet",
            "sound": folder / "sound.parquet",
            "recordings": folder / "recordings.parquet",
            "shard": folder / "shard-000.parquet",
        }
        self.stimuli.assign(part=self.parts)[list(SPLIT.columns)].to_csv(paths["split"], index=False)
        self.stimuli.to_parquet(paths["index"], index=False)
        for label, name in (("SPEECH", "speech"), ("NONSPEECH", "sound")):
            rows = self.clips[self.clips.label == label]
            with AudioTableWriter(paths[name], CLIPS) as writer:
                writer.write(rows, [encode_flac(self.audio[clip_id]) for clip_id in rows.clip_id], [f"{clip_id}.flac" for clip_id in rows.clip_id])
        write_table(paths["recordings"], self.recordings(), RECORDINGS)
        with AudioTableWriter(paths["shard"], STIMULI) as writer:
            names = [f"{stimulus_id}.flac" for stimulus_id in self.stimuli.stimulus_id]
            writer.write(self.stimuli, [encode_flac(self.stimulus_audio(row)) for row in self.stimuli.itertuples()], names)
        return paths

    def stimulus_audio(self, row) -> np.ndarray:
        """The clip's audio with noise of its own added, as a stimulus's."""
        rng = np.random.default_rng(list(row.stimulus_id.encode()))
        clip = self.audio[row.clip_id]
        return (0.9 * clip + rng.uniform(-0.05, 0.05, len(clip))).astype(np.float32)

    def recordings(self) -> pd.DataFrame:
        """One row per recording that a clip names, of the class and source of its first clip."""
        firsts = self.clips.drop_duplicates("recording_id")[["recording_id", "source_id", "label", "category"]]
        constant = {
            "dataset": self.dataset,
            "sha256": "0" * 64,
            "sample_rate": 16_000,
            "duration_s": 10.0,
            "licence": "CC0-1.0",
            "original": "",
            "session": "",
        }
        return firsts.assign(path=[f"{number:04d}.wav" for number in range(len(firsts))], **constant)

    def audit(self, folder: Path) -> tuple[dict, pd.DataFrame]:
        return audit_files(self.save(folder))

    def planted(self, folder: Path, plant: Callable[[AuditInput], AuditInput]) -> Audited:
        """The study with a leak of the self-test."""
        audited = audited_from(self.save(folder))
        return replace(audited, data=plant(audited.data))

    def stimulus(self, part: str, label: str = "SPEECH", nth: int = 0) -> pd.Series:
        return self.stimuli[(self.parts == part) & (self.stimuli.label == label)].iloc[nth]

    def set_clip(self, clip_id: str, **values: object) -> None:
        """Change columns of a clip and of its stimuli, consistently."""
        for table in (self.clips, self.stimuli):
            for column, value in values.items():
                if column in table:
                    table.loc[table.clip_id == clip_id, column] = value


def audit_files(paths: dict[str, Path], waivers: list[Waiver] | None = None) -> tuple[dict, pd.DataFrame]:
    return audit(audited_from(paths), waivers or [])


def audited_from(paths: dict[str, Path]) -> Audited:
    clips = [paths["speech"], paths["sound"]]
    return audited_files(paths["split"], paths["index"], clips, [paths["recordings"]], [paths["shard"]], POLICY)


def make_study(parts: tuple[str, ...] = ("train", "dev", "test"), sources: int = 3) -> Study:
    """Per part and class `sources` sources of 2 recordings of 2 clips of 2 stimuli; nothing is shared between parts."""
    rng = np.random.default_rng(0)
    clips, stimuli, assigned, audio = [], [], [], {}
    for part in parts:
        for label in ("SPEECH", "NONSPEECH"):
            for source in range(sources):
                source_id = f"{label.lower()}-{part}-{source}"
                for k in range(4):
                    recording_id, clip_id, start = f"{source_id}-r{k // 2}", f"{source_id}-c{k}", 1.0 * (k % 2)
                    audio[clip_id] = rng.uniform(-0.5, 0.5, round(CLIP_S * 16_000)).astype(np.float32)
                    clips.append((clip_id, recording_id, source_id, label, "any", start, start + CLIP_S, 1.0))
                    for j, duration_ms in enumerate((20, 40)):
                        stimulus_id = f"{clip_id}-s{j}"
                        provenance = (stimulus_id, clip_id, recording_id, source_id, label, "any", f"noise-{stimulus_id}")
                        condition = ("factorial", "none", duration_ms, 10.0, "full", "none", "peak", 10.0, -1.0)
                        segment = (start + 0.005, start + 0.005 + duration_ms / 1000)
                        stimuli.append((*provenance, *condition, *segment))
                        assigned.append(part)
    return Study(pd.DataFrame(stimuli, columns=list(STIMULI.columns)), pd.Series(assigned), pd.DataFrame(clips, columns=list(CLIPS.columns)), audio)


def failed(certificate: dict) -> set[str]:
    told = ("pass", "not_applicable")
    return {check["id"] for check in certificate["checks"] if check["status"] not in told and (check["required"] or check["status"] != "not_run")}


def run_check(id: str, evidence: AuditInput) -> Finding:
    return next(check for check in checks() if check.id == id).run(evidence)


def test_clean_data_raises_no_alarm_and_the_certificate_counts_what_it_compared(tmp_path):
    certificate, evidence = make_study().audit(tmp_path)
    assert certificate["status"] == "pass" and failed(certificate) == set() and evidence.empty
    compared = {check["id"]: (check["n_compared"], check["units"]) for check in certificate["checks"]}
    assert compared["L01"] == (18, "sources") and compared["L02"] == (36, "recordings") and compared["L03"] == (72, "clips")
    assert (
        compared["L05"] == (144, "noises")
        and compared["L06"] == (144, "segments")
        and compared["L13"] == (6, "classes of parts, and sources of folds")
    )
    assert certificate["parts"]["dev"] == {"stimuli": 48, "speech_sources": 3, "nonspeech_sources": 3}
    names = "grouped.csv index.parquet speech.parquet sound.parquet recordings.parquet shard-000.parquet"
    assert [file["name"] for file in certificate["subject"]] == names.split()


def test_the_evidence_names_both_sides_of_a_leak(tmp_path):
    study = make_study()
    train, test = study.stimulus("train"), study.stimulus("test")
    certificate, evidence = audit(study.planted(tmp_path, plant_copy))
    assert evidence.check.tolist() == ["L03"]
    row = evidence.iloc[0]
    assert (row.part_a, row.item_a, row.source_a) == ("test", test.clip_id, test.source_id)
    assert (row.part_b, row.item_b, row.source_b) == ("train", train.clip_id, train.source_id)
    entry = next(check for check in certificate["checks"] if check["id"] == "L03")
    assert entry["offending_sources"] == sorted([test.source_id, train.source_id]) and entry["statistic"] == 1


def renamed_and_reordered(study: Study, seed: int) -> tuple[Study, dict[str, str]]:
    """The same study with other names of stimuli, clips, recordings and sources, its rows in another order; and the old names by the new."""
    rng = np.random.default_rng(seed)
    names = sorted({name for key in ("stimulus_id", "clip_id", "recording_id", "source_id") for name in study.stimuli[key]})
    new = dict(zip(names, (f"n{number:04d}" for number in rng.permutation(len(names))), strict=True))
    order, clip_order = rng.permutation(len(study.stimuli)), rng.permutation(len(study.clips))
    keys = [key for key in ("stimulus_id", "clip_id", "recording_id", "source_id") if key in study.clips]
    stimuli = study.stimuli.replace(dict.fromkeys((*keys, "stimulus_id"), new)).iloc[order].reset_index(drop=True)
    clips = study.clips.replace(dict.fromkeys(keys, new)).iloc[clip_order].reset_index(drop=True)
    audio = {new[name]: waveform for name, waveform in study.audio.items()}
    return Study(stimuli, study.parts.iloc[order].reset_index(drop=True), clips, audio), {value: key for key, value in new.items()}


def leaky_study() -> Study:
    """A row that was moved, and copies of audio, one of them inverted and softer."""
    study = make_study(("train", "test"), sources=2)
    study.parts[study.stimuli.stimulus_id == study.stimulus("train").stimulus_id] = "test"
    sound = np.random.default_rng(4).uniform(-0.5, 0.5, 16_000).astype(np.float32)
    study.audio[study.stimulus("train", nth=-1).clip_id] = sound
    study.audio[study.stimulus("test", "NONSPEECH").clip_id] = -0.7 * sound
    study.audio[study.stimulus("test", "NONSPEECH", nth=-1).clip_id] = study.audio[study.stimulus("train", "NONSPEECH").clip_id]
    return study


def told_of(study: Study, folder: Path, names: dict[str, str]) -> tuple[list[tuple], set[tuple]]:
    """What every check of tables and audio tells of a study, and the sources that it names, by the names that they are given."""
    # What is heard of a stimulus must not follow its name here.
    study.stimulus_audio = lambda row: study.audio[row.clip_id]
    findings = run_checks(audited_from(study.save(folder)), {"L01", "L02", "L03", "L04", "L05", "L06", "L13"})
    sources = {
        (check.id, *(frozenset((part, names.get(source, source)) for part, source in sides)))
        for check, finding in findings
        for row in finding.offenders.itertuples()
        for sides in [((row.part_a, row.source_a), (row.part_b, row.source_b))]
    }
    return [(check.id, finding.status, finding.n_compared, finding.statistic) for check, finding in findings], sources


@pytest.fixture(scope="module")
def told_of_it(tmp_path_factory):
    return told_of(leaky_study(), tmp_path_factory.mktemp("study"), {})


@pytest.mark.slow
@given(st.integers(0, 10_000))
@settings(max_examples=4)
def test_an_audit_does_not_depend_on_names_or_on_the_order_of_rows(tmp_path_factory, told_of_it, seed):
    other, old = renamed_and_reordered(leaky_study(), seed)
    assert told_of(other, tmp_path_factory.mktemp("study"), old) == told_of_it
    assert {id for id, status, *_ in told_of_it[0] if status == "fail"} == {"L01", "L02", "L03", "L04", "L06"}


def test_checks_that_hear_all_clips_decode_them_once(tmp_path, monkeypatch):
    audited, decoded = audited_from(make_study().save(tmp_path)), []
    monkeypatch.setattr(audit_input, "decode_flac", lambda flac: decoded.append(flac) or decode_flac(flac))

    def told(*ids: str) -> tuple[dict[str, tuple], int]:
        decoded.clear()
        found = {check.id: (finding.status, finding.n_compared, finding.statistic) for check, finding in run_checks(audited, set(ids))}
        return found, len(decoded)

    (first, once), (second, more), (both, together) = told("L03"), told("L04"), told("L03", "L04")
    assert both == first | second and once == audited.data.stimuli.clip_id.nunique() and together == more


def test_what_was_heard_for_others_counts_only_where_all_was_heard():
    batches = [[("a", np.zeros(1))], [("b", np.ones(2))], [("c", np.ones(3))]]
    passes = []

    def over(function):
        passes.append(function)
        return map(function, batches)

    def names(batch):
        return batch[0][0]

    def lengths(batch, power):
        return len(batch[0][1]) ** power

    for stops in (True, False):
        passes.clear()
        wanted = OnePass([names, partial(lengths, power=2)])
        for _ in wanted.results(names, over):
            if stops:
                break
        assert not wanted.has(names) and wanted.has(partial(lengths, power=2)) and not wanted.has(partial(lengths, power=3))
        assert list(wanted.results(partial(lengths, power=2), over)) == [1, 4, 9] and len(passes) == 1 + stops


@pytest.mark.slow
def test_two_processes_find_what_one_finds(tmp_path):
    study = make_study()
    study.audio[study.stimulus("train").clip_id] = np.random.default_rng(4).uniform(-0.5, 0.5, 16_000).astype(np.float32)
    # Audio that is altered as it is read would be left to one process.
    study.audio = dict(study.planted(tmp_path, plant_copy).data.clip_audio())
    audited = audited_from(study.save(tmp_path))
    with Workers(2) as workers:
        shared = audit(replace(audited, data=replace(audited.data, workers=workers)))
    alone = audit(audited)
    assert shared[0] == alone[0] and {"L03", "L04"} <= failed(alone[0])
    pd.testing.assert_frame_equal(shared[1], alone[1])


def test_a_single_moved_row_fails_everything_that_its_clip_shares(tmp_path):
    study = make_study()
    study.parts[study.stimuli.stimulus_id == study.stimulus("train").stimulus_id] = "test"
    certificate, _ = study.audit(tmp_path)
    assert failed(certificate) == {"L01", "L02", "L03", "L06"}


def test_a_louder_copy_and_one_changed_sample_are_not_exact_duplicates():
    clip = np.array([0, 0.25, -0.5, 0.125, 0], np.float32)
    assert pcm_digest(clip) == pcm_digest(clip[1:-1]) == pcm_digest(np.pad(clip, 500))
    changed = clip.copy()
    changed[2] += 1 / 32768
    assert len({pcm_digest(clip), pcm_digest(clip / 2), pcm_digest(changed)}) == 3


@pytest.mark.slow
def test_stimuli_without_added_noise_share_none(tmp_path):
    study = make_study()
    without = study.stimuli.stimulus_id.str.endswith("s0")
    study.stimuli.loc[without, ["snr_db", "achieved_snr_db"]] = np.nan
    study.stimuli.loc[without, "noise_id"] = "none"
    assert failed(study.audit(tmp_path)[0]) == set()


@pytest.mark.slow
def test_two_babbles_share_the_recording_that_is_in_both(tmp_path):
    study = make_study()
    parts = study.parts.to_numpy()
    study.stimuli["noise_id"] = [f"babble:{part}/a+b.wav//{part}/c.wav" for part in parts]
    assert failed(study.audit(tmp_path)[0]) == set()
    study.stimuli.loc[parts == "train", "noise_id"] = "babble:train/a.wav//test/c.wav"
    certificate = study.audit(tmp_path)[0]
    assert failed(certificate) == {"L05"}


def test_files_cut_from_one_recording_are_that_recording_whoever_speaks_in_them():
    stimuli = segments([(name, part, 0.0, 1.0) for name, part in (("a", "train"), ("b", "train"), ("c", "test"), ("d", "test"))])
    recordings = pd.DataFrame({"recording_id": ["a", "b", "c", "d"], "original": ["", "tape", "tape", ""], "session": ""})
    finding = run_check("L02", AuditInput(stimuli, (), POLICY, recordings))
    assert finding.status == "fail" and finding.offenders.detail.tolist() == ["recording tape; stimuli: 1 in test, 1 in train"]
    apart = run_check("L02", AuditInput(stimuli, (), POLICY, recordings.assign(original=["tape", "tape", "reel", "reel"])))
    assert apart.status == "pass" and apart.n_compared == 2


@pytest.mark.parametrize(("gap_s", "leaks"), [(4.99, True), (5.0, False), (5.01, False)])
def test_the_guard_is_the_distance_that_is_just_allowed(gap_s, leaks):
    stimuli = segments([("r", "train", 0.0, 1.0), ("r", "test", 1.0 + gap_s, 2.0 + gap_s)])
    finding = run_check("L06", AuditInput(stimuli, (), POLICY))
    assert (finding.status == "fail") == leaks
    assert finding.statistic == pytest.approx(gap_s)


def segments(rows: list[tuple[str, str, float, float]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["recording_id", "part", "segment_start_s", "segment_end_s"])
    return table.assign(stimulus_id=[f"s{k}" for k in range(len(table))], source_id="source")


@given(
    st.lists(
        st.tuples(st.sampled_from(["r1", "r2"]), st.sampled_from(["train", "dev", "test"]), st.integers(0, 60), st.integers(1, 30)),
        min_size=1,
        max_size=12,
    ),
    st.integers(0, 8),
)
@settings(max_examples=40)
def test_the_sweep_finds_what_comparing_all_pairs_finds(rows, guard):
    table = segments([(recording, part, float(start), float(start + length)) for recording, part, start, length in rows])
    finding = run_check("L06", AuditInput(table, (), replace(POLICY, adjacency_guard_s=float(guard))))
    gaps = {}
    for a in table.itertuples():
        for b in table.itertuples():
            if a.recording_id == b.recording_id and a.part < b.part:
                gap = max(a.segment_start_s, b.segment_start_s) - min(a.segment_end_s, b.segment_end_s)
                key = (a.recording_id, a.part, b.part)
                gaps[key] = min(gap, gaps.get(key, np.inf))
    found = {(row.detail.split(":")[0].removeprefix("recording "), row.part_a, row.part_b) for row in finding.offenders.itertuples()}
    assert found == {key for key, gap in gaps.items() if gap < guard}


def test_one_long_recording_is_swept_not_compared_pair_by_pair():
    count = 20_000
    rows = [("r", ("train", "test")[k % 2], 1.0 * k, 1.0 * k + 0.5) for k in range(count)]
    finding = run_check("L06", AuditInput(segments(rows), (), POLICY))
    assert finding.n_compared == count and len(finding.offenders) == 1 and finding.statistic == pytest.approx(0.5)


@st.composite
def grouped_splits(draw):
    rows = []
    for source in range(draw(st.integers(2, 10))):
        part = draw(st.sampled_from(["train", "dev", "test"]))
        rows += [(f"source{source}", f"recording{source}-{k % 2}", part) for k in range(draw(st.integers(2, 6)))]
    table = pd.DataFrame(rows, columns=["source_id", "recording_id", "part"])
    return table.assign(stimulus_id=[f"s{k}" for k in range(len(table))], label="SPEECH")


@given(grouped_splits(), st.data())
@settings(max_examples=40)
def test_grouped_splits_pass_and_any_moved_row_of_a_shared_source_fails_by_name(split, data):
    expected = {"L01": "pass", "L02": "pass" if split.recording_id.duplicated().any() else "not_run"}
    assert {id: run_check(id, AuditInput(split, (), POLICY)).status for id in expected} == expected
    row = data.draw(st.sampled_from(list(split.index)))
    split.loc[row, "part"] = data.draw(st.sampled_from(sorted({"train", "dev", "test"} - {split.part[row]})))
    finding = run_check("L01", AuditInput(split, (), POLICY))
    assert finding.status == "fail" and set(finding.offenders.source_a) == {split.source_id[row]}


def test_a_split_without_rows_fails_every_check_for_want_of_comparisons(tmp_path):
    study = make_study()
    paths = study.save(tmp_path)
    paths["split"].write_text(",".join(SPLIT.columns) + "\n")
    certificate, _ = audit_files(paths)
    assert certificate["status"] == "fail" and failed(certificate) == {check.id for check in checks()} - {"L15", "L16"}
    assert next(check for check in certificate["checks"] if check["id"] == "L01")["reason"] == "nothing was compared (0 sources)"


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_split_without_a_train_or_test_part_fails_its_structure(part, tmp_path):
    certificate, evidence = make_study(tuple({"train", "dev", "test"} - {part})).audit(tmp_path)
    assert failed(certificate) == {"L13"}
    assert evidence.detail.tolist() == ["the part has no stimuli"] and evidence.part_a.tolist() == [part]


def test_a_part_that_lacks_a_class_fails_its_structure(tmp_path):
    study = make_study()
    kept = ~((study.parts == "test") & (study.stimuli.label == "SPEECH"))
    study.stimuli, study.parts = study.stimuli[kept].reset_index(drop=True), study.parts[kept].reset_index(drop=True)
    study.clips = study.clips[study.clips.clip_id.isin(study.stimuli.clip_id)]
    certificate, evidence = study.audit(tmp_path)
    assert "L13" in failed(certificate)
    assert "0 sources, needs 2" in evidence[evidence.check == "L13"].detail.tolist()


def folds_of(sources: int, count: int) -> dict[str, pd.DataFrame]:
    table = pd.DataFrame({"source_id": [f"s{k}" for k in range(sources)]})
    return {f"fold_{fold}": table.assign(part=["test" if k % count == fold else "train" for k in range(sources)]) for fold in range(count)}


@given(st.integers(2, 12), st.integers(2, 5), st.data())
@settings(max_examples=40)
def test_folds_test_every_source_once_and_any_that_is_moved_is_named(sources, count, data):
    folds = folds_of(sources, count)
    assert misplaced_in_folds(folds) == []
    moved, of = data.draw(st.integers(0, sources - 1)), data.draw(st.integers(0, count - 1))
    place = (moved, "part")
    folds[f"fold_{of}"].loc[place] = "train" if folds[f"fold_{of}"].loc[place] == "test" else "test"
    home = moved % count
    detail = "tested in no fold" if of == home else f"tested in {', '.join(f'fold_{fold}' for fold in sorted({of, home}))}"
    assert misplaced_in_folds(folds) == [(f"s{moved}", detail)]


def test_folds_that_test_a_source_twice_or_never_fail_their_structure(tmp_path):
    study = make_study()
    paths, folds = study.save(tmp_path), []
    swapped = study.parts.replace({"train": "test", "test": "train"})
    for fold, parts in enumerate((study.parts, swapped, study.parts)):
        folds.append(tmp_path / f"fold_{fold}.csv")
        study.stimuli.assign(part=parts)[list(SPLIT.columns)].to_csv(folds[-1], index=False)
    arguments = {"policy": asdict(POLICY), "folds": folds}
    assert run_audit(paths | {"split": folds[0]}, tmp_path, **arguments) == ""
    certificate = load_certificate(tmp_path / "certificate.json")
    assert failed(certificate) == {"L13"} and [file["name"] for file in certificate["subject"]][-3:] == ["fold_0.csv", "fold_1.csv", "fold_2.csv"]
    assert next(check for check in certificate["checks"] if check["id"] == "L13")["reason"] == "12 sources are not tested in exactly one fold"
    evidence = read_table(tmp_path / "evidence.csv", EVIDENCE)
    assert set(evidence.detail) == {"tested in fold_0, fold_2", "tested in no fold"}
    said = run_audit(paths, tmp_path, **arguments)
    assert said.endswith("grouped.csv is not among them; name all folds of its cross-validation")


def test_a_split_needs_no_development_part(tmp_path):
    assert failed(make_study(("train", "test")).audit(tmp_path)[0]) == set()


def test_a_pass_over_nothing_is_none():
    empty = Check("X", "x", "error", "things", "?", "!", "split", lambda data: Finding("pass", 0, None, None, "", no_offenders()))
    finding = empty.run(AuditInput(pd.DataFrame(), (), POLICY))
    assert (finding.status, finding.reason) == ("not_run", "nothing was compared (0 things)")


def items(*rows: tuple[str, str]) -> AuditInput:
    """Speech of which a source and a part are known, in one recording each."""
    table = pd.DataFrame(rows, columns=["source_id", "part"])
    names = [f"s{k}" for k in range(len(table))]
    return AuditInput(table.assign(stimulus_id=names, recording_id=names, label="SPEECH", snr_db=np.nan, noise_id="none"), (), POLICY)


def test_a_grouping_that_cannot_be_wrong_does_not_pass():
    alone = items(("a", "train"), ("b", "train"), ("c", "test"))
    assert {id: run_check(id, alone).status for id in ("L01", "L02", "L05", "L06")} == dict.fromkeys(["L01", "L02", "L06"], "not_run") | {
        "L05": "not_applicable"
    }
    assert "no source has two items" in run_check("L01", alone).reason
    some = run_check("L01", items(("a", "train"), ("a", "train"), ("b", "train"), ("c", "test")))
    assert (some.status, some.n_compared) == ("pass", 1) and some.remarks == (
        "2 of 3 SPEECH sources have one item, and so could not be in two parts.",
    )


def test_sources_that_are_named_after_their_part_are_remarked():
    named = run_check("L01", items(("Train-1", "train"), ("Train-1", "train"), ("x/test-1", "test"), ("x/test-1", "test")))
    assert named.status == "pass" and named.remarks == ("Every source is named after its part, so no name could be in two.",)
    assert run_check("L01", items(("train-1", "train"), ("train-1", "train"), ("1", "test"), ("1", "test"))).remarks == ()


def test_silent_clips_are_no_copies_of_each_other_and_are_named(tmp_path):
    study = make_study()
    for part, silence in (("train", np.zeros(800)), ("test", np.full(900, 0.1))):
        study.audio[study.stimulus(part).clip_id] = silence.astype(np.float32)
    certificate, _ = study.audit(tmp_path)
    assert certificate["status"] == "pass"
    entry = next(check for check in certificate["checks"] if check["id"] == "L03")
    names = sorted(study.stimulus(part).clip_id for part in ("train", "test"))
    assert entry["n_compared"] == 70 and entry["remarks"] == [f"2 of 72 clips are silent and were not compared: {', '.join(names)}."]
    assert all(name in remark for check in certificate["checks"] if check["id"] == "L04" for name in names for remark in check["remarks"][:1])


def test_a_study_of_silence_passes_no_check_that_listens(tmp_path):
    study = make_study()
    study.audio = {name: np.zeros(800, np.float32) for name in study.audio}
    study.stimulus_audio = lambda row: np.zeros(800, np.float32)
    statuses = {check["id"]: check["status"] for check in study.audit(tmp_path)[0]["checks"]}
    assert (statuses["L03"], statuses["L04"]) == ("not_run", "not_run")


def test_audio_that_is_missing_is_never_taken_as_compared():
    finding = run_check("L03", AuditInput(make_study().stimuli.assign(part="train"), (), POLICY))
    assert finding.status == "not_run" and "72 of 72 clips have no audio" in finding.reason


def damage_split_clip(study: Study) -> None:
    study.clips = study.clips[study.clips.clip_id != study.stimulus("test").clip_id]


def damage_source(study: Study) -> None:
    study.clips.loc[study.clips.clip_id == study.stimulus("test").clip_id, "source_id"] = "someone else"


def damage_segment(study: Study) -> None:
    study.stimuli.loc[study.stimuli.stimulus_id == study.stimulus("test").stimulus_id, ["segment_start_s", "segment_end_s"]] += 30.0


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_split_clip, r"clip speech-test-0-c0 is in none of the clip files \(speech.parquet, sound.parquet\)"),
        (damage_source, r"disagree on the source_id of clip speech-test-0-c0"),
        (damage_segment, r"the segment of stimulus speech-test-0-c0-s0 is not inside its clip"),
    ],
)
def test_contradicting_tables_are_refused(damage, message, tmp_path):
    study = make_study()
    damage(study)
    with pytest.raises(InputError, match=message):
        study.audit(tmp_path)


def test_a_split_of_other_stimuli_is_refused(tmp_path):
    paths = make_study().save(tmp_path)
    split = pd.read_csv(paths["split"])
    changes = [("stimulus_id", "unheard", "stimulus unheard is not in"), ("source_id", "renamed", "disagree on the source_id of stimulus")]
    for column, value, message in changes:
        split.assign(**{column: split[column].where(split.index > 0, value)}).to_csv(paths["split"], index=False)
        with pytest.raises(InputError, match=message):
            audit_files(paths)


def test_a_clips_file_named_twice_or_missing_is_refused(tmp_path):
    paths = make_study().save(tmp_path)
    with pytest.raises(InputError, match="in the clip files twice"):
        audit_files(paths | {"speech": paths["sound"]})
    with pytest.raises(InputError, match=r"nowhere\.parquet: no such file"):
        audit_files(paths | {"speech": tmp_path / "nowhere.parquet"})


def test_audio_that_cannot_be_decoded_is_refused(tmp_path):
    paths = make_study().save(tmp_path)
    table = pd.read_parquet(paths["speech"])
    table["audio"] = [{"bytes": b"not audio", "path": "x.flac"}] * len(table)
    table.to_parquet(paths["speech"], index=False)
    with pytest.raises(InputError, match="cannot be decoded"):
        audit_files(paths)


@pytest.mark.parametrize(
    ("given_settings", "message"),
    [
        ({"adjacency_guard_s": 5.0}, "missing key min_sources_per_class"),
        (asdict(POLICY) | {"guard": 1}, "unknown key guard"),
        (asdict(POLICY) | {"adjacency_guard_s": float("nan")}, "adjacency_guard_s = nan"),
        (asdict(POLICY) | {"adjacency_guard_s": -1}, "adjacency_guard_s = -1"),
    ],
)
def test_a_policy_that_would_disarm_the_audit_is_refused(given_settings, message):
    with pytest.raises(InputError, match=message):
        Policy.from_settings(given_settings)


# From here on the programs themselves, as a user runs them.


def test_the_turns_of_recordings_are_part_of_what_was_audited(tmp_path):
    study = make_study()
    paths = study.save(tmp_path)
    turns = study.recordings()[["recording_id", "source_id", "label"]].assign(start_s=0.0, end_s=10.0)
    write_table(tmp_path / "segments.parquet", turns, SEGMENTS)
    clips = [paths["speech"], paths["sound"]]
    files = (paths["split"], paths["index"], clips, [paths["recordings"]], [paths["shard"]])
    audited = audited_files(*files, POLICY, segment_files=[tmp_path / "segments.parquet"])
    assert audited.subject[-1]["role"] == "segments" and audited.subject[:-1] == audited_from(paths).subject
    pd.testing.assert_frame_equal(audited.data.segments, turns.reset_index(drop=True))
    assert audited_from(paths).data.segments.empty
    with pytest.raises(InputError, match=r"none\.parquet: no such file"):
        audited_files(*files, POLICY, segment_files=[tmp_path / "none.parquet"])


def run(program: Callable[[], None], *arguments: object) -> str:
    """What the program says on stderr as it ends; "" where all went well."""
    with patch.object(sys, "argv", ["program", *map(str, arguments)]):
        try:
            program()
        except SystemExit as end:
            return str(end.code)
    return ""


def run_audit(
    paths: dict[str, Path], folder: Path, policy: dict[str, object] | None = None, today: str = "2026-01-01", folds: Sequence[Path] = ()
) -> str:
    arguments = [
        *(paths["split"], "--index", paths["index"], "--clips", paths["speech"], paths["sound"]),
        *("--recordings", paths["recordings"], "--shards", paths["shard"]),
        *("--certificate", folder / "certificate.json", "--report", folder / "report.md", "--evidence", folder / "evidence.csv"),
        *("--policy", json.dumps(policy or asdict(POLICY)), "--today", today),
        *(["--folds", *folds] if folds else []),
    ]
    with started_here(audit_leakage):
        return run(audit_leakage.main, *arguments)


def gate_arguments(paths: dict[str, Path], folder: Path, expected: str) -> list[object]:
    return [folder / "certificate.json", folder / "gate.json", "--split", paths["split"], "--expected", expected]


def run_gate(paths: dict[str, Path], folder: Path, expected: str) -> str:
    return run(gate_leakage.main, *gate_arguments(paths, folder, expected))


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clean")
    paths = make_study().save(folder)
    assert run_audit(paths, folder) == ""
    return paths, folder


NASTY = ["**a|b`c", "<img src=x onerror=alert(1)>", "tab\tand\x1b[31mred", "[link](javascript:x)", "_x_", "plain_name-1.wav", 'naïve,"quoted"']


@pytest.fixture(scope="module")
def leaky(tmp_path_factory):
    """Every speech source of the training part is in the test part too; the sources have hostile names."""
    folder = tmp_path_factory.mktemp("leaky")
    study = make_study(sources=len(NASTY))
    for source, name in enumerate(NASTY):
        for table in (study.stimuli, study.clips):
            table["source_id"] = table.source_id.replace(f"speech-train-{source}", name)
    study.parts[study.stimuli.source_id.isin(NASTY) & study.stimuli.stimulus_id.str.endswith("s1")] = "test"
    paths = study.save(folder)
    assert run_audit(paths, folder) == ""
    return paths, folder


def test_the_gate_of_a_clean_split_opens_and_training_accepts_it_for_that_split_only(clean, tmp_path):
    paths, folder = clean
    assert run_gate(paths, folder, "pass") == ""
    assert json.loads((folder / "gate.json").read_text())["status"] == "pass"
    gate = json.loads((folder / "gate.json").read_text())
    certificate = json.loads((folder / "certificate.json").read_text())
    assert gate["subject"] == certificate["subject"]
    assert [file["role"] for file in gate["subject"]] == ["split", "index", "clips", "clips", "recordings", "shards"]
    verify_gate(folder / "gate.json", paths["split"], [paths["shard"]])


@pytest.mark.parametrize("changed", ["split", "shard"])
def test_training_and_evaluation_refuse_data_that_were_not_audited(clean, tmp_path, changed):
    """A split and shards of their own names, places and rows, but one byte more."""
    paths, folder = clean
    assert run_gate(paths, folder, "pass") == ""
    other = tmp_path / paths[changed].name
    other.write_bytes(paths[changed].read_bytes() + b"\n")
    used = paths | {changed: other}
    expected = f"{folder / 'gate.json'}: was opened for other data: {other} is not the file that was audited; run the audit and its gate again"
    common = ["--base", tmp_path, "--identity", tmp_path / "base.json", "--prompt", "{}", "--quantisation", "none", "--threads", 1]
    outputs = ["--systems", "attention-grouped-seed-1", "--adapters", tmp_path / "adapter" / "adapter_config.json", "--recipe", "{}"]
    split = ["--names", "grouped", "--splits", used["split"], "--gates", folder / "gate.json"]
    message = run(train_adapter.main, used["shard"], *split, *common, *outputs)
    assert message == f"error: {expected}"
    asked = [
        "--study",
        used["shard"],
        "--adapters",
        tmp_path,
        "--names",
        "grouped",
        "--splits",
        used["split"],
        "--gates",
        folder / "gate.json",
        "--systems",
        "attention-grouped-seed-1",
        "--level",
        "{}",
        "--batch-size",
        1,
    ]
    assert run(predict_adapter.main, used["shard"], *common, *asked, "--outputs", tmp_path / "predictions.parquet") == f"error: {expected}"


def test_evaluation_needs_every_split_with_a_gate_for_each(clean, tmp_path):
    """An adapter of rows drawn at random is asked about its own split and about the grouped one."""
    paths, folder = clean
    base = ["--base", tmp_path, "--identity", tmp_path / "base.json", "--prompt", "{}", "--quantisation", "none", "--threads", 1]
    system = ["--systems", "attention-row_random-seed-1", "--adapters", tmp_path, "--outputs", tmp_path / "predictions.parquet"]
    arguments = [paths["shard"], "--study", paths["shard"], *base, *system, "--level", "{}", "--batch-size", 1]
    both = ["--names", "row_random", "grouped", "--splits", paths["split"], paths["split"], "--gates", folder / "gate.json"]
    assert run(predict_adapter.main, *arguments, *both) == "error: --gates: 2 for 1 files; give one for each, in their order"
    one = ["--names", "row_random", "--splits", paths["split"], "--gates", folder / "gate.json"]
    assert run(predict_adapter.main, *arguments, *one).startswith("error: --names: lacks grouped; name every split")


WAIVER = {"check": "L01", "reason": "Both parts hold the *same* phantom.", "by": "A. Lovelace", "expires": "2027-01-31"}


def test_a_waived_failure_passes_and_is_told_wherever_the_result_is(tmp_path):
    study = make_study()
    study.set_clip(study.stimulus("test").clip_id, source_id=study.stimulus("train").source_id)
    paths = study.save(tmp_path)
    policy = asdict(POLICY)
    assert run_audit(paths, tmp_path, policy | {"waivers": [WAIVER]}, "2027-01-31") == ""
    first = (tmp_path / "certificate.json").read_bytes()
    certificate = load_certificate(tmp_path / "certificate.json")
    assert certificate["status"] == "pass" and certificate["waivers"] == [WAIVER]
    entries = {check["id"]: check for check in certificate["checks"]}
    assert [id for id, check in entries.items() if check["waived"]] == ["L01"] and entries["L01"]["status"] == "fail"
    report = (tmp_path / "report.md").read_text()
    assert f"PASS, with 1 of {len(entries)} checks waived (L01)" in report and "L01 source_overlap: WAIVED" in report
    assert "| L01 | Both parts hold the &#42;same&#42; phantom. | A. Lovelace | 2027-01-31 | yes |" in report
    assert run_gate(paths, tmp_path, "pass") == ""
    assert run_audit(paths, tmp_path, policy | {"waivers": [WAIVER]}, "2026-06-01") == ""
    assert (tmp_path / "certificate.json").read_bytes() == first
    message = run_audit(paths, tmp_path, policy | {"waivers": [WAIVER]}, "2027-02-01")
    assert message.startswith("error: audit.waivers[0]: the waiver of L01 expired on 2027-01-31; repair the split, or renew")


@pytest.mark.slow
def test_a_waiver_without_a_failure_waives_nothing(tmp_path):
    paths = make_study().save(tmp_path)
    certificate, _ = audit_files(paths, [Waiver(**WAIVER)])
    assert certificate["status"] == "pass" and not any(check["waived"] for check in certificate["checks"])


def test_a_waiver_of_one_check_lets_no_other_failure_through(tmp_path):
    certificate, _ = audit(make_study().planted(tmp_path, plant_neighbour), [Waiver(**(WAIVER | {"check": "L02"}))])
    assert certificate["status"] == "fail" and "L06" in failed(certificate)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"check": "L99"}, r"audit.waivers\[0\]: there is no check L99; hint: one of L01, L02"),
        ({"expires": "2026-12-31"}, "the waiver of L01 expired on 2026-12-31"),
        ({"expires": "31.1.2027"}, "'31.1.2027' is no date; give YYYY-MM-DD"),
        ({"reason": " "}, "reason = ' '; give a text"),
        ({"until": "2027-01-31"}, "unknown key until"),
    ],
)
def test_a_waiver_that_does_not_hold_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        read_waivers([WAIVER | change], ["L01", "L02"], date(2027, 1, 1))


def test_a_waiver_without_a_reason_or_given_twice_is_refused():
    with pytest.raises(InputError, match="missing key reason"):
        read_waivers([{key: WAIVER[key] for key in ("check", "by", "expires")}], ["L01"], date(2027, 1, 1))
    with pytest.raises(InputError, match="L01 is waived twice"):
        read_waivers([WAIVER, WAIVER], ["L01"], date(2027, 1, 1))


def test_the_gate_of_a_leaky_split_stays_shut_with_one_line_that_says_why(leaky):
    paths, folder = leaky
    (folder / "gate.json").write_text("opened by an earlier audit")
    result = call_program("gate_leakage", *gate_arguments(paths, folder, "pass"), folder=folder)
    assert result.returncode == 1 and not (folder / "gate.json").exists()
    assert len(result.stderr.splitlines()) == 1 and "\x1b" not in result.stderr
    assert "the grouped split fails its leakage audit (L01 source_overlap: 7 sources are in more than one part; L02" in result.stderr
    assert 'offending sources: **a|b`c, <img src=x onerror=alert(1)>, [link](javascript:x), _x_, naïve,"quoted", ...; see ' in result.stderr
    assert str(folder / "report.md") in result.stderr


def test_the_leaky_arm_goes_on_only_while_it_leaks(leaky, clean):
    paths, folder = leaky
    assert run_gate(paths, folder, "fail") == ""
    assert json.loads((folder / "gate.json").read_text())["status"] == "fail"
    verify_gate(folder / "gate.json", paths["split"], [paths["shard"]])
    assert "unexpectedly passed; it no longer shows a leak" in run_gate(*clean, "fail")


def test_a_split_that_fails_without_a_leak_is_no_leaky_arm(tmp_path):
    paths = make_study(("train", "dev")).save(tmp_path)
    assert run_audit(paths, tmp_path) == ""
    assert "failed without a leak" in run_gate(paths, tmp_path, "fail")
    assert "L13 class_structure: test: the part has no stimuli" in run_gate(paths, tmp_path, "pass")


def test_all_outputs_are_written_whatever_the_verdict(clean, leaky):
    for _, folder in (clean, leaky):
        certificate = load_certificate(folder / "certificate.json")
        evidence = read_table(folder / "evidence.csv", EVIDENCE)
        assert len(evidence) == sum(check["offenders"] for check in certificate["checks"])
        assert f"**Verdict: {certificate['status'].upper()}" in (folder / "report.md").read_text()
    assert set(NASTY) <= set(evidence.source_a)


def test_names_cannot_act_as_markup_in_the_report(leaky):
    report = (leaky[1] / "report.md").read_text()
    assert "<img" not in report and "\x1b" not in report and "](" not in report and "plain_name-1.wav" in report
    rows = [line for line in report.splitlines() if line.startswith("| test / train")]
    assert len(rows) > len(NASTY) and {row.count("|") for row in rows} == {7}


@given(st.text())
def test_escaped_text_has_no_markup_left_and_says_the_same_to_a_browser(text):
    escaped = escape(text)
    assert not set(escaped.replace("&#", "")) & set("<>|`*[]\\~$&") and "\n" not in escaped
    if text.isprintable():
        assert html.unescape(escaped) == text


def test_the_same_files_give_the_same_bytes(clean, tmp_path):
    paths, folder = clean
    assert run_audit(paths, tmp_path) == ""
    for name in ("certificate.json", "report.md", "evidence.csv"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_a_gate_is_no_leave_to_use_nothing(clean):
    paths, folder = clean
    assert run_gate(paths, folder, "pass") == ""
    with pytest.raises(InputError, match="no stimuli were named"):
        verify_gate(folder / "gate.json", paths["split"], [])


def test_a_certificate_of_another_split_is_refused(clean, tmp_path):
    paths, folder = clean
    changed = tmp_path / "split.csv"
    changed.write_text(paths["split"].read_text().replace(",train", ",test", 1))
    assert "certifies another split" in run_gate({"split": changed}, folder, "pass")


def tampered(change: str, certificate: dict) -> dict:
    checks = certificate["checks"]
    if change == "typed status":
        checks[0]["status"] = "fail"
    elif change == "nothing compared":
        checks[0]["n_compared"] = 0
    elif change == "check removed":
        del checks[0]
    elif change == "no checks":
        checks.clear()
    elif change == "waived by nobody":
        checks[0] |= {"status": "fail", "waived": True}
    elif change == "other schema":
        certificate["schema"] = "leakage-certificate/9"
    return certificate


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("typed status", "does not follow from its checks"),
        ("nothing compared", "does not follow from its checks"),
        ("waived by nobody", "that L01 is waived does not follow from its waivers"),
        ("no checks", "does not follow from its checks"),
        ("check removed", "lacks check L01"),
        ("other schema", r"not a leakage certificate \(at \$.schema"),
    ],
)
def test_an_edited_certificate_opens_nothing(clean, tmp_path, change, message):
    paths, folder = clean
    write_json(tmp_path / "certificate.json", tampered(change, json.loads((folder / "certificate.json").read_text())))
    with pytest.raises(InputError, match=message):
        decide_gate(tmp_path / "certificate.json", paths["split"], "pass", [check.id for check in checks()])


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"status": "pass"}'])
def test_what_is_no_certificate_or_gate_is_refused(content, tmp_path, clean):
    (tmp_path / "broken.json").write_text(content)
    with pytest.raises(InputError, match="not a leakage certificate"):
        load_certificate(tmp_path / "broken.json")
    with pytest.raises(InputError, match="not a leakage gate"):
        verify_gate(tmp_path / "broken.json", clean[0]["split"], [])
    with pytest.raises(InputError, match="no such file"):
        verify_gate(tmp_path / "absent.json", clean[0]["split"], [])


def test_offenders_have_the_columns_of_the_evidence_table():
    assert list(EVIDENCE.columns) == ["check", *EVIDENCE_COLUMNS]
