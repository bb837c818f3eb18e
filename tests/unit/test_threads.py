"""Threads that wait let other programs have their core, which OpenMP only heeds where it is said before torch is imported."""

import os
import subprocess
import sys
from pathlib import Path

import numpy  # noqa: F401  its library of linear algebra is among those that are counted
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from earwitness.leakage.workers import Workers
from earwitness.runtime.devices import leased_devices
from earwitness.runtime.threads import let_threads_sleep

PROGRAMS = Path(__file__).parents[2] / "workflow_scripts"


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.setattr(os, "environ", {"CUDA_VISIBLE_DEVICES": ""})
    return os.environ


def lease() -> None:
    with leased_devices():
        pass


@pytest.mark.parametrize("start", [let_threads_sleep, lease])
def test_waiting_threads_sleep_unless_the_user_says_otherwise(environment, start):
    start()
    assert environment["OMP_WAIT_POLICY"] == "passive"
    environment["OMP_WAIT_POLICY"] = "active"
    start()
    assert environment["OMP_WAIT_POLICY"] == "active"


def test_no_program_that_computes_with_torch_imports_it_before_that_is_said():
    names = [path.stem for path in sorted(PROGRAMS.glob("*.py")) if "leased_devices(" in (text := path.read_text()) or "let_threads_sleep()" in text]
    assert {"train_tiny_base", "train_adapter", "encode_stimuli", "detect_speech"} <= set(names)
    code = f"import sys; sys.path.insert(0, {str(PROGRAMS)!r}); import {', '.join(names)}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def threads_of_libraries(_: object = None) -> set[int]:
    return {library["num_threads"] for library in threadpool_info()}


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_audit_computes_with_one_thread_in_every_process_and_gives_them_back(jobs, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with threadpool_limits(2), Workers(jobs) as workers:
        assert list(workers.map(threads_of_libraries, [1, 2])) == [{1}, {1}]
        assert threads_of_libraries() == {1}
        within = os.environ["OMP_NUM_THREADS"]
    assert (within, os.environ["OMP_NUM_THREADS"]) == ("1", "3")
