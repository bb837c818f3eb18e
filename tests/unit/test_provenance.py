import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from earwitness.core.errors import InputError
from earwitness.core.files import sha256_of
from earwitness.core.redaction import without_secrets
from earwitness.provenance.run import digest_table, git_state, locked_versions, package_versions
from earwitness.provenance.verification import differences_between

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("key", ["token", "hf_token", "HF_TOKEN", "api_key", "apiKey", "password", "client_secret", "key", "auth"])
def test_secrets_are_dropped_at_any_depth(key):
    config = {"model": {key: "hunter2", "path": "m"}, "list": [{key: {"deep": "hunter2"}}]}
    kept = without_secrets(config)
    assert "hunter2" not in json.dumps(kept) and kept["model"] == {"path": "m"}


def test_words_of_the_trade_are_no_secrets():
    config = {"max_new_tokens": 3, "tokenizer": "x", "keys_seen": 1, "checksum": "md5:0", "url": "https://example.org/a%20b.zip?part=1&x=%2F"}
    assert without_secrets(config) == config


def test_addresses_lose_user_names_and_signed_queries():
    address = without_secrets({"url": "https://me:hunter2@example.org:8443/a.zip?token=hunter2&part=1#top"})["url"]
    assert address == "https://example.org:8443/a.zip?part=1#top"


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda children: st.lists(children) | st.dictionaries(st.text(), children))
)
def test_dropping_secrets_twice_is_dropping_them_once(value):
    once = without_secrets(value)
    assert without_secrets(once) == once


def test_digests_name_files_from_the_working_folder(tmp_path):
    (tmp_path / "results").mkdir()
    path = tmp_path / "results" / "a.csv"
    path.write_text("x\n")
    table = digest_table([path, path], tmp_path)
    assert table.to_dict("records") == [{"path": "results/a.csv", "sha256": sha256_of(path), "bytes": 2}]
    with pytest.raises(InputError, match="no such file"):
        digest_table([tmp_path / "gone.csv"], tmp_path)


def test_a_lock_is_read_with_comments_hashes_and_markers(tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "# made by a tool\n--index-url x\nNumPy==2.1.0  # via scipy\nscipy==1.9 \\\n    --hash=sha256:00\n"
        "colorama==0.4 ; sys_platform == 'nowhere'\nlocal @ file:///x\ntorch==2.13.0 ; python_version > '3'\n"
    )
    assert locked_versions(lock) == {"numpy": "2.1.0", "scipy": "1.9", "torch": "2.13.0"}
    lock.write_text("# nothing\n")
    with pytest.raises(InputError, match="pins no package"):
        locked_versions(lock)


def test_the_projects_own_lock_can_be_read():
    locked = locked_versions(ROOT / "envs" / "requirements.lock")
    assert {"torch", "snakemake", "numpy"} <= set(locked)


def test_differences_from_the_lock_are_named(monkeypatch):
    versions = {"a": "1.0", "b": "2.0+cpu", "c": "3.1"}

    def version(name):
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    installed, differences = package_versions({"a": "1.0", "b": "2.0", "c": "3.0", "d": "4.0"})
    assert installed == versions
    assert differences == [{"package": "c", "locked": "3.0", "installed": "3.1"}, {"package": "d", "locked": "4.0", "installed": None}]


def test_git_state_tells_edits_and_is_empty_outside_a_checkout(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    assert git_state(tmp_path) is None
    git("init", "-q")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-q", "-m", "one", "--no-verify")
    clean = git_state(tmp_path)
    assert clean is not None and len(clean["revision"]) == 40 and clean["dirty"] is False
    (tmp_path / "file").write_text("2")
    assert git_state(tmp_path) == {"revision": clean["revision"], "dirty": True}
    (tmp_path / "below").mkdir()
    assert git_state(tmp_path / "below") is None


def test_the_program_writes_three_files_and_no_secret(tmp_path):
    config = {"seed": 1, "model": {"hf_token": "hunter2", "origin": "tiny"}}
    table = tmp_path / "results" / "a.csv"
    table.parent.mkdir()
    table.write_text("x\n")
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"pandas=={pd.__version__}\n")
    command = [sys.executable, str(ROOT / "workflow_scripts" / "record_provenance.py"), "requirements.lock", "results/a.csv"]
    command += ["--resolved-config", json.dumps(config), "--config", "p/config.yaml", "--run", "p/run.json", "--digests", "p/digests.csv"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert yaml.safe_load((tmp_path / "p" / "config.yaml").read_text()) == {"seed": 1, "model": {"origin": "tiny"}}
    run = json.loads((tmp_path / "p" / "run.json").read_text())
    assert run["packages"] == {"pandas": pd.__version__} and run["differences_from_lock"] == [] and run["cores"] >= 1
    digests = pd.read_csv(tmp_path / "p" / "digests.csv")
    assert digests.path.tolist() == ["requirements.lock", "results/a.csv"] and digests.bytes.tolist()[1] == 2
    assert str(tmp_path) not in "".join(path.read_text() for path in (tmp_path / "p").iterdir())


def test_comparing_nothing_is_an_error(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="neither holds a result"):
        differences_between(tmp_path / "empty", tmp_path / "other")
