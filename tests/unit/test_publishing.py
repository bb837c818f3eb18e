"""Results are verified against their digests and against each other, and packed as an RO-Crate."""

import hashlib
import json
import os
import shutil
import subprocess
import urllib.parse
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import yaml
from programs import call_program

from earwitness.config import complete_config
from earwitness.core.errors import InputError
from earwitness.core.files import sha256_of
from earwitness.provenance.crate import CONTEXT, METADATA, PROFILE, crate_names, describe_crate
from earwitness.provenance.run import DIGESTS, digest_table
from earwitness.provenance.run_log import errors_since, record_run
from earwitness.tables.files import read_table, write_table
from earwitness.tables.training import COSTS

AUTHORS = [{"name": "Ada <b>Ear</b>", "orcid": "https://orcid.org/0000-0002-1825-0097"}, {"name": "Bo", "affiliation": "Here"}]
CONTENT = {"tables/accuracy.csv": "a\n1\n", "tables/odd name é#.csv": "b\n", "predictions/p.parquet": "p", "report.html": "<p>today</p>"}


@pytest.fixture
def study(tmp_path) -> Path:
    """A folder with results and their provenance."""
    folder = tmp_path / "study"
    for name, text in CONTENT.items():
        path = folder / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "envs").mkdir()
    (folder / "envs/requirements.lock").write_text("numpy==2.0\n")
    recorded = [folder / "envs/requirements.lock", *(folder / "results" / name for name in CONTENT if name != "report.html")]
    digests = folder / "results/provenance/digests.csv"
    write_table(digests, digest_table(recorded, folder), DIGESTS)
    run = {"date": "2026-01-02", "git": {"revision": "abc", "dirty": False}, "digests": {"files": len(recorded), "sha256": sha256_of(digests)}}
    (folder / "results/provenance/run.json").write_text(json.dumps(run))
    (folder / "results/provenance/config.yaml").write_text(yaml.safe_dump(complete_config({})))
    return folder


UNCOVERED = ["not covered: provenance/config.yaml", "not covered: report.html (1 file, which vary from run to run)"]


def test_untouched_results_verify_even_where_the_lock_was_not_published(study):
    said = call_program("verify_results", "results", folder=study).stdout.splitlines()
    assert said == ["results: 0 differences from its own digests, 4 files compared", *UNCOVERED]
    shutil.rmtree(study / "envs")
    done = call_program("verify_results", "results", folder=study)
    assert done.returncode == 0
    elsewhere = "not compared: 1 recorded file outside the results, not there or elsewhere, such as envs/requirements.lock"
    assert done.stdout.splitlines() == ["results: 0 differences from its own digests, 3 files compared", elsewhere, *UNCOVERED]


def test_every_file_that_no_digest_covers_is_named(study):
    (study / "results/tables/planted.csv").write_text("x")
    (study / "results/logs").mkdir()
    for name in ("a", "b"):
        (study / f"results/logs/{name}.log").write_text("x")
    said = call_program("verify_results", "results", folder=study).stdout.splitlines()[1:]
    assert said == [
        UNCOVERED[0],
        "not covered: tables/planted.csv",
        "not covered: logs/* (2 files, which vary from run to run)",
        UNCOVERED[1],
    ]


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_a_list_of_digests_that_was_cut_verifies_nothing(study, kept):
    record = study / "results/provenance/digests.csv"
    record.write_text("".join(record.read_text().splitlines(keepends=True)[:kept]))
    done = call_program("verify_results", "results", folder=study)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "is not the list of 4 digests that the run wrote, so nothing can be verified" in done.stderr


@pytest.mark.parametrize(
    ("place", "files", "message"),
    [
        ("results/../../elsewhere/", 1, r"'results/../../elsewhere/tables/accuracy.csv' leads out of the results"),
        ("results//etc/", 1, r"'results//etc/tables/accuracy.csv' leads out of the results, or is not how a run names a file"),
        ("results/./", 1, r"'results/./tables/accuracy.csv' leads out of the results, or is not how a run names a file"),
        ("elsewhere/", 1, "records no file of results, so nothing was verified"),
        ("/", 1, "records no file of results"),
        ("results/", 2, "is not the list of 2 digests that the run wrote"),
    ],
)
def test_a_list_that_its_run_vouches_for_is_of_these_results_and_whole(study, place, files, message):
    record, run = study / "results/provenance/digests.csv", study / "results/provenance/run.json"
    rows = pd.read_csv(record)
    rows[rows.path == "results/tables/accuracy.csv"].replace({"path": "^results/"}, {"path": place}, regex=True).to_csv(record, index=False)
    run.write_text(json.dumps({"digests": {"files": files, "sha256": sha256_of(record)}}))
    done = call_program("verify_results", "results", folder=study)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1) and message in done.stderr


def rewrite_digests(study: Path, change) -> None:
    """Let the run vouch for another list of digests."""
    record, run = study / "results/provenance/digests.csv", study / "results/provenance/run.json"
    rows = change(pd.read_csv(record))
    rows.to_csv(record, index=False)
    run.write_text(json.dumps({"digests": {"files": len(rows), "sha256": sha256_of(record)}}))


@pytest.mark.parametrize("linked", [False, True])
def test_a_list_of_digests_has_nothing_read_outside_of_its_folder(study, tmp_path, linked):
    """Were it read, its size would be told."""
    (tmp_path / "secret").write_text("secret")
    if linked:
        (study / "data").symlink_to(tmp_path)
    places = ["data/secret"] if linked else [str(tmp_path / "secret"), "../secret", "envs/../../secret"]
    rows = pd.DataFrame([(place, "0" * 64, 1) for place in places], columns=["path", "sha256", "bytes"])
    rewrite_digests(study, lambda digests: pd.concat([digests, rows]))
    done = call_program("verify_results", "results", folder=study)
    assert (done.returncode, done.stderr) == (0, "")
    files = f"{len(places)} recorded file{'s' * (len(places) > 1)}"
    assert f"not compared: {files} outside the results, not there or elsewhere, such as {places[0]}" in done.stdout.splitlines()


@pytest.mark.parametrize("name", ["tables/accuracy.csv", "tables"])
def test_a_link_in_the_place_of_a_result_is_a_difference_though_its_bytes_are_the_same(study, tmp_path, name):
    path, recorded = study / "results" / name, {"tables/accuracy.csv": "1 recorded file", "tables": "2 recorded files"}
    shutil.move(path, tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    done = call_program("verify_results", "results", folder=study)
    assert done.returncode == 2
    assert f"link: results/{name} (in the place of {recorded[name]}; nothing is read through it)" in done.stdout.splitlines()
    assert "not covered: tables" not in done.stdout


def test_digests_behind_a_link_verify_nothing(study, tmp_path):
    shutil.move(study / "results/provenance", tmp_path / "moved")
    (study / "results/provenance").symlink_to(tmp_path / "moved")
    done = call_program("verify_results", "results", folder=study)
    assert done.returncode == 1 and "results/provenance: a link, in the place of the digests that were published" in done.stderr


def test_a_link_among_the_results_that_are_compared_is_a_difference(study, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(study / "results", other)
    (other / "tables/accuracy.csv").unlink()
    (other / "tables/accuracy.csv").symlink_to(study / "results/tables/accuracy.csv")
    done = call_program("verify_results", "results", "--against", other, folder=study)
    assert done.returncode == 2 and f"link: {other}/tables/accuracy.csv; nothing is read through it" in done.stdout.splitlines()


def test_names_cannot_act_on_a_terminal(study):
    for name in ("a\nnot covered: nothing", "b\x1b[2J", "c\u202e"):
        (study / "results/tables" / name).write_text("x")
    os.mkfifo(study / "results/tables/pipe")
    (study / os.fsdecode(b"results/tables/d\xe9")).write_text("x")
    rewrite_digests(
        study, lambda digests: pd.concat([digests, pd.DataFrame([("results/\x1b[1m\nx", "0" * 64, 1)], columns=["path", "sha256", "bytes"])])
    )
    done = call_program("verify_results", "results", folder=study)
    said = done.stdout.splitlines()
    assert done.returncode == 2 and "missing: results/\\x1b[1m\\nx" in said
    for shown in ("a\\nnot covered: nothing", "b\\x1b[2J", "c\\u202e", "d\\udce9", "pipe"):
        assert f"not covered: tables/{shown}" in said
    assert not [line for line in said if not line.isprintable()]


def test_digests_without_the_record_of_their_run_verify_nothing(study):
    (study / "results/provenance/run.json").unlink()
    done = call_program("verify_results", "results", folder=study)
    assert done.returncode == 1 and "run.json: no such file; finish the run" in done.stderr


def test_every_difference_is_one_line(study):
    (study / "results/tables/accuracy.csv").write_text("a\n2\n")
    (study / "results/predictions/p.parquet").unlink()
    (study / "results/tables/odd name é#.csv").write_text("b\nmore\n")
    done = call_program("verify_results", "results", folder=study)
    assert done.returncode == 2
    assert [line for line in done.stdout.splitlines()[1:] if line not in UNCOVERED] == [
        "differs: results/tables/accuracy.csv (as long, other content)",
        "differs: results/tables/odd name é#.csv (7 bytes instead of 2)",
        "missing: results/predictions/p.parquet",
    ]


def test_two_folders_are_compared_but_for_what_varies(study, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(study / "results", other)
    (other / "report.html").write_text("<p>tomorrow</p>")
    (other / "provenance/run.json").write_text("{}")
    (other / "logs").mkdir()
    (other / "logs/a.log").write_text("x")
    assert call_program("verify_results", "results", "--against", other, folder=study).returncode == 0
    (other / "tables/new.csv").write_text("x")
    (other / "predictions/p.parquet").write_text("q")
    done = call_program("verify_results", "results", "--against", other, folder=study)
    assert done.returncode == 2
    assert done.stdout.splitlines()[2:4] == [f"only in {other}: tables/new.csv", "differs: predictions/p.parquet"]


def test_a_folder_without_digests_is_bad_input_in_one_line(tmp_path):
    done = call_program("verify_results", tmp_path, folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, f"error: {tmp_path}: no provenance/digests.csv; name the results folder of a finished run\n")


def test_results_are_not_compared_with_themselves(study):
    (study / "link").symlink_to("results")
    for other in ("results", "results/../results", "link"):
        done = call_program("verify_results", "results", "--against", other, folder=study)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert "is the same folder, which differs in nothing from itself; name other results" in done.stderr


def pack(study: Path, crate: str = "crate.zip", authors=AUTHORS) -> subprocess.CompletedProcess[str]:
    settings = complete_config({"archive": {"authors": authors}})["archive"]
    provenance = "results/provenance"
    options = ["--digests", f"{provenance}/digests.csv", "--run", f"{provenance}/run.json", "--config", f"{provenance}/config.yaml"]
    return call_program("archive", crate, "results/report.html", *options, "--settings", json.dumps(settings), folder=study)


def must_haves(crate: zipfile.ZipFile) -> None:
    """What RO-Crate 1.1 says that a crate must have (sections "Root data entity", "Data entities", "RO-Crate structure")."""
    metadata = json.loads(crate.read(METADATA))
    assert metadata["@context"] == CONTEXT
    entities = {entity["@id"]: entity for entity in metadata["@graph"]}
    assert len(entities) == len(metadata["@graph"]), "every entity has an @id of its own"
    assert all("@type" in entity for entity in entities.values()), "every entity has a type"
    descriptor, root = entities[METADATA], entities["./"]
    assert (descriptor["@type"], descriptor["about"], descriptor["conformsTo"]) == ("CreativeWork", {"@id": "./"}, {"@id": PROFILE})
    assert root["@type"] == "Dataset"
    assert all(root[key] for key in ("name", "description", "datePublished", "license"))
    assert root["license"]["@id"] in entities
    parts = [part["@id"] for part in root["hasPart"]]
    assert all(entities[part]["@type"] == "File" and not part.startswith("/") for part in parts)
    assert {urllib.parse.unquote(part) for part in parts} == set(crate.namelist()) - {METADATA}, "every file is described and there"
    for part in parts:
        held = crate.read(urllib.parse.unquote(part))
        assert (entities[part]["contentSize"], entities[part]["sha256"]) == (str(len(held)), hashlib.sha256(held).hexdigest())
    for value in json.dumps(metadata).split('{"@id": "')[1:]:
        name = value.split('"')[0]
        assert name in entities or name.startswith(("http", "https")), f"{name} is referred to and not described"


def test_the_archive_has_what_an_ro_crate_must_have_and_verifies_where_it_is_unpacked(study, tmp_path):
    done = pack(study)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(study / "crate.zip") as crate:
        must_haves(crate)
        crate.extractall(tmp_path / "unpacked")
    assert call_program("verify_results", "results", folder=tmp_path / "unpacked").returncode == 0
    metadata = json.loads((tmp_path / "unpacked" / METADATA).read_text())
    assert [entity["name"] for entity in metadata["@graph"] if entity["@type"] == "Person"] == ["Ada <b>Ear</b>", "Bo"]
    esc50 = next(entity for entity in metadata["@graph"] if entity["@id"] == "#esc50")
    assert esc50["license"]


def test_the_same_results_give_the_same_archive(study):
    pack(study)
    for path in (study / "results").rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    pack(study, "again.zip")
    assert (study / "crate.zip").read_bytes() == (study / "again.zip").read_bytes()


def test_a_client_of_the_standard_reads_the_archive(study):
    rocrate = pytest.importorskip("rocrate.rocrate", reason="the package rocrate is not installed")
    pack(study)
    crate = rocrate.ROCrate(study / "crate.zip")
    assert crate.name == "Results of an Earwitness run"
    assert len(crate.data_entities) == len(zipfile.ZipFile(study / "crate.zip").namelist()) - 1


def test_a_run_that_is_not_finished_is_not_archived(study):
    (study / "results/predictions/p.parquet").unlink()
    done = pack(study)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "finish the run before archiving it" in done.stderr
    assert not (study / "crate.zip").exists()


def test_an_archive_holds_nothing_from_elsewhere(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").touch()
    with pytest.raises(InputError, match="lies outside"):
        crate_names([tmp_path / "in" / ".." / "secret"], tmp_path / "in")


def test_without_authors_the_archive_names_none():
    settings = complete_config({})["archive"]
    root = describe_crate({}, settings, {"date": "2026-01-02"}, {})["@graph"][1]
    assert "author" not in root


def test_the_end_of_a_run_tells_this_runs_errors(tmp_path):
    logs, started = tmp_path / "logs", 1_000_000_000.0
    for name, text, written in (
        ("old.log", "error: of yesterday", started - 60),
        ("rule/now.log", "went on\nerror: of now", started + 60),
        ("mended.log", "error: at first\nwent on", started + 60),
    ):
        path = logs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (written, written))
    assert errors_since(logs, started) == [f"error: of now ({logs / 'rule/now.log'})"]


def benchmark(s, max_rss, cpu_time):
    """A benchmark file as Snakemake writes it."""
    header = "s h:m:s max_rss max_vms max_uss max_pss io_in io_out mean_load cpu_time"
    row = f"{s} 0:00:12 {max_rss} 900.1 400.2 410.3 0.5 1.5 98.2 {cpu_time}"
    return "\n".join("\t".join(line.split()) for line in (header, row)) + "\n"


def test_the_record_of_a_run_holds_what_every_job_cost_and_no_secret(tmp_path):
    benchmarks = tmp_path / "benchmarks"
    (benchmarks / "train_adapter").mkdir(parents=True)
    (benchmarks / "train_adapter/attention-grouped-seed-42.tsv").write_text(benchmark("12.3456", "512.25", "11.90"))
    (benchmarks / "gate_tuning.tsv").write_text(benchmark("0.2100", "NA", "NA"))
    (tmp_path / "snakemake.log").write_text("fetched with hf_abcdefghijklmnopqrstuvwxyz0123456789")
    record_run([str(tmp_path / "snakemake.log")], benchmarks, tmp_path / "provenance")
    assert "hf_abc" not in (tmp_path / "provenance/run.log").read_text()
    assert (tmp_path / "provenance/costs.csv").read_text().splitlines() == [
        "rule,job,seconds,processor_s,memory_mib",
        "gate_tuning,,0.2100,,",
        "train_adapter,attention-grouped-seed-42,12.3456,11.90,512.25",
    ]
    assert list(read_table(tmp_path / "provenance/costs.csv", COSTS).job) == ["", "attention-grouped-seed-42"]


def test_a_run_that_measured_nothing_is_recorded_too(tmp_path):
    record_run([], tmp_path / "benchmarks", tmp_path / "provenance")
    assert (tmp_path / "provenance/costs.csv").read_text() == "rule,job,seconds,processor_s,memory_mib\n"
