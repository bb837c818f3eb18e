"""How often a study loads its base, and about how many hours of GPU it takes: from a dry run and times that were measured at full size.

Compares the configuration with one adapter or search to a job. Prints Markdown tables.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
OVERHEAD_S = 24.0
"""Start of the program, lease and load of the base (H100 and H200, NF4 unpacked); without hashing, which no job does."""

WORK_S = {
    "encode_stimuli": 2.8,
    "encode_controls": 5.0,
    "check_generation": 8.0,
    "predict_zeroshot": 16.0,
    "probe_counterfactuals": 6.0,
    "search_prompts": 40.0,
    "predict_prompts": 16.0,
    "train_adapter": 25.0,
    "predict_adapter": 8.0,
}
"""Rule -> seconds of work of each shard, adapter, search or set: 2.3 ms to encode, 2.4 ms to ask in both orders, 10.3 ms to train a row."""


def dry_run(*configurations: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", "--configfile", *configurations]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
    return done.stdout


def jobs_and_units(printed: str) -> tuple[Counter[str], Counter[str], int]:
    """Rule -> jobs, and adapters trained or asked, or searches made, in them (for other rules jobs again), and the number of all jobs."""
    table = printed.split("Job stats:")[1].split("total")
    rows = [line.split() for line in table[0].splitlines()[2:] if line.strip()]
    jobs: Counter[str] = Counter()
    for name, count in (row for row in rows if len(row) == 2 and row[1].isdigit()):
        jobs[name.partition("__")[0]] += int(count)
    units = Counter(jobs)
    units["search_prompts"] = sum(len(seeds.split()) for seeds in re.findall(r"^Job \d+: Searching .*, seeds ([\d ]+)\)", printed, re.MULTILINE))
    for rule, verb in (("train_adapter", "Fine-tuning"), ("predict_adapter", "Asking")):
        units[rule] = sum(len(names.split()) for names in re.findall(rf"^Job \d+: {verb} (\S+-seed-\d+(?: \S+-seed-\d+)*)", printed, re.MULTILINE))
    return jobs, units, int(table[1].split()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configfile", default="config/reproduction.yaml")
    args = parser.parse_args()
    shared = jobs_and_units(dry_run(args.configfile))
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as one:
        print("resources: {adapters_per_job: 1}", file=one, flush=True)
        alone = jobs_and_units(dry_run(args.configfile, one.name))
    print("| rule | units | loads, one to a job | loads | hours, one to a job | hours |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    sums = [0.0] * 4
    for rule, work in WORK_S.items():
        counts = [alone[0][rule], shared[0][rule]]
        hours = [(count * OVERHEAD_S + shared[1][rule] * work) / 3600 for count in counts]
        sums = [total + value for total, value in zip(sums, [*counts, *hours], strict=True)]
        print(f"| {rule} | {shared[1][rule]} | {counts[0]} | {counts[1]} | {hours[0]:.2f} | {hours[1]:.2f} |")
    print(f"| all that load the base | | {sums[0]:.0f} | {sums[1]:.0f} | {sums[2]:.2f} | {sums[3]:.2f} |")
    print(f"\n{alone[2]} jobs in all with one adapter or search to a job, {shared[2]} as configured.")


if __name__ == "__main__":
    main()
