"""How soon a program begins its work: the time from its start until it opens the first file of a model's weights, most of it imports.

Plans a study that has run in this checkout, and starts one job of each rule that loads a model, as the study would; stops it at that file, so
that it changes nothing. Prints a Markdown table.
"""

import argparse
import os
import re
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMAND = re.compile(r"Shell command: python workflow_scripts/(?P<rule>\w+)\.py (?P<arguments>.*) &> ")
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("GOTO", "MKL", "NUMEXPR", "OMP", "OPENBLAS")}
"""What Snakemake tells a job of one thread; otherwise NumPy starts a thread for every core."""

WITHOUT_WEIGHTS_S = 60.0
"""A program that has opened no weights by then loads none."""

UNTIL_WEIGHTS = """
import os, runpy, sys, time

def stop(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".safetensors"):
        os.write(1, f"{time.clock_gettime(time.CLOCK_MONOTONIC)} {time.process_time()}".encode())
        os._exit(0)

sys.addaudithook(stop)
sys.path.insert(0, os.path.dirname(sys.argv[1]))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def planned_jobs(configfiles: list[str]) -> dict[str, list[str]]:
    """Rule -> the program of its first job with its arguments, of every rule whose jobs read a base."""
    plan = [sys.executable, "-m", "snakemake", "--cores", "1", "--forceall", "--dry-run", "--printshellcmds", "--configfile"]
    printed = subprocess.run([*plan, *configfiles], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    jobs: dict[str, list[str]] = {}
    for found in COMMAND.finditer(printed):
        if "--base " in found["arguments"]:
            jobs.setdefault(found["rule"], [f"workflow_scripts/{found['rule']}.py", *shlex.split(found["arguments"])])
    return jobs


def start(job: list[str]) -> tuple[float, float] | None:
    """Seconds until the program opens weights: on the clock, and of a processor; None where it ends without."""
    command, environment = [sys.executable, "-c", UNTIL_WEIGHTS, *job], os.environ | ONE_THREAD
    begun = time.clock_gettime(time.CLOCK_MONOTONIC)
    try:
        ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=WITHOUT_WEIGHTS_S)
    except subprocess.TimeoutExpired:
        return None
    if ended.returncode or not ended.stdout:
        return None
    at, processor_s = ended.stdout.split()
    return float(at) - begun, float(processor_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configfile", nargs="+", default=["config/demo.yaml"], help="of the study that has run here")
    parser.add_argument("--runs", type=int, default=5, help="starts of each program, in turn")
    args = parser.parse_args()

    jobs = planned_jobs(args.configfile)
    times: dict[str, list[tuple[float, float]]] = {rule: [] for rule in jobs}
    for _ in range(args.runs):
        for rule, job in jobs.items():
            if taken := start(job):
                times[rule].append(taken)
    print("| program | until it opens weights, s | slowest | processor, s |")
    print("| --- | ---: | ---: | ---: |")
    for rule, taken in sorted(times.items()):
        if taken:
            clock, processor = zip(*taken, strict=True)
            print(f"| {rule} | {statistics.median(clock):.1f} | {max(clock):.1f} | {statistics.median(processor):.1f} |")


if __name__ == "__main__":
    main()
