"""Processes that share the work of an audit; the results are the same for any number of them."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_limits

from earwitness.runtime.workers import end_with_parent

Task = TypeVar("Task")
Result = TypeVar("Result")

TASKS_PER_PROCESS = 3
"""Tasks that are queued for every process, so that none waits and memory stays bounded."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables by which numeric libraries choose their number of threads."""


@contextmanager
def one_thread_each() -> Iterator[None]:
    """For the block, numeric libraries compute with one thread in this process and in those that it starts.

    Fits on a few thousand rows are too small to be shared by threads: these only wait for one another, and beside other jobs hold
    each other up.
    """
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        with threadpool_limits(1):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Workers:
    """Run a function over tasks, in this process or, from two jobs on, in as many others, started with the first task.

    Use as a context manager, which ends the processes; within it, each process computes with one thread.
    """

    def __init__(self, jobs: int = 1) -> None:
        if jobs < 1:
            raise ValueError(f"jobs = {jobs}; at least one process is needed")
        self.jobs = jobs
        self._pool: ProcessPoolExecutor | None = None
        self._held = ExitStack()

    def __enter__(self) -> "Workers":
        self._held.enter_context(one_thread_each())
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Yield function(task) for every task, in order. With several jobs, function and tasks must be picklable."""
        if self.jobs == 1:
            yield from map(function, tasks)
            return
        if self._pool is None:
            # Not forked: a process with threads, which libraries start, cannot be copied safely.
            self._pool = ProcessPoolExecutor(self.jobs, multiprocessing.get_context("spawn"), end_with_parent)
        pending: deque[Future[Result]] = deque()
        for task in tasks:
            pending.append(self._pool.submit(function, task))
            if len(pending) >= TASKS_PER_PROCESS * self.jobs:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
