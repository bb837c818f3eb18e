"""A base in 4 bits that is kept beside its files: the same bits as quantising gives, or not used."""

import json
import os
import shutil

import pytest
import torch

from earwitness.core.files import require_replaceable
from earwitness.model.checkpoint import WEIGHTS
from earwitness.model.engine import four_bits, loading
from earwitness.model.engine.four_bits import COPY, RECORD
from earwitness.model.engine.loading import keep_in_4_bits, load_model
from earwitness.model.identity import ModelFolder, identified, model_digest

CPU = torch.device("cpu")


@pytest.fixture
def base(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(four_bits, "PAYS_FROM_BYTES", 0)
    return identified(shutil.copytree(folder, tmp_path / "base"))


@pytest.fixture
def kept(base):
    done, told = keep_in_4_bits(base, CPU)
    assert done and told.startswith(f"kept in {base.path / COPY}, 0.0 GB")
    return base


@pytest.fixture
def quantised(monkeypatch):
    """Folders whose weights were quantised while they were loaded."""
    folders = []
    read = loading._read_weights

    def noted(kind, folder, *others, **options):
        folders.extend([folder] * ("quantization_config" in options))
        return read(kind, folder, *others, **options)

    monkeypatch.setattr(loading, "_read_weights", noted)
    return folders


def bits_of(base):
    """Of all weights, and of what unpacks those in 4 bits."""
    return {name: (tensor.dtype, tensor.shape, tensor.numpy().tobytes()) for name, tensor in load_model(base, "nf4", CPU).model.state_dict().items()}


def test_a_copy_gives_the_bits_that_quantising_gives_and_nothing_is_quantised(base, quantised):
    expected = bits_of(base)
    assert quantised == [base.path]
    keep_in_4_bits(base, CPU)
    quantised.clear()
    assert bits_of(base) == expected
    assert quantised == []
    assert any(name.endswith("nested_absmax") for name in expected), "scales are in 8 bits"


def test_a_copy_is_made_once_and_is_no_part_of_the_model(kept, quantised):
    before = {path: path.stat().st_mtime_ns for path in (kept.path / COPY).iterdir()}
    assert keep_in_4_bits(kept, CPU) == (True, f"kept in {kept.path / COPY}")
    assert {path: path.stat().st_mtime_ns for path in (kept.path / COPY).iterdir()} == before
    assert quantised == []
    assert model_digest(kept.path) == kept.sha256
    made = [path.name for path in kept.path.iterdir() if path.name != COPY]
    require_replaceable(kept.path, beside=made)


def write_over(path):
    """Other content of the same size and date."""
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        lambda base, patch: (base.path / COPY / RECORD).write_text("{"),
        lambda base, patch: (base.path / COPY / RECORD).unlink(),
        lambda base, patch: (base.path / COPY / WEIGHTS).unlink(),
        lambda base, patch: os.truncate(base.path / COPY / WEIGHTS, 1000),
        lambda base, patch: os.utime(base.path / COPY / WEIGHTS),
        lambda base, patch: write_over(base.path / COPY / WEIGHTS),
        lambda base, patch: patch.setattr(four_bits, "version", lambda package: "0.1"),
        lambda base, patch: patch.setattr("earwitness.model.families.qwen2_audio.Qwen2Audio.unasked", ("model.language_model.layers.0",)),
    ],
    ids=["no record", "record gone", "weights gone", "cut", "touched", "written over", "other versions", "other modules"],
)
def test_a_copy_of_something_else_is_not_used(kept, monkeypatch, change):
    change(kept, monkeypatch)
    assert four_bits.kept_copy(kept, loading.implementation_of(kept.path).unquantised(), CPU) is None


def test_a_copy_that_came_with_a_base_is_not_used(kept, tmp_path):
    other = ModelFolder(shutil.copytree(kept.path, tmp_path / "downloaded"), kept.sha256)
    assert (other.path / COPY / WEIGHTS).stat().st_mtime_ns == (kept.path / COPY / WEIGHTS).stat().st_mtime_ns
    assert four_bits.kept_copy(other, loading.implementation_of(other.path).unquantised(), CPU) is None


def test_another_base_or_device_has_no_use_for_a_copy(kept, monkeypatch):
    unquantised = loading.implementation_of(kept.path).unquantised()
    assert four_bits.kept_copy(kept, unquantised, CPU) == kept.path / COPY
    assert four_bits.kept_copy(ModelFolder(kept.path, "0" * 64), unquantised, CPU) is None
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    assert four_bits.kept_copy(kept, unquantised, torch.device("cuda")) is None


def test_a_copy_of_other_versions_is_made_again(kept, quantised, monkeypatch):
    record = kept.path / COPY / RECORD
    monkeypatch.setattr(four_bits, "version", lambda package: "0.1")
    assert bits_of(kept)
    assert quantised == [kept.path], "whoever only loads makes no copy"
    keep_in_4_bits(kept, CPU)
    assert json.loads(record.read_text())["versions"] == dict.fromkeys(("torch", "transformers", "bitsandbytes"), "0.1")


def test_where_a_copy_cannot_be_loaded_the_base_is_and_that_is_told(kept, quantised, capsys):
    expected = bits_of(kept)
    copy = kept.path / COPY
    write_over(copy / WEIGHTS)
    unquantised = loading.implementation_of(kept.path).unquantised()
    (copy / RECORD).write_text(json.dumps(four_bits._record(copy, kept, unquantised, CPU)))
    assert bits_of(kept) == expected
    assert quantised == [kept.path]
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{kept.path / COPY}: cannot be loaded") and "the base itself is read" in line


def test_nothing_is_kept_of_a_small_base_nor_on_a_full_disk(base, monkeypatch):
    usage = shutil.disk_usage(base.path)
    monkeypatch.setattr(four_bits.shutil, "disk_usage", lambda path: usage._replace(free=10**6))
    assert keep_in_4_bits(base, CPU) == (False, f"none, since {base.path} has 0.0 GB free, of 0.0")
    monkeypatch.setattr(four_bits, "PAYS_FROM_BYTES", 10**9)
    assert keep_in_4_bits(base, CPU) == (True, "none, since a base of this size is loaded in a second")
    assert not (base.path / COPY).exists()


def test_what_cannot_be_written_is_told_and_leaves_nothing(base, monkeypatch):
    def refused(model, *others, **options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("transformers.PreTrainedModel.save_pretrained", refused)
    done, told = keep_in_4_bits(base, CPU)
    assert not done and told.startswith("none (OSError") and "Read-only file system" in told
    assert not [path for path in base.path.iterdir() if path.name.startswith(COPY)]


def test_a_folder_of_that_name_with_anything_else_in_it_is_left_alone(base):
    (base.path / COPY).mkdir()
    (base.path / COPY / "mine.txt").write_text("mine")
    done, told = keep_in_4_bits(base, CPU)
    assert not done and "mine.txt, which was not made here" in told
    assert (base.path / COPY / "mine.txt").read_text() == "mine"
