"""One identity of a model's folder: it follows the content of its files, and no file is read twice."""

import os
import sys
from pathlib import Path

import pytest

import identify_model as program
from earwitness.core.errors import InputError
from earwitness.model import identity
from earwitness.model.identity import DIGESTS, identified, load_identity, model_digest, recorded


def weights(note: str) -> bytes:
    """A safetensors file without tensors."""
    head = f'{{"__metadata__": {{"note": "{note}"}}}}'.encode()
    return len(head).to_bytes(8, "little") + head


FILES = {
    "config.json": b'{"model_type": "toy"}',
    "tokenizer.json": b"{}",
    "chat_template.jinja": b"{{ x }}",
    "model.safetensors": weights("a"),
    "README.md": b"words",
}


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "model"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def read(monkeypatch):
    """Names of the files that were read, in order."""
    names = []
    real = identity.sha256_of
    monkeypatch.setattr(identity, "sha256_of", lambda path: names.append(path.name) or real(path))
    return names


def moved_on(path: Path) -> None:
    """Date a file a second later than it is."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))


def test_the_identity_is_that_of_sha256sum(model):
    """`sha256sum chat_template.jinja config.json model.safetensors tokenizer.json | sha256sum`."""
    assert model_digest(model) == "69930a2483b4de02d877d3f21e88c3e566b5c354564a2b7fc25929a66ee09ec4"


@pytest.mark.parametrize("name", [name for name in FILES if name != "README.md"])
def test_another_byte_of_the_same_length_in_any_file_is_another_model(model, name):
    before = model_digest(model)
    content = bytearray(FILES[name])
    content[-1] ^= 1
    (model / name).write_bytes(content)
    moved_on(model / name)
    assert model_digest(model) != before


def test_words_about_a_model_and_its_place_do_not_count_and_a_renamed_file_does(model, tmp_path):
    before = model_digest(model)
    (model / "README.md").write_text("other words")
    assert model_digest(model) == before
    assert model_digest(model.rename(tmp_path / "elsewhere")) == before
    (tmp_path / "elsewhere" / "tokenizer.json").rename(tmp_path / "elsewhere" / "vocab.json")
    assert model_digest(tmp_path / "elsewhere") != before


def test_every_file_is_read_once_and_a_touched_one_again(model, read):
    before = model_digest(model)
    assert sorted(read) == sorted(set(FILES) - {"README.md"})
    read.clear()
    assert model_digest(model) == before and read == []
    moved_on(model / "model.safetensors")
    assert model_digest(model) == before and read == ["model.safetensors"]


def test_another_content_is_noticed_though_its_size_and_date_are_the_same(model):
    before, path = model_digest(model), model / "model.safetensors"
    status = path.stat()
    path.write_bytes(weights("b"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert model_digest(model) != before


def test_a_user_without_a_home_has_the_digests_in_the_folder(model, read, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "expanduser", lambda path: (_ for _ in ()).throw(RuntimeError("no home")))
    before = model_digest(model)
    read.clear()
    assert model_digest(model) == before and read == []


def test_a_folder_that_cannot_be_written_to_is_remembered_in_the_users_cache(model, read, monkeypatch):
    before = model_digest(model)
    (model / DIGESTS).unlink()
    real = identity.atomic

    def refused(path):
        if path.parent == model:
            raise PermissionError(13, "refused", str(path))
        return real(path)

    monkeypatch.setattr(identity, "atomic", refused)
    read.clear()
    assert model_digest(model) == before and "model.safetensors" in read
    read.clear()
    assert model_digest(model) == before and read == [] and not (model / DIGESTS).exists()


def test_where_nothing_can_be_written_the_files_are_read_every_time_and_the_user_is_told(model, read, monkeypatch, capsys):
    def refused(path):
        raise PermissionError(13, "refused", str(path))

    monkeypatch.setattr(identity, "atomic", refused)
    assert model_digest(model) == model_digest(model)
    assert read.count("model.safetensors") == 2 and "cannot be written to" in capsys.readouterr().err


def test_what_the_program_records_is_believed_until_a_file_changes(model, read, tmp_path, monkeypatch):
    record = tmp_path / "base.identity.json"
    monkeypatch.setattr(sys, "argv", ["identify_model", str(model), str(record), "--name", "owner/model", "abc123"])
    program.main()
    content = load_identity(record)
    assert content == {"name": "owner/model", "revision": "abc123", "model_type": "toy", "sha256": model_digest(model), "bytes": 21 + 2 + 7 + 39}
    read.clear()
    assert recorded(model, record) == identified(model) and read == []
    (model / "model.safetensors").write_bytes(weights("c"))
    moved_on(model / "model.safetensors")
    with pytest.raises(InputError, match=r"not the model that .*base.identity.json was made of; run identify_model again"):
        recorded(model, record)
    (model / DIGESTS).unlink()
    (model / "model.safetensors").write_bytes(weights("more"))
    read.clear()
    with pytest.raises(InputError, match="not the model that"):
        recorded(model, record)
    assert read == [], "another size is enough"


def test_a_folder_without_weights_is_refused(model):
    (model / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"no model here \(no \*\.safetensors\)"):
        model_digest(model)
