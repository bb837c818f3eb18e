"""How many test speakers also train where one speaker is in many files, by what the study is told of names.

PYTHONPATH=workflow_scripts:tests python benchmarks/speakers.py --speech voxconverse/audio --sounds ESC-50 --out FOLDER [--seconds 2]
    Cut every recording (one speaker each) into files whose RTTM names the speaker, and let the workflow split and audit them: names taken for
    local to a file, as they were always taken once; names not declared; names declared global; and names withheld, where what the audit
    hears (L16, with the optional packages of envs/README.md) is handed to the split as ties.
"""

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import soundfile
import yaml
from checkout import Checkout, copy_project

SETTINGS: dict[str, Any] = {
    "clips": {"duration_s": 1.7, "per_source": 2},
    "stimuli": {"durations_ms": [200], "snrs_db": [10]},
    "resources": {"stimulus_shards": 1},
}


def cut(recordings: Path, folder: Path, seconds: float) -> int:
    """Write every recording as files of a length in VoxConverse's layout; returns how many there are."""
    (folder / "audio").mkdir(parents=True)
    (folder / "rttm").mkdir()
    count = 0
    for path in sorted(recordings.glob("*.wav")):
        samples, rate = soundfile.read(path, dtype="int16")
        length = round(seconds * rate)
        for k in range(math.floor(len(samples) / length)):
            name = f"{path.stem}-{k:02d}"
            soundfile.write(folder / f"audio/{name}.wav", samples[k * length : (k + 1) * length], rate)
            (folder / f"rttm/{name}.rttm").write_text(f"SPEAKER {name} 1 0.000 {seconds:.3f} <NA> <NA> {path.stem} <NA> <NA>\n")
            count += 1
    return count


def run(checkout: Checkout, out: Path, target: str, sounds: Path, names: str, ties: list[str]) -> subprocess.CompletedProcess[str]:
    """The workflow as far as a target, with what it is told of names and ties."""
    speech = {"origin": "path", "path": str(out / "speech"), "speaker_names": names}
    sources = {"voxconverse": speech, "esc50": {"origin": "path", "path": str(sounds)}, "fsd50k": {"origin": "none"}}
    config = checkout.folder / "speakers.yaml"
    config.write_text(yaml.safe_dump(SETTINGS | {"sources": sources, "splits": {"ties": ties}}))
    return checkout.snakemake("--cores", "1", target, "--configfile", str(config))


def told(checkout: Checkout, what: str) -> str:
    """One row of the table: the split and its audit as they lie there."""
    folder = checkout.folder / "results"
    split = pd.read_csv(folder / "splits/grouped.csv")
    speech = split[split.label == "SPEECH"].assign(speaker=lambda rows: rows.clip_id.str.extract(r":([a-z]+)-\d\d", expand=False))
    tested, trained = (set(speech.speaker[speech.part == part]) for part in ("test", "train"))
    shared = tested & trained
    checks = {check["id"]: check for check in json.loads((folder / "audit/grouped/certificate.json").read_text())["checks"]}
    failed = [name for name, check in checks.items() if check["status"] == "fail" and check["severity"] == "error"]
    evidence = pd.read_csv(folder / "audit/grouped/evidence.csv", dtype=str, keep_default_na=False)
    heard = evidence[(evidence.check == "L16") & (evidence.part_a == "test") & (evidence.part_b == "train")]
    pairs = [{item.rsplit(":", 1)[-1].split("-")[0] for item in row} for row in heard[["item_a", "item_b"]].itertuples(index=False)]
    named = {name for pair in pairs for name in pair if len(pair) == 1}
    wrong = sum(len(pair) > 1 for pair in pairs)
    listening = checks["L16"]["reason"] if checks["L16"]["status"] == "not_run" else f"{len(named & shared)} of {len(shared)}, {wrong} wrong pairs"
    verdict = f"FAIL ({', '.join(failed)})" if failed else "PASS"
    return f"| {what} | {speech.source_id.nunique()} | {len(shared)} of {len(tested)} | {verdict} | {listening} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=Path, required=True, help="folder of WAV files of one speaker each")
    parser.add_argument("--sounds", type=Path, required=True, help="sounds in ESC-50's layout")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of the files (default: 2)")
    parser.add_argument("--out", type=Path, required=True, help="a new folder for the files and the study")
    args = parser.parse_args()

    out = args.out.resolve()
    (out / "study").mkdir(parents=True)
    print(f"{cut(args.speech, out / 'speech', args.seconds)} files of {args.seconds:g} s\n")
    print(
        "| names | sources of speech | test speakers who also train | audit | of them heard by L16 |\n| --- | ---: | ---: | --- | --- |", flush=True
    )
    checkout, sounds = copy_project(out / "study"), args.sounds.resolve()
    asked = run(checkout, out, "results/audit/grouped/report.md", sounds, "undeclared", [])
    error = next(line for line in asked.stderr.splitlines() if line.startswith("error: "))
    print(f"| not declared | | the run asks: {error.removeprefix('error: ')} | | |", flush=True)
    for names in ("global", "local"):
        done = run(checkout, out, "results/audit/grouped/report.md", sounds, names, [])
        if done.returncode:
            sys.exit(done.stderr)
        print(told(checkout, f"declared {names}"), flush=True)
    run(checkout, out, "results/proposals/grouped", sounds, "local", [])
    ties = out / "ties.csv"
    ties.write_bytes((checkout.folder / "results/proposals/grouped/ties.csv").read_bytes())
    done = run(checkout, out, "results/audit/grouped/report.md", sounds, "local", [str(ties)])
    if done.returncode:
        sys.exit(done.stderr)
    print(told(checkout, "withheld, ties of the proposal"), flush=True)


if __name__ == "__main__":
    main()
