"""A model that is not whole answers nothing: every program that loads one ends in one line that names the file and says what to do."""

import inspect
import json
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from model_programs import CPU, PROGRAMS, arguments, make_study, write_detector
from safetensors.torch import load_file, save_file
from transformers import Qwen2AudioConfig
from transformers.utils.logging import is_progress_bar_enabled

import detect_speech
import identify_model
import predict_adapter
from earwitness.core.errors import InputError
from earwitness.core.files import write_json
from earwitness.model import prediction_jobs
from earwitness.model.checkpoint import INDEX, WEIGHTS, tensors_in, verify_checkpoint
from earwitness.model.engine.adapters import load_adapter
from earwitness.model.engine.loading import load_model
from earwitness.model.engine.saving import save_model
from earwitness.model.identity import BASE_OF_ADAPTER, identified, model_digest
from earwitness.model.identity import identify_model as describe_model
from earwitness.prompt_search.opro import load_writer

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{0:064d}\nsize 1986312\n"


def rewrite(path: Path, change) -> None:
    """Write weights that `change`, from names and tensors to the same, made of those in a file."""
    save_file({name: weight.contiguous() for name, weight in change(load_file(path)).items()}, path, {"format": "pt"})


def edit(path: Path, change) -> None:
    """Write the JSON object that `change` made of a file's."""
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def shard(folder: Path) -> None:
    """Divide a checkpoint into two files and an index of them."""
    weights = load_file(folder / WEIGHTS)
    names = sorted(weights)
    parts = {f"model-0000{k + 1}-of-00002.safetensors": names[k::2] for k in range(2)}
    for file, held in parts.items():
        save_file({name: weights[name] for name in held}, folder / file, {"format": "pt"})
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": {name: file for file, held in parts.items() for name in held}}))
    (folder / WEIGHTS).unlink()


def without_a_shard(folder: Path) -> None:
    shard(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()


def with_a_shard_of_less(folder: Path) -> None:
    shard(folder)
    rewrite(folder / "model-00002-of-00002.safetensors", lambda weights: dict(list(weights.items())[1:]))


def with_a_shard_elsewhere(folder: Path) -> None:
    shard(folder)
    edit(folder / INDEX, lambda index: index | {"weight_map": dict.fromkeys(index["weight_map"], "../other/model.safetensors")})


def with_a_weight_in_two_shards(folder: Path) -> None:
    shard(folder)
    name, weight = next(iter(load_file(folder / "model-00001-of-00002.safetensors").items()))
    rewrite(folder / "model-00002-of-00002.safetensors", lambda weights: weights | {name: weight + 1})


def with_an_index_of_others(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    shard(folder)
    (folder / WEIGHTS).write_bytes(whole)


def with_one_infinite(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    name = next(name for name in sorted(weights) if name.endswith("q_proj.weight"))
    changed = weights[name].clone()
    changed[0, 0] = float("inf")
    return weights | {name: changed}


def cut(name: str, size: int):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def text(name: str, content: str):
    return lambda folder: (folder / name).write_text(content)


def head(change):
    """Let `change` edit the entries of a safetensors head, in the order of their bytes."""

    def damage(folder: Path) -> None:
        content = (folder / WEIGHTS).read_bytes()
        length = int.from_bytes(content[:8], "little")
        entries = json.loads(content[8 : 8 + length])
        change(sorted((entry for name, entry in entries.items() if name != "__metadata__"), key=lambda entry: entry["data_offsets"]))
        new = json.dumps(entries).encode()
        (folder / WEIGHTS).write_bytes(len(new).to_bytes(8, "little") + new + content[8 + length :])

    return damage


def adapter_alone(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / WEIGHTS).rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text("{}")


PROJECTOR = "multi_modal_projector.linear"
FAULTS = {
    "no projector": (
        lambda folder: rewrite(folder / WEIGHTS, lambda weights: {name: w for name, w in weights.items() if PROJECTOR not in name}),
        r"the weights lack model\.multi_modal_projector\.linear\.bias and 1 more",
    ),
    "a tensor of another shape": (
        lambda folder: rewrite(folder / WEIGHTS, lambda weights: {n: w[:-1] if "projector.linear.bias" in n else w for n, w in weights.items()}),
        r"projector\.linear\.bias has another shape than config\.json says",
    ),
    "weights that are no numbers": (
        lambda folder: rewrite(folder / WEIGHTS, lambda weights: {n: w * float("nan") if "norm.weight" in n else w for n, w in weights.items()}),
        r"the weights .*norm\.weight and \d+ more hold NaN or infinite values",
    ),
    "one weight without end": (lambda folder: rewrite(folder / WEIGHTS, with_one_infinite), r"q_proj\.weight hold NaN or infinite values"),
    "weights without a place": (
        lambda folder: rewrite(folder / WEIGHTS, lambda weights: weights | {"score.weight": torch.zeros(2)}),
        r"no place for the weights score\.weight",
    ),
    "fewer layers by its configuration": (
        lambda folder: edit(folder / "config.json", lambda config: config | {"audio_config": config["audio_config"] | {"encoder_layers": 1}}),
        r"no place for the weights .*layers\.1\.",
    ),
    "a shard missing": (without_a_shard, r"model-00002-of-00002\.safetensors: is missing, and model\.safetensors\.index\.json names it"),
    "a shard that holds less": (with_a_shard_of_less, r"model-00002-of-00002\.safetensors: has no .* that model\.safetensors\.index\.json names"),
    "a shard outside": (with_a_shard_elsewhere, r"index\.json: '\.\./other/model\.safetensors' is not the name of a file beside it"),
    "a weight in two shards": (with_a_weight_in_two_shards, r"model-00002-of-00002\.safetensors: holds .*, and so does model-00001-of-"),
    "an index of other weights": (with_an_index_of_others, r"holds model\.safetensors and an index that names model-00001-of-00002\.safetensors"),
    "an index that is cut": (lambda folder: (shard(folder), cut(INDEX, 500)(folder)), r"index\.json: not valid JSON"),
    "weights that are a pointer": (text(WEIGHTS, POINTER), r"model\.safetensors: a Git LFS pointer .*run `git lfs pull`"),
    "a configuration that is a pointer": (text("config.json", POINTER), r"config\.json: a Git LFS pointer"),
    "weights cut": (cut(WEIGHTS, 90_000), r"model\.safetensors: cut off, 90000 bytes of \d+"),
    "weights cut in their head": (cut(WEIGHTS, 100), r"model\.safetensors: cut off, 100 bytes"),
    "weights empty": (text(WEIGHTS, ""), r"model\.safetensors: not in the safetensors format"),
    "weights of another format": (text(WEIGHTS, "PK\x03\x04" * 30), r"model\.safetensors: not in the safetensors format"),
    "weights that are a page": (text(WEIGHTS, "<!DOCTYPE html><html>" * 30), r"model\.safetensors: not in the safetensors format"),
    "weights with bytes left over": (lambda folder: (folder / WEIGHTS).open("ab").write(b"\0"), r"model\.safetensors: too long"),
    "pickled weights": (lambda folder: (folder / WEIGHTS).rename(folder / "pytorch_model.bin"), r"no model\.safetensors .*run code"),
    "quantised weights": (
        lambda folder: rewrite(folder / WEIGHTS, lambda weights: {n: w.to(torch.int8) if "q_proj.weight" in n else w for n, w in weights.items()}),
        r"q_proj\.weight is stored as I8: quantised",
    ),
    "a quantised model": (
        lambda folder: edit(folder / "config.json", lambda config: config | {"quantization_config": {"quant_method": "gptq"}}),
        r"config\.json: these weights are quantised already",
    ),
    "code of its own": (
        lambda folder: edit(folder / "config.json", lambda config: config | {"auto_map": {"AutoModel": "evil.Model"}}),
        r"config\.json: this model needs code of its own",
    ),
    "no configuration": (lambda folder: (folder / "config.json").unlink(), r"config\.json is missing"),
    "a configuration that is cut": (text("config.json", '{"model_type": "qwen2_audio",'), r"config\.json: not valid JSON"),
    "a configuration that is a list": (text("config.json", "[1]"), r"config\.json: holds no JSON object"),
    "a configuration in Latin-1": (lambda folder: (folder / "config.json").write_bytes(b'{"a": "\xe9"}'), r"config\.json:1: not UTF-8"),
    "a link without content": (
        lambda folder: ((folder / WEIGHTS).unlink(), (folder / WEIGHTS).symlink_to("../blobs/none")),
        r"model\.safetensors: a link without content",
    ),
    "no folder": (shutil.rmtree, r"no such folder"),
    "a file": (
        lambda folder: (shutil.rmtree(folder), folder.write_bytes(b"GGUF\x03\0\0\0")),
        r"is a file; name the folder of a model, with its weights in safetensors",
    ),
    "an adapter alone": (adapter_alone, r"no model here \(an adapter alone, without its base: config\.json is missing\)"),
    "a GGUF file in the folder": (lambda folder: (folder / WEIGHTS).rename(folder / "model-q4_k_m.gguf"), r"no model\.safetensors"),
    "a key given twice": (
        lambda folder: text("config.json", '{"model_type": "whisper", ' + (folder / "config.json").read_text()[1:])(folder),
        r"config\.json: not valid JSON \(model_type is given twice\)",
    ),
    "a number that is none": (
        lambda folder: text("config.json", '{"dropout": NaN, ' + (folder / "config.json").read_text()[1:])(folder),
        r"config\.json: not valid JSON \(dropout: NaN is no number\)",
    ),
    "settings of generation that are none": (text("generation_config.json", '{"temperature": Infinity}'), r"temperature: Infinity is no number"),
    "an index with a name twice": (
        lambda folder: (shard(folder), (folder / INDEX).write_text('{"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}}')),
        r"index\.json: not valid JSON \(a is given twice\)",
    ),
    "tensors that overlap": (
        head(lambda entries: entries[1].update(data_offsets=entries[0]["data_offsets"], shape=entries[0]["shape"])),
        r"begins at byte",
    ),
    "a tensor of a shape that its bytes have not": (head(lambda entries: entries[0]["shape"].append(2)), r"bytes for \d+ numbers of B?F\d+"),
    "a tensor of no type": (head(lambda entries: entries[0].update(dtype="F31")), r"'F31' is not one of"),
    "a tensor with a word too many": (head(lambda entries: entries[0].update(run="me")), r"Additional properties"),
    "a head that is longer than the file": (
        lambda folder: (folder / WEIGHTS).write_bytes((2**40).to_bytes(8, "little") + (folder / WEIGHTS).read_bytes()[8:]),
        r"model\.safetensors: not in the safetensors format",
    ),
    "a bias in integers": (
        lambda folder: rewrite(folder / WEIGHTS, lambda weights: {n: w.to(torch.int32) if "q_proj.bias" in n else w for n, w in weights.items()}),
        r"q_proj\.bias is stored as I32: quantised",
    ),
    "a pipe among the files": (lambda folder: os.mkfifo(folder / "merges.txt"), r"merges\.txt: is a pipe"),
    "weights that are a pipe": (lambda folder: ((folder / WEIGHTS).unlink(), os.mkfifo(folder / WEIGHTS)), r"model\.safetensors: is a pipe"),
}
"""What is wrong with a folder -> how it comes about, and what the line says. All programs that load a model, of any type, say so."""

FAULTS_OF_THE_BASE = {
    "no processor": (lambda folder: (folder / "processor_config.json").unlink(), r"processor_config\.json .*is missing"),
    "a processor that is cut": (cut("processor_config.json", 60), r"processor_config\.json: not valid JSON"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), r"tokenizer\.json is missing"),
    "a tokenizer that is cut": (cut("tokenizer.json", 900), r"tokenizer\.json: not valid JSON"),
    "a tokenizer that holds nothing": (text("tokenizer.json", "{}"), r"cannot be loaded"),
    "a tokenizer with more tokens than the model": (
        lambda folder: edit(
            folder / "tokenizer.json",
            lambda file: file | {"added_tokens": file["added_tokens"] + [file["added_tokens"][0] | {"id": 419, "content": "<|new|>"}]},
        ),
        r"tokenizer\.json has 420 tokens, the model 419",
    ),
    "a processor of another model": (
        lambda folder: edit(
            folder / "processor_config.json", lambda file: file | {"feature_extractor": file["feature_extractor"] | {"feature_size": 80}}
        ),
        r"mel bins: the processor has 80, the model 64",
    ),
    "another rate": (
        lambda folder: edit(
            folder / "processor_config.json", lambda file: file | {"feature_extractor": file["feature_extractor"] | {"sampling_rate": 8000}}
        ),
        r"samples per second: the processor has 8000, the model 16000",
    ),
    "another hop": (
        lambda folder: edit(
            folder / "processor_config.json", lambda file: file | {"feature_extractor": file["feature_extractor"] | {"hop_length": 80}}
        ),
        r"samples from one frame to the next: the processor has 80, the model 160",
    ),
    "another type": (text("config.json", '{"model_type": "whisper"}'), r"a model of type 'whisper'"),
    "no type": (text("config.json", "{}"), r"a model of type None"),
    "several types": (text("config.json", '{"model_type": ["qwen2_audio"]}'), r"a model of type \['qwen2_audio'\]"),
    "a language model": (text("config.json", '{"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}'), r"a model of type 'qwen2'"),
    "a part of another type": (
        lambda folder: edit(folder / "config.json", lambda config: config | {"text_config": [1]}),
        r"cannot be loaded",
    ),
    "a size that is text": (
        lambda folder: edit(folder / "config.json", lambda config: config | {"text_config": config["text_config"] | {"hidden_size": "large"}}),
        r"cannot be loaded",
    ),
    "sizes that are no sizes": (
        lambda folder: edit(folder / "config.json", lambda config: config | {"text_config": config["text_config"] | {"num_attention_heads": 0}}),
        r"cannot be loaded",
    ),
    "a chat template that is broken": (text("chat_template.jinja", "{% for m in %}"), r"chat template cannot be used"),
    "a chat template without end": (text("chat_template.jinja", "{% for i in range(10 ** 9) %}x{% endfor %}"), r"chat template cannot be used"),
    "a chat template without sound": (
        text("chat_template.jinja", "{{ messages[0].content[-1].text }}"),
        r"the chat template has 0 places for the sound",
    ),
}


@pytest.fixture(scope="module")
def study(folder, tmp_path_factory):
    """Stimuli with their features, a split with its gate, an adapter and a detector's folder of the whole checkpoint."""
    return make_study(folder, tmp_path_factory.mktemp("study"))


def line_of(program, study: Path, base: Path, made: Path, monkeypatch) -> str:
    """What a program ends in, and that it wrote nothing."""
    # An adapter's record of its base follows the fault, or nothing but the record would be noticed.
    identity = {"name": "base", "revision": None, "model_type": "qwen2_audio", "sha256": "0" * 64, "bytes": 1}
    if any(path.is_file() for path in base.glob("*.safetensors")):
        identity["sha256"] = model_digest(base)
    write_detector(study, identity)
    made.mkdir()
    monkeypatch.setattr("sys.argv", [program.__name__, *map(str, arguments(program, study, base, made))])
    with pytest.raises(SystemExit) as caught:
        program.main()
    assert list(made.iterdir()) == []
    line = caught.value.code
    assert isinstance(line, str) and line.startswith("error: ") and "\n" not in line and len(line) < 600
    return line


HEADS = (
    "no projector",
    "a tensor of another shape",
    "weights that are no numbers",
    "one weight without end",
    "weights without a place",
    "fewer layers by its configuration",
)
"""Faults that only loading shows, which identify_model does not do."""


OF_EVERY_PROGRAM = ("no projector", "weights cut", "no tokenizer")
"""A fault that loading the weights shows, one that their file shows, and one of the processor."""


def faults_and_programs():
    """Every fault with every program; all but one program of each fault, and three faults of each program, are slow."""
    for number, fault in enumerate([*FAULTS, *FAULTS_OF_THE_BASE]):
        for program in PROGRAMS:
            first = fault in OF_EVERY_PROGRAM or program is PROGRAMS[number % len(PROGRAMS)]
            yield pytest.param(fault, program, marks=[] if first else pytest.mark.slow, id=f"{fault}-{program.__name__}")


@pytest.mark.parametrize(("fault", "program"), [*faults_and_programs()])
def test_no_program_answers_with_a_base_that_is_not_whole(program, fault, folder, study, tmp_path, monkeypatch, capfd):
    damage, message = (FAULTS | FAULTS_OF_THE_BASE)[fault]
    base = shutil.copytree(folder, tmp_path / "base")
    damage(base)
    line = line_of(program, study, base, tmp_path / "made", monkeypatch)
    assert str(base) in line
    assert re.search(message, line), line
    assert "MISSING" not in capfd.readouterr().err, "the line alone, without the library's report"


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in HEADS])
def test_a_model_that_is_not_whole_gets_no_identity(fault, folder, study, tmp_path, monkeypatch):
    damage, message = FAULTS[fault]
    base = shutil.copytree(folder, tmp_path / "base")
    damage(base)
    assert re.search(message, line_of(identify_model, study, base, tmp_path / "made", monkeypatch))


NOT_OF_A_WRITER = {"no projector", "a tensor of another shape", "fewer layers by its configuration"}


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in NOT_OF_A_WRITER])
def test_no_writer_proposes_that_is_not_whole(fault, writer, tmp_path):
    damage, message = FAULTS[fault]
    copy = shutil.copytree(writer, tmp_path / "writer")
    damage(copy)
    with pytest.raises(InputError, match=message):
        load_writer(copy, "none", CPU)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: rewrite(path / WEIGHTS, lambda weights: dict(list(weights.items())[1:])), r"the weights lack "),
        (lambda path: rewrite(path / WEIGHTS, lambda weights: {n: w[:-1] if n.endswith("norm.weight") else w for n, w in weights.items()}), "shape"),
        (lambda path: (path / "tokenizer.json").unlink(), r"tokenizer\.json is missing"),
        (lambda path: (path / "chat_template.jinja").unlink(), "no chat template"),
        (lambda path: (path / "config.json").write_text('{"model_type": "none such"}'), "cannot be loaded"),
        (lambda path: Qwen2AudioConfig().save_pretrained(path), "cannot be loaded"),
    ],
)
def test_a_writer_with_faults_of_its_own_is_refused(writer, tmp_path, damage, message):
    copy = shutil.copytree(writer, tmp_path / "writer")
    damage(copy)
    with pytest.raises(InputError, match=message):
        load_writer(copy, "none", CPU)


@pytest.mark.parametrize("quantisation", ["none", "nf4"])
def test_a_base_in_shards_is_the_same_model(folder, tmp_path, quantisation):
    copy = shutil.copytree(folder, tmp_path / "base")
    shard(copy)
    verify_checkpoint(copy)
    whole, divided = (load_model(identified(path), quantisation, CPU).model.state_dict() for path in (folder, copy))
    assert whole.keys() == divided.keys() and all(torch.equal(whole[name], divided[name]) for name in whole)


def test_loading_and_saving_print_no_lines_of_the_librarys_own(folder, tmp_path, capfd):
    loaded = load_model(identified(folder), device=CPU)
    save_model(loaded, tmp_path / "saved")
    assert capfd.readouterr() == ("", "")
    assert is_progress_bar_enabled(), "other programs that use the library keep its bars"


def test_no_weight_is_drawn_under_four_bits_either(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "base")
    rewrite(copy / WEIGHTS, lambda weights: {n: w for n, w in weights.items() if not n.endswith("layers.0.self_attn.o_proj.weight")})
    with pytest.raises(InputError, match=r"the weights lack .*o_proj"):
        load_model(identified(copy), "nf4", CPU)


FAULTS_OF_AN_ADAPTER = {
    "no weights": (lambda path: (path / "adapter_model.safetensors").unlink(), r"adapter_model\.safetensors is missing"),
    "a pointer": (text("adapter_model.safetensors", POINTER), r"adapter_model\.safetensors: a Git LFS pointer"),
    "cut": (cut("adapter_model.safetensors", 4000), r"adapter_model\.safetensors: cut off, 4000 bytes of"),
    "a weight missing": (
        lambda path: rewrite(path / "adapter_model.safetensors", lambda weights: dict(list(weights.items())[1:])),
        "another module tree",
    ),
    "a weight of another shape": (
        lambda path: rewrite(path / "adapter_model.safetensors", lambda weights: {name: w[:, :-1] for name, w in weights.items()}),
        "cannot be loaded.*base that this adapter was trained on",
    ),
    "no numbers": (
        lambda path: rewrite(path / "adapter_model.safetensors", lambda weights: {name: w * float("nan") for name, w in weights.items()}),
        "hold NaN or infinite values",
    ),
    "foreign weights": (
        lambda path: rewrite(path / "adapter_model.safetensors", lambda weights: {f"foreign.{name}": w for name, w in weights.items()}),
        "another module tree",
    ),
    "a configuration that is cut": (cut("adapter_config.json", 40), r"adapter_config\.json: not valid JSON"),
    "a configuration that is a list": (text("adapter_config.json", "[]"), r"adapter_config\.json: holds no JSON object"),
    "no type": (text("adapter_config.json", "{}"), "cannot be loaded"),
    "another method": (text("adapter_config.json", '{"peft_type": "NONE_SUCH"}'), "cannot be loaded"),
    "modules that are not there": (
        lambda path: edit(path / "adapter_config.json", lambda config: config | {"target_modules": ["w_proj"]}),
        "cannot be loaded",
    ),
}


@pytest.mark.parametrize("fault", FAULTS_OF_AN_ADAPTER)
def test_an_adapter_that_is_not_whole_answers_nothing(fault, folder, study, tmp_path):
    damage, message = FAULTS_OF_AN_ADAPTER[fault]
    copy = shutil.copytree(study / "adapter", tmp_path / "adapter")
    damage(copy)
    with pytest.raises(InputError, match=message) as caught:
        load_adapter(load_model(identified(folder)), copy)
    assert str(copy) in str(caught.value)


def test_an_adapter_of_another_base_is_refused_by_the_base(folder, study, tmp_path, monkeypatch):
    write_json(
        study / "adapter" / BASE_OF_ADAPTER, {"name": "the other", "revision": None, "model_type": "qwen2_audio", "sha256": "0" * 64, "bytes": 1}
    )
    monkeypatch.setattr("sys.argv", ["predict_adapter", *map(str, arguments(predict_adapter, study, folder, tmp_path))])
    with pytest.raises(SystemExit, match=r"not the base that the adapter in .* was trained on \(the other\); use that, or train again"):
        predict_adapter.main()


def test_the_names_in_a_file_are_those_of_the_format(folder):
    assert tensors_in(folder / WEIGHTS) == {name: weight.numel() for name, weight in load_file(folder / WEIGHTS).items()}


@pytest.mark.parametrize("program", [program for program in PROGRAMS if program is not detect_speech], ids=lambda program: program.__name__)
def test_every_program_loads_the_base_in_the_memory_that_it_is_told(program, folder, study, tmp_path, monkeypatch):
    """A full-size base in the memory of a small card is loaded compactly everywhere, or nowhere."""
    asked = {}

    def load(*arguments, **named):
        asked.update(inspect.signature(load_model).bind(*arguments, **named).arguments)
        raise InputError("seen")

    write_json(study / "adapter" / BASE_OF_ADAPTER, describe_model(folder, "base", None))
    monkeypatch.setattr(prediction_jobs, "load_model", load)
    given = [*map(str, arguments(program, study, folder, tmp_path)), "--memory", "compact"]
    monkeypatch.setattr("sys.argv", [program.__name__, *given])
    with pytest.raises(SystemExit, match="seen"):
        program.main()
    assert asked["memory"] == "compact"
