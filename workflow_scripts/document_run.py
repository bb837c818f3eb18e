"""Write the numbers of a finished run of the default study into README.md, and keep them and its figure in docs/figures."""

import argparse
import json
import re
import tempfile
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from earwitness.core.errors import InputError, one_line_errors
from earwitness.core.files import atomic
from earwitness.core.progress import duration
from earwitness.report.phases_figure import draw_phases
from earwitness.report.style import figure_style, save_figure
from earwitness.tables.accuracy import ACCURACY, SOURCE_ACCURACY
from earwitness.tables.comparisons import COMPARISONS
from earwitness.tables.draws import DRAWS
from earwitness.tables.files import read_table
from earwitness.tables.phases import PHASES
from earwitness.tables.psychometrics import THRESHOLDS
from earwitness.tables.training import COSTS

ROOT = Path(__file__).parents[1]
README, NUMBERS, FIGURE = ROOT / "README.md", ROOT / "docs/figures/default.json", ROOT / "docs/figures/phases.png"

HONEST, LEAKY = "attention-grouped", "attention-row_random"
SYSTEMS = {
    "base": "the tiny base, zero-shot",
    HONEST: "fine-tuned on the honest split",
    LEAKY: "fine-tuned on the leaky split",
    "tower_probe": "a linear readout of the base's ear (its audio encoder)",
    "untrained_probe": "a linear readout of an untrained ear",
    "silero": "Silero VAD",
    "webrtc": "WebRTC's VAD",
    "energy": "an energy detector",
}
"""Systems that README shows, in words."""

CURVES = ("base", HONEST, "silero")
"""Systems whose thresholds README shows."""

ENDS = ("estimate", "low", "high")

MIN_SOURCES = 6
"""With fewer sources in a class, README shows no interval."""

HELD = {"": "duration", "80": "SNR at 80 ms", "200": "at 200 ms", "500": "at 500 ms", "1000": "at 1000 ms"}
"""held_duration_ms of a curve -> heading of its column; "" is the curve over durations, without noise."""


def numbers_of(results: Path) -> dict[str, Any]:
    """What README says of a finished run of the default study. Raises InputError where a table is missing or lacks a system."""
    run = json.loads((results / "provenance/run.json").read_text(encoding="utf-8"))
    costs = read_table(results / "provenance/costs.csv", COSTS)
    stamps = re.findall(r"^\[(.+)\]$", (results / "provenance/run.log").read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    times = [datetime.strptime(stamp, "%a %b %d %H:%M:%S %Y") for stamp in stamps]
    accuracy = read_table(results / "tables/accuracy.csv", ACCURACY)
    accuracy = accuracy[(accuracy.metric == "balanced_accuracy") & accuracy.seed.isin(["all", "-"])].set_index("system_id")
    unseen, own = accuracy[accuracy.test_set == "unseen"], accuracy[accuracy.test_set == "row_random"]
    if missing := [system for system in SYSTEMS if system not in unseen.index]:
        raise InputError(f"{results}/tables/accuracy.csv: no {missing[0]}; run the default study, with config/config.yaml as it is")
    gain = read_table(results / "tables/comparisons.csv", COMPARISONS).query("system_a == @HONEST and system_b == 'base'").iloc[0]
    drawn = read_table(results / "tables/draws/redrawn.csv", DRAWS).query("draw == 'all' and metric == 'accuracy'").set_index("quantity")
    thresholds = read_table(results / "tables/thresholds.csv", THRESHOLDS).query("measure == 'balanced_accuracy'")
    duration_curve = thresholds.query("axis == 'duration'").assign(held="")
    snr_curves = thresholds.query("axis == 'snr' and design == 'factorial'").assign(held=lambda rows: rows.held_duration_ms.astype(str))
    curves = pd.concat([duration_curve, snr_curves])
    return {
        "machine": {key: run[key] for key in ("cpu", "cores", "memory_gib", "gpus", "date")} | {"revision": run["git"]["revision"]},
        "cost": {
            "jobs": len(costs),
            "wall_s": (max(times) - min(times)).total_seconds(),
            "processor_s": round(float(costs.processor_s.sum())),
            "memory_mib": round(float(costs.memory_mib.max())),
            "megabytes": round(sum(path.stat().st_size for path in results.rglob("*") if path.is_file()) / 1e6),
        },
        "sources": {"speech": int(unseen.n_speech_sources["base"]), "others": int(unseen.n_nonspeech_sources["base"])},
        "accuracy": {system: _rounded([unseen[end][system] for end in ENDS]) for system in SYSTEMS},
        "gain": _rounded(gain[["difference", "low", "high"]]) | {"p": round(float(gain.p_holm), 3), "conclusion": gain.conclusion},
        "leaky_own_test": _rounded([own[end][LEAKY] for end in ENDS]) | {"speakers": int(own.n_speech_sources[LEAKY])},
        "drawn": {
            "draws": int(drawn.n_draws["leakage_buys"]),
            "leakage_buys": _rounded([drawn[end]["leakage_buys"] for end in ("value", "low", "high")]),
            "honest_own": _rounded([drawn[end]["honest_own"] for end in ("value", "lowest", "highest")])
            | {"items": int(drawn.n_items["honest_own"])},
        },
        "thresholds": {system: {row.held: _threshold(row) for row in curves[curves.system_id == system].itertuples()} for system in CURVES},
    }


def _rounded(values: Iterable[float]) -> dict[str, float]:
    """value, low and high of a share, in points."""
    return {name: round(100 * float(value), 1) for name, value in zip(("value", "low", "high"), values, strict=True)}


def _threshold(row: Any) -> dict[str, Any]:
    digits = 0 if row.held == "" else 1
    ends = {name: round(float(getattr(row, name)), digits) for name in ("threshold", "low", "high")}
    return {"status": row.status, "lowest": row.lowest_level, "highest": row.highest_level} | {
        name: None if value != value else str(value) if abs(value) == float("inf") else value for name, value in ends.items()
    }


def draw(tables: Path, png: Path) -> None:
    """The study's answer in one figure, from the tables of a run."""
    phases, accuracy = read_table(tables / "phases.csv", PHASES), read_table(tables / "accuracy.csv", ACCURACY)
    with figure_style(), tempfile.TemporaryDirectory() as folder:
        save_figure(draw_phases(phases, accuracy, read_table(tables / "sources.csv", SOURCE_ACCURACY)), Path(folder) / "phases.svg", png)


def blocks(numbers: dict[str, Any]) -> dict[str, str]:
    """Name of each marked place of README -> what stands there."""
    machine, cost = numbers["machine"], numbers["cost"]
    where = f"{machine['cores']} cores of an {machine['cpu']}, {'no GPU' if not machine['gpus'] else ', '.join(machine['gpus'])}"
    costs = (
        f"Measured on {where}: the default study took {duration(cost['wall_s'])}, which is"
        f" {duration(cost['processor_s'])} of processor time, in {cost['jobs']} jobs. The largest held {cost['memory_mib'] / 1024:.1f} GiB;"
        f" results take {cost['megabytes']} MB."
    )
    own, others = numbers["leaky_own_test"]["value"], numbers["accuracy"][LEAKY]["value"]
    figure = (
        "*The study in small, on a model of half a million parameters. Above the line: sources that nothing had trained on. Below it: a leaky"
        f" split's own test says {own:.1f} %, where the same adapters reach {others:.1f} % on new sources.*"
    )
    return {"figure": figure, "cost": costs, "accuracy": _accuracy(numbers, where), "thresholds": _thresholds(numbers)}


def _accuracy(numbers: dict[str, Any], where: str) -> str:
    gain, own, drawn = numbers["gain"], numbers["leaky_own_test"], numbers["drawn"]
    few = "; too few speakers for an interval" if own["speakers"] < MIN_SOURCES else f" [{own['low']:.1f}, {own['high']:.1f}]"
    rows = [f"| {name} | {_with_ends(numbers['accuracy'][system])} |" for system, name in SYSTEMS.items()]
    rows.insert(2, f"| what fine-tuning gained, in points | {_with_ends(gain, '+.1f')}; p {gain['p']:.2g}: {gain['conclusion']} |")
    rows.insert(4, f"| the leaky arm on its own test rows, of {own['speakers']} speakers | {own['value']:.1f}{few} |")
    honest = drawn["honest_own"]
    rows += [
        f"| what leakage bought in {drawn['draws']} draws of the published design, in points | {_with_ends(drawn['leakage_buys'], '+.1f')} |",
        f"| right on the {honest['items']} test items of its corrected split, in the worst and in the best draw |"
        f" {honest['low']:.1f}, {honest['high']:.1f} |",
    ]
    sources = numbers["sources"]
    told = (
        f"Balanced accuracy in % on sources that nothing had trained on ({sources['speech']} voices, {sources['others']} other sounds), with 95 %"
        f" intervals clustered by source; {where}, {numbers['machine']['date']}, revision {numbers['machine']['revision'][:7]}:"
    )
    return "\n".join([told, "", "| | |", "| --- | --- |", *rows])


def _with_ends(of: dict[str, Any], form: str = ".1f") -> str:
    return f"{of['value']:{form}} [{of['low']:.1f}, {of['high']:.1f}]"


def _thresholds(numbers: dict[str, Any]) -> str:
    rows = [
        f"| {SYSTEMS[system]} | {' | '.join(_in_words(of.get(held), 'ms' if held == '' else 'dB') for held in HELD)} |"
        for system, of in ((system, numbers["thresholds"][system]) for system in CURVES)
    ]
    return "\n".join([f"| | {' | '.join(HELD.values())} |", f"| --- |{' --- |' * len(HELD)}", *rows])


def _in_words(of: dict[str, Any] | None, unit: str) -> str:
    """A threshold with its interval; where it is outside the tested range, which side."""
    if of is None or of["threshold"] is None:
        return "-" if of is None else of["status"].replace("_", " ")
    form = ".0f" if unit == "ms" else ".1f"

    def end(value: Any) -> str:
        outside = {"-inf": f"< {of['lowest']:g}", "inf": f"> {of['highest']:g}"}
        return outside.get(value) or f"{value:{form}}"

    return f"{end(of['threshold'])} {unit} [{end(of['low'])}, {end(of['high'])}]"


def documented(text: str, numbers: dict[str, Any]) -> str:
    """README's text with the numbers in its marked places. Raises InputError where a place is missing."""
    for name, block in blocks(numbers).items():
        start, end = f"<!-- numbers: {name}, written by workflow_scripts/document_run.py -->\n", "<!-- end of numbers -->\n"
        before, found, rest = text.partition(start)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise InputError(f"README.md: no place for the numbers of {name}; put back the line {start.strip()} and the one that ends it")
        text = f"{before}{start}\n{block}\n\n{end}{after}"
    return text


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", help="results of the run (default: the numbers that are kept are written again)")
    args = parser.parse_args()

    if args.results is not None:
        numbers = numbers_of(args.results)
        with atomic(NUMBERS) as temporary:
            temporary.write_text(json.dumps(numbers, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        draw(args.results / "tables", FIGURE)
    text = documented(README.read_text(encoding="utf-8"), json.loads(NUMBERS.read_text(encoding="utf-8")))
    with atomic(README) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
