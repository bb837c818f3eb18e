"""Batches shrink where memory runs out, and say so."""

import pytest
import torch

from earwitness.core.errors import InputError
from earwitness.model.engine import batching
from earwitness.model.engine.batching import COMPACT_SIZE, CPU_SIZE, SMALLEST, Batches
from earwitness.model.identity import ModelFolder
from earwitness.model.measured_sizes import SIZES, MeasuredSizes

CPU = torch.device("cpu")


def limited(most):
    """Work that doubles its items and holds at most so many of them."""

    def work(batch):
        if len(batch) > most:
            raise torch.OutOfMemoryError
        return [2 * item for item in batch]

    return work


@pytest.mark.parametrize("most", [1, 3, 16, 100])
def test_every_item_is_done_once_and_in_order_whatever_fits(most, capsys):
    batches = Batches(64, CPU)
    assert [item for part in batches.run(limited(most), range(100)) for item in part] == list(range(0, 200, 2))
    assert batches.size <= max(most, 1)
    assert capsys.readouterr().err.count("out of memory with batches of 64; going on with 32") == (most < 64)
    batches.run(limited(most), range(100))
    assert "out of memory" not in capsys.readouterr().err, "what did not fit is not tried again"


def test_an_item_that_does_not_fit_alone_is_refused_in_words():
    with pytest.raises(InputError, match="does not hold a single stimulus"):
        Batches(None, CPU).run(limited(0), range(3))


def test_a_cpu_and_compact_memory_do_not_measure():
    assert Batches(None, CPU).size == CPU_SIZE
    assert Batches(None, torch.device("cuda"), "compact").size == COMPACT_SIZE
    assert Batches(7, torch.device("cuda")).size == 7


@pytest.mark.parametrize(("fastest", "chosen"), [(16, 16), (64, 64), (4096, 256)])
def test_measuring_finds_the_smallest_batch_that_is_as_fast_as_any(fastest, chosen, monkeypatch, capsys):
    """A pretended device: each batch has a fixed cost, which does not matter from a size on, and a first batch is slow."""
    clock, seen = [0.0], set()
    monkeypatch.setattr(batching.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(batching.torch.cuda, "synchronize", lambda device: None)

    def work(batch):
        size = len(batch)
        clock[0] += (1.0 if size >= fastest else 2.0 * fastest / size) * size + (0 if size in seen else 1000)
        seen.add(size)
        return batch

    batches = Batches(None, torch.device("cuda"))
    assert [item for part in batches.run(work, range(20_000)) for item in part] == list(range(20_000))
    assert batches.size == chosen
    assert f"batches of {chosen}:" in capsys.readouterr().err


def test_what_was_measured_once_is_not_measured_again(monkeypatch, tmp_path):
    """Neither by another process, nor for another model, kind of work or length of sound; a file that cannot be read is none."""
    monkeypatch.setattr(batching.torch.cuda, "synchronize", lambda device: None)
    model, device = ModelFolder(tmp_path, "0" * 64), torch.device("cuda")

    def measured(model=model):
        return MeasuredSizes(model, "nf4", "fast", CPU)

    first = Batches(None, device, measured=measured())
    first.run(len, [range(5)] * 3000, "features")
    assert list(measured().items()) == [("features 5", first.size)]
    again = Batches(None, device, measured=measured())
    assert again.run(len, [range(5)] * 300, "features")[0] == min(first.size, 300)
    for other in (Batches(None, device, measured=measured(ModelFolder(tmp_path, "1" * 64))), Batches(None, device, measured=measured())):
        assert other.run(len, [range(6)] * 40, "features")[0] == SMALLEST
    (tmp_path / SIZES).write_text("[")
    assert dict(measured()) == {}


def test_work_that_grows_with_its_questions_is_measured_by_the_question(monkeypatch):
    """The same device, asked more questions at a time as the batches grow, as a search does."""
    clock = [0.0]
    monkeypatch.setattr(batching.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(batching.torch.cuda, "synchronize", lambda device: None)
    batches = Batches(None, torch.device("cuda"))

    def ask(questions):
        def work(batch):
            clock[0] += questions * (len(batch) + 100)

        batches.run(work, range(3 * batches.size), "features", questions)

    for questions in (1, 2, 4, 8, 16):
        ask(questions)
    assert batches.size == 256


def test_short_work_is_not_measured_and_keeps_a_size_that_is_given():
    assert Batches(None, torch.device("cuda")).unmeasured().size == 64
    assert Batches(7, torch.device("cuda")).unmeasured().size == 7
    assert Batches(None, torch.device("cuda"), "compact").unmeasured().size == COMPACT_SIZE
