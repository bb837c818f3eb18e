"""A model in the hub's own layout, with its real tokenizer and random weights: what the first real run rests on, tried without it."""

import contextlib
import itertools
import json
import re
import shutil

import numpy as np
import pytest
import torch
from model_programs import PROGRAMS, arguments, make_study, write_detector
from safetensors.torch import load_file
from transformers import AutoConfig, AutoProcessor, Qwen2AudioForConditionalGeneration, Qwen2ForCausalLM

import check_model
import detect_speech
import make_stand_in
import render_preflight
import search_prompts
from earwitness.core.errors import InputError
from earwitness.core.files import write_json
from earwitness.core.prompt_text import ANSWER_TEXTS
from earwitness.model.engine import four_bits, optimisation
from earwitness.model.engine.loading import load_model
from earwitness.model.engine.prompting import Prompt, instruction, tokenise
from earwitness.model.families.qwen2_audio import Qwen2Audio
from earwitness.model.identity import identified, identify_model, model_files
from earwitness.model.preflight import stock_differences
from earwitness.model.qwen_ranks import byte_pairs, ranks_file
from earwitness.model.stand_in import MARK, STAND_INS, TEMPLATES, write_processor, write_stand_in
from earwitness.prompt_search import opro

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pairs():
    try:
        return byte_pairs(ranks_file())
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def base(pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub") / "Qwen2-Audio-7B-Instruct"
    write_stand_in(folder, "base", "small", pairs)
    return folder


@pytest.fixture(scope="module")
def writer(pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub") / "Qwen2.5-3B-Instruct"
    write_stand_in(folder, "writer", "small", pairs)
    return folder


@pytest.fixture(scope="module")
def study(base, tmp_path_factory):
    folder = make_study(base, tmp_path_factory.mktemp("study"))
    write_detector(folder, identify_model(base, "stand-in", None))
    return folder


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_every_program_runs_on_a_model_as_the_hub_has_it(program, base, study, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [program.__name__, *map(str, arguments(program, study, base, tmp_path))])
    with pytest.raises(SystemExit, match="0") if program is detect_speech else contextlib.nullcontext():
        program.main()
    assert list(tmp_path.iterdir()) or "sound.wav" in capsys.readouterr().out


def test_a_search_asks_the_writer_as_the_hub_has_it(base, writer, study, tmp_path, monkeypatch):
    write_json(tmp_path / "writer.json", identify_model(writer, "stand-in", None))
    given = [*map(str, arguments(search_prompts, study, base, tmp_path)), "--writer", str(writer), str(tmp_path / "writer.json")]
    given[given.index("edits")] = "opro"
    monkeypatch.setattr(opro, "NEW_TOKENS", 8)
    monkeypatch.setattr("sys.argv", ["search_prompts", *given])
    search_prompts.main()
    assert "<|im_start|>" not in (tmp_path / "search/archive.jsonl").read_text(), "special tokens are no part of what was written"


def of_the_library(name):
    """What the library of today calls a weight of the hub."""
    if name == "language_model.lm_head.weight":
        return "lm_head.weight"
    return re.sub(r"^language_model\.model\.", "model.language_model.", name) if name.startswith("language_model.") else f"model.{name}"


def test_every_weight_arrives_under_the_name_that_it_has_today(base):
    index = json.loads((base / "model.safetensors.index.json").read_text())["weight_map"]
    on_disk = {name: weight for file in set(index.values()) for name, weight in load_file(base / file).items()}
    assert index.keys() == on_disk.keys() and "language_model.model.layers.0.self_attn.q_proj.weight" in index
    loaded = load_model(identified(base)).model.state_dict()
    assert loaded.keys() == {of_the_library(name) for name in on_disk}
    assert [name for name, weight in on_disk.items() if not torch.equal(loaded[of_the_library(name)], weight.float())] == []


@pytest.mark.parametrize(("part", "kind", "parameters"), [
    ("base", Qwen2AudioForConditionalGeneration, 8_397_094_912), ("writer", Qwen2ForCausalLM, 3_085_938_688)
])  # fmt: skip
def test_the_hubs_configuration_gives_the_published_number_of_parameters(part, kind, parameters, tmp_path):
    """Of the base it names neither hidden size nor layers nor heads, which the library's class has by default."""
    write_json(tmp_path / "config.json", STAND_INS[part].config)
    with torch.device("meta"):
        model = kind(AutoConfig.from_pretrained(tmp_path))
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


BEFORE = (151644, 8948, 198, 2610, 525, 264, 10950, 17847, 13, 151645, 198, 151644, 872, 198, 14755, 220, 16, 25, 220, 151647)
AFTER = ((151648, 198), (151645, 198, 151644, 77091, 198))
ANSWERS = {"A": (32,), "B": (33,), "Yes": (9454,), "No": (2753,), "SPEECH": (50, 1740, 92033), "NON-SPEECH": (29563, 6222, 1740, 92033)}
QUESTIONS = (
    "Does this sound contain human speech?",
    "Does this audio contain human speech?\nReply with ONLY one word: SPEECH or NON-SPEECH.",
    "Based on the audio file, is it SPEECH or NON-SPEECH?",
    "Frage mit Ümlaut – “quotes” 日本語?",
    " spaces around ",
    "a line\n",
)


@pytest.fixture(scope="module", params=[*TEMPLATES, "without tokenizer.json"])
def asked(request, base, pairs, tmp_path_factory):
    """The model with its chat template in each place where it may stand, and with its tokenizer in parts."""
    folder = tmp_path_factory.mktemp("processor")
    write_processor(folder, "base", pairs, request.param if request.param in TEMPLATES else "text", tokenizer_json=request.param in TEMPLATES)
    (folder / "config.json").write_bytes((base / "config.json").read_bytes())
    return Qwen2Audio(None, AutoProcessor.from_pretrained(folder), "")


def test_prompts_are_the_tokens_that_the_processor_writes(asked):
    waveform = np.zeros(32_000, np.float32)
    n_tokens = asked.n_tokens(len(waveform))
    for question, kind, position in itertools.product(QUESTIONS, ("letters", "words", "yes_no"), ("before", "after")):
        prompt = Prompt(question, kind, position)
        letters = [{"SPEECH": "A", "NONSPEECH": "B"}, {"SPEECH": "B", "NONSPEECH": "A"}]
        orders = letters if kind == "letters" else [ANSWER_TEXTS[kind]]
        for tokens, answers in zip(tokenise(asked, prompt), orders, strict=True):
            content = [{"type": "audio", "audio_url": "a"}, {"type": "text", "text": instruction(prompt, answers)}]
            turn = [{"role": "user", "content": content if position == "before" else content[::-1]}]
            text = asked.processor.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
            [ids] = asked.processor(text=[text], audio=[waveform], sampling_rate=16_000, return_tensors="pt").input_ids.tolist()
            assert [*tokens.before, *[151646] * n_tokens, *tokens.after] == ids
            assert (tokens.speech, tokens.nonspeech) == (ANSWERS[answers["SPEECH"]], ANSWERS[answers["NONSPEECH"]])
            if position == "before":
                assert tokens.before == BEFORE and tokens.after[:2] == AFTER[0] and tokens.after[-5:] == AFTER[1]


def test_the_writers_tokens_stand_where_the_hub_has_them(writer):
    tokens = json.loads((writer / "tokenizer_config.json").read_text())["added_tokens_decoder"]
    assert tokens["151645"]["content"] == "<|im_end|>" and tokens["151664"]["content"] == "<|file_sep|>"


@pytest.mark.parametrize("missing", ["vocab.json", "merges.txt"])
def test_a_tokenizer_in_parts_must_have_them_all(missing, pairs, tmp_path):
    write_stand_in(tmp_path / "base", "base", "small", pairs, tokenizer_json=False)
    (tmp_path / "base" / missing).unlink()
    with pytest.raises(InputError, match=r"tokenizer\.json is missing"):
        load_model(identified(tmp_path / "base"))


def test_the_same_bytes_come_about_again_and_other_ranks_are_refused(base, pairs, tmp_path, monkeypatch):
    write_stand_in(tmp_path / "again", "base", "small", pairs)
    assert [path.name for path in model_files(tmp_path / "again") if path.read_bytes() != (base / path.name).read_bytes()] == []
    (tmp_path / "ranks").write_text("QQ== 0\n")
    monkeypatch.setattr("sys.argv", ["make_stand_in", str(tmp_path / "model"), "--ranks", str(tmp_path / "ranks")])
    with pytest.raises(SystemExit, match="not the ranks of Qwen's tokenizer"):
        make_stand_in.main()
    assert not (tmp_path / "model").exists()


def looked_at(base, tmp_path, monkeypatch, *more):
    files = [text for name in ("record", "checked") for text in (f"--{name}", str(tmp_path / "results" / name))]
    given = ["--base", str(base), "--quantisation", "none", "--threads", "1", "--name", "stand-in", *files, *more]
    monkeypatch.setattr("sys.argv", ["check_model", *given])
    check_model.main()
    return {line["what"]: line for line in json.loads((tmp_path / "results/record").read_text())["lines"]}


def test_a_model_as_the_hub_has_it_passes_its_preflight_and_what_random_weights_cannot_tell_is_not_told(base, tmp_path, monkeypatch):
    lines = looked_at(base, tmp_path, monkeypatch)
    told = {what for what, line in lines.items() if line["status"] == "holds"}
    assert {what: line["status"] for what, line in lines.items() if what not in told} == {
        "against the hub": "not told",
        "the answers' share": "not told",
        "memory": "look",
    }
    assert {"files", "weights", "loading", "tokens", "hearing", "score and generate()", "training", "disk"} <= told
    assert "10,088,448 weights in 66 tensors in 3 files" in lines["weights"]["found"]
    # Rank 16 at 32 inputs and outputs: four matrices in each of two blocks of the language model, three in each of two of the tower.
    assert lines["size of adapters"]["found"].startswith("attention, rank 16: 14,336 trained weights")
    identity = json.loads((tmp_path / "results/checked").read_text())
    assert identity["sha256"] == identified(base).sha256, "what all jobs with the base take for its identity"


@pytest.mark.usefixtures("any_width_in_4_bits")
def test_a_preflight_keeps_a_base_in_4_bits_and_says_where_it_cannot(base, tmp_path, monkeypatch):
    monkeypatch.setattr(four_bits, "PAYS_FROM_BYTES", 0)
    copy = shutil.copytree(base, tmp_path / "copy")
    (copy / four_bits.COPY).write_text("a file of somebody else's")
    assert looked_at(copy, tmp_path, monkeypatch, "--quantisation", "nf4")["copy in 4 bits"]["status"] == "look"
    (copy / four_bits.COPY).unlink()
    line = looked_at(copy, tmp_path, monkeypatch, "--quantisation", "nf4")["copy in 4 bits"]
    assert line["status"] == "holds" and line["found"].startswith(f"kept in {copy / four_bits.COPY}")
    assert four_bits.kept_copy(identified(copy), Qwen2Audio.unquantised(), torch.device("cpu"))


def test_a_tower_of_16_bits_can_be_trained_beside_after_it_was_compared_in_32(base):
    """A parameter that was made in inference mode cannot: on a GPU, where towers have 16 bits, training would fail."""
    loaded = load_model(identified(base))
    loaded.tower.to(torch.bfloat16)
    before = {name: parameter.clone() for name, parameter in loaded.tower.named_parameters()}
    noise = np.random.default_rng(1).standard_normal(8000).astype(np.float32) / 10
    agreeing, _ = stock_differences(loaded, [noise])
    assert agreeing < 1e-4
    for name, parameter in loaded.tower.named_parameters():
        assert not parameter.is_inference() and torch.equal(parameter, before[name])


def test_what_fails_in_a_preflight_is_told_with_what_to_do_and_lets_nothing_start(base, pairs, tmp_path, monkeypatch, capsys):
    """A tokenizer of another model, an engine that hears too little, and training that goes uphill."""
    copy = shutil.copytree(base, tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({key: value for key, value in config.items() if key != MARK}))
    write_processor(copy, "base", pairs, "file")
    (copy / "chat_template.json").write_text((copy / "chat_template.json").read_text().replace("a helpful", "a harmful"))
    encode_audio = Qwen2Audio.encode_audio
    monkeypatch.setattr(Qwen2Audio, "encode_audio", lambda loaded, mel, lengths: encode_audio(loaded, mel[..., : 2 * max(lengths)], lengths))
    rate = optimisation.learning_rate
    monkeypatch.setattr(optimisation, "learning_rate", lambda schedule, step: -rate(schedule, step))
    with pytest.raises(SystemExit) as caught:
        looked_at(copy, tmp_path, monkeypatch)
    assert re.search(r"preflight: tokens: .*copy the model's own tokenizer .*\(2 more: hearing, training\)", str(caught.value.code))
    assert not (tmp_path / "results/checked").exists()
    log = capsys.readouterr().out
    assert re.search("look  the answers' share: A and B together have 0.0 %", log), "weights that are not known to be random ought to answer"
    assert "fails  tokens: " in log and "; to do: copy the model's own tokenizer" in log, "the log keeps all"
    monkeypatch.setattr("sys.argv", ["render_preflight", str(tmp_path / "results/record"), str(tmp_path / "page"), "--adapters", "2", "--rows", "64"])
    render_preflight.main()
    page = (tmp_path / "page").read_text()
    assert "**3 of 14 fail: nothing starts.**" in page and "| holds | hours | 0.0 h to train 2 adapters on 64 rows in all" in page
