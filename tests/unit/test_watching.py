"""A run says what its jobs are doing while they work, and in the end where to look, what it cost and what did not pass."""

import io
import json
import os

import pytest

from earwitness.provenance.end_of_run import told_at_the_end
from earwitness.provenance.watching import Doing, Watcher, at_work, status_line

NOW = 2_000_000_000.0


def written(path, text, ago=0.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    os.utime(path, (NOW - ago, NOW - ago))
    return path


def test_a_job_is_at_work_from_its_first_word_to_its_benchmark(tmp_path):
    logs, benchmarks = tmp_path / "logs", tmp_path / "benchmarks"
    line = "training: 300 of 900 steps (33 %) in 41 s, about 1 min 22 s left"
    written(logs / "train_tiny_base.log", f"loading\n{line}\n", ago=2)
    written(logs / "audit_leakage/grouped.log", "half a wo", ago=30)
    written(logs / "split_grouped.log", "", ago=40)
    written(benchmarks / "split_grouped.tsv", "s\n1", ago=39)
    written(logs / "train_adapter/a.log", f"{line}\n", ago=20)
    written(benchmarks / "train_adapter/a.tsv", "s\n1", ago=5000)
    written(logs / "select_clips/x.log", "error: nothing to cut\n", ago=20)
    written(logs / "plot_accuracy.log", "of an earlier run", ago=900)
    written(logs / "slurm/rule_train_adapter/17.log", line, ago=20)
    written(logs / "encode_stimuli/x.log", "encoding x: 400 stimuli in 12 s\n", ago=50)
    assert at_work(logs, benchmarks, NOW - 600, NOW) == [
        Doing("audit_leakage grouped", 30.0, ""),
        Doing("encode_stimuli x", 50.0, ""),
        Doing("train_adapter a", 20.0, line),
        Doing("train_tiny_base", 2.0, line),
    ]


def test_one_line_fits_the_terminal_and_counts_the_others():
    doings = [
        Doing("train_tiny_base", 70, "training: 300 of 900 steps (33 %) in 41 s, about 1 min 22 s left"),
        Doing("audit_leakage grouped", 12, ""),
    ]
    assert status_line(doings[1:], 80) == "audit_leakage grouped: at work for 12 s"
    assert status_line(doings, 200).endswith("about 1 min 22 s left (and 1 more)")
    assert len(status_line(doings, 60)) <= 59 and status_line(doings, 60).endswith("… (and 1 more)")
    assert status_line([], 80) == ""


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """A function that moves the clock, and one that makes a watcher of a job that trains."""
    clock = {"now": NOW}
    monkeypatch.setattr("earwitness.provenance.watching.time.time", lambda: clock["now"])

    def watcher(stream, terminal):
        written(tmp_path / "logs/train_tiny_base.log", "training: 300 of 900 steps (33 %) in 41 s, about 1 min 22 s left\n")
        return Watcher(tmp_path / "logs", tmp_path / "benchmarks", NOW - 1, stream, terminal)

    return clock, watcher


def test_a_log_gets_a_line_once_a_job_lasts_and_none_twice(watched, tmp_path):
    clock, watcher = watched
    stream = io.StringIO()
    watch = watcher(stream, terminal=False)
    for seconds in (0, 9, 12, 40):
        clock["now"] = NOW + seconds
        watch.look()
    assert stream.getvalue() == "train_tiny_base: training: 300 of 900 steps (33 %) in 41 s, about 1 min 22 s left\n"


def test_on_a_terminal_the_line_makes_room_for_whatever_else_is_written(watched, monkeypatch):
    clock, watcher = watched
    stream = io.StringIO()
    watch = watcher(stream, terminal=True)
    watch.look()
    assert stream.getvalue() == ""
    watch.start()
    clock["now"] = NOW + 15
    watch.look()
    print("[Fri Nov 27]", file=stream)
    watch.stop()
    print("Done", file=stream)
    shown = stream.getvalue()
    assert shown.startswith("\rtrain_tiny_base: training: 300 of 900") and "\n" not in shown.partition("\r\x1b[K")[0]
    assert shown.endswith("\r\x1b[K[Fri Nov 27]\nDone\n")


def certificate(folder, status, checks):
    written(folder / "certificate.json", json.dumps({"status": status, "checks": checks}))


def check(number, status, severity="error", waived=False):
    return {"id": number, "name": "source_overlap", "status": status, "severity": severity, "waived": waived}


def test_the_end_says_where_to_look_what_it_cost_and_what_did_not_pass(tmp_path):
    header = "s\th:m:s\tmax_rss\tcpu_time\n"
    written(tmp_path / "report.html", "")
    written(tmp_path / "detector/README.md", "", ago=5000)
    written(tmp_path / "benchmarks/train_tiny_base.tsv", header + "203.13\t0:03:23\t1262.50\t211.67\n")
    written(tmp_path / "benchmarks/audit_leakage/grouped.tsv", header + "52.6\t0:00:52\t800\t50\n")
    written(tmp_path / "benchmarks/plot_accuracy.tsv", header + "900\t0:15:00\t9000\t900\n", ago=5000)
    certificate(tmp_path / "audit/row_random", "fail", [check("L01", "fail"), check("L02", "fail", waived=True)])
    certificate(tmp_path / "audit/grouped", "pass", [check("L01", "pass"), check("L10", "fail", severity="warn")])
    certificate(tmp_path / "audit/fold_0", "fail", [check(f"L0{k}", "fail") for k in range(1, 6)])
    certificate(tmp_path / "audit/tuning", "pass", [check("L01", "pass")])
    written(tmp_path / "recordings/mine_audio_check.csv", "path,verdict,reason\na,ok,\nb,broken,silent\nc,broken,cut\n")
    assert told_at_the_end(tmp_path, NOW - 60) == [
        f"Look at the report: {tmp_path}/report.html",
        "It took 4 min 22 s of processor time in 2 jobs, and at most 1,262 MiB of memory in one; the longest was train_tiny_base, 3 min 23 s",
        f"The audit of fold_0 failed: L01 source_overlap, L02 source_overlap, L03 source_overlap and 2 more; see {tmp_path}/audit/fold_0/report.html",
        f"The audit of grouped passed, and warns: L10 source_overlap; see {tmp_path}/audit/grouped/report.html",
        f"The audit of row_random failed, as it should, being divided by row: L01 source_overlap; see {tmp_path}/audit/row_random/report.html",
        f"2 of 3 audio files of mine cannot be used; {tmp_path}/recordings/mine_audio_check.csv says why",
    ]


def test_a_run_that_made_nothing_to_look_at_names_no_report(tmp_path):
    written(tmp_path / "report.html", "", ago=5000)
    written(tmp_path / "audit/grouped/certificate.json", "{", ago=0)
    assert told_at_the_end(tmp_path, NOW - 60) == [
        f"Made no report; {tmp_path}/README.md says where everything is",
        f"The audit of grouped failed: a check that must run could not; see {tmp_path}/audit/grouped/report.html",
    ]
