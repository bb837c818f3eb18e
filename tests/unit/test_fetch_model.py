import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "workflow_scripts" / "fetch_model.py"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "owner/model": {
        "config.json": b'{"model_type": "tiny"}',
        "model.safetensors": b"weights" * 1000,
        "chat_template.jinja": b"{{ messages }}",
        "vocab.txt": b"a b",
        "pytorch_model.bin": b"a pickle",
        "modeling.py": b"raise SystemExit",
    },
    "owner/pickles": {"config.json": b"{}", "pytorch_model.bin": b"a pickle"},
}


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as a snapshot needs."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def refuse(self, code: str) -> None:
        self.answer(b"", 404, {"X-Error-Code": code})

    def do_GET(self) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            return self.describe("/".join(parts[2:4]), parts[5], listing=parts[4] == "tree")
        body = FILES["/".join(parts[:2])][parts[4]]
        return self.answer(body, headers={"ETag": f'"{hashlib.sha1(body).hexdigest()}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"})

    do_HEAD = do_GET

    def describe(self, repository: str, revision: str, listing: bool) -> None:
        if repository not in FILES:
            return self.refuse("RepoNotFound")
        if revision not in (COMMIT, "main"):
            return self.refuse("RevisionNotFound")
        files = [{"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()} for name, body in FILES[repository].items()]
        return self.answer(json.dumps(files if listing else {"id": repository, "sha": COMMIT}).encode())


@pytest.fixture(scope="module")
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def fetch(
    endpoint: str, folder: Path, repository: str = "owner/model", revision: str = COMMIT, offline: bool = False
) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(folder.parent / "home"),
        "HF_TOKEN": "hf_secret",
        "HF_HUB_OFFLINE": str(int(offline)),
    }
    command = [sys.executable, str(SCRIPT), str(folder), "--repository", repository, "--revision", revision, "--section", "model"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_the_snapshot_holds_weights_and_settings_but_no_pickle_and_no_code(hub, tmp_path):
    result = fetch(hub, tmp_path / "model")
    assert result.returncode == 0, result.stderr
    assert {path.name for path in (tmp_path / "model").iterdir()} == {"config.json", "model.safetensors", "chat_template.jinja", "vocab.txt"}
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == FILES["owner/model"]["model.safetensors"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"repository": "owner/missing"}, "model.repository = owner/missing: not on the hub"),
        ({"repository": "not a name"}, "model.repository = not a name: not a name on the hub"),
        ({"revision": "v9"}, "model.revision = v9: owner/model has none of that name"),
        ({"repository": "owner/pickles"}, "has no config.json with *.safetensors"),
        ({"offline": True}, "the hub cannot be reached"),
    ],
)
def test_what_cannot_be_fetched_is_one_line_and_leaves_no_model_and_shows_no_token(hub, tmp_path, change, message):
    result = fetch(**{"endpoint": hub, "folder": tmp_path / "model", **change})
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.returncode == 1
    assert len(errors) == 1, result.stderr
    assert message in errors[0]
    assert "Traceback" not in result.stderr
    assert "hf_secret" not in result.stdout + result.stderr
    assert not (tmp_path / "model").exists()
