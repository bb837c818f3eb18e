"""OPRO by a real, tiny language model with random weights, through its own chat template."""

import json
import shutil

import numpy as np
import pytest
import torch
from simulated_prompts import INITIAL_QUESTION, answers, run
from transformers import AutoTokenizer, Qwen2ForCausalLM, Qwen2Model

from earwitness.core.randomness import stream
from earwitness.prompt_search.opro import SHOWN, SPARE, Opro, load_writer, parse, request_for
from earwitness.prompt_search.proposers import ScoredQuestion
from earwitness.prompt_search.search import SearchSettings

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def few_tokens(monkeypatch):
    """Texts of a few tokens are written sooner, and tell as much."""
    monkeypatch.setattr("earwitness.prompt_search.opro.NEW_TOKENS", 16)


def scored(question, gain):
    return ScoredQuestion(question, 0.7 + gain, gain, 1.0, 120)


def test_the_same_seed_writes_the_same_texts_and_leaves_torchs_own_draws_alone(writer):
    write = load_writer(writer, "none", CPU)
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    texts = write("Write one.", 4, 7)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert texts == write("Write one.", 4, 7) != write("Write one.", 4, 8)
    assert len(set(texts)) == 4 and not any("<|im_end|>" in text or "Write one." in text for text in texts)


def test_a_text_ends_where_its_question_does(writer, monkeypatch):
    """A writer made to say the same for ever, in one row of two: that row stops at the closing tag, which its token splits from nothing."""
    tokenizer = AutoTokenizer.from_pretrained(writer)
    said, other = (tokenizer.encode(text, add_special_tokens=False) for text in ("<INS>Is it speech?</INS> And", "score: score: score: score:"))
    forward = Qwen2ForCausalLM.forward
    at = []

    def scripted(self, *arguments, **options):
        output = forward(self, *arguments, **options)
        output.logits[:] = -1e9
        for row, text in enumerate((said, other)):
            output.logits[row::2, -1, text[len(at) % len(text)]] = 0.0
        at.append(1)
        return output

    monkeypatch.setattr(Qwen2ForCausalLM, "forward", scripted)
    monkeypatch.setattr("earwitness.prompt_search.opro.NEW_TOKENS", 3 * len(said))
    ended, other_text = load_writer(writer, "none", CPU)("Write one.", 2, 7)
    assert ended == "<INS>Is it speech?</INS>" and other_text.count("score:") > 2
    assert len(at) == 3 * len(said), "the other row goes on to its end"


def test_all_texts_that_an_iteration_may_need_are_written_at_once_and_the_request_is_read_once(writer, monkeypatch):
    """A batch of texts takes as long as its longest, and reading the request with every one of them would take memory for each."""
    forward = Qwen2Model.forward
    read = []

    def record(self, input_ids=None, **options):
        read.append(tuple(input_ids.shape))
        return forward(self, input_ids, **options)

    monkeypatch.setattr(Qwen2Model, "forward", record)
    monkeypatch.setattr("earwitness.prompt_search.opro.NEW_TOKENS", 4)
    monkeypatch.setattr("earwitness.prompt_search.opro.TEXTS_AT_A_TIME", 4)
    proposals = Opro(load_writer(writer, "none", CPU), 500).propose([scored(INITIAL_QUESTION, 0.0)], 2, stream(1))
    assert len(proposals) == SPARE * 2
    request = read[0][1]
    assert request > 50 and read == [(1, request), *[(4, 1)] * 4, (1, request), *[(2, 1)] * 4]


def test_texts_go_on_from_the_whole_request(writer, monkeypatch):
    """What was read beforehand changes nothing: the likeliest text is the one that the library writes from the request alone."""
    tokenizer, model = AutoTokenizer.from_pretrained(writer), Qwen2ForCausalLM.from_pretrained(writer)
    conversation = [{"role": "user", "content": "Write one."}]
    inputs = tokenizer.apply_chat_template(conversation, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    alone = model.generate(**inputs, do_sample=False, max_new_tokens=12, repetition_penalty=1.0)[0, inputs["input_ids"].shape[1] :]
    monkeypatch.setattr("earwitness.prompt_search.opro.TEMPERATURE", 1e-6)
    monkeypatch.setattr("earwitness.prompt_search.opro.NEW_TOKENS", 12)
    texts = load_writer(writer, "none", CPU)("Write one.", 3, 7)
    assert texts == [tokenizer.decode(alone, skip_special_tokens=True)] * 3


def test_nothing_but_temperature_shapes_what_a_writer_draws(writer, tmp_path, monkeypatch):
    """The hub's settings of a writer are left: a repetition penalty of 1.05 works against the tags."""
    folder = shutil.copytree(writer, tmp_path / "writer")
    settings = json.loads((folder / "generation_config.json").read_text())
    hub = {"repetition_penalty": 1.05, "top_k": 20, "top_p": 0.8, "temperature": 0.7, "do_sample": True}
    (folder / "generation_config.json").write_text(json.dumps(settings | hub))
    seen = []
    sample = Qwen2ForCausalLM._sample

    def record(self, input_ids, logits_processor, *arguments, **options):
        seen.extend(type(processor).__name__ for processor in logits_processor)
        return sample(self, input_ids, logits_processor, *arguments, **options)

    monkeypatch.setattr(Qwen2ForCausalLM, "_sample", record)
    texts = load_writer(folder, "none", CPU)("Write one.", 2, 7)
    assert not {"RepetitionPenaltyLogitsProcessor", "TopKLogitsWarper", "TopPLogitsWarper", "TemperatureLogitsWarper"} & set(seen)
    assert texts == load_writer(writer, "none", CPU)("Write one.", 2, 7)


def test_the_request_goes_through_the_chat_template_whatever_the_questions_hold(writer, monkeypatch):
    write = load_writer(writer, "none", CPU)
    seen = []
    generate = Qwen2ForCausalLM.generate

    def record(self, **options):
        seen.append(options["input_ids"][0])
        return generate(self, **options)

    monkeypatch.setattr(Qwen2ForCausalLM, "generate", record)
    history = [scored(INITIAL_QUESTION, 0.0), scored('{braces} "quotes" 🗣️ 人声 %s', 0.1)]
    proposal, *_ = Opro(write, 500).propose(history, 1, stream(1))
    tokenizer = AutoTokenizer.from_pretrained(writer)
    assert tokenizer.decode(seen[0]) == f"<|im_start|>user\n{proposal.request}<|im_end|>\n<|im_start|>assistant\n"
    assert '<INS>{braces} "quotes" 🗣️ 人声 %s</INS>\nscore: 80' in proposal.request


def test_a_search_by_a_babbling_model_archives_everything_and_keeps_the_initial_question(writer):
    settings = SearchSettings(iterations=1, candidates=3, finalists=2)
    found = run(answers(1), proposer=Opro(load_writer(writer, "none", CPU), 500), settings=settings)
    assert len(found.archive) == 9 and all(record["raw"] and record["request"] and record["fault"] for record in found.archive)
    assert {trial.origin for trial in found.trials} == {"initial", "direct"}


def test_a_model_that_answers_well_is_searched_with():

    def write(request, count, seed):
        return [f"Sure! <INS>Do you hear voice number {seed % 997} or {k}?</INS>" for k in range(count)]

    found = run(answers(1), proposer=Opro(write, 500))
    assert sum(trial.origin == "searched" for trial in found.trials) == 18


def test_the_request_shows_the_best_in_ascending_order():
    gains = np.round(stream(1).permutation(30) / 100, 2)
    request = request_for([scored(INITIAL_QUESTION, -0.5), *(scored(f"Question {gain}?", float(gain)) for gain in gains)], 321)
    shown = [line for line in request.splitlines() if line.startswith("question: ")]
    assert shown == [f"question: <INS>Question {gain}?</INS>" for gain in np.sort(gains)[-SHOWN:]]
    scores = [int(line[7:]) for line in request.splitlines() if line.startswith("score: ")]
    assert scores == sorted(scores) and max(scores) <= 100
    assert "321" in request


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("<INS>Is it speech?</INS>", "Is it speech?"),
        ("Here you are:\n<INS>Is it\nspeech?</INS>\nGood luck!", "Is it\nspeech?"),
        ("<INS></INS>", ""),
        ("Is it speech?", None),
        ("<INS>Is it speech?", None),
        ("</INS>Is it speech?<INS>", None),
        ("<INS>One?</INS> <INS>Two?</INS>", None),
        ("<INS><INS>Nested?</INS></INS>", None),
        ("<ins>lower?</ins>", None),
        ("", None),
    ],
)
def test_only_exactly_one_pair_of_tags_is_a_candidate(raw, text):
    found, reason = parse(raw)
    assert found == text
    assert bool(reason) == (text is None)
