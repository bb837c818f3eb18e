"""Questions put to a real model get the scores of the engine, whatever they hold."""

import numpy as np
import pandas as pd
import pytest
import torch
from shards import write_shard

from earshot.asking import ask, from_features
from earshot.encoding import encode_shard
from earshot.engine.batching import Batches
from earshot.engine.checkpoint import load_checkpoint
from earshot.engine.prompting import Prompt
from earshot.engine.tiny_base import QUESTIONS
from earshot.errors import InputError
from earshot.prompt_search.questioning import Questioner

CPU = torch.device("cpu")
STRANGE = ("{question} {0} %s", 'He said "speech?"', "Is it speech? 🗣️", "这是人声吗？", "long " * 90)


@pytest.fixture(scope="module")
def studied(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("questioning")
    names = [f"s{k:02d}" for k in range(12)]
    checkpoint = load_checkpoint(folder)
    encode_shard(checkpoint, write_shard(path / "shard.parquet", names), path / "features.parquet", Batches(4, CPU))
    return checkpoint, path / "features.parquet", names


@pytest.mark.parametrize("answer_format", ["letters", "yes_no"])
def test_questions_score_as_the_engine_scores_them_in_the_order_asked(studied, answer_format):
    checkpoint, features, names = studied
    prompt = Prompt(QUESTIONS[0], answer_format, "after")
    questioner = Questioner(checkpoint, [features], set(names), prompt, Batches(5, CPU))
    wanted, questions = [names[k] for k in (7, 2, 11, 3)], [QUESTIONS[3], *STRANGE, QUESTIONS[1]]
    found = questioner(questions, wanted)
    assert found.shape == (len(questions), len(wanted))
    for row, question in zip(found, questions, strict=True):
        alone = ask(checkpoint, from_features(checkpoint, [features]), [Prompt(question, answer_format, "after")], "base", None, Batches(5, CPU))
        expected = alone.set_index("stimulus_id").log_odds[wanted]
        np.testing.assert_allclose(row, expected, atol=2e-4)
    assert not pd.DataFrame(found).duplicated().any(), "every question has answers of its own"


def test_a_stimulus_without_features_is_named_and_special_tokens_are_known(studied):
    checkpoint, features, names = studied
    with pytest.raises(InputError, match=r"stimulus elsewhere .* is in no file of features"):
        Questioner(checkpoint, [features], {*names, "elsewhere"}, Prompt("?"), Batches(4, CPU))
    assert "<|AUDIO|>" in Questioner(checkpoint, [features], set(names), Prompt("?"), Batches(4, CPU)).special_tokens
