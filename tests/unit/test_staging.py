"""What a study fetches, listed, fetched and verified in one folder, and taken from there without a network."""

import hashlib
import io
import shutil
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import stage
from earwitness.core.errors import InputError
from earwitness.core.files import MADE
from earwitness.corpora.downloads import download_dataset
from earwitness.model import staging
from earwitness.model.hub import Listed, fetch_snapshot
from earwitness.model.staging import StagedFile, faults, fetch_all, read_list, write_list
from earwitness.runtime import transfer
from earwitness.runtime.transfer import MIRRORS, Patience, RemoteFile, fetch

HASTE = Patience(attempts=1, unreachable=1, wait_s=0.01, timeout_s=5)
NOWHERE = "http://127.0.0.1:9"
COMMIT = "0" * 40


def sha256(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Files(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append((self.command, self.path, self.headers.get("Authorization")))
        content = self.server.files.get(self.path)
        self.send_response(200 if content is not None else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content or b"")

    do_HEAD = do_GET


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        server.files, server.asked = {}, []
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        server.address = f"http://127.0.0.1:{server.server_port}"
        yield server
        server.shutdown()


def test_mirrors_are_asked_first_in_turn_and_only_the_right_content_is_taken(server, tmp_path, monkeypatch, capsys):
    """A folder with another content, a mirror without the file, one that has it; the token of the file's own host goes to none of them."""
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf/a.bin").write_bytes(b"another")
    server.files = {"/second/a.bin": b"right"}
    monkeypatch.setenv(MIRRORS, f"{tmp_path / 'shelf'} {server.address}/first/ {server.address}/second")
    fetch(RemoteFile(f"{NOWHERE}/a.bin", sha256(b"right"), "a.bin", {"Authorization": "secret"}), tmp_path / "a.bin", HASTE)
    assert (tmp_path / "a.bin").read_bytes() == b"right"
    assert [(path, token) for _, path, token in server.asked] == [("/first/a.bin", None), ("/second/a.bin", None)]
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2 and told[0] == f"a.bin: not from the mirror {tmp_path / 'shelf'} (another content)"
    assert told[1].startswith(f"a.bin: not from the mirror {server.address}/first/ (")


def test_without_a_mirror_that_has_it_a_file_comes_from_its_own_address(server, tmp_path, monkeypatch, capsys):
    server.files = {"/mirror/a.bin": b"wrong", "/own/a.bin": b"right"}
    monkeypatch.setenv(MIRRORS, f"{tmp_path / 'nothing'} {server.address}/mirror")
    fetch(RemoteFile(f"{server.address}/own/a.bin", sha256(b"right"), "a.bin"), tmp_path / "a.bin", HASTE)
    assert (tmp_path / "a.bin").read_bytes() == b"right"
    assert capsys.readouterr().err.splitlines() == [
        f"a.bin: not from the mirror {tmp_path / 'nothing'} (no such folder; spaces separate those of EARWITNESS_MIRRORS)",
        f"a.bin: not from the mirror {server.address}/mirror (another content)",
    ]


MODEL = {"config.json": b"{}", "model.safetensors": b"weights"}


@pytest.fixture
def listed_files(server, monkeypatch):
    """What config/reproduction.yaml fetches, where servers tell five bytes of each archive and the hub has a small model."""
    monkeypatch.setattr(staging, "length_of", lambda url: 5)
    monkeypatch.setattr(staging, "listed", lambda *_: (COMMIT, {name: Listed(len(body), sha256(body)) for name, body in MODEL.items()}))


def test_the_published_study_lists_every_archive_and_model_with_size_digest_and_licence(listed_files, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["stage", "list", str(tmp_path / "staged"), "--configfile", str(stage.DEFAULT.with_name("reproduction.yaml"))])
    stage.main()
    files = {file.place: file for file in read_list(tmp_path / "staged")}
    weights = files["Qwen/Qwen2-Audio-7B-Instruct/model.safetensors"]
    assert (weights.bytes, weights.checksum, weights.licence) == (7, sha256(b"weights"), "Apache 2.0")
    assert "Qwen/Qwen2.5-3B-Instruct/config.json" in files
    assert {name for name in files if name.startswith("FSD50K")} == {
        *("FSD50K.eval_audio.z01", "FSD50K.eval_audio.zip", "FSD50K.ground_truth.zip", "FSD50K.metadata.zip")
    }
    assert files["voxconverse_dev_wav.zip"].licence == "CC BY 4.0"
    printed = capsys.readouterr().out
    assert all(file.place in printed and file.checksum in printed for file in files.values())


def test_a_staged_folder_is_fetched_verified_and_used_without_a_network(server, tmp_path, monkeypatch):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("audio/a.wav", b"sound")
    contents = {"sounds.zip": packed.getvalue(), **{f"owner/model/{name}": body for name, body in MODEL.items()}}
    server.files = {f"/{place}": body for place, body in contents.items()}
    files = [
        StagedFile(place, f"{server.address}/{place}", sha256(body), len(body), "free", COMMIT if "/" in place else None)
        for place, body in contents.items()
    ]
    staged = tmp_path / "staged"
    write_list(files, staged)
    assert len(faults(files, staged)) == 3
    monkeypatch.setattr("sys.argv", ["stage", "fetch", str(staged)])
    stage.main()
    assert faults(read_list(staged), staged) == []
    server.files, server.asked = {}, []
    monkeypatch.setenv(MIRRORS, str(staged))
    download_dataset([{"url": f"{NOWHERE}/sounds.zip?download=1", "checksum": sha256(packed.getvalue())}], tmp_path / "sounds", HASTE)
    fetch_snapshot("owner/model", COMMIT, tmp_path / "model", "model", HASTE)
    assert (tmp_path / "sounds/audio/a.wav").read_bytes() == b"sound"
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir() if path.name != MADE} == MODEL
    assert server.asked == []
    (staged / "owner/model/config.json").write_bytes(b"[]")
    (staged / "sounds.zip").unlink()
    monkeypatch.setattr("sys.argv", ["stage", "verify", str(staged)])
    with pytest.raises(SystemExit, match=r"sounds\.zip is missing; owner/model/config\.json has another content; fetch these again"):
        stage.main()


def test_a_disk_without_room_is_told_before_anything_is_fetched(server, tmp_path):
    with pytest.raises(InputError, match=r"needs 1000000000\.1 GB more, and its disk has room for"):
        fetch_all([StagedFile("a.bin", f"{server.address}/a.bin", sha256(b"a"), 10**18, "free")], tmp_path, HASTE)
    assert server.asked == []


@pytest.mark.parametrize(("free", "fits"), [(23, False), (24, True)])
def test_archives_need_room_packed_and_unpacked_before_any_is_fetched(server, tmp_path, monkeypatch, free, fits):
    """Ten bytes, and 1.4 times as many unpacked."""
    server.files = {"/a.zip": b"0123456789"}
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 100 - free, free))
    with pytest.raises(InputError, match="neither a zip nor a tar" if fits else r"GB of archives need .* make room"):
        download_dataset([{"url": f"{server.address}/a.zip", "checksum": sha256(b"0123456789")}], tmp_path / "sounds", HASTE)
    assert [command for command, *_ in server.asked] == ["HEAD"] + ["GET"] * fits


def test_a_length_is_what_the_server_says_or_unknown(server):
    server.files = {"/a": b"12345"}
    assert transfer.length_of(f"{server.address}/a") == 5
    assert transfer.length_of(f"{NOWHERE}/a", timeout_s=1) is None
