import datetime
import email.utils
import hashlib
import io
import json
import shutil
import ssl
import subprocess
import sys
import tarfile
import threading
import urllib.error
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from earwitness.core.errors import InputError
from earwitness.core.files import MADE
from earwitness.corpora.downloads import Archive, download_dataset, group_parts, open_zip
from earwitness.runtime import transfer
from earwitness.runtime.transfer import Patience

HASTE = Patience(attempts=3, wait_s=0.01, timeout_s=5)
SCRIPT = Path(__file__).resolve().parents[2] / "workflow_scripts" / "download_dataset.py"


class FileServer(ThreadingHTTPServer):
    """Serves `files`; the next requests misbehave as `trouble` says: a status, the headers of a 429, or "cut" after half of what was asked for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.trouble, self.ranges, self.knows_ranges = {}, [], [], True

    def add(self, name, content, **more):
        self.files[f"/{name}"] = content
        return {"url": f"http://127.0.0.1:{self.server_port}/{name}", "checksum": "sha256:" + hashlib.sha256(content).hexdigest(), **more}


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.ranges.append(self.headers.get("Range"))
        trouble = self.server.trouble.pop(0) if self.server.trouble else None
        if isinstance(trouble, int):
            self.send_error(trouble)
            return
        if isinstance(trouble, dict):
            self.send_response(429)
            for name, value in trouble.items():
                self.send_header(name, value)
            self.end_headers()
            return
        if self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/moved"))
            self.end_headers()
            return
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        first = 0
        if self.headers.get("Range") and self.server.knows_ranges:
            first = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if first >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        body = content[first:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if trouble == "cut" else body)


@pytest.fixture
def server():
    with FileServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def zip_of(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tar_of(*members, mode="w:gz"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for member, content in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != MADE}


def partials(folder):
    return list((folder / ".partial").glob("*"))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_archives_are_unpacked_where_they_belong(server, tmp_path, mode):
    sounds = server.add("a.zip", zip_of(**{"top/audio/x.wav": b"x" * 1000, "top/readme": b"r", "stray": b"s"}), strip=1)
    turns = server.add("b", tar_of(("./dev/x.rttm", b"SPEAKER"), mode=mode), into="rttm/deep")
    redirected = turns | {"url": turns["url"].replace("/b", "/moved/b"), "into": "again"}
    download_dataset([sounds, turns, redirected], tmp_path / "set", HASTE)
    expected = {"audio/x.wav": b"x" * 1000, "readme": b"r", "rttm/deep/dev/x.rttm": b"SPEAKER", "again/dev/x.rttm": b"SPEAKER"}
    assert tree(tmp_path / "set") == expected
    assert not partials(tmp_path)


def test_md5_is_accepted(server, tmp_path):
    content = zip_of(x=b"1")
    archive = server.add("a.zip", content) | {"checksum": "md5:" + hashlib.md5(content).hexdigest()}
    download_dataset([archive], tmp_path / "set", HASTE)
    assert tree(tmp_path / "set") == {"x": b"1"}


def test_a_cut_connection_is_resumed_where_it_broke(server, tmp_path):
    content = zip_of(x=bytes(range(256)) * 100)
    archive = server.add("a.zip", content)
    server.trouble = ["cut", "cut"]
    download_dataset([archive], tmp_path / "set", HASTE)
    half = len(content) // 2
    assert server.ranges == [None, f"bytes={half}-", f"bytes={half + (len(content) - half) // 2}-"]
    assert tree(tmp_path / "set") == {"x": bytes(range(256)) * 100}


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(server, tmp_path):
    content = zip_of(x=b"abc" * 1000)
    archive = server.add("a.zip", content)
    server.trouble = ["cut", 500, 503, 500]
    with pytest.raises(InputError, match="given up after 3 attempts \\(500"):
        download_dataset([archive], tmp_path / "set", HASTE)
    assert not (tmp_path / "set").exists()
    assert [path.stat().st_size for path in partials(tmp_path)] == [len(content) // 2]
    server.ranges.clear()
    download_dataset([archive], tmp_path / "set", HASTE)
    assert server.ranges == [f"bytes={len(content) // 2}-"]
    assert tree(tmp_path / "set") == {"x": b"abc" * 1000}


def test_a_server_without_ranges_is_read_again_from_the_start(server, tmp_path):
    server.knows_ranges = False
    server.trouble = ["cut"]
    download_dataset([server.add("a.zip", zip_of(x=b"abc" * 1000))], tmp_path / "set", HASTE)
    assert tree(tmp_path / "set") == {"x": b"abc" * 1000}


def test_what_is_whole_already_is_not_fetched_again(server, tmp_path):
    archives = [server.add("a.zip", zip_of(x=b"1" * 500)), server.add("b.zip", zip_of(y=b"2")) | {"checksum": "sha256:" + "0" * 64}]
    with pytest.raises(InputError, match="wrong checksum"):
        download_dataset(archives, tmp_path / "set", HASTE)
    server.ranges.clear()
    download_dataset(archives[:1], tmp_path / "set", HASTE)
    assert server.ranges == []
    assert tree(tmp_path / "set") == {"x": b"1" * 500}


@pytest.mark.parametrize("leftover", [b"older version of the file", b"y" * 5000])
def test_a_part_of_another_version_does_not_spoil_the_download(server, tmp_path, leftover):
    archive = server.add("a.zip", zip_of(x=b"abc" * 1000))
    server.files["/a.zip"], whole = zip_of(x=b"longer" * 5000), server.files["/a.zip"]
    server.trouble = ["cut", 500, 500, 500]
    with pytest.raises(InputError, match="given up"):
        download_dataset([archive], tmp_path / "set", HASTE)
    server.files["/a.zip"] = whole
    partials(tmp_path)[0].write_bytes(leftover)
    download_dataset([archive], tmp_path / "set", HASTE)
    assert tree(tmp_path / "set") == {"x": b"abc" * 1000}


def test_a_wrong_checksum_names_everything_and_leaves_nothing(server, tmp_path):
    archive = server.add("a.zip", zip_of(x=b"1"))
    got, archive["checksum"] = archive["checksum"], "sha256:" + "0" * 64
    with pytest.raises(InputError) as raised:
        download_dataset([archive], tmp_path / "set", HASTE)
    assert all(text in str(raised.value) for text in (archive["url"], got, archive["checksum"]))
    assert not (tmp_path / "set").exists()
    assert not partials(tmp_path)


def test_a_missing_file_is_refused_at_once(server, tmp_path):
    archive = server.add("a.zip", b"") | {"url": f"http://127.0.0.1:{server.server_port}/none.zip"}
    with pytest.raises(InputError, match=r"none\.zip: the server answered 404"):
        download_dataset([archive], tmp_path / "set", HASTE)
    assert len(server.ranges) == 1


def test_a_server_that_does_not_answer_is_given_up(tmp_path):
    archive = {"url": "http://127.0.0.1:9/a.zip", "checksum": "sha256:" + "0" * 64}
    with pytest.raises(InputError, match="given up after 2 attempts"):
        download_dataset([archive], tmp_path / "set", Patience(attempts=9, unreachable=2, wait_s=0.01, timeout_s=1))


def test_a_busy_server_is_given_the_time_that_it_asks_for(server, tmp_path, monkeypatch, capsys):
    waits = []
    monkeypatch.setattr(transfer.time, "sleep", waits.append)
    soon = email.utils.format_datetime(datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=90), usegmt=True)
    past = "Wed, 21 Oct 2015 07:28:00 GMT"
    server.trouble = [{"Retry-After": "17"}, {"Retry-After": soon}, {"Retry-After": past}, {"Retry-After": "86400"}, {"Retry-After": "later"}, {}]
    download_dataset([server.add("a.zip", zip_of(x=b"1"))], tmp_path / "set", Patience(attempts=8, wait_s=2.0))
    assert waits[0] == 17
    assert 80 < waits[1] <= 90
    assert waits[2:] == [0, transfer.LONGEST_ASKED_WAIT_S, 2.0 * 2**4, 2.0 * 2**5]
    assert "a.zip: 429 Too Many Requests; trying again in 17 s" in capsys.readouterr().err


def test_a_certificate_that_is_not_trusted_is_refused_at_once(tmp_path, monkeypatch):
    asked = []

    def distrust(request, timeout):
        asked.append(request.get_method())
        fault = ssl.SSLCertVerificationError("certificate verify failed")
        fault.verify_message = "self-signed certificate"
        raise urllib.error.URLError(fault)

    monkeypatch.setattr(transfer.urllib.request, "urlopen", distrust)
    archive = {"url": "https://example.org/a.zip", "checksum": "sha256:" + "0" * 64}
    with pytest.raises(InputError, match=r"a\.zip: its certificate is not trusted \(self-signed certificate\); name your network's"):
        download_dataset([archive], tmp_path / "set", HASTE)
    assert asked == ["HEAD", "GET"]


def symlink_zip():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("way-out")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        archive.writestr(info, "../..")
    return buffer.getvalue()


DEVICE = tarfile.TarInfo("null")
DEVICE.type = tarfile.CHRTYPE

HOSTILE = {
    "zip ..": (zip_of(**{"good": b"1", "../evil": b"2"}), r"'\.\./evil'"),
    "zip inner ..": (zip_of(**{"a/../../evil": b"2"}), r"'a/\.\./\.\./evil'"),
    "zip absolute": (zip_of(**{"/tmp/evil": b"2"}), "'/tmp/evil'"),
    "zip drive": (zip_of(**{"C:/evil": b"2"}), "'C:/evil'"),
    "zip backslash": (zip_of(**{"..\\evil": b"2"}), "evil' would be written outside"),
    "zip symlink": (symlink_zip(), "'way-out' is a link"),
    "tar ..": (tar_of(("good", b"1"), ("../evil", b"2")), r"'\.\./evil'"),
    "tar absolute": (tar_of(("/tmp/evil", b"2")), "'/tmp/evil'"),
    "tar symlink": (tar_of(link("way-out", "../.."), ("way-out/evil", b"2")), "'way-out' is a link"),
    "tar hard link": (tar_of(link("copy", "../../etc/passwd", tarfile.LNKTYPE)), "'copy' is a link"),
    "tar device": (tar_of((DEVICE, b"")), "'null' is a device"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("strip", [0, 1])
def test_an_archive_that_reaches_outside_is_refused_by_member(server, tmp_path, name, strip):
    content, message = HOSTILE[name]
    before = server.add("first.zip", zip_of(**{"a/b": b"1"}))
    with pytest.raises(InputError, match=message):
        download_dataset([before, server.add("evil", content, strip=strip)], tmp_path / "deep" / "set", HASTE)
    assert not (tmp_path / "deep" / "set").exists()
    assert {path.name for path in tmp_path.rglob("*")} - {path.name for path in partials(tmp_path / "deep")} == {"deep", ".partial"}


@pytest.mark.parametrize("into", ["..", "/tmp/elsewhere", "a/../.."])
def test_a_folder_outside_is_refused(server, tmp_path, into):
    with pytest.raises(InputError, match="outside the data set's folder"):
        download_dataset([server.add("a.zip", zip_of(x=b"1"), into=into)], tmp_path / "set", HASTE)


@pytest.mark.parametrize(
    ("content", "strip", "message"),
    [
        (b"<html>not found</html>", 0, "neither a zip nor a tar"),
        (zip_of(x=b"abc" * 1000)[:-40], 0, "cannot be unpacked"),
        (tar_of(("x", bytes(range(256)) * 200))[:-60], 0, "cannot be unpacked"),
        (zip_of(**{"a/x": b"1"}), 2, "strip 2 leaves no file"),
    ],
    ids=["a page", "a zip cut short", "a tar cut short", "too shallow"],
)
def test_what_cannot_be_unpacked_is_an_error_in_one_line(server, tmp_path, content, strip, message):
    with pytest.raises(InputError, match=message):
        download_dataset([server.add("a", content, strip=strip)], tmp_path / "set", HASTE)
    assert not (tmp_path / "set").exists()


def crafted_split_zip(members):
    """A stored zip over three parts, its directory counting offsets from the start of each, as the format demands."""
    files, directory = [b"PK\x07\x08"], b""
    for number, (name, content) in enumerate(members.items()):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(zipfile.ZipInfo(name), content)
            entry_at = archive.start_dir
        raw = buffer.getvalue()
        part = number % 3 if number else 0
        while len(files) <= part:
            files.append(b"")
        entry = bytearray(raw[entry_at : raw.rindex(b"PK\x05\x06")])
        entry[34:36] = part.to_bytes(2, "little")
        entry[42:46] = len(files[part]).to_bytes(4, "little")
        directory += bytes(entry)
        files[part] += raw[:entry_at]
    last = len(files) - 1
    end = b"PK\x05\x06" + b"".join(
        value.to_bytes(width, "little")
        for value, width in [(last, 2), (last, 2), (len(members), 2), (len(members), 2), (len(directory), 4), (len(files[last]), 4), (0, 2)]
    )
    files[last] += directory + end
    return files


MEMBERS = {"set/a.wav": b"a" * 3000, "set/b.wav": bytes(range(256)) * 9, "set/c.wav": b"c" * 777}


def test_a_split_zip_is_read_over_its_parts(server, tmp_path):
    first, second, last = crafted_split_zip(MEMBERS)
    archives = [
        server.add("FSD.audio.z01?download=1", first),
        server.add("FSD.audio.z02?download=1", second),
        server.add("other.zip", zip_of(y=b"2")),
        server.add("FSD.audio.zip?download=1", last, strip=1),
    ]
    download_dataset(archives, tmp_path / "set", HASTE)
    assert tree(tmp_path / "set") == {name.removeprefix("set/"): content for name, content in MEMBERS.items()} | {"y": b"2"}


def test_a_split_zip_with_other_parts_than_its_directory_says_is_refused(server, tmp_path):
    first, _, last = crafted_split_zip(MEMBERS)
    archives = [server.add("x.z01", first), server.add("x.zip", last)]
    with pytest.raises(InputError, match="it has 3 parts, and 2 are listed"):
        download_dataset(archives, tmp_path / "set", HASTE)


@pytest.mark.parametrize(
    ("names", "message"),
    [(["x.z01", "x.z03", "x.zip"], "list all from .z01 on"), (["x.z01", "y.zip"], "no x.zip after them"), (["x.zip", "x.z01"], "no x.zip after")],
)
def test_a_missing_part_is_named_before_anything_is_fetched(names, message):
    with pytest.raises(InputError, match=message):
        group_parts([Archive(f"http://host/{name}", "md5:" + "0" * 32) for name in names])


@pytest.mark.skipif(shutil.which("zip") is None, reason="no zip program, which makes real split archives")
@pytest.mark.parametrize("options", [[], ["-0"], ["-fz"]])
def test_a_split_zip_of_the_zip_program_is_read(tmp_path, options):
    (tmp_path / "set").mkdir()
    contents = {f"set/{k}.bin": hashlib.shake_256(bytes([k])).digest(50_000 + k) for k in range(5)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    subprocess.run(["zip", "-q", "-r", "-s", "64k", *options, "all.zip", "set"], cwd=tmp_path, check=True)
    parts = [*sorted(tmp_path.glob("all.z[0-9]*")), tmp_path / "all.zip"]
    assert len(parts) > 2
    with open_zip(parts) as archive:
        assert {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")} == contents
        assert archive.testzip() is None


def test_the_program_ends_with_one_line_and_no_folder(server, tmp_path):
    source = {"archives": [server.add("a.zip", zip_of(x=b"1")) | {"checksum": "md5:" + "0" * 32}]}
    command = [sys.executable, str(SCRIPT), str(tmp_path / "set"), "--source", json.dumps(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if "error" in line.lower()] == done.stderr.splitlines()[-1:]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "set").exists()
    source["archives"][0] = server.add("a.zip", zip_of(x=b"1"))
    subprocess.run([*command[:-1], json.dumps(source)], check=True, capture_output=True)
    assert tree(tmp_path / "set") == {"x": b"1"}
