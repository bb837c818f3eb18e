"""Whatever is done to a file that people or programs hand over, it is read as what it is or refused in one line, and soon.

EARWITNESS_FUZZ is the number of mutations that each target gets; without it a few show that the targets work. Mutations are drawn
from the files of a small corpus that this module writes.
"""

import itertools
import json
import os
import signal
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from earwitness.audio.files import UnreadableAudio, describe, examine, read_frames
from earwitness.config import complete_config, overlaid
from earwitness.core.errors import InputError, one_line
from earwitness.core.files import sha256_of, write_json
from earwitness.core.yaml_text import load_yaml
from earwitness.corpora.catalogue import catalogue
from earwitness.corpora.data_sets import DataSet
from earwitness.corpora.file_checks import Limits
from earwitness.corpora.manifest import listed
from earwitness.corpora.rttm import read_rttm, single_speaker_stretches
from earwitness.corpora.vocabularies import ESC50_TARGETS, FSD50K_LABELS
from earwitness.leakage.certificate import SCHEMA_NAME, load_certificate, policy_digest
from earwitness.leakage.manifests import Columns, read_manifests
from earwitness.model.checkpoint import tensors_in, verify_checkpoint
from earwitness.provenance.verification import differences_from_digests
from earwitness.tables.files import read_table
from earwitness.tables.splits import SPLIT

FUZZ = int(os.environ.get("EARWITNESS_FUZZ", "12"))
SLOWEST_S = 10
RATE = 16_000
LIMITS = Limits(0.0, 1.0, 10.0, -1000.0)
TOKENS = [
    *(b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xe9", b"\r", b"\n", b"\r\n", b"\t", b" ", b",", b";", b'"', b"'", b"|", b"|||"),
    *(
        b"nan",
        b"inf",
        b"-1",
        b"1e400",
        b"1,5",
        b"010",
        b"1:00",
        b"1_0",
        b"\xd9\xa3",
        b"NA",
        b"null",
        b"{}",
        b"[]",
        b"[" * 2000,
        b"{",
        b"}",
        b"..",
        b"/",
    ),
    *(b"\xed\xa0\x80", b"e\xcc\x81", b"\xe2\x80\x8b", b"&a ", b"*a", b"!!int ", b"<<: ", b"---\n", b"#", b": ", b"- ", b"Speech", b"SPEECH", b"dog"),
    *(b"data", b"fmt ", b"LIST", b"RIFF", b"SSND", b"COMM", b"OggS", b"fLaC", b"ID3\x04\0\0\x7f\x7f\x7f\x7f", b"Xing", b"\xff\xfb\x90\0"),
]
"""What breaks readers: byte order marks, other encodings, line ends, separators, numbers that are none, names of chunks."""


@dataclass(frozen=True)
class Edits:
    """Edits of a file's bytes: kind, place as a share of the file, and how."""

    edits: list[tuple]

    def __call__(self, content: bytes) -> bytes:
        for kind, share, *how in self.edits:
            at = int(share * len(content))
            if kind == "byte":
                content = content[:at] + bytes(how) + content[at + 1 :]
            elif kind == "bit":
                content = content[:at] + bytes([byte ^ (1 << how[0]) for byte in content[at : at + 1]]) + content[at + 1 :]
            elif kind == "number":
                value, size, order = how
                content = content[:at] + (value % 256**size).to_bytes(size, order) + content[at + size :]
            elif kind == "insert":
                content = content[:at] + how[0] + content[at:]
            elif kind == "replace":
                content = content[:at] + how[0] + content[at + len(how[0]) :]
            elif kind == "delete":
                content = content[:at] + content[at + how[0] :]
            elif kind == "repeat":
                content = content[:at] + content[at : at + how[0]] * how[1] + content[at:]
            else:
                content = content[:at]
        return content


@st.composite
def mutations(draw) -> Callable[[bytes], bytes]:
    """Some edits of a file, one after the other, drawn without knowing the file."""
    place = st.one_of(st.floats(0, 1), st.floats(0, 0.05))
    number = st.one_of(
        st.sampled_from([0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1]), st.integers(0, 2**16)
    )
    edit = st.one_of(
        st.tuples(st.just("byte"), place, st.integers(0, 255)),
        st.tuples(st.just("bit"), place, st.integers(0, 7)),
        st.tuples(st.just("number"), place, number, st.sampled_from([1, 2, 4, 8]), st.sampled_from(["little", "big"])),
        st.tuples(st.just("insert"), place, st.one_of(st.sampled_from(TOKENS), st.binary(max_size=6))),
        st.tuples(st.just("replace"), place, st.sampled_from(TOKENS)),
        st.tuples(st.just("delete"), place, st.integers(1, 64)),
        st.tuples(st.just("repeat"), place, st.integers(1, 64), st.integers(1, 40)),
        st.tuples(st.just("cut"), place),
    )
    edits = draw(st.lists(edit, min_size=1, max_size=4))
    return Edits(edits)


def fuzzed(strategy=None, share: float = 1.0):
    """A test with FUZZ mutations, the same ones every time where they are few."""
    profile = settings(max_examples=max(1, round(FUZZ * share)), derandomize=FUZZ < 100, database=None, suppress_health_check=list(HealthCheck))
    return lambda test: profile(given(mutate=mutations() if strategy is None else strategy)(test))


@contextmanager
def soon():
    """Fail where the block takes longer than SLOWEST_S."""

    def late(*_):
        raise TimeoutError(f"took more than {SLOWEST_S} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SLOWEST_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A new folder at every call; what is read is remembered by its path's identity, so none is used twice."""
    folder, numbers = tmp_path_factory.mktemp("fresh"), itertools.count()

    def make() -> Path:
        (path := folder / str(next(numbers))).mkdir()
        return path

    return make


def read_or_refused(read):
    """What `read` returns, or None where it refuses in one line."""
    try:
        with soon():
            return read()
    except InputError as error:
        assert str(error) and "\n" not in one_line(error)
        return None


def spoilt(path: Path, mutate, content: bytes | None = None) -> bytes:
    """Write a mutation of a file's content, and return it."""
    new = mutate(path.read_bytes() if content is None else content)
    path.write_bytes(new)
    return new


SPEAKERS = "".join(f"SPEAKER a 1 {start}.250 1.500 <NA> <NA> spk{start % 2:02d} <NA> <NA>\n" for start in range(0, 8, 2))
RTTM = (
    SPEAKERS,
    SPEAKERS.replace(" <NA> <NA>\n", "\n"),
    SPEAKERS.replace(" ", "\t").replace("\n", "\r\n"),
    f"\ufeff;; NIST\nSPKR-INFO a 1 <NA> <NA> <NA> unknown spk00 <NA> <NA>\n{SPEAKERS}",
    "SPEAKER a 1 1e-1 2.5E0 <NA> <NA> Ånna 0.93 <NA>",
)


@pytest.mark.parametrize("content", RTTM)
@fuzzed()
def test_rttm(fresh, content, mutate):
    path = fresh() / "a.rttm"
    spoilt(path, mutate, content.encode())
    if found := read_or_refused(lambda: read_rttm(path)):
        assert found.recording and all(0 <= turn.start_s <= turn.end_s < np.inf and turn.speaker for turn in found.turns)
        assert all(turn.start_s < turn.end_s for turn in single_speaker_stretches(found.turns))


def sounds(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    samples = 0.1 * np.random.default_rng(1).standard_normal(1600)
    for name in names:
        soundfile.write(folder / name, samples, RATE)


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    """A data set in each of the layouts whose labels are a table."""
    folder = tmp_path_factory.mktemp("layouts")
    rows = [("1-1-A-0.wav", "dog", 0), ("1-2-A-36.wav", "vacuum_cleaner", 36), ("1-3-A-26.wav", "laughing", 26)]
    sounds(folder / "esc50/audio", [name for name, *_ in rows])
    (folder / "esc50/meta").mkdir()
    table = pd.DataFrame([(name, 1, number, kind, False, 1000 + k, "A") for k, (name, kind, number) in enumerate(rows)])
    table.to_csv(folder / "esc50/meta/esc50.csv", index=False, header=["filename", "fold", "target", "category", "esc10", "src_file", "take"])
    sounds(folder / "fsd50k/FSD50K.dev_audio", ["101.wav", "102.wav", "103.wav"])
    (folder / "fsd50k/FSD50K.ground_truth").mkdir()
    labels = {101: "Speech,Human_voice", 102: "Bark,Dog,Domestic_animals_and_pets,Animal", 103: "Rain,Water"}
    lines = ["fname,labels,mids,split", *(f'{name},"{text}","/m/x",train' for name, text in labels.items())]
    (folder / "fsd50k/FSD50K.ground_truth/dev.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(("layout", "table"), [("esc50", "meta/esc50.csv"), ("fsd50k", "FSD50K.ground_truth/dev.csv")])
@fuzzed(share=0.5)
def test_tables_of_labels(layouts, layout, table, mutate):
    path = layouts / layout / table
    right = path.read_bytes()
    try:
        spoilt(path, mutate)
        if found := read_or_refused(lambda: catalogue(DataSet(layout, layouts / layout, layout=layout), LIMITS, threads=1)):
            known = ESC50_TARGETS.keys() if layout == "esc50" else {*FSD50K_LABELS, "speech"}
            assert set(found.recordings.category) <= set(known), "a label that nobody knows means nothing"
            assert set(found.check.verdict) <= {"ok", "broken", "excluded"}
    finally:
        path.write_bytes(right)


MANIFESTS = (
    "path,label,source,start_s,end_s\na.wav,SPEECH,ana,0,0.05\na.wav,SPEECH,ana,0.06,0.1\nb.wav,NONSPEECH,street,,\n",
    'path;label;source;start_s;end_s;licence\r\n"a.wav";SPEECH;"Ana; the 1st";0,01;0,05;CC0\r\nb.wav;NONSPEECH;street;;;\r\n',
    "path\tlabel\tsource\na.wav\tSPEECH\tÅnna\nb.wav\tNONSPEECH\t12.0\n",
    "sep=;\r\npath;label;source\r\na.wav;SPEECH;Ana, the 1st\r\nb.wav;NONSPEECH;street\r\n",
)


@pytest.mark.parametrize("content", MANIFESTS)
@fuzzed()
def test_manifests(fresh, content, mutate):
    folder = fresh()
    spoilt(folder / "mine.csv", mutate, content.encode())
    if rows := read_or_refused(lambda: listed(DataSet("mine", folder / "mine.csv", origin="manifest"))):
        assert all(row.label in ("SPEECH", "NONSPEECH") and row.source and 0 <= row.start_s < row.end_s for row in rows)


@fuzzed()
def test_manifests_in_parquet(fresh, mutate):
    folder = fresh()
    pd.DataFrame({"path": ["a.wav", "b.wav"], "label": ["SPEECH", "NONSPEECH"], "source": ["ana", "street"]}).to_parquet(folder / "mine.parquet")
    spoilt(folder / "mine.parquet", mutate)
    rows = read_or_refused(lambda: listed(DataSet("mine", folder / "mine.parquet", origin="manifest")))
    assert all(row.label in ("SPEECH", "NONSPEECH") for row in rows or [])


@fuzzed()
def test_manifests_of_an_audit(fresh, mutate):
    folder = fresh()
    sounds(folder / "audio", ["a.wav", "b.wav"])
    for part in ("train", "test"):
        (folder / f"{part}.csv").write_text("path,label,group\naudio/a.wav,SPEECH,ana\naudio/b.wav,dog,street\n")
    spoilt(folder / "test.csv", mutate)
    items = read_or_refused(lambda: read_manifests({part: folder / f"{part}.csv" for part in ("train", "test")}, Columns()))
    assert items is None or set(items.label) == {"SPEECH", "NONSPEECH"}


CONTAINERS = {
    "WAV": "PCM_16", "WAVEX": "PCM_24", "RF64": "PCM_16", "AIFF": "PCM_16", "AU": "ULAW", "W64": "PCM_16", "CAF": "PCM_24", "FLAC": "PCM_16",
    "OGG": "VORBIS", "MP3": "MPEG_LAYER_III", "NIST": "PCM_16",
}  # fmt: skip


class Recordings(dict):
    """Container -> content of a file, and its samples."""

    def __repr__(self):
        return f"{len(self)} files"


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Container -> content of a file of two channels, and its samples."""
    folder = tmp_path_factory.mktemp("recordings")
    wave = np.random.default_rng(2).uniform(-0.5, 0.5, (4000, 2))
    found = Recordings()
    for container, subtype in CONTAINERS.items():
        soundfile.write(folder / container, wave, RATE, format=container, subtype=subtype)
        found[container] = (folder / container).read_bytes(), read_frames(folder / container)
    return found


@pytest.mark.parametrize("container", CONTAINERS)
@fuzzed(share=2.0)
def test_audio(fresh, recordings, container, mutate):
    content, whole = recordings[container]
    path = fresh() / "x"
    new = mutate(content)
    path.write_bytes(new)
    try:
        with soon():
            about, measures = examine(path)
            frames = read_frames(path)
            again = read_frames(path)
    except UnreadableAudio as error:
        assert "\n" not in str(error) and str(error)
        return
    assert describe(path).frames == about.frames == len(frames) == measures.samples // about.channels
    np.testing.assert_array_equal(frames, again, err_msg="what is read must not vary")
    assert len(frames) <= 4000 + 64 * len(new), "samples that are in no file"
    if container in ("FLAC", "OGG") and about.channels == 2 and len(frames) == len(whole) and new[:200] == content[:200]:
        # Their packets carry checksums.
        assert about.notes or np.array_equal(frames, whole), "a payload that changed is told"


@st.composite
def rewritings(draw) -> Callable[[bytes], bytes]:
    """A change of what a JSON file says, or of its bytes."""
    if draw(st.integers(0, 2)) == 0:
        return draw(mutations())
    seed = draw(st.integers(0, 2**32 - 1))
    return lambda content: json.dumps(changed(json.loads(content), np.random.default_rng(seed))).encode()


ODD = (None, True, -1, 0, 1.5, float("inf"), float("nan"), "", "x", "\ud800", [], {}, [1], {"a": 1}, "pass", "fail", 2**70)


def changed(value, pick: np.random.Generator):
    """A JSON value of which one part is another."""
    if isinstance(value, dict) and value and pick.random() < 0.9:
        key = str(pick.choice(sorted(value)))
        how = pick.integers(6)
        if how == 0:
            return {name: inner for name, inner in value.items() if name != key}
        if how == 1:
            return value | {"extra": ODD[pick.integers(len(ODD))]}
        return value | {key: changed(value[key], pick)}
    if isinstance(value, list) and value and pick.random() < 0.7:
        place = int(pick.integers(len(value)))
        return [*value[:place], changed(value[place], pick), *value[place + int(pick.integers(2)) :]]
    return ODD[pick.integers(len(ODD))]


CHECK = {
    "id": "L01", "name": "group_overlap", "question": "Is a group in two parts?", "severity": "error", "required": True, "status": "fail",
    "n_compared": 3, "units": "groups", "statistic": 1.0, "threshold": 0.0, "reason": "1 group is in two parts", "offenders": 1,
    "offending_sources": ["ana"], "remarks": [], "waived": False,
}  # fmt: skip


@fuzzed(rewritings(), share=2.0)
def test_certificates(fresh, mutate):
    path = fresh() / "certificate.json"
    tolerated, digest = {"adjacency_guard_s": 1.0}, "0" * 64
    certificate = {
        "schema": SCHEMA_NAME,
        "split": {"name": "grouped", "sha256": digest},
        "subject": [{"role": "split", "name": "grouped.csv", "sha256": digest}],
        "policy": {"settings": tolerated, "sha256": policy_digest(tolerated)},
        "parts": {"train": dict.fromkeys(("stimuli", "speech_sources", "nonspeech_sources"), 2)},
        "checks": [CHECK],
        "waivers": [],
        "status": "fail",
        "fail_closed": True,
    }
    spoilt(path, mutate, json.dumps(certificate).encode())
    if found := read_or_refused(lambda: load_certificate(path)):
        assert found["status"] == "fail" or not any(check["severity"] == "error" and check["status"] == "fail" for check in found["checks"])


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A results folder of three files with its digests."""
    folder = tmp_path_factory.mktemp("published") / "results"
    (folder / "tables").mkdir(parents=True)
    (folder / "provenance").mkdir()
    for name in ("a", "b", "c"):
        (folder / f"tables/{name}.csv").write_text(f"x,y\n{name},1\n")
    rows = [(f"results/tables/{name}.csv", *((path := folder / f"tables/{name}.csv").stat().st_size, sha256_of(path))) for name in "abc"]
    record = folder / "provenance/digests.csv"
    pd.DataFrame(rows, columns=["path", "bytes", "sha256"]).to_csv(record, index=False)
    write_json(folder / "provenance/run.json", {"digests": {"files": 3, "sha256": sha256_of(record)}})
    assert differences_from_digests(folder)[:2] == ([], 3)
    return folder


@pytest.mark.parametrize("name", ["tables/b.csv", "provenance/digests.csv", "provenance/run.json"])
@fuzzed()
def test_published_results(published, name, mutate):
    path = published / name
    right = path.read_bytes()
    try:
        changed = spoilt(path, mutate) != right
        found = read_or_refused(lambda: differences_from_digests(published))
        if changed and name != "provenance/run.json":
            assert found is None or found[0], "a change is noticed"
        if found is not None and not found[0]:
            assert found[1] == 3, "nothing is passed over"
    finally:
        path.write_bytes(right)


@fuzzed()
def test_lists_of_digests_whose_run_vouches_for_them(published, mutate):
    """Whoever writes a list can also write its digest: then the list itself is read, whatever it holds."""
    record, run = published / "provenance/digests.csv", published / "provenance/run.json"
    right, said = record.read_bytes(), run.read_bytes()
    try:
        spoilt(record, mutate)
        write_json(run, {"digests": {"files": 3, "sha256": sha256_of(record)}})
        read_or_refused(lambda: differences_from_digests(published))
    finally:
        record.write_bytes(right)
        run.write_bytes(said)


CONFIGS = (
    "seed: 3\nclips: {per_source: 2, duration_s: 1.5}\nstimuli:\n  snrs_db: [-10, 0, 20]\n",
    "sources:\n  mine: {origin: manifest, path: mine.csv, labels: {speech: SPEECH, kettle: NONSPEECH}}\nmodels: {b: {origin: path, path: ~/base}}\n",
    'finetuning:\n  recipe: &r {rank: 8}\n  recipes: {mine: *r}\n  experiments: {main: {recipes: [mine], seeds: [1, 2]}}\n"audit": {}\n',
)


@pytest.mark.parametrize("content", CONFIGS)
@fuzzed(share=2.0)
def test_configurations(fresh, content, mutate):
    path = fresh() / "mine.yaml"
    spoilt(path, mutate, content.encode())
    loaded = read_or_refused(lambda: load_yaml(path))
    if isinstance(loaded, dict):
        read_or_refused(lambda: complete_config(overlaid({}, loaded)))


@fuzzed(share=2.0)
def test_weights(fresh, mutate):
    path = fresh() / "model.safetensors"
    save_file({"a.weight": np.ones((4, 3), np.float32), "b.bias": np.zeros(3, np.float32)}, path, {"format": "pt"})
    spoilt(path, mutate)
    if found := read_or_refused(lambda: tensors_in(path)):
        assert load_file(path).keys() == found, "what the library would not load is refused"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json", "tokenizer.json"])
@fuzzed(rewritings())
def test_descriptions_of_a_model(fresh, name, mutate):
    folder = fresh()
    (folder / "config.json").write_text('{"model_type": "qwen2_audio", "text_config": {"hidden_size": 4}}')
    (folder / "tokenizer.json").write_text('{"model": {"type": "BPE", "vocab": {"a": 0}}}')
    save_file({"a.weight": np.ones((4, 3), np.float32)}, folder / "model-00001-of-00001.safetensors", {"format": "pt"})
    (folder / "model.safetensors.index.json").write_text('{"metadata": {}, "weight_map": {"a.weight": "model-00001-of-00001.safetensors"}}')
    verify_checkpoint(folder)
    spoilt(folder / name, mutate)
    read_or_refused(lambda: verify_checkpoint(folder))


@fuzzed()
def test_tables_that_a_program_wrote(fresh, mutate):
    path = fresh() / "split.csv"
    rows = [(f"s{k}", f"c{k}", f"x{k}", "SPEECH" if k % 2 else "NONSPEECH", "train") for k in range(4)]
    pd.DataFrame(rows, columns=["stimulus_id", "clip_id", "source_id", "label", "part"]).to_csv(path, index=False)
    spoilt(path, mutate)
    found = read_or_refused(lambda: read_table(path, SPLIT))
    assert found is None or (set(found.label) <= {"SPEECH", "NONSPEECH"} and set(found.part) <= {"train", "dev", "test"})


@fuzzed()
def test_parquet_that_a_program_wrote(fresh, mutate):
    path = fresh() / "split.parquet"
    rows = [(f"s{k}", f"c{k}", f"x{k}", "SPEECH" if k % 2 else "NONSPEECH", "train") for k in range(4)]
    pd.DataFrame(rows, columns=["stimulus_id", "clip_id", "source_id", "label", "part"]).to_parquet(path)
    spoilt(path, mutate)
    found = read_or_refused(lambda: read_table(path, SPLIT))
    assert found is None or set(found.label) <= {"SPEECH", "NONSPEECH"}
