"""The tiny base: of every family that has one, trained on a little sound, and the default's numbers as they always were."""

import json

import numpy as np
import pytest
import soundfile

from earwitness.config import load_schema
from earwitness.core.errors import InputError
from earwitness.model.engine.loading import load_model
from earwitness.model.engine.prompting import Prompt, tokenise
from earwitness.model.families.implementation import IMPLEMENTATIONS
from earwitness.model.families.registry import FAMILIES
from earwitness.model.families.tiny.tiny_base import TINY_BASES
from earwitness.model.identity import identified
from earwitness.model.tiny_base_questions import training_texts
from earwitness.model.tiny_base_training import BaseCorpus, TinyBaseSettings, make_tiny_base, train_tiny_base
from earwitness.runtime.saved_state import SavedState

STEPS = {"steps": 4, "batch_size": 4, "pool": 64, "learning_rate": 0.0015}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Two buzzing voices and two hisses of 2 s, in the layouts of the real data sets."""
    folder, time = tmp_path_factory.mktemp("base"), np.arange(32000) / 16000
    for part in ("speech/audio", "sounds/audio", "sounds/meta"):
        (folder / part).mkdir(parents=True)
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for k in range(2):
        voice = 0.2 * np.sin(2 * np.pi * 3 * time) ** 2 * sum(np.sin(2 * np.pi * (120 + 40 * k) * h * time) / h for h in range(1, 8))
        soundfile.write(folder / f"speech/audio/s{k}.wav", voice, 16000, subtype="PCM_16")
        (folder / f"speech/audio/s{k}.rttm").write_text(f"SPEAKER s{k} 1 0.000 2.000 <NA> <NA> spk{k} <NA> <NA>\n")
        name = f"1-{100 + k}-A-{10 + k}.wav"
        soundfile.write(folder / f"sounds/audio/{name}", 0.1 * np.random.default_rng(k).standard_normal(32000), 16000, subtype="PCM_16")
        rows.append(f"{name},1,{10 + k},rain,False,{100 + k},A")
    (folder / "sounds/meta/esc50.csv").write_text("\n".join(rows) + "\n")
    return BaseCorpus(folder / "speech", folder / "sounds", 1200)


def test_the_schema_offers_the_families_that_have_a_tiny_base():
    family = load_schema()["$defs"]["model"]["properties"]["tiny"]["properties"]["family"]
    assert family["enum"] == list(TINY_BASES) and family["default"] == "qwen2_audio"
    assert set(TINY_BASES) <= set(IMPLEMENTATIONS)


@pytest.mark.parametrize("kind", TINY_BASES)
def test_a_trained_tiny_base_is_a_checkpoint_of_its_family_that_the_engine_loads(kind, corpus, tmp_path):
    make_tiny_base(corpus, TinyBaseSettings(kind, **STEPS), 1, tmp_path / "base", tmp_path / "history.csv")
    assert json.loads((tmp_path / "base/config.json").read_text())["model_type"] == kind
    loaded = load_model(identified(tmp_path / "base"))
    assert type(loaded) is IMPLEMENTATIONS[kind]() and type(loaded.model) is loaded.checkpoint
    assert type(loaded.model).__name__ == FAMILIES[kind].library_class


@pytest.mark.parametrize("kind", TINY_BASES)
def test_it_learns_the_positions_of_the_sound_that_its_family_can_be_asked_in(kind):
    family = TINY_BASES[kind]()
    processor = family.processor(training_texts())
    learner = family.implementation(family.model(processor), processor, "")
    asked = {"before", "after"} - ({"after"} if "position" in FAMILIES[kind].departures else set())
    assert set(family.audio_positions) == asked
    for place in ("before", "after"):
        prompt = Prompt("Is someone speaking?", "words", place)
        if place in asked:
            assert tokenise(learner, prompt)
        else:
            with pytest.raises(InputError, match=f"set prompt.audio_position to {family.audio_positions[0]}"):
                tokenise(learner, prompt)


LOSSES = [6.2024422, 4.5396929, 4.7346544, 3.7715576]
WEIGHTS = {
    "model.audio_tower.conv1.weight": 1499.5445,
    "model.audio_tower.layers.1.fc1.weight": 1179.7112,
    "model.multi_modal_projector.linear.weight": 593.38377,
    "model.language_model.layers.0.self_attn.q_proj.weight": 587.78635,
    "lm_head.weight": 2720.6137,
}
"""Sums of absolute values."""


def test_the_default_is_trained_to_the_numbers_that_it_had_before_there_were_families_to_choose(corpus, tmp_path):
    """Recorded with the code of before; to what processors leave of single precision."""
    learner, history = train_tiny_base(corpus, TinyBaseSettings("qwen2_audio", **STEPS), 20260101, SavedState(tmp_path / "state", {}))
    np.testing.assert_allclose(history.loss, LOSSES, rtol=1e-4)
    for name, total in WEIGHTS.items():
        assert float(learner.model.get_parameter(name).detach().double().abs().sum()) == pytest.approx(total, rel=1e-4), name
