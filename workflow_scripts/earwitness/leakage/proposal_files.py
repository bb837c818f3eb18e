"""What a proposed split is written as: manifests or a split of the workflow, tables of moves and ties, a report to read."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from earwitness.corpora.text_tables import file_named, read_text_table
from earwitness.leakage.proposal import MOVES, Proposal
from earwitness.leakage.report import escape
from earwitness.leakage.verdict import verdict
from earwitness.tables.columns import label, schema, second, text
from earwitness.tables.files import write_table
from earwitness.tables.splits import SPLIT
from earwitness.tables.ties import TIES

MOST_LINES = 100
"""Components that a report lists; moves.csv has all."""

MOVES_TABLE = schema(
    "moves",
    {
        "item": text(means="the row of a manifest, or the stimulus"),
        "source": text(means="its source, as the manifest names it"),
        "label": label(),
        "seconds": second(means="its length"),
        "from_part": text(means="the part that it was in"),
        "to_part": text(means="the part that it goes to"),
        "why": text(means="what it must stay together with"),
    },
)
"""What a proposed split moves."""

assert tuple(MOVES_TABLE.columns) == MOVES


def write_manifests(
    folder: Path, final: Path, proposal: Proposal, manifests: Mapping[str, Path], path_column: str, part_column: str
) -> dict[str, Path]:
    """Write a manifest (CSV) for each part of a proposal, with the columns of the manifests that it was made from, or one with a column of parts.

    folder: where they are written; final: where they will be, which is what their paths are relative to. manifests: part -> manifest,
    in the order in which the audit read them; "manifest" -> the one that holds all. Returns the same of what is written.
    """
    tables = []
    for manifest in manifests.values():
        table = read_text_table(manifest, [path_column], known=[part_column])
        files = [file_named(manifest.parent, name.strip()).resolve() for name in table[path_column]]
        tables.append(table.assign(**{path_column: [Path(os.path.relpath(file, final.resolve())).as_posix() for file in files]}))
    rows = pd.concat(tables, ignore_index=True).fillna("")
    parts = proposal.audited.data.stimuli.part.to_numpy()
    if "manifest" in manifests:
        path = folder / "manifest.csv"
        rows.assign(**{part_column: parts}).to_csv(path, index=False, lineterminator="\n")
        return {"manifest": path}
    written = {part: folder / f"{part}.csv" for part in dict.fromkeys([*manifests, *parts]) if (parts == part).any()}
    for part, path in written.items():
        rows[parts == part].to_csv(path, index=False, lineterminator="\n")
    return written


def write_split(folder: Path, proposal: Proposal) -> Path:
    """Write a proposal as a split of the workflow (SPLIT)."""
    path = folder / "split.csv"
    write_table(path, proposal.audited.data.stimuli.sort_values("stimulus_id"), SPLIT)
    return path


def write_tables(folder: Path, proposal: Proposal) -> None:
    """Write what was moved, and what had to stay together."""
    write_table(folder / "moves.csv", proposal.moves, MOVES_TABLE)
    write_table(folder / "ties.csv", proposal.ties, TIES)


def proposal_report(before: Mapping[str, Mapping[str, int]], drawn: bool, proposal: Proposal, certificate: Mapping[str, Any]) -> str:
    """The report of a proposal (Markdown).

    before: what each part held (earwitness.leakage.verdict.parts_of); drawn: that was drawn at random from an undivided manifest;
    certificate: of the audit of what is proposed.
    """
    moves = proposal.moves
    total = proposal.audited.data.stimuli.duration_ms.sum() / 1000
    lines = ["# Proposed split", f"**{escape(verdict(dict(certificate)))}**"]
    if drawn:
        lines.append(
            'The manifest was not divided, so sources were drawn at random, by their names and the seed; "before" and "moves" speak of that draw.'
        )
    lines.append(
        f"{len(moves)} items of {moves.source.nunique()} sources move: {moves.seconds.sum():.1f} s of {total:.1f} s. Of all splits that "
        "keep together what must stay together, give every part its sources of both classes and keep its shares of seconds, items and sources "
        "within 5 points of what they were (or of what was asked for), this one moves the fewest seconds, as found by integer programming; "
        f"{proposal.rounds} proposal{'s were' if proposal.rounds > 1 else ' was'} audited until nothing was found across parts."
    )
    after = certificate["parts"]
    names = list(dict.fromkeys([*before, *after]))
    header = "| part | items before | after | speech sources before | after | non-speech sources before | after |\n" + "| --- " * 7 + "|"
    keys = ("stimuli", "speech_sources", "nonspeech_sources")
    cells = [" | ".join(str(side.get(name, {}).get(key, 0)) for key in keys for side in (before, after)) for name in names]
    lines.append("\n".join([header, *(f"| {escape(name)} | {row} |" for name, row in zip(names, cells, strict=True))]))
    for title, sentences in (("What no split can have", proposal.impossible), ("Shares that are off", proposal.unbalanced)):
        if sentences:
            lines += [f"## {title}", "\n".join(f"* {escape(sentence)}" for sentence in sentences)]
    lines.append("## What moves, and why")
    grouped = moves.groupby(["why", "from_part", "to_part"]).agg(items=("item", "size"), seconds=("seconds", "sum")).reset_index()
    grouped = grouped.sort_values(["seconds", "why"], ascending=[False, True])
    rows = [
        f"| {escape(str(row.why))} | {row.from_part} | {row.to_part} | {row.items} | {row.seconds:.1f} |"
        for row in grouped.head(MOST_LINES).itertuples()
    ]
    lines.append("\n".join(["| why | from | to | items | seconds |", "| --- | --- | --- | --- | --- |", *rows]) if rows else "Nothing.")
    if len(grouped) > MOST_LINES:
        lines.append(f"The first {MOST_LINES} of {len(grouped)}; moves.csv has all.")
    return "\n\n".join(lines) + "\n"
