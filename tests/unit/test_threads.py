"""Threads that wait let other programs have their core, which OpenMP only heeds where it is said before torch is imported."""

import os
import subprocess
import sys
from pathlib import Path

import numpy  # noqa: F401  its library of linear algebra is among those that are counted
import pytest
import torch
from numpy._core._multiarray_umath import __cpu_dispatch__
from thread_counts import threads_of_libraries
from threadpoolctl import threadpool_limits

from earwitness.leakage.workers import Workers
from earwitness.model import tiny_base_training
from earwitness.runtime.arithmetic import PINNED, let_multiply_16_bits, pin_arithmetic
from earwitness.runtime.devices import leased_devices
from earwitness.runtime.threads import let_threads_sleep
from train_tiny_base import THREADS
from train_tiny_base import main as train_tiny_base

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


def test_a_job_with_a_gpu_fixes_the_workspace_of_its_matrix_products_unless_the_user_says_otherwise(environment):
    """Without it, cuBLAS may add up in another order the next time."""
    lease()
    assert environment["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    environment["CUBLAS_WORKSPACE_CONFIG"] = ":16:8"
    lease()
    assert environment["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_no_program_that_computes_with_torch_imports_it_before_that_is_said():
    names = [path.stem for path in sorted(PROGRAMS.glob("*.py")) if "leased_devices(" in (text := path.read_text()) or "let_threads_sleep()" in text]
    assert {"train_tiny_base", "train_adapter", "encode_stimuli", "detect_speech"} <= set(names)
    code = f"import sys; sys.path.insert(0, {str(PROGRAMS)!r}); import {', '.join(names)}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_audit_computes_with_one_thread_in_every_process_and_gives_them_back(jobs, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with threadpool_limits(2), Workers(jobs) as workers:
        assert list(workers.map(threads_of_libraries, [1, 2])) == [{1}, {1}]
        assert threads_of_libraries() == {1}
        within = os.environ["OMP_NUM_THREADS"]
    assert (within, os.environ["OMP_NUM_THREADS"]) == ("1", "3")


@pytest.mark.parametrize("given", [1, 3])
def test_the_tiny_base_trains_with_the_same_threads_however_many_there_are(given, monkeypatch):
    """One thread and two differ from the first step on: the gradients of layer norms add up in another order (benchmarks/processors.py)."""
    used = []
    monkeypatch.setattr(tiny_base_training, "make_tiny_base", lambda *_: used.append(torch.get_num_threads()))
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda _: None)
    settings = '{"family": "qwen2_audio", "steps": 1, "batch_size": 1, "pool": 1, "learning_rate": 0.1}'
    monkeypatch.setattr(sys, "argv", ["train", "a", "b", "c", "--history", "h.csv", "--settings", settings, "--window-ms", "1200", "--seed", "1"])
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(given)
        train_tiny_base()
    finally:
        torch.set_num_threads(before)
    assert used == [THREADS]


def test_arithmetic_is_pinned_where_it_can_be_and_left_to_the_user_where_he_chose(tmp_path, monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    new, old = tmp_path / "new", tmp_path / "old"
    new.write_text("flags : sse2 avx avx2 avx512f\n")
    old.write_text("flags : sse2 avx\n")
    chosen = {"ATEN_CPU_CAPABILITY": "default"}
    pin_arithmetic(chosen, new)
    assert chosen == PINNED | {"ATEN_CPU_CAPABILITY": "default"}
    without: dict[str, str] = {}
    pin_arithmetic(without, old)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    pin_arithmetic(without, new)
    assert without == {}, "vectors that a processor lacks would end the program"


@pytest.mark.parametrize(
    ("flags", "can"),
    [("avx2 avx512f avx512_bf16", True), ("avx2 amx_bf16 amx_tile", True), ("asimd bf16", True), ("avx2 avx512f amx_int8", False), (None, False)],
)
def test_products_of_16_bits_get_what_was_kept_from_onednn_and_nothing_that_the_user_chose(flags, can, tmp_path):
    processor = tmp_path / "cpuinfo"
    if flags is not None:
        processor.write_text(f"flags : {flags}\n")
    kept, chosen = dict(PINNED), PINNED | {"ONEDNN_MAX_CPU_ISA": "SSE41"}
    assert let_multiply_16_bits(kept, processor) == let_multiply_16_bits(chosen, processor) == can
    assert kept == PINNED | {"ONEDNN_MAX_CPU_ISA": "DEFAULT"} and chosen["ONEDNN_MAX_CPU_ISA"] == "SSE41"


@pytest.mark.slow
def test_onednn_heeds_its_variable_until_it_multiplies():
    """So that `let_multiply_16_bits` can come after torch was imported."""
    lines = (
        "import os, torch; os.environ['ONEDNN_MAX_CPU_ISA'] = 'DEFAULT'",
        "torch.nn.functional.conv1d(torch.ones(8, 64, 200), torch.ones(64, 64, 3))",
    )
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "SSE41", "ONEDNN_VERBOSE": "1"}
    told = subprocess.run([sys.executable, "-c", "\n".join(lines)], env=environment, capture_output=True, text=True, check=True).stdout
    assert "info,cpu,isa:" in told and "SSE4.1" not in told


@pytest.mark.skipif("X86_V3" not in __cpu_dispatch__, reason="NumPy for another kind of processor")
def test_numpy_knows_the_names_of_the_vectors_that_it_is_to_leave():
    assert set(PINNED["NPY_DISABLE_CPU_FEATURES"].split()) == {name for name in __cpu_dispatch__ if name != "X86_V3"}
