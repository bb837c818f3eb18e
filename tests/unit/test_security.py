"""What never happens: pickles read, code fetched and run, secrets written, terminals moved by a name, archives that fill the disk."""

import ast
import io
import json
import os
import re
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from earwitness.core.errors import InputError, one_line
from earwitness.core.redaction import redacted
from earwitness.core.terminal_text import printable
from earwitness.corpora.downloads import Archive, unpack

ROOT = Path(__file__).parents[2]
SOURCES = [path for part in ("workflow_scripts", "envs", "benchmarks") for path in sorted((ROOT / part).rglob("*.py"))]
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "telnetlib"}
SAFE_WITH = {"yaml.load": "Loader=getattr(yaml, 'CSafeLoader', yaml.SafeLoader)", "torch.load": "weights_only=True"}
"""Calls that are unsafe but with this argument."""

UNSAFE_CALLS = {
    "eval",
    "exec",
    "torch.load",
    "torch.save",
    "pd.read_pickle",
    "os.system",
    "os.popen",
    "yaml.load",
    "yaml.unsafe_load",
    "tar.extractall",
}


def dangers(source: str) -> set[str]:
    """What a Python source does that can run what it reads."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] in UNSAFE_MODULES}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNSAFE_MODULES:
            found.add(node.module)
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if SAFE_WITH.get(name) not in {ast.unparse(word) for word in node.keywords}:
                found |= {name} & UNSAFE_CALLS
            for keyword in node.keywords:
                if keyword.arg in ("trust_remote_code", "allow_pickle", "shell") and ast.unparse(keyword.value) != "False":
                    found.add(keyword.arg)
            if name.startswith("Auto") and name.endswith(".from_pretrained") and "trust_remote_code" not in {word.arg for word in node.keywords}:
                found.add(name)
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "np.load(path, allow_pickle=True)",
        "torch.load(path)",
        "yaml.load(text)",
        "yaml.load(text, Loader=yaml.Loader)",
        "AutoModel.from_pretrained(x, trust_remote_code=True)",
        "AutoModel.from_pretrained(x)",
        "subprocess.run(text, shell=True)",
        "eval(text)",
    ],
)
def test_the_search_for_dangers_finds_them(source):
    assert dangers(source)


def test_no_program_reads_pickles_or_runs_what_it_reads():
    assert len(SOURCES) > 150
    assert {str(path.relative_to(ROOT)): found for path in SOURCES if (found := dangers(path.read_text(encoding="utf-8")))} == {}


def test_snapshots_fetch_neither_pickles_nor_code():
    from earwitness.model.hub import PATTERNS

    assert PATTERNS and not [pattern for pattern in PATTERNS if re.search(r"\.(py|bin|pt|pth|pkl|ckpt|h5)$|^\*$", pattern)]


def bomb(declared: int) -> bytes:
    """A zip of a megabyte of zeros whose directory says another size."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(2**20))
    content = bytearray(buffer.getvalue())
    struct.pack_into("<L", content, content.rfind(b"PK\x01\x02") + 24, declared)
    return bytes(content)


def test_an_archive_that_would_fill_the_disk_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    (tmp_path / "a.zip").write_bytes(bomb(2**20))
    monkeypatch.setattr("earwitness.corpora.downloads.shutil.disk_usage", lambda path: type("usage", (), {"free": 2**19})())
    with pytest.raises(InputError, match="1048576 bytes when unpacked, and the disk has room for 524288"):
        unpack([tmp_path / "a.zip"], Archive("https://x.org/a.zip", "sha256:0"), tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_an_archive_never_unpacks_more_than_it_says(tmp_path):
    (tmp_path / "a.zip").write_bytes(bomb(1000))
    (tmp_path / "set").mkdir()
    with pytest.raises(InputError, match="cannot be unpacked"):
        unpack([tmp_path / "a.zip"], Archive("https://x.org/a.zip", "sha256:0"), tmp_path / "set")
    assert sum(path.stat().st_size for path in (tmp_path / "set").rglob("*") if path.is_file()) <= 1000


SECRET = "hunter2"
ADDRESS = f"https://me:{SECRET}@localhost:1/a.zip?token={SECRET}&part=1"


def test_a_failed_download_shows_no_secret(tmp_path):
    source = {"archives": [{"url": ADDRESS.replace("https", "ftp-none"), "checksum": "sha256:" + "0" * 64}]}
    script = ROOT / "workflow_scripts" / "download_dataset.py"
    done = subprocess.run([sys.executable, script, tmp_path / "set", "--source", json.dumps(source)], capture_output=True, text=True)
    assert done.returncode == 1 and "ftp-none://localhost:1/a.zip?part=1" in done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_provenance_holds_no_token_of_the_environment_or_of_an_address(tmp_path):
    (tmp_path / "lock").write_text("numpy==2.0\n")
    config = {"sources": {"esc50": {"archives": [{"url": ADDRESS}]}}, "model": {"hf_token": SECRET}}
    command = [sys.executable, ROOT / "workflow_scripts" / "record_provenance.py", "lock", "--resolved-config", json.dumps(config)]
    command += ["--config", "config.yaml", "--run", "run.json", "--digests", "digests.csv"]
    environment = os.environ | {"HF_TOKEN": f"hf_{SECRET}", "HUGGING_FACE_HUB_TOKEN": f"hf_{SECRET}"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    written = "".join((tmp_path / name).read_text() for name in ("config.yaml", "run.json", "digests.csv"))
    assert "localhost:1/a.zip?part=1" in written
    assert SECRET not in written + done.stdout + done.stderr


def test_the_log_that_is_kept_has_no_secret(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_abc")
    text = f'shell: python x.py --source \'{{"url": "{ADDRESS}"}}\' failed with hf_abc\nresults/a.csv at 10:00'
    kept = redacted(text)
    assert SECRET not in kept and "hf_abc" not in kept
    assert "https://localhost:1/a.zip?part=1" in kept and "results/a.csv at 10:00" in kept


def test_a_name_cannot_act_on_a_terminal():
    name = "é \\ \x1b[2J\u202e\udce9\n"
    assert printable(name) == r"é \ \x1b[2J\u202e\udce9\n"
    assert one_line(InputError(f"{name}unreadable")) == r"é \ \x1b[2J\u202e\udce9 unreadable"
