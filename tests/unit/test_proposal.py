"""A leaky split as a user mends it: the nearest split that passes, its certificate, and what else can read that."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from unittest.mock import patch
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import soundfile
from programs import started_here

import audit_leakage
import propose_split
import render_audit
import verify_certificate
from earwitness.leakage.audit import checks

SKIPPED = sorted({check.id for check in checks()} - {"L01", "L03", "L13"})
ROOT = Path(__file__).parents[2]


def run(program, *arguments: object) -> int | str:
    """The exit code, or the message that goes with exit code 1."""
    with patch.object(sys, "argv", [program.__name__, *map(str, arguments)]), started_here(audit_leakage):
        try:
            program.main()
        except SystemExit as end:
            return end.code
    return 0


def manifests(folder: Path) -> list[object]:
    return ["--train", folder / "train.csv", "--test", folder / "test.csv", "--speech-label", "dog", "--skip", *SKIPPED]


def audit(folder: Path, *arguments: object) -> int | str:
    return run(audit_leakage, *manifests(folder), "--certificate", folder / "c.json", "--evidence", folder / "e.csv", *arguments)


@pytest.fixture
def leaky(tmp_path):
    """10 groups of each class with 5 files of noise; of 6 groups all train, of 2 all are tested, of 2 one of 5 is tested."""
    rows = []
    for label in ("dog", "cat"):
        for group in range(10):
            for k in range(5):
                name = f"{label}-{group}-{k}"
                path = tmp_path / "audio" / f"{name}.wav"
                path.parent.mkdir(exist_ok=True)
                soundfile.write(path, np.random.default_rng(list(name.encode())).uniform(-0.5, 0.5, 4000), 16_000)
                part = "test" if group in (6, 7) or (group in (8, 9) and k == 0) else "train"
                rows.append((f"audio/{path.name}", label, f"{label}-{group}", "kept", part))
    table = pd.DataFrame(rows, columns=["path", "label", "group", "remark", "part"])
    for part, of_part in table.groupby("part"):
        of_part.drop(columns="part").to_csv(tmp_path / f"{part}.csv", index=False)
    return tmp_path


def groups(manifest: Path) -> set[str]:
    return set(pd.read_csv(manifest).group)


def test_a_leak_is_mended_by_the_fewest_seconds_and_the_manifests_can_be_audited_where_they_are(leaky, capsys):
    assert audit(leaky) == 2
    out = leaky / "below" / "proposed"
    assert run(propose_split, *manifests(leaky), "--certificate", leaky / "c.json", "--evidence", leaky / "e.csv", "--out", out) == 0
    assert "4 items of 4 sources moved (1.0 s)" in capsys.readouterr().out
    moves = pd.read_csv(out / "moves.csv")
    assert set(moves.item) == {f"test:audio/{label}-{group}-0.wav" for label in ("dog", "cat") for group in (8, 9)}
    assert set(moves.to_part) == {"train"} and moves.why.str.contains("was in test, train").all()
    assert groups(out / "test.csv") == {f"{label}-{group}" for label in ("dog", "cat") for group in (6, 7)}
    assert groups(out / "train.csv").isdisjoint(groups(out / "test.csv"))
    assert set(pd.read_csv(out / "train.csv").remark) == {"kept"} and len(pd.read_csv(out / "train.csv")) == 80
    assert audit(out) == 0
    assert (out / "c.json").read_bytes() == (out / "certificate.json").read_bytes()


def test_a_copy_under_another_group_is_kept_with_it(leaky):
    shutil.copy(leaky / "audio/dog-0-0.wav", leaky / "audio/dog-6-0.wav")
    for part in ("train", "test"):
        table = pd.read_csv(leaky / f"{part}.csv")
        table[~table.group.str.endswith(("-8", "-9"))].to_csv(leaky / f"{part}.csv", index=False)
    out = leaky / "proposed"
    assert run(propose_split, *manifests(leaky), "--out", out) == 0
    test = groups(out / "test.csv")
    assert ("dog-0" in test) == ("dog-6" in test)
    assert (
        "L03 exact_duplicate_audio" in (out / "ties.csv").read_text() and "dog-0 and 1 other, held together by L03" in (out / "moves.csv").read_text()
    )


@pytest.mark.slow
def test_an_earlier_proposal_is_replaced_unless_it_is_what_is_read(leaky):
    out = leaky / "proposed"
    assert run(propose_split, *manifests(leaky), "--out", out) == run(propose_split, *manifests(leaky), "--out", out) == 0
    assert (
        "holds train.csv, which is being read and would be replaced" in run(propose_split, *manifests(out), "--out", out)
        and (out / "train.csv").exists()
    )


@pytest.mark.slow
def test_nothing_moves_where_nothing_was_wrong(leaky, capsys):
    out, again = leaky / "proposed", leaky / "again"
    run(propose_split, *manifests(leaky), "--out", out)
    assert run(propose_split, *manifests(out), "--out", again) == 0
    assert len(pd.read_csv(again / "moves.csv")) == 0 and "0 items of 0 sources moved" in capsys.readouterr().out
    assert [pd.read_csv(out / f"{part}.csv").path.map(Path).map(lambda p: p.name).tolist() for part in ("train", "test")] == [
        pd.read_csv(again / f"{part}.csv").path.map(Path).map(lambda p: p.name).tolist() for part in ("train", "test")
    ]


def test_numbers_of_sources_can_be_asked_for(leaky):
    out = leaky / "proposed"
    assert run(propose_split, *manifests(leaky), "--sources", "train=7+8", "test=3+2", "--out", out) == 0
    test = pd.read_csv(out / "test.csv")
    assert test.groupby("label").group.nunique().to_dict() == {"dog": 3, "cat": 2}
    assert "9 sources of SPEECH are asked for, there are 10" in str(
        run(propose_split, *manifests(leaky), "--sources", "train=7+8", "test=2+2", "--out", out)
    )


@pytest.mark.slow
def test_what_no_split_can_have_is_said_and_is_no_pass(leaky, capsys):
    """All dogs sound the same."""
    for group in range(1, 10):
        shutil.copy(leaky / "audio/dog-0-0.wav", leaky / f"audio/dog-{group}-0.wav")
    assert run(propose_split, *manifests(leaky), "--out", leaky / "proposed") == 2
    said = capsys.readouterr().out
    assert "cannot have enough sources of SPEECH (0): there are 10 in 1 component that cannot be divided, of which dog-0 and 9 others" in said


def test_a_certificate_of_other_data_is_refused(leaky):
    audit(leaky)
    (leaky / "test.csv").write_text((leaky / "test.csv").read_text().replace("kept", "new"))
    said = run(propose_split, *manifests(leaky), "--certificate", leaky / "c.json", "--evidence", leaky / "e.csv", "--out", leaky / "proposed")
    assert "c.json: is about other data" in str(said) and not (leaky / "proposed").exists()


def tampered(folder: Path, **changes: object) -> Path:
    certificate = json.loads((folder / "c.json").read_text())
    for check in certificate["checks"]:
        if check["id"] == "L01":
            check.update({key: value for key, value in changes.items() if key in check})
    certificate.update({key: value for key, value in changes.items() if key in ("policy", "checks", "evidence", "waivers")})
    if "verdict" in changes:
        certificate["status"] = changes["verdict"]
    (folder / "tampered.json").write_text(json.dumps(certificate))
    return folder / "tampered.json"


def test_a_certificate_verifies_from_itself_and_the_data_with_its_verdict_as_exit_code(leaky):
    assert audit(leaky) == 2
    assert run(verify_certificate, leaky / "c.json", "--data", leaky, "--evidence", leaky / "e.csv") == 2
    out = leaky / "proposed"
    run(propose_split, *manifests(leaky), "--out", out)
    assert run(verify_certificate, out / "certificate.json", "--data", out / "train.csv", out / "test.csv") == 0
    (leaky / "c.json").write_text("{")
    assert "not a leakage certificate" in str(run(verify_certificate, leaky / "c.json", "--data", leaky))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"verdict": "pass"}, "the status pass does not follow from its checks"),
        ({"status": "pass", "verdict": "pass"}, "L01 passes with 4 offenders"),
        ({"status": "pass", "offenders": 0, "offending_sources": [], "reason": None, "verdict": "pass"}, "L01 has 0 offenders, the evidence lists 4"),
        ({"evidence": {"rows": 3, "sha256": "0" * 64}}, "its evidence has another number of rows than its checks have offenders"),
        ({"severity": "warn", "verdict": "pass"}, "L01 source_overlap is of severity error, not warn"),
        ({"checks": []}, "L01 source_overlap is missing"),
        ({"policy": {"settings": {"adjacency_guard_s": 0.0}, "sha256": "0" * 64}}, "the digest of its policy is of other settings"),
    ],
)
def test_tampering_is_named_in_one_line(leaky, capsys, changes, told):
    audit(leaky)
    capsys.readouterr()
    assert run(verify_certificate, tampered(leaky, **changes), "--data", leaky, "--evidence", leaky / "e.csv") == 3
    assert any(line.endswith(f"tampered.json: {told}") for line in capsys.readouterr().out.splitlines())


def test_a_certificate_that_lost_what_it_is_of_or_has_a_check_twice_does_not_agree(leaky, capsys):
    audit(leaky)
    certificate = json.loads((leaky / "c.json").read_text())
    subject = [file for file in certificate["subject"] if file["role"] != "audio"]
    again = certificate["checks"] + [check for check in certificate["checks"] if check["id"] == "L03"]
    for changes, told in (({"subject": subject}, "it names no audio"), ({"checks": again}, "L03 is there 2 times")):
        (leaky / "tampered.json").write_text(json.dumps(certificate | changes))
        capsys.readouterr()
        assert run(verify_certificate, leaky / "tampered.json", "--data", leaky, "--evidence", leaky / "e.csv") == 3
        assert told in capsys.readouterr().out
    (leaky / "tampered.json").write_text(json.dumps(certificate)[:-1] + ', "status": "pass"}')
    assert "(status is given twice)" in str(run(verify_certificate, leaky / "tampered.json", "--data", leaky))


@pytest.mark.parametrize(
    ("option", "given", "message"),
    [
        ("--shares", ["train=nan", "test=1"], "'train=nan' is not PART=SHARE"),
        ("--shares", ["train=-1", "test=2"], "'train=-1' is not PART=SHARE"),
        ("--shares", ["foo=0.5", "test=0.5"], "'foo=0.5' is not PART=SHARE, as in test=0.2, with one of train, dev, test"),
        ("--shares", ["train=1"], "--shares: nothing is said of test, which is there; name every part"),
        ("--shares", ["train=0.5", "train=0.5", "test=0.5"], "--shares: train is named twice; name every part once"),
        ("--sources", ["test=1+1", "test=1+1"], "--sources: test is named twice; name every part once"),
        ("--sources", ["foo=1+1"], "'foo=1+1' is not PART=SPEECH+NONSPEECH"),
    ],
)
def test_shares_that_no_split_can_have_are_refused(leaky, option, given, message):
    assert message in str(run(propose_split, *manifests(leaky), option, *given, "--out", leaky / "out"))
    assert not (leaky / "out").exists()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("audio/dog-3-1.wav", b"RIFF", "the audio files are not the ones that were audited"),
        ("test.csv", b"path,label,group\n", "manifest test.csv is not the one that was audited"),
        ("test.csv", None, "manifest test.csv is not among the data"),
        ("audio/cat-3-1.wav", None, "cat-3-1.wav is not there"),
    ],
)
def test_other_data_are_named(leaky, capsys, name, content, told):
    audit(leaky)
    (leaky / name).unlink() if content is None else (leaky / name).write_bytes(content)
    assert run(verify_certificate, leaky / "c.json", "--data", leaky) == 3
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (("test:audio/dog-8-0.wav", "test:audio/dog-9-0.wav"), "the evidence e.csv is not what the audit wrote (its digest differs)"),
        (("L01", "L02"), "L01 has 4 offenders, the evidence lists 0"),
    ],
)
def test_changed_evidence_is_named(leaky, capsys, changed, told):
    audit(leaky)
    text = (leaky / "e.csv").read_text()
    assert changed[0] in text
    (leaky / "e.csv").write_text(text.replace(*changed))
    assert run(verify_certificate, leaky / "c.json", "--data", leaky) == 2
    assert run(verify_certificate, leaky / "c.json", "--data", leaky, "--evidence", leaky / "e.csv") == 3
    assert told in capsys.readouterr().out


def test_another_voice_model_is_named(leaky, capsys):
    (leaky / "ear.onnx").write_bytes(b"one model")
    audit(leaky, "--policy", json.dumps({"speaker_model": str(leaky / "ear.onnx")}))
    assert run(verify_certificate, leaky / "c.json", "--data", leaky) == 2
    (leaky / "ear.onnx").write_bytes(b"another model")
    assert run(verify_certificate, leaky / "c.json", "--data", leaky) == 3
    assert "voices ear.onnx is not the one that was audited (its digest differs)" in capsys.readouterr().out
    (leaky / "ear.onnx").unlink()
    assert "ear.onnx: no such file; name campplus or an ONNX file" in str(
        audit(leaky, "--policy", json.dumps({"speaker_model": str(leaky / "ear.onnx")}))
    )


@pytest.fixture
def undivided(leaky):
    """The same as one table without parts, its groups called speakers; two groups of dogs have a file in common."""
    shutil.copy(leaky / "audio/dog-3-0.wav", leaky / "audio/dog-5-0.wav")
    tables = [pd.read_csv(leaky / f"{part}.csv") for part in ("train", "test")]
    pd.concat(tables).drop(columns="remark").to_csv(leaky / "all.csv", index=False)
    return leaky


def test_a_manifest_without_parts_is_divided_by_stated_shares_and_audited_with_its_new_column(undivided, capsys):
    whole = ["--manifest", undivided / "all.csv", "--speech-label", "dog", "--skip", *SKIPPED]
    outputs = ["--certificate", undivided / "c.json", "--evidence", undivided / "e.csv"]
    assert "no column part says which items train and which test" in str(run(audit_leakage, *whole, *outputs))
    out = undivided / "proposed"
    assert run(propose_split, *whole, "--shares", "train=0.6", "dev=0.2", "test=0.2", "--out", out) == 0
    assert "sources divided: dev 2+2; test 2+2; train 6+6" in capsys.readouterr().out
    proposed = pd.read_csv(out / "manifest.csv")
    assert proposed.groupby("group").part.nunique().eq(1).all() and len(proposed) == 100
    sources = proposed.groupby(["label", "part"]).group.nunique()
    assert sources.to_dict() == {(label, part): n for label in ("dog", "cat") for part, n in (("train", 6), ("dev", 2), ("test", 2))}
    assert len(set(proposed.part[proposed.group.isin(["dog-3", "dog-5"])])) == 1, "what holds a copy stays with it"
    assert "sources were drawn at random" in (out / "report.md").read_text()
    assert run(audit_leakage, "--manifest", out / "manifest.csv", *whole[2:], *outputs) == 0
    assert (undivided / "c.json").read_bytes() == (out / "certificate.json").read_bytes()
    assert run(verify_certificate, undivided / "c.json", "--data", undivided) == 0


@pytest.mark.parametrize(("name", "part"), [("Validation", "dev"), ("training ", "train"), ("TEST", "test"), ("holdout", None)])
def test_a_column_may_name_the_parts(undivided, name, part):
    table = pd.read_csv(undivided / "all.csv").rename(columns={"group": "speaker"})
    table["split"] = ["test" if group.endswith(("6", "7")) else "train" for group in table.speaker]
    table.loc[table.speaker.str.endswith("2"), "split"] = name
    table.to_csv(undivided / "all.csv", index=False)
    whole = ["--manifest", undivided / "all.csv", "--speech-label", "dog", "--group-column", "speaker", "--part-column", "split", "--skip", *SKIPPED]
    code = run(audit_leakage, *whole, "--certificate", undivided / "c.json", "--evidence", undivided / "e.csv")
    if part is None:
        assert "all.csv: row 11 has no known split ('holdout'; call it train, dev or test) (and 9 more)" in str(code)
    else:
        assert code == 2 if part == "dev" else code == 0
        parts = json.loads((undivided / "c.json").read_text())["parts"]
        assert parts[part]["stimuli"] >= 10


def test_sources_that_the_user_ties_stay_together(leaky):
    (leaky / "ties.csv").write_text("source_a;source_b;why\nDog-6;dog-0;twins\n")
    assert run(propose_split, *manifests(leaky), "--ties", leaky / "ties.csv", "--out", leaky / "proposed") == 0
    train, test = (groups(leaky / f"proposed/{part}.csv") for part in ("train", "test"))
    assert {"dog-0", "dog-6"} <= train or {"dog-0", "dog-6"} <= test
    assert "dog-0,dog-6,twins" in (leaky / "proposed/ties.csv").read_text().replace("dog-6,dog-0", "dog-0,dog-6")
    (leaky / "ties.csv").write_text("source_a,source_b,why\ndog-1,dog-99,twins\n")
    said = run(propose_split, *manifests(leaky), "--ties", leaky / "ties.csv", "--out", leaky / "again")
    assert "ties.csv:2: 'dog-99' is no source of these data (1 such row)" in str(said)


def test_continuous_integration_reads_the_failures(leaky):
    audit(leaky, "--junit", leaky / "j.xml", "--sarif", leaky / "s.sarif")
    suite = ElementTree.parse(leaky / "j.xml").getroot()[0]
    failed = {case.get("name"): case[0].get("message") for case in suite if len(case) and case[0].tag == "failure"}
    assert failed == {"L01 source_overlap": "4 sources are in more than one part"}
    assert int(suite.get("tests")) == len(suite) and int(suite.get("failures")) == 1
    (sarif,) = json.loads((leaky / "s.sarif").read_text())["runs"]
    errors = [result for result in sarif["results"] if result["level"] == "error" and not result.get("suppressions")]
    assert len(errors) == 4 and {result["ruleId"] for result in errors} == {"L01"}
    assert {place["fullyQualifiedName"] for place in errors[0]["locations"][0]["logicalLocations"]} == {
        "test:audio/cat-8-0.wav",
        "train:audio/cat-8-1.wav",
    }
    assert {result["ruleId"] for result in sarif["results"]} <= {rule["id"] for rule in sarif["tool"]["driver"]["rules"]}


def exported(folder: Path) -> tuple[dict, dict, dict]:
    audit(folder)
    run(render_audit, folder / "c.json", folder / "e.csv", "--in-toto", folder / "i.json", "--croissant", folder / "croissant.json")
    return tuple(json.loads((folder / name).read_text()) for name in ("c.json", "i.json", "croissant.json"))


def test_an_export_writes_something_and_nothing_that_it_reads(leaky):
    audit(leaky)
    before = (leaky / "e.csv").read_bytes()
    assert run(render_audit, leaky / "c.json", leaky / "e.csv") == 2
    assert "e.csv: is read, and would be overwritten" in str(run(render_audit, leaky / "c.json", leaky / "e.csv", "--html", leaky / "e.csv"))
    assert (leaky / "e.csv").read_bytes() == before


def test_the_statement_to_sign_has_the_digests_as_subjects_and_the_certificate_as_predicate(leaky):
    certificate, statement, croissant = exported(leaky)
    assert statement["_type"] == "https://in-toto.io/Statement/v1" and statement["predicate"] == certificate
    assert [subject["digest"]["sha256"] for subject in statement["subject"]] == [file["sha256"] for file in certificate["subject"]]
    assert any("L01 source_overlap: 4 sources are in more than one part" in text for text in croissant["rai:dataLimitations"])


def test_the_reference_reader_accepts_the_croissant(leaky):
    croissant = pytest.importorskip("mlcroissant", reason="the package mlcroissant is not installed")
    exported(leaky)
    assert croissant.Dataset(leaky / "croissant.json").metadata.ctx.issues.errors == set()


@pytest.mark.slow
def test_a_wheel_audits_without_torch_and_without_the_repository(leaky, tmp_path):
    setuptools = pytest.importorskip("setuptools", minversion="77", reason="no setuptools from 77 to build a wheel with")
    assert setuptools
    sources = tmp_path / "sources"
    sources.mkdir()
    for name in ("pyproject.toml", "setup.py", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    for name in ("workflow_scripts", "config/schema"):
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    build = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", tmp_path / "wheel"]
    subprocess.run(build, cwd=sources, check=True, capture_output=True)
    with zipfile.ZipFile(next((tmp_path / "wheel").glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
    start = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
from earwitness.command_line import main
main()
"""
    arguments = ["audit", *manifests(leaky), "--certificate", "c.json", "--evidence", "e.csv", "--html", "r.html"]
    environment = {"PYTHONPATH": str(tmp_path / "site"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", start, *map(str, arguments)], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and "Verdict: FAIL. 1 of" in done.stdout, done.stderr
    assert (tmp_path / "r.html").is_file()
