"""The command `earwitness` of an installation: one subcommand for each program that works without the workflow."""

import runpy
import sys

from earwitness.core.errors import InputError, one_line_errors

PROGRAMS = {
    "audit": ("audit_leakage", "look for leaks between the parts of a split"),
    "propose-split": ("propose_split", "write the nearest split that passes its audit"),
    "fit": ("fit_counts", "fit a psychometric function to anyone's counts"),
    "detect": ("detect_speech", "find the speech in recordings"),
    "verify": ("verify_results", "compare results with their published digests, or two results"),
    "verify-certificate": ("verify_certificate", "does a certificate agree with itself and with the data that it is about?"),
    "export": ("render_audit", "write an audit as report, JUnit XML, SARIF, in-toto statement or Croissant"),
    "self-test": ("self_test_audit", "plant leaks in a copy of a split, and tell which ones the audit finds"),
}
"""Subcommand -> program (a module of earwitness.programs, which is workflow_scripts), and what it does."""

COMMANDS = "\n".join(f"  {command:<20}{what}" for command, (_, what) in PROGRAMS.items())

USAGE = f"""\
usage: earwitness COMMAND ...; earwitness COMMAND --help has the rest, with examples

{COMMANDS}

exit codes: 0 all is well; 1 bad input, told in one line; 2 the answer is no (a leak, a difference), and of fit, detect and export a wrong command
line; 3 of detect: some recordings could not be heard, of verify-certificate: it does not agree; 130 interrupted; 141 nobody reads the output.
"""


@one_line_errors
def main() -> None:
    """Run the program that the first argument names, with the others."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command in ("", "-h", "--help"):
        print(USAGE, end="")
        return
    if command == "--version":
        import importlib.metadata

        print("earwitness", importlib.metadata.version("earwitness"))
        return
    if command not in PROGRAMS:
        raise InputError(f"earwitness {command}: no such command; give one of {', '.join(PROGRAMS)}")
    sys.argv = [f"earwitness {command}", *sys.argv[2:]]
    runpy.run_module(f"earwitness.programs.{PROGRAMS[command][0]}", run_name="__main__", alter_sys=True)
