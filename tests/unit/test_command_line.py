"""The one command of an installation."""

import importlib
import subprocess
import sys

import pytest

from earwitness.command_line import PROGRAMS, USAGE, main


@pytest.mark.parametrize("command", PROGRAMS)
def test_every_command_shows_what_it_is_for_with_an_example_and_its_exit_codes(command, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"earwitness {command}", "--help"])
    with pytest.raises(SystemExit) as end:
        importlib.import_module(PROGRAMS[command][0]).main()
    shown = capsys.readouterr().out
    assert end.value.code == 0
    assert shown.startswith(f"usage: earwitness {command}") and f"  earwitness {command} " in shown and "exit code" in shown.lower()


def test_the_help_of_the_whole_names_every_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["earwitness"])
    main()
    assert capsys.readouterr().out == USAGE and all(f"  {command} " in USAGE for command in PROGRAMS)
    monkeypatch.setattr(sys, "argv", ["earwitness", "detekt"])
    with pytest.raises(SystemExit, match=r"no such command; give one of audit, .*detect"):
        main()


def test_detectors_that_need_neither_torch_nor_tables_load_neither():
    code = "import sys, detect_speech; print(*sorted({'torch', 'pandas', 'scipy', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.stdout == "\n"
