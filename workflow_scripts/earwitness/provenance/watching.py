"""What the jobs of a run are doing, read from their logs while they work, for whoever started it."""

import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from earwitness.core.progress import TOLD, duration

SILENT_S = 10.0
"""Seconds after which a running job is reported."""

TERMINAL_S, LOG_S = 1.0, 30.0
"""Seconds between two looks: where one line is rewritten, and where lines are added."""

TAIL_BYTES = 4096


@dataclass(frozen=True)
class Doing:
    """One job at work. job: its rule and what tells it from others of the rule; seconds: for how long; says: its last word, or ""."""

    job: str
    seconds: float
    says: str

    def __str__(self) -> str:
        return f"{self.job}: {self.says or f'at work for {duration(self.seconds)}'}"


def at_work(logs: Path, benchmarks: Path, started: float, now: float) -> list[Doing]:
    """The jobs that have begun and not ended, by name; seconds: since a job last wrote to its log.

    logs: holds RULE.log or RULE/JOB.log; benchmarks: RULE.tsv or RULE/JOB.tsv, which Snakemake writes when a job has ended. started, now:
    seconds since the epoch. What is older than `started` is of an earlier run.
    """
    found = []
    for log in sorted(logs.rglob("*.log")):
        name = log.relative_to(logs).with_suffix("")
        if name.parts[0] == "slurm":  # Slurm's own, of jobs that have a log besides
            continue
        try:
            told_at = log.stat().st_mtime
            ended = (benchmarks / name.with_suffix(".tsv")).stat().st_mtime if (benchmarks / name.with_suffix(".tsv")).exists() else 0.0
            said = _last_line(log)
        except OSError:
            continue
        if told_at >= started and ended < told_at and not said.startswith("error: "):
            found.append(Doing(" ".join(name.parts), now - told_at, said if TOLD.fullmatch(said) else ""))
    return found


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return lines[-1] if lines else ""


def status_line(doings: list[Doing], width: int) -> str:
    """What fits into one line of a terminal."""
    if not doings:
        return ""
    more = f" (and {len(doings) - 1} more)" if len(doings) > 1 else ""
    first = str(doings[0])
    room = max(0, width - 1 - len(more))
    return (first if len(first) <= room else first[: room - 1] + "…") + more


class Watcher:
    """Tells on `stream` what a run's jobs are doing, from `start` to `stop`: one line at the bottom of a terminal, or plain lines."""

    def __init__(self, logs: Path, benchmarks: Path, started: float, stream: TextIO, terminal: bool):
        self._logs, self._benchmarks, self._started = logs, benchmarks, started
        self._stream, self._terminal = stream, terminal
        self._write = stream.write
        self._shown = False
        self._first_seen: dict[str, float] = {}
        self._told: dict[str, str] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Begin to watch. On a terminal whatever else is written to the stream first removes the line."""
        if self._terminal:
            self._stream.write = self._write_above  # type: ignore[method-assign]
        self._thread.start()

    def stop(self) -> None:
        """End, and leave no line behind."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._terminal:
            self._remove_line()
            self._stream.write = self._write  # type: ignore[method-assign]

    def look(self) -> None:
        """Look once, and tell."""
        now = time.time()
        doings = at_work(self._logs, self._benchmarks, self._started, now)
        for doing in doings:
            self._first_seen.setdefault(doing.job, now - doing.seconds)
        self._first_seen = {doing.job: self._first_seen[doing.job] for doing in doings}
        lasting = [Doing(doing.job, now - self._first_seen[doing.job], doing.says) for doing in doings]
        lasting = sorted((doing for doing in lasting if doing.seconds >= SILENT_S), key=lambda doing: -doing.seconds)
        if self._terminal:
            self._show(status_line(lasting, shutil.get_terminal_size().columns))
            return
        for doing in lasting:
            if doing.says and self._told.get(doing.job) != doing.says:
                self._told[doing.job] = doing.says
                self._stream.write(f"{doing}\n")
                self._stream.flush()

    def _watch(self) -> None:
        while not self._ended.wait(TERMINAL_S if self._terminal else LOG_S):
            self.look()

    def _show(self, line: str) -> None:
        with self._lock:
            if line or self._shown:
                self._write(f"\r{line}\x1b[K")
                self._stream.flush()
                self._shown = bool(line)

    def _remove_line(self) -> None:
        with self._lock:
            if self._shown:
                self._write("\r\x1b[K")
                self._shown = False

    def _write_above(self, text: str) -> int:
        self._remove_line()
        return self._write(text)
