"""Every command of Snakemake that a page shows is planned, in a checkout that holds what the page shows beside it."""

import re

import pytest
from checkout import Checkout
from documented_commands import COMMANDS, ROOT, Command, blocks, named_files

pytestmark = pytest.mark.slow

NOT_PLANNED = {
    "--unlock": "plans nothing",
    "--report": "needs a finished run",
    "--executor": "needs a cluster",
    "results/provenance/config.yaml": "is made by a run",
    "offline.yaml": "is the reader's own",
    "model.yaml": "names a model of the reader's",
}
"""Words of commands that are not planned here, and why."""

SHOWN = [command for command in COMMANDS if command.words[0] == ".venv/bin/snakemake"]
PLANNED = list({command.words: command for command in reversed(SHOWN) if not NOT_PLANNED.keys() & set(command.words)}.values())


def test_most_commands_are_planned_and_every_reason_is_needed():
    assert len(PLANNED) >= 15
    assert all(any(word in command.words for command in SHOWN) for word in NOT_PLANNED)


@pytest.fixture
def of_page(checkout: Checkout):
    """A function that lays into a checkout what a page shows: its YAML, and recordings where that says they are."""

    def lay(command: Command) -> Checkout:
        page = ROOT / command.page
        recordings = ["own/voxconverse/audio/a.wav", "own/voxconverse/a.rttm", "own/ESC-50/audio/1-1-A-0.wav", "own/ESC-50/meta/esc50.csv"]
        for text in (text for _, text in blocks(page, "csv")):
            (checkout.folder / "recordings").mkdir(exist_ok=True)
            (checkout.folder / "recordings/mine.csv").write_text(text, encoding="utf-8")
            recordings += [f"recordings/{name}" for name in re.findall(r"^([\w/]+\.wav),", text, re.MULTILINE)]
        for name in recordings:
            path = checkout.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("recorded in spring")
        for name, text in named_files(page).items():
            (checkout.folder / name).write_text(text.replace("/data/", "own/"), encoding="utf-8")
        return checkout

    return lay


@pytest.mark.parametrize("command", PLANNED, ids=str)
def test_a_command_is_planned_as_written(of_page, command):
    result = of_page(command).snakemake_without_jobs("-n", *[word for word in command.words[1:] if word != "-n"])
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Job stats:" in result.stdout
