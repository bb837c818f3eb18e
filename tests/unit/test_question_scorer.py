"""Questions put to a real model get the scores of the engine, whatever they hold, and share its memory by turns."""

import gc
import weakref

import numpy as np
import pandas as pd
import pytest
import torch
from shards import write_shard
from transformers import Qwen2AudioForConditionalGeneration, Qwen2ForCausalLM

from earwitness.core.errors import InputError
from earwitness.core.randomness import stream
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.loading import load_model
from earwitness.model.engine.prompting import Prompt
from earwitness.model.feature_files import encode_shard
from earwitness.model.identity import identified
from earwitness.model.prediction import from_features, prediction_rows
from earwitness.model.tiny_base_questions import QUESTIONS
from earwitness.prompt_search.model_switch import ModelSwitch
from earwitness.prompt_search.opro import Opro, load_writer
from earwitness.prompt_search.proposers import ScoredQuestion
from earwitness.prompt_search.question_scorer import QuestionScorer
from earwitness.systems import BASE

CPU = torch.device("cpu")
PROMPT = Prompt(QUESTIONS[0])
STRANGE = ("{question} {0} %s", 'He said "speech?"', "Is it speech? 🗣️", "这是人声吗？", "long " * 90)


def questioner(loaded, features, names, prompt, size=4):
    return QuestionScorer(lambda: loaded, lambda model: from_features(model, [features]), set(names), prompt, Batches(size, CPU))


@pytest.fixture(scope="module")
def studied(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("questioning")
    names = [f"s{k:02d}" for k in range(12)]
    loaded = load_model(identified(folder))
    encode_shard(loaded, write_shard(path / "shard.parquet", names), path / "features.parquet", Batches(4, CPU))
    return loaded, path / "features.parquet", names


@pytest.mark.parametrize("answer_format", ["letters", "yes_no"])
def test_questions_score_as_the_engine_scores_them_in_the_order_asked(studied, answer_format):
    loaded, features, names = studied
    prompt = Prompt(QUESTIONS[0], answer_format, "after")
    ask_many = questioner(loaded, features, names, prompt, 5)
    wanted, questions = [names[k] for k in (7, 2, 11, 3)], [QUESTIONS[3], *STRANGE, QUESTIONS[1]]
    found = ask_many(questions, wanted)
    assert found.shape == (len(questions), len(wanted))
    for row, question in zip(found, questions, strict=True):
        alone = prediction_rows(loaded, from_features(loaded, [features]), [Prompt(question, answer_format, "after")], BASE, Batches(5, CPU))
        expected = alone.set_index("stimulus_id").log_odds[wanted]
        np.testing.assert_allclose(row, expected, atol=2e-4)
    assert not pd.DataFrame(found).duplicated().any(), "every question has answers of its own"


def test_a_stimulus_without_features_is_named_and_special_tokens_are_known(studied):
    loaded, features, names = studied
    with pytest.raises(InputError, match=r"stimulus elsewhere .* is not among those given"):
        questioner(loaded, features, [*names, "elsewhere"], Prompt("?"))
    assert "<|AUDIO|>" in questioner(loaded, features, names, Prompt("?")).special_tokens


@pytest.mark.parametrize("one_at_a_time", [True, False])
def test_with_compact_memory_the_writer_and_the_asked_model_are_never_loaded_together(studied, folder, writer, monkeypatch, one_at_a_time):
    monkeypatch.setattr("earwitness.prompt_search.opro.NEW_TOKENS", 8)
    _, features, names = studied
    switch, alive = ModelSwitch(one_at_a_time), []

    def watched(loader):
        def load(*arguments, **options):
            gc.collect()
            alive.append(sum(reference() is not None for reference in models))
            model, told = loader(*arguments, **options)
            models.append(weakref.ref(model))
            return model, told

        return load

    models: list[weakref.ref] = []
    for kind in (Qwen2ForCausalLM, Qwen2AudioForConditionalGeneration):
        monkeypatch.setattr(kind, "from_pretrained", watched(kind.from_pretrained))
    ask = QuestionScorer(
        lambda: switch.get("asked", lambda: load_model(identified(folder))),
        lambda model: from_features(model, [features]),
        set(names),
        PROMPT,
        Batches(4, CPU),
    )
    opro = Opro(lambda *request: switch.get("writer", lambda: load_writer(writer, "none", CPU))(*request), 500)
    for iteration in (1, 2):
        ask(QUESTIONS[:2], names)
        opro.propose([ScoredQuestion(QUESTIONS[0], 0.7, 0.0, 1.0, 12)], 1, stream(1, iteration))
    assert alive == ([0, 0, 0, 0] if one_at_a_time else [0, 1])
