"""The page of a preflight: what was found of a base, and the hours that a study's adapters will take with it."""

from typing import Any

START_S = 15
"""What a job takes before it loads a model, in seconds."""

SOUNDS = 10_000
"""Stimuli that each adapter is taken to be asked about."""


def preflight_page(found: dict[str, Any], adapters: int, rows: int) -> str:
    """The page (Markdown).

    found: of earwitness.model.preflight.preflight. adapters: how many are planned. rows: that all of them are shown in training.
    """
    lines = [*found["lines"], hours_line(found["costs"], adapters, rows)]
    failing = [line for line in lines if line["status"] == "fails"]
    verdict = f"**{len(failing)} of {len(lines)} fail: nothing starts.**" if failing else "**Nothing fails.**"
    table = [
        f"| {line['status']} | {line['what']} | {line['found'].replace('|', '/')}{'. To do: ' + line['remedy'] if line['remedy'] else ''} |"
        for line in lines
    ]
    where = f"{found['processor']}, quantisation {found['quantisation']}, memory {found['memory']}"
    head = f"# Preflight of {found['name']}\n\n{verdict} Folder `{found['folder']}`, identity `{found['identity']}`; {where}.\n"
    return "\n".join([head, "| | what | found |", "| --- | --- | --- |", *table, ""])


def hours_line(costs: dict[str, Any], adapters: int, rows: int) -> dict[str, str]:
    """Hours to train, ask and load the planned adapters, as a line of the page (earwitness.model.preflight.Line as plain values).

    costs: earwitness.model.preflight.Costs as plain values. The base is asked too.
    """
    row, ask, load = costs["train_row_ms"], costs["encode_and_ask_ms"], costs["load_s"]
    if row is None or ask is None:
        return {"what": "hours", "status": "not told", "found": "what was to be timed did not run", "remedy": ""}
    training, asking, loading = row * rows / 3.6e6, ask * (adapters + 1) * SOUNDS / 3.6e6, (load + START_S) * adapters / 3600
    found = f"{training:.1f} h to train {adapters} adapters on {rows:,} rows in all, {asking:.1f} h to ask each about {SOUNDS:,} sounds,"
    return {"what": "hours", "status": "holds", "found": f"{found} {loading:.1f} h to start and load for it; on one device like this", "remedy": ""}
