import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from huggingface_hub import HfApi
from programs import call_program
from test_assembled_base import write_language_model, write_whisper

from earwitness.core.errors import InputError
from earwitness.core.files import MADE
from earwitness.model.engine.loading import load_model
from earwitness.model.engine.prompting import Prompt
from earwitness.model.engine.scoring import score
from earwitness.model.halves import load_encoder, load_language_model
from earwitness.model.hub import Listed, differences_from_hub, fetch_snapshot
from earwitness.model.identity import identified

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
    "owner/gated": {"config.json": b"{}", "model.safetensors": b"weights"},
    "owner/pickles": {"config.json": b"{}", "pytorch_model.bin": b"a pickle"},
}


class Hub(ThreadingHTTPServer):
    """As much of the hub as a snapshot needs. Weights come from a storage under another host name; the next requests for them
    misbehave as `trouble` says: "cut" after half of what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.trouble: list[str] = []
        self.storage_requests: list[dict[str, str]] = []


class HubHandler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, code: str, status: int = 404) -> None:
        self.answer(b"", status, {"X-Error-Code": code})

    def do_GET(self) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[0] == "storage":
            return self.store(FILES["/".join(parts[1:3])][parts[3]])
        if parts[:2] == ["api", "models"]:
            return self.describe("/".join(parts[2:4]), parts[5], listing=parts[4] == "tree")
        repository, name = "/".join(parts[:2]), parts[4]
        if repository == "owner/gated":
            return self.refuse("GatedRepo", 403)
        if name.endswith(".safetensors"):
            return self.answer(b"", 302, {"Location": f"http://localhost:{self.server.server_port}/storage/{repository}/{name}"})
        return self.answer(FILES[repository][name])

    def store(self, body: bytes) -> None:
        self.server.storage_requests.append(dict(self.headers))
        asked = self.headers.get("Range")
        first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        rest = body[first:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(rest)))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        trouble = self.server.trouble.pop(0) if self.server.trouble else None
        self.wfile.write(rest[: len(rest) // 2] if trouble else rest)
        self.close_connection = bool(trouble)

    def describe(self, repository: str, revision: str, listing: bool) -> None:
        if repository not in FILES:
            return self.refuse("RepoNotFound")
        if revision not in (COMMIT, "main"):
            return self.refuse("RevisionNotFound")
        described = {"id": repository, "sha": COMMIT}
        return self.answer(json.dumps([entry(name, body) for name, body in FILES[repository].items()] if listing else described).encode())


def entry(name: str, body: bytes) -> dict[str, Any]:
    """A file as the hub lists it: large ones by SHA-256, others as git names them; or a folder, whose name ends in a slash."""
    if name.endswith("/"):
        return {"type": "directory", "path": name.removesuffix("/"), "oid": "0" * 40}
    listed = {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()}
    lfs = {"oid": hashlib.sha256(body).hexdigest(), "size": len(body), "pointerSize": 134}
    return listed | ({"lfs": lfs} if name.endswith(".safetensors") else {})


@pytest.fixture
def server():
    with Hub() as hub:
        threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield hub
        hub.shutdown()


@pytest.fixture
def hub(server):
    return f"http://127.0.0.1:{server.server_port}"


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
    assert {path.name for path in (tmp_path / "model").iterdir()} == {MADE, "config.json", "model.safetensors", "chat_template.jinja", "vocab.txt"}
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == FILES["owner/model"]["model.safetensors"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"repository": "owner/missing"}, "model.repository = owner/missing: not on the hub"),
        ({"repository": "not a name"}, "model.repository = not a name: not a name on the hub"),
        ({"repository": "owner/gated"}, "model.repository = owner/gated: access is restricted; accept its terms"),
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


def write_base_corpus(root):
    """Two recordings of either class, in the layouts of the embedded base corpus."""
    rng = np.random.default_rng(1)
    for layout in ("voxconverse", "esc50"):
        (root / layout / "audio").mkdir(parents=True)
        for place in range(2):
            soundfile.write(root / layout / "audio" / f"{place}-{place}-A-{place}.wav", rng.uniform(-0.5, 0.5, 24_000), 16_000)
    (root / "voxconverse" / "0-0-A-0.rttm").write_text("SPEAKER 0-0-A-0 1 0.0 1.5 <NA> <NA> one <NA> <NA>\n")
    (root / "esc50" / "meta").mkdir()
    (root / "esc50" / "meta" / "esc50.csv").write_text("filename,fold,target,category,esc10,src_file,take\n")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_halves_from_the_hub_get_a_projector_and_make_a_base_that_answers(hub, tmp_path, monkeypatch, kind):
    """Repositories as openai/whisper-tiny and HuggingFaceTB/SmolLM2-135M-Instruct or Qwen/Qwen2.5-0.5B-Instruct have them: beside what is
    needed, weights of other frameworks, pickles and folders."""
    repositories = {"encoder": "openai/whisper", "language_model": "owner/instruct"}
    write_whisper(tmp_path / "encoder")
    write_language_model(tmp_path / "language_model", kind, tie_word_embeddings=True)
    for half, repository in repositories.items():
        own = {path.name: path.read_bytes() for path in (tmp_path / half).iterdir()}
        assert "model.safetensors" in own
        beside = {"pytorch_model.bin": b"a pickle", "tf_model.h5": b"others", "onnx/": b"", "README.md": b"words"}
        monkeypatch.setitem(FILES, repository, own | beside)
        result = fetch(hub, tmp_path / f"hub-{half}", repository)
        assert result.returncode == 0, result.stderr
        assert {path.name for path in (tmp_path / f"hub-{half}").iterdir()} == {MADE, *own}

    write_base_corpus(tmp_path)
    halves = ["--encoder", tmp_path / "hub-encoder", "--language-model", tmp_path / "hub-language_model"]
    settings = json.dumps({"steps": 2, "batch_size": 2, "pool": 4, "learning_rate": 0.01, "rank": 0})
    files = [tmp_path / name for name in ("voxconverse", "esc50", "projector.safetensors")]
    options = ["--history", tmp_path / "history.csv", "--settings", settings, "--window-ms", 1000, "--seed", 1, "--threads", 1]
    trained = call_program("train_projector", *files, *halves, *options, folder=tmp_path)
    assert trained.returncode == 0, trained.stderr
    joined = call_program("assemble_base", tmp_path / "base", *halves, "--projectors", files[-1], "--rank", 0, folder=tmp_path)
    assert joined.returncode == 0, joined.stderr

    loaded = load_model(identified(tmp_path / "base"))
    own_encoder, own_words = load_encoder(tmp_path / "encoder"), load_language_model(tmp_path / "language_model")
    tower = loaded.model.model.audio_tower.state_dict()
    assert own_encoder.weights
    assert all(torch.equal(tower[name], weight) for name, weight in own_encoder.weights.items())
    rows = own_words.model.get_input_embeddings().weight
    assert torch.equal(loaded.model.get_input_embeddings().weight[: len(rows)], rows)
    scores = score(loaded, [np.random.default_rng(2).standard_normal(8000).astype(np.float32) / 10], Prompt("Is this speech?"))
    assert np.isfinite(scores.log_odds).all()


def test_a_broken_connection_goes_on_at_its_last_byte(server, hub, tmp_path):
    server.trouble = ["cut", "cut"]
    result = fetch(hub, tmp_path / "model")
    assert result.returncode == 0, result.stderr
    weights = FILES["owner/model"]["model.safetensors"]
    assert (tmp_path / "model/model.safetensors").read_bytes() == weights
    half = len(weights) // 2
    assert [request.get("Range") for request in server.storage_requests] == [None, f"bytes={half}-", f"bytes={half + (len(weights) - half) // 2}-"]


def test_what_a_killed_download_left_is_kept(server, hub, tmp_path):
    """The bytes of a file that is not whole count, and a file that is whole is not asked for again."""
    weights = FILES["owner/model"]["model.safetensors"]
    partial = tmp_path / f".model-{COMMIT}"
    partial.mkdir()
    (partial / "model.safetensors").write_bytes(weights[:1234])
    assert fetch(hub, tmp_path / "model", revision="main").returncode == 0
    assert [request.get("Range") for request in server.storage_requests] == ["bytes=1234-"]
    assert (tmp_path / "model/model.safetensors").read_bytes() == weights
    assert not partial.exists()


def test_the_token_stays_with_the_hub(server, hub, tmp_path):
    assert fetch(hub, tmp_path / "model").returncode == 0
    assert all("Authorization" not in request for request in server.storage_requests)


def test_a_full_disk_is_told_before_anything_is_fetched(server, hub, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9 - 10**6, 10**6))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub)
    files = {name: Listed(len(body), "sha256:" + hashlib.sha256(body).hexdigest()) for name, body in FILES["owner/model"].items()}
    monkeypatch.setattr("earwitness.model.hub.listed", lambda *_: ("0" * 40, files))
    with pytest.raises(InputError, match=r"model\.repository = owner/model: needs 0\.1 GB, and .* has room for 0\.0 GB; make room"):
        fetch_snapshot("owner/model", "main", tmp_path / "model", "model")
    assert server.storage_requests == []


def test_what_differs_from_the_hub_is_told_file_by_file(hub, tmp_path, monkeypatch):
    """Small files by the digest that git has of them, weights by their SHA-256."""
    assert fetch(hub, tmp_path / "model").returncode == 0
    held = HfApi(endpoint=hub)
    monkeypatch.setattr("earwitness.model.hub.HfApi", lambda: held)
    differences = partial(differences_from_hub, "owner/model", COMMIT, tmp_path / "model", "models")
    assert differences() == []
    (tmp_path / "model/vocab.txt").unlink()
    (tmp_path / "model/config.json").write_bytes(b'{"model_type": "Tiny"}')
    weights = bytearray((tmp_path / "model/model.safetensors").read_bytes())
    weights[100] ^= 1
    (tmp_path / "model/model.safetensors").write_bytes(weights)
    (tmp_path / "model/chat_template.jinja").write_bytes(b"{{ ")
    assert differences() == [
        "chat_template.jinja has 3 bytes of 14",
        "config.json has another content",
        "model.safetensors has another content",
        "vocab.txt is missing",
    ]
