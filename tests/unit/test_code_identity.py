"""A job depends on what its code means: an edit of its words changes nothing, an edit of anything else does."""

import ast
import json
from pathlib import Path

import pytest

from earwitness.core import code_identity as core_code
from earwitness.core.code_identity import COSMETIC, code_identities, code_identity, meaning_of, modules_of

PROGRAMS = Path(__file__).parents[2] / "workflow_scripts"

CODE = '''"""Count words."""
import argparse, sys, warnings
from earwitness.core.progress import Progress

MOST = 3
"""How many are counted."""

def count(words, most=MOST):
    """words: a list. Returns how many there are."""
    # Nobody has more.
    if len(words) > most:
        raise ValueError(f"{len(words)} words, more than {most}; give fewer")
    assert words, "no words"
    warnings.warn("slow", stacklevel=2)
    problem = KeyError("no such word")
    print("counting", file=sys.stderr)
    table = {"note": "few words", "unit": "word"}
    return sum(1 for _ in Progress(words, desc="counting", unit="word")), table

def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="+", help="what to count")
    parser.add_argument("--most", type=int, default=3)
    if not count:
        parser.error("nothing to do")
        sys.exit("nothing done")
'''

WORDS = [
    ("# Nobody has more.", "# Everybody has fewer."),
    ('"""Count words."""\n', ""),
    ('"""How many are counted."""', '"""The limit."""'),
    ('"""words: a list. Returns how many there are."""', '"""Count."""'),
    ('f"{len(words)} words, more than {most}; give fewer"', 'f"too many: {sorted(words)[0]!r}"'),
    ('f"{len(words)} words, more than {most}; give fewer"', '"too many " + "words"'),
    ('f"{len(words)} words, more than {most}; give fewer"', '"too many: {}".format(len(words))'),
    ('"no words"', '"nothing to count"'),
    ('"slow"', '"this may take long"'),
    ('"no such word"', '"unknown word"'),
    ('print("counting"', 'print(f"counting {len(words)}"'),
    ('desc="counting", unit="word"', 'desc="words"'),
    ('help="what to count"', 'help="words", metavar="WORD"'),
    ('"nothing to do"', '"nothing"'),
    ('"nothing done"', '"nothing"'),
    ("    if not count:\n", "\n\n    if (not count):\n"),
]

MEANING = [
    ("MOST = 3", "MOST = 4"),
    ("most=MOST", "most=2"),
    ("> most", ">= most"),
    ("import argparse, sys, warnings", "import argparse, sys, warnings, math"),
    ("raise ValueError", "raise TypeError"),
    ("assert words", "assert not words"),
    ("stacklevel=2", "stacklevel=3"),
    ('"note": "few words"', '"note": "many words"'),
    ('"unit": "word"', '"unit": "syllable"'),
    ("sum(1 for", "sum(2 for"),
    ("default=3", "default=5"),
    ('"--most"', '"--least"'),
    ('sys.exit("nothing done")', "sys.exit(3)"),
    ("file=sys.stderr", "file=table"),
    ("for _ in Progress(words,", "for _ in Progress(words[1:],"),
]


def edited(before: str, after: str) -> str:
    assert CODE.count(before) == 1
    return CODE.replace(before, after)


@pytest.mark.parametrize(("before", "after"), WORDS)
def test_words_for_people_do_not_count(before, after):
    assert meaning_of(edited(before, after)) == meaning_of(CODE)


@pytest.mark.parametrize(("before", "after"), MEANING)
def test_anything_else_counts(before, after):
    assert meaning_of(edited(before, after)) != meaning_of(CODE)


def test_what_a_record_is_called_in_an_error_does_not_count_and_its_schema_does():
    call = 'load_record(path, GATE, "a gate", "run the audit again")'
    assert meaning_of(call) == meaning_of(call.replace("a gate", "a leakage gate"))
    assert meaning_of(call) != meaning_of(call.replace("GATE", "CERTIFICATE"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('report.error("clipped")', 'report.error("noisy")'),
        ('print("a,b", file=table)', 'print("a;b", file=table)'),
        ("print(rows)", "print(rows[:1])"),
        ("raise SystemExit(1)", "raise SystemExit(2)"),
        ("raise Stop(found)", "raise Stop(best)"),
        ('axis.set(unit="ms")', 'axis.set(unit="s")'),
        ('Column(description="ms")', 'Column(description="s")'),
        ('name = "a"', 'name = "b"'),
        ('return f"{x}: bad"', 'return f"{x}: good"'),
    ],
)
def test_what_only_looks_like_a_message_counts(one, other):
    assert meaning_of(one) != meaning_of(other)


@pytest.fixture
def program(tmp_path):
    """A program with two modules, one of them imported inside a function."""
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "__init__.py").write_text('"""A library."""\n')
    (tmp_path / "library" / "sums.py").write_text("from library.limits import MOST\n\ndef total(x):\n    return min(sum(x), MOST)\n")
    (tmp_path / "library" / "limits.py").write_text("MOST = 9\n")
    (tmp_path / "library" / "unused.py").write_text("MOST = 8\n")
    path = tmp_path / "add.py"
    path.write_text("def main():\n    from library.sums import total\n    print(total([1]))\n")
    return path


def test_a_program_is_identified_with_all_that_it_imports_and_nothing_else(program):
    assert [path.relative_to(program.parent).as_posix() for path in modules_of(program)] == [
        "add.py", "library/__init__.py", "library/limits.py", "library/sums.py",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "changes"),
    [
        ("library/limits.py", "MOST = 10\n", True),
        ("library/limits.py", "# The limit.\nMOST = 9\n", False),
        ("library/unused.py", "MOST = 7\n", False),
        ("library/__init__.py", "X = 1\n", True),
        ("add.py", "def main():\n    print(1)\n", True),
    ],
)
def test_a_module_changes_the_identity_of_what_imports_it(program, name, text, changes, tmp_path):
    before = code_identity(program)
    copy = tmp_path / "elsewhere"
    (copy / "library").mkdir(parents=True)
    for path in [program, *(tmp_path / "library").iterdir()]:
        (copy / path.relative_to(tmp_path)).write_text(path.read_text())
    assert code_identity(copy / "add.py") == before, "the folder does not count"
    (copy / name).write_text(text)
    # The module keeps what it has read, so the edit is made before the program is read.
    other = copy.rename(tmp_path / "edited")
    assert (code_identity(other / "add.py") != before) == changes


def test_a_module_that_is_never_run_is_left_out_with_what_it_alone_imports(program):
    named = {path.relative_to(program.parent).as_posix() for path in modules_of(program, without={"library/sums.py"})}
    assert named == {"add.py", "library/__init__.py"}
    assert code_identity(program, {"library/sums.py"}) != code_identity(program)
    assert code_identity(program, {"library/unused.py"}) == code_identity(program)


def test_a_cosmetic_module_is_left_out_with_what_it_alone_imports(program, monkeypatch):
    left_out = code_identity(program, {"library/sums.py"})
    monkeypatch.setattr(core_code, "COSMETIC", frozenset({"library/sums.py"}))
    assert code_identity(program) == left_out
    monkeypatch.setattr(core_code, "COSMETIC", frozenset({"library/sums.py", "library/__init__.py"}))
    assert code_identity(program) == core_code.identity_of({"add.py": program})


def test_a_program_that_counts_without_its_imports_is_its_own_meaning_alone(program, monkeypatch):
    followed = code_identity(program)
    monkeypatch.setattr(core_code, "WITHOUT_IMPORTS", {"add.py"})
    alone = code_identity(program)
    assert alone != followed
    (program.parent / "library" / "sums.py").unlink()
    core_code._imported_files.cache_clear()
    assert code_identity(program) == alone


@pytest.fixture
def start(monkeypatch):
    """Forget what was read, as a new start of Snakemake does."""

    def forget():
        monkeypatch.setattr(core_code, "_KNOWN", {})
        core_code._read.cache_clear()
        core_code._imported_files.cache_clear()

    forget()
    yield forget
    core_code._read.cache_clear()
    core_code._imported_files.cache_clear()


def test_what_is_remembered_gives_the_same_identities_and_an_edit_is_noticed(program, start, tmp_path):
    memory = tmp_path / ".snakemake" / "code.json"
    first = code_identities([program], memory)
    assert first == {"add.py": code_identity(program)}
    start()
    assert code_identities([program], memory) == first
    (tmp_path / "library/limits.py").write_text("MOST = 10\n")
    start()
    edited = code_identities([program], memory)
    assert edited != first
    start()
    assert edited == {"add.py": code_identity(program)}


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"made_by": "me"}', b"\xff\xfe"])
def test_a_damaged_memory_is_passed_over_and_mended(program, start, tmp_path, damage):
    memory = tmp_path / "code.json"
    first, whole = code_identities([program], memory), memory.read_bytes()
    memory.write_bytes(damage)
    start()
    assert code_identities([program], memory) == first
    assert json.loads(memory.read_bytes()) == json.loads(whole)


def test_only_what_this_version_remembered_counts(program, start, tmp_path):
    memory = tmp_path / "code.json"
    first = code_identities([program], memory)
    kept = json.loads(memory.read_text())
    wrong = {digest: [imports, "0" * 64] for digest, (imports, _) in kept["contents"].items()}
    memory.write_text(json.dumps(kept | {"contents": wrong}))
    start()
    assert code_identities([program], memory) != first, "what is kept is not read again"
    memory.write_text(json.dumps({"made_by": "another version", "contents": wrong}))
    start()
    assert code_identities([program], memory) == first


def test_a_memory_that_cannot_be_written_stops_nothing(program, start, tmp_path):
    (tmp_path / "file").touch()
    assert code_identities([program], tmp_path / "file" / "code.json") == {"add.py": code_identity(program)}


LIBRARY = sorted(path for path in PROGRAMS.rglob("*.py"))


def test_no_docstring_is_data():
    """A docstring is read by argparse alone: anything else would be stale after an edit that reruns nothing.

    document_tables.py is no rule's program, and a test compares the page that it writes with the docstrings.
    """
    found = []
    for path in [path for path in LIBRARY if path.name != "document_tables.py"]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        allowed = {
            id(keyword.value) for node in ast.walk(tree) if isinstance(node, ast.Call) for keyword in node.keywords if keyword.arg == "description"
        }
        for node in ast.walk(tree):
            names = {getattr(node, "attr", None), getattr(node, "id", None)}
            if names & {"__doc__", "getdoc", "getsource", "getcomments"} and id(node) not in allowed:
                found.append(f"{path.relative_to(PROGRAMS)}:{node.lineno}")
    assert found == []


KEEPS_MESSAGES = {
    "earwitness/corpora/catalogue.py": "remarks on recordings, for people",
    "earwitness/core/yaml_text.py": "told on in another message",
    "earwitness/corpora/file_checks.py": "remarks on recordings, for people",
    "earwitness/corpora/manifest.py": "told on in another message, with a hint",
    "earwitness/corpora/text_tables.py": "told on in another message",
    "earwitness/detectors/clip_files.py": "why a file cannot be heard, for people",
    "earwitness/leakage/manifests.py": "why a file was left out, outside the workflow",
    "earwitness/leakage/self_test.py": "why a leak could not be planted, outside the workflow",
    "earwitness/model/engine/adapters.py": "told on in another message",
    "earwitness/model/engine/loading.py": "told on in another message",
    "earwitness/model/preflight.py": "what was found of a model, for people",
    "earwitness/runtime/transfer.py": "why a download failed, for people",
}


def test_no_text_of_an_exception_is_data():
    """`str(error)` would put a message into a result, which an edited message then leaves stale."""
    found = set()
    for path in LIBRARY:
        for handler in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(handler, ast.ExceptHandler) and handler.name:
                told = f"str({handler.name})"
                kept = [node for node in handler.body if not isinstance(node, ast.Raise) and told in ast.unparse(node)]
                found |= {path.relative_to(PROGRAMS).as_posix() for _ in kept}
    assert found - {"earwitness/core/errors.py"} <= set(KEEPS_MESSAGES)


def test_cosmetic_modules_give_nothing_that_a_result_is_made_of():
    """They are imported for how a program ends and a column is explained."""
    given = set()
    for path in LIBRARY:
        name = path.relative_to(PROGRAMS).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("earwitness"):
                source = node.module.replace(".", "/") + ".py"
                given |= {alias.name for alias in node.names if source in COSMETIC and name not in COSMETIC}
    assert all((PROGRAMS / name).is_file() for name in COSMETIC)
    assert given <= {"InputError", "one_line_errors", "system_error_number", "Progress", "TOLD", "duration"}


READS_BESIDE_ITSELF = {
    "audit_leakage.py": "another program, to name it to the user",
    "check_config.py": "the default configuration, which it only checks",
    "document_claims.py": "the ledger, and the pages that it writes",
    "document_config.py": "the page that it writes",
    "document_families.py": "the page that it writes",
    "document_run.py": "the page, the numbers and the figure that it writes",
    "document_tables.py": "the page that it writes",
    "earwitness/evaluation/claims.py": "the ledger's schema, which only refuses",
    "earwitness/core/code_identity.py": "its own content, by which it knows what it kept",
    "earwitness/config.py": "the configuration's schema, whose defaults reach jobs as parameters",
    "stage.py": "the default configuration, whose downloads it lists",
    "earwitness/leakage/report.py": "its templates, which the rule declares",
    "earwitness/provenance/run.py": "the repository's revision, which is recorded",
    "earwitness/runtime/saved_state.py": "the code that is loaded",
}


def test_no_program_reads_a_file_by_a_path_from_its_own():
    """No rule would declare it, and no certificate name it: files are arguments."""
    found = {path.relative_to(PROGRAMS).as_posix() for path in LIBRARY if "__file__" in path.read_text(encoding="utf-8")}
    assert found == set(READS_BESIDE_ITSELF)


DYNAMIC = ("importlib.import_module", "import_module", "__import__", "exec", "eval")


def test_every_import_of_the_library_can_be_followed():
    """Relative and dynamic imports would hide code from a program's identity."""
    hidden = []
    for path in LIBRARY:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            relative = isinstance(node, ast.ImportFrom) and node.level
            dynamic = isinstance(node, ast.Call) and ast.unparse(node.func) in DYNAMIC
            if relative or dynamic:
                hidden.append(f"{path.relative_to(PROGRAMS)}:{node.lineno}")
    assert hidden == []
