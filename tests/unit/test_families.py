"""What every family of audio language models must hold, on tiny random weights in float64.

A family that cannot hold a property declares it (earwitness.model.families.registry.Family.departures); the test then shows that it does not.
"""

import copy
import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from family_checkpoints import LIBRARY_FEATURES, TEKKEN_SPECIAL, TINY, WRITE
from safetensors.torch import load_file, save_file
from shards import write_shard
from tiny_families import TINY_FAMILIES
from torch.overrides import TorchFunctionMode

from document_families import PAGE, documented
from earwitness.core.code_identity import modules_of
from earwitness.core.errors import InputError
from earwitness.model.engine import four_bits, loading
from earwitness.model.engine.adapters import attach_adapter, base_of, load_adapter
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.features import encode_spectrograms, encode_waveforms, encode_with_means
from earwitness.model.engine.generation import compare_with_scores, generate_answers
from earwitness.model.engine.key_value_cache import positions, splice, texts_of
from earwitness.model.engine.loading import keep_in_4_bits, load_model
from earwitness.model.engine.losses import answer_loss, training_targets
from earwitness.model.engine.prompting import Prompt, tokenise
from earwitness.model.engine.scoring import Scorer, score
from earwitness.model.families.implementation import IMPLEMENTATIONS
from earwitness.model.families.registry import FAMILIES, PROPERTIES, files_of_other_families
from earwitness.model.feature_files import encode_shard
from earwitness.model.finetuning import train_adapter, training_set
from earwitness.model.identity import identified
from earwitness.model.prediction import from_audio, from_features, prediction_rows
from earwitness.model.tiny_base_questions import QUESTIONS
from earwitness.model.untrained_tower import untrained_tower
from earwitness.runtime.saved_state import SavedState
from earwitness.systems import BASE, System

PROMPT = Prompt(QUESTIONS[0])
LENGTHS = (1000, 3200, 3201, 8000, 16_000, 31_999)
"""Samples: odd and even numbers of frames, and none that the library's own way fails on."""


@pytest.fixture(scope="module", params=FAMILIES)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def checkpoint(kind, tmp_path_factory):
    folder = tmp_path_factory.mktemp(kind)
    WRITE[kind](folder, TINY, torch.device("cpu"))
    return folder


@pytest.fixture(scope="module")
def loaded_once(checkpoint):
    return load_model(identified(checkpoint), device=torch.device("cpu"))


@pytest.fixture
def loaded(loaded_once):
    """Of a model of its own, which a test may change."""
    return replace(loaded_once, model=copy.deepcopy(loaded_once.model))


class InFloat64(TorchFunctionMode):
    """The library computes some steps in float32, in whatever precision its weights are: here they stay in float64."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.Tensor.float and args[0].dtype == torch.float64:
            return args[0]
        if func is torch.nn.functional.softmax and args[0].dtype == torch.float64:
            kwargs["dtype"] = None
        return func(*args, **kwargs)


@pytest.fixture
def exact(loaded):
    # The fast kernel of a mixture of experts knows no float64.
    loaded.model.set_experts_implementation("eager")
    loaded.model.double()
    with InFloat64():
        yield loaded


def noise(n_samples, seed=0):
    return (0.1 * np.random.default_rng((seed, n_samples)).standard_normal(n_samples)).astype(np.float32)


def positions_of(kind):
    return ("before",) if "position" in FAMILIES[kind].departures else ("before", "after")


def library_features(kind, loaded, waveform):
    """Keyword arguments of the library's own forward pass, in float64."""
    arguments = LIBRARY_FEATURES[kind](loaded, [waveform])
    return arguments | {"input_features": arguments["input_features"].double()}


def library_logits(loaded, order, features, n_tokens, answer=(), **more):
    """The library's own forward pass over a prompt with its sound and an answer."""
    ids = torch.tensor([[*order.before, *[loaded.model.config.audio_token_id] * n_tokens, *order.after, *answer]])
    return loaded.model(input_ids=ids, attention_mask=torch.ones_like(ids), **features, **more)


def engine_logits(loaded, audio, order):
    embeddings, ids, mask = splice(loaded, audio, texts_of(loaded, [order] * len(audio.n_tokens)))
    return loaded.logits(loaded.read(embeddings, ids, mask, positions(mask)))[:, -1]


def test_every_family_is_tested_and_departs_only_from_named_properties():
    assert FAMILIES.keys() == IMPLEMENTATIONS.keys() == TINY_FAMILIES.keys() == WRITE.keys() == LIBRARY_FEATURES.keys()
    for family in FAMILIES.values():
        assert family.departures.keys() <= PROPERTIES.keys()


@torch.no_grad()
def test_logits_are_those_of_the_library(kind, exact):
    for n_samples in LENGTHS:
        features = library_features(kind, exact, noise(n_samples))
        cut = TINY_FAMILIES[kind].cut(features["input_features"], n_samples)
        mel, [length] = exact.spectrograms([noise(n_samples)])
        torch.testing.assert_close(mel.double(), cut, rtol=0, atol=1e-4)
        audio = encode_spectrograms(exact, cut, [length])
        for place in positions_of(kind):
            order = tokenise(exact, Prompt(QUESTIONS[1], "words", place))[0]
            theirs = library_logits(exact, order, features, exact.n_tokens(n_samples)).logits[:, -1]
            torch.testing.assert_close(engine_logits(exact, audio, order), theirs, rtol=0, atol=1e-9)


@torch.no_grad()
def test_where_the_librarys_own_way_fails_this_one_answers(kind, exact):
    if TINY_FAMILIES[kind].stock_from == 1:
        pytest.skip("the library's own way takes every clip")
    order = tokenise(exact, PROMPT)[0]
    n_samples = TINY_FAMILIES[kind].stock_from - 1
    features = library_features(kind, exact, noise(n_samples))
    ids = torch.tensor([[*order.before, *[exact.model.config.audio_token_id] * exact.n_tokens(n_samples), *order.after]])
    with pytest.raises((TypeError, RuntimeError)):
        exact.model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **features, max_new_tokens=1)
    assert np.isfinite(score(exact, [noise(n_samples)], PROMPT).log_odds).all()


@torch.no_grad()
def test_a_sound_gives_the_same_alone_and_beside_others(kind, exact):
    shortest = TINY_FAMILIES[kind].shortest
    waveforms = [noise(n, seed) for seed, n in enumerate((shortest, 320, 336, 976, 3201, 8000, 16_000, 40_000))]
    mel, lengths = exact.spectrograms(waveforms)
    together = encode_spectrograms(exact, mel.double(), lengths)
    differences = []
    for row, waveform in enumerate(waveforms):
        own, [length] = exact.spectrograms([waveform])
        alone = encode_spectrograms(exact, own.double(), [length])
        assert alone.n_tokens == [exact.n_tokens(len(waveform))] == [together.n_tokens[row]]
        if alone.n_tokens[0]:
            differences.append((together.vectors[row, : alone.n_tokens[0]] - alone.vectors[0]).abs().max().item())
    # The spectrogram itself is computed in float32.
    assert max(differences) < 2e-5
    order = tokenise(exact, PROMPT)[0]
    logits = engine_logits(exact, together, order)
    for row, n in enumerate(together.n_tokens):
        one = type(together)(together.vectors[row : row + 1, :n], [n])
        torch.testing.assert_close(engine_logits(exact, one, order), logits[row : row + 1], rtol=0, atol=1e-9)
    for place in positions_of(kind):
        # Read piece by piece, with padding between a short sound and what follows it.
        order = tokenise(exact, Prompt(QUESTIONS[0], "letters", place))[0]
        [scores] = Scorer(exact, [[order]])(together)
        whole = engine_logits(exact, together, order)
        odds = whole[:, order.speech[0]] - whole[:, order.nonspeech[0]]
        np.testing.assert_allclose(scores.log_odds, odds.numpy(), rtol=0, atol=1e-9)


def test_audio_tokens_are_as_many_as_the_processor_writes(kind, loaded):
    shortest = TINY_FAMILIES[kind].shortest
    counts = [*range(shortest, 1000, 37), *range(1000, 16_001, 293), 16_000]
    assert [loaded.n_tokens(n) for n in counts] == TINY_FAMILIES[kind].library_tokens(loaded, counts)
    assert ("tokens" in FAMILIES[kind].departures) == (shortest > 1)
    if shortest > 1:
        with pytest.raises(InputError, match=r"is shorter than the model's 12\.6 ms; lengthen it"):
            loaded.spectrograms([noise(shortest - 1)])
        with pytest.raises(RuntimeError):
            TINY_FAMILIES[kind].library_tokens(loaded, [shortest - 1])


def test_clips_without_audio_tokens_are_answered(kind, loaded):
    shortest = TINY_FAMILIES[kind].shortest
    counts = [n for n in (shortest, 160, 320, 321) if not loaded.n_tokens(n)]
    if not counts:
        assert loaded.n_tokens(shortest) > 0
        return
    found = score(loaded, [noise(n) for n in counts] + [noise(8000)], PROMPT)
    assert found.n_audio_tokens.tolist() == [0] * len(counts) + [loaded.n_tokens(8000)]
    assert np.isfinite(found.log_odds).all()
    np.testing.assert_allclose(found.log_odds[:-1], found.log_odds[0], atol=1e-5)
    assert not encode_with_means(loaded, [noise(counts[0])]).mean.any()


@torch.no_grad()
def test_constrained_generation_answers_what_the_scores_say(kind, loaded):
    batches = [
        encode_waveforms(loaded, [noise(n, seed) for seed, n in enumerate(lengths)])
        for lengths in ((TINY_FAMILIES[kind].shortest, 320, 640), (976, 3200, 16_000))
    ]
    for place in positions_of(kind):
        table = compare_with_scores(loaded, batches, Prompt(QUESTIONS[2], "letters", place))
        assert table.n_stimuli.eq(6).all()
        assert table.agreement.eq(1).all()
        # A word is generated token by token, so its first token decides, which need not belong to the more probable word.
        [order] = tokenise(loaded, Prompt(QUESTIONS[2], "words", place))
        assert order.speech[0] != order.nonspeech[0]
        for audio in batches:
            logits = engine_logits(loaded, audio, order)
            first = ["SPEECH" if row[order.speech[0]] > row[order.nonspeech[0]] else "NONSPEECH" for row in logits]
            assert generate_answers(loaded, audio, order) == first


def test_a_sweep_scores_every_prompt_as_alone(kind, loaded):
    prompts = [Prompt(question, name, place) for question in QUESTIONS[:2] for name in ("letters", "words") for place in positions_of(kind)]
    audio = encode_waveforms(loaded, [noise(n, seed) for seed, n in enumerate((320, 640, 5000, 16_000))])
    together = Scorer(loaded, [tokenise(loaded, prompt) for prompt in prompts])(audio)
    for prompt, swept in zip(prompts, together, strict=True):
        [alone] = Scorer(loaded, [tokenise(loaded, prompt)])(audio)
        for name in ("log_odds", "coverage", "letter_bias"):
            np.testing.assert_allclose(getattr(swept, name), getattr(alone, name), atol=2e-4)


def test_a_sound_stands_where_the_prompt_says_or_the_prompt_is_refused(kind, loaded):
    question = "Is anybody there?"
    for place in ("before", "after"):
        prompt = Prompt(question, "yes_no", place)
        if place not in positions_of(kind):
            with pytest.raises(InputError, match=r"set prompt\.audio_position to before"):
                tokenise(loaded, prompt)
            continue
        [order] = tokenise(loaded, prompt)
        sides = [loaded.processor.tokenizer.decode(side) for side in (order.before, order.after)]
        assert [question in side for side in sides] == ([False, True] if place == "before" else [True, False])


@pytest.mark.parametrize("scope", ["published", "language_model"])
def test_adapters_have_their_number_of_parameters_and_answer_alike_when_loaded_again(kind, checkpoint, loaded, scope, tmp_path):
    plain = score(loaded, [noise(3200), noise(9000)], PROMPT).log_odds
    wrapped = attach_adapter(loaded, ["q_proj", "k_proj", "v_proj", "o_proj"], scope, rank=2, alpha=8, dropout=0.0)
    trainable = {name: parameter for name, parameter in wrapped.named_parameters() if parameter.requires_grad}
    assert sum(parameter.numel() for parameter in trainable.values()) == TINY_FAMILIES[kind].lora[scope]
    torch.manual_seed(2)
    for name, parameter in trainable.items():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    learned = replace(loaded, model=base_of(wrapped.eval()))
    assert learned.adapts_audio_tower == (scope == "published")
    wrapped.save_pretrained(str(tmp_path))
    answers = score(learned, [noise(3200), noise(9000)], PROMPT).log_odds
    again = load_adapter(load_model(identified(checkpoint), device=torch.device("cpu")), tmp_path)
    np.testing.assert_array_equal(score(again, [noise(3200), noise(9000)], PROMPT).log_odds, answers)
    assert np.abs(answers - plain).max() > 1e-3


def test_the_gradient_of_the_answers_loss_is_that_of_the_librarys_loss(kind, exact):
    order, n_samples = tokenise(exact, PROMPT)[0], 8000
    features, [length] = library_features(kind, exact, noise(n_samples)), exact.spectrograms([noise(n_samples)])[1]
    wrapped = attach_adapter(exact, ["q_proj", "v_proj"], "published", rank=2, alpha=8, dropout=0.0).double()
    torch.manual_seed(3)
    trainable = [parameter for parameter in wrapped.parameters() if parameter.requires_grad]
    for parameter in trainable:
        torch.nn.init.normal_(parameter, std=0.1)
    learner = replace(exact, model=base_of(wrapped))
    audio = encode_spectrograms(learner, TINY_FAMILIES[kind].cut(features["input_features"], n_samples), [length])
    ours = answer_loss(learner, audio, training_targets(learner, audio.n_tokens, [order], [order.speech], "answer")).loss
    unlabelled = len(order.before) + audio.n_tokens[0] + len(order.after)
    labels = torch.tensor([[*[-100] * unlabelled, *order.speech]])
    theirs = library_logits(learner, order, features, audio.n_tokens[0], order.speech, labels=labels).loss
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    for mine, their in zip(torch.autograd.grad(ours, trainable), torch.autograd.grad(theirs, trainable), strict=True):
        torch.testing.assert_close(mine, their, rtol=1e-4, atol=1e-7)


@pytest.mark.usefixtures("any_width_in_4_bits")
def test_only_the_language_model_is_quantised(kind, checkpoint):
    loaded = load_model(identified(checkpoint), "nf4", torch.device("cpu"))
    quantised = [name for name, module in loaded.model.named_modules() if type(module).__name__ == "Linear4bit"]
    assert quantised
    assert all(name.startswith(f"{loaded.language_model_name}.layers") for name in quantised)
    assert np.isfinite(score(loaded, [noise(3200)], PROMPT).log_odds).all()
    kept = [name for name, parameter in loaded.model.named_parameters() if ".experts." in name and parameter.dtype == torch.float32]
    assert ("nf4" in FAMILIES[kind].departures) == bool(kept)


@pytest.mark.parametrize("fit", [True, False])
def test_in_bfloat16_every_weight_is_and_answers_move_by_its_rounding_alone(checkpoint, loaded, fit, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(loading, "let_multiply_16_bits", lambda: asked.append(1) or fit)
    rounded = load_model(identified(checkpoint), "bfloat16", torch.device("cpu"))
    kept = [name for name, parameter in rounded.model.named_parameters() if parameter.dtype != torch.bfloat16]
    assert asked and all(name.endswith(loaded.fixed_in_tower) for name in kept), "but for tables of positions that the library keeps"
    assert ("takes longer here than quantisation none" in capsys.readouterr().err) == (not fit)
    sounds = [noise(3200), noise(9000)]
    apart = np.abs(score(rounded, sounds, PROMPT).log_odds - score(loaded, sounds, PROMPT).log_odds)
    assert (apart > 0).all() and apart.max() < 0.2


def test_a_copy_in_4_bits_has_every_weight(kind, checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(four_bits, "PAYS_FROM_BYTES", 0)
    base = identified(shutil.copytree(checkpoint, tmp_path / "base"))
    quantised = load_model(base, "nf4", torch.device("cpu")).model.state_dict()
    assert keep_in_4_bits(base, torch.device("cpu"))[0]
    read = load_model(base, "nf4", torch.device("cpu")).model.state_dict()
    assert capsys.readouterr().err == "", "the base was not read again"
    assert read.keys() == quantised.keys()
    assert [name for name, weight in read.items() if not torch.equal(weight, quantised[name])] == []


def test_recipes_that_name_modules_an_adapter_cannot_reach_are_refused(kind, loaded):
    names = ["q_proj", "up_proj"]
    if "lora" in FAMILIES[kind].departures:
        with pytest.raises(InputError, match=r"target_modules .*up_proj: the base model has no such modules"):
            attach_adapter(loaded, names, "language_model", rank=2, alpha=8, dropout=0.0)
    else:
        wrapped = attach_adapter(loaded, names, "language_model", rank=2, alpha=8, dropout=0.0)
        assert {name.rpartition(".")[2] for name, module in wrapped.named_modules() if hasattr(module, "lora_A")} == set(names)


def test_a_recipe_is_refused_even_where_only_one_of_its_modules_is_not_there(loaded):
    with pytest.raises(InputError, match="target_modules w_proj: the base model has no such modules"):
        attach_adapter(loaded, ["q_proj", "w_proj"], "published", rank=2, alpha=8, dropout=0.0)


@torch.no_grad()
def test_lengths_are_kept_apart_where_a_batch_would_move_a_sound(kind, exact):
    """Beside a longer sound, what such a tower hears of a short one is another function."""
    mel, lengths = exact.spectrograms([noise(8000), noise(16_000)])
    alone, _ = exact.spectrograms([noise(8000)])
    n_tokens = exact.tokens_of(lengths[0])
    moved = (exact.encode_audio(mel.double(), lengths)[0, :n_tokens] - exact.encode_audio(alone.double(), lengths[:1])[0]).abs().max()
    assert (moved > 1e-3) == (not exact.mixes_lengths)


def test_fused_norms_answer_as_the_librarys_own(checkpoint, loaded, monkeypatch):
    monkeypatch.setattr(type(loaded), "fused_norms", ())
    stock = load_model(identified(checkpoint), device=torch.device("cpu"))
    assert not [module for module in stock.model.modules() if isinstance(module, torch.nn.RMSNorm)]
    assert [module for module in loaded.model.modules() if isinstance(module, torch.nn.RMSNorm)]
    waveforms = [noise(640), noise(9000)]
    np.testing.assert_allclose(score(loaded, waveforms, PROMPT).log_odds, score(stock, waveforms, PROMPT).log_odds, atol=1e-3)


def test_a_missing_weight_and_one_without_a_place_are_refused_by_their_names(checkpoint, tmp_path):
    for path in checkpoint.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = load_file(checkpoint / "model.safetensors")
    name = next(name for name in weights if name.endswith("layers.1.self_attn.q_proj.weight"))
    save_file({key: tensor for key, tensor in weights.items() if key != name}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"the weights lack \S*layers\.1\.self_attn\.q_proj\.weight"):
        load_model(identified(tmp_path), device=torch.device("cpu"))
    save_file(weights | {name.replace("q_proj", "z_proj"): weights[name].clone()}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"no place for the weights \S*layers\.1\.self_attn\.z_proj\.weight"):
        load_model(identified(tmp_path), device=torch.device("cpu"))


def test_what_the_cpu_holds_in_compact_memory_is_not_the_head(loaded):
    """Input embeddings that are the head's weights too must stay where the head is."""
    tied = loaded.model.get_input_embeddings().weight is loaded.head.weight
    assert loaded.tables or tied
    assert all(table.weight is not loaded.head.weight for table in loaded.tables)


def test_a_model_of_no_family_is_refused_with_the_families_and_the_page(checkpoint, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "speech_wizard"}')
    (tmp_path / "model.safetensors").write_bytes((checkpoint / "model.safetensors").read_bytes())
    with pytest.raises(InputError, match=rf"type 'speech_wizard'; .*{', '.join(FAMILIES)}.*docs/add_a_family\.md") as refusal:
        load_model(identified(tmp_path))
    assert "\n" not in str(refusal.value)


def test_a_gemma_without_an_ear_is_refused(tmp_path):
    """26B-A4B and 31B are published under the same model_type."""
    WRITE["gemma4"](tmp_path, TINY, torch.device("cpu"))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"audio_config": None}))
    with pytest.raises(InputError, match=r"this gemma4 does not hear \(config\.json has no audio_config\)"):
        load_model(identified(tmp_path), device=torch.device("cpu"))


def test_a_gemma_with_spectrograms_of_another_kind_is_refused(tmp_path):
    WRITE["gemma4"](tmp_path, TINY, torch.device("cpu"))
    settings = json.loads((tmp_path / "preprocessor_config.json").read_text())
    for other, message in (
        ({"padding_side": "left"}, "padded on: the processor has left, the model right"),
        ({"preemphasis": 0.97}, r"preemphasis, dither and gain: the processor has \(0\.97, "),
        ({"per_bin_mean": [0.0] * 32}, "bins are normalised: the processor has True, the model False"),
    ):
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings | other))
        with pytest.raises(InputError, match=message):
            load_model(identified(tmp_path), device=torch.device("cpu"))


@torch.inference_mode()
def test_an_untrained_tower_hears_in_the_same_shape_and_otherwise(kind, checkpoint, loaded):
    """The control for what a trained encoder knows (earwitness.model.untrained_tower)."""
    control = untrained_tower(checkpoint, seed=1)
    mel, lengths = loaded.spectrograms([noise(3200), noise(9000)])
    trained, untrained = loaded.encode_audio(mel, lengths), control.encode_audio(mel, lengths)
    assert untrained.shape == trained.shape
    assert (untrained - trained).abs().max() > 1e-2
    for name in loaded.fixed_in_tower:
        assert torch.equal(control.tower.get_parameter(name), loaded.tower.get_parameter(name))


def test_the_page_for_adding_a_family_has_the_tables_of_today():
    text = PAGE.read_text(encoding="utf-8")
    assert documented(text) == text, "run `python workflow_scripts/document_families.py`"


def test_a_voxtral_is_asked_as_mistral_common_writes_a_turn(tmp_path):
    """mistral-common 1.13.1 gives <s> [INST] [BEGIN_AUDIO] [AUDIO]... words [/INST], and the words first where they come first."""
    WRITE["voxtral"](tmp_path, TINY, torch.device("cpu"))
    loaded = load_model(identified(tmp_path), device=torch.device("cpu"))
    start, turn, end_of_turn, begin_audio, audio = 1, 3, 4, 25, 24
    words = tuple(len(TEKKEN_SPECIAL) + byte for byte in b"Speech?")
    assert loaded.ids_around("Speech?", "before") == ((start, turn, begin_audio), (*words, end_of_turn))
    assert loaded.ids_around("Speech?", "after") == ((start, turn, *words, begin_audio), (end_of_turn,))
    assert loaded.model.config.audio_token_id == audio


def test_each_family_has_a_file_of_its_name_that_other_families_do_not_import():
    """So an edit of it makes nothing again for a base of another family (earwitness.model.job_inputs.Code)."""
    programs = PAGE.parents[1] / "workflow_scripts"
    for kind in FAMILIES:
        [own] = {f"earwitness/model/families/{kind}.py"} - files_of_other_families(kind)
        used = {path.relative_to(programs).as_posix() for path in modules_of(programs / own, programs)}
        assert own in used
        assert not used & (files_of_other_families(kind) | {"earwitness/model/families/implementation.py"})


RECIPE = {
    "target_modules": ["q_proj", "v_proj"],
    "rank": 4,
    "alpha": 8,
    "dropout": 0.05,
    "learning_rate": 0.01,
    "steps": 2,
    "epochs": None,
    "batch_size": 6,
    "micro_batch_size": 3,
    "loss_on": "answer",
    "focal_gamma": 0.0,
    "warmup_fraction": 0.1,
    "weight_decay": 0.0,
    "max_gradient_norm": 1.0,
}


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["published", "language_model"])
def test_a_study_encodes_trains_and_asks(checkpoint, loaded, scope, tmp_path):
    """Sounds of six lengths, from shards to prediction rows; both scopes, both memories."""
    cpu = torch.device("cpu")
    names = [f"s0-{number:02d}" for number in range(6)]
    shard, features = write_shard(tmp_path / "0.parquet", names), tmp_path / "features.parquet"
    encode_shard(loaded, shard, features, Batches(5, cpu))
    heard, read = from_audio(loaded, [shard]), from_features(loaded, [features])
    asked = [prediction_rows(loaded, sounds, [PROMPT], BASE, Batches(5, cpu)) for sounds in (heard, read)]
    np.testing.assert_allclose(asked[0].log_odds, asked[1].log_odds, atol=2e-4)
    split = pd.DataFrame({"stimulus_id": names, "label": ["SPEECH", "NONSPEECH"] * 3, "part": "train"})
    data = training_set(loaded, heard if scope == "published" else read, split, scope)
    memory = "compact" if scope == "published" else "fast"
    wrapped, history = train_adapter(loaded, data, PROMPT, {**RECIPE, "scope": scope}, 5, SavedState(tmp_path / "state", {}), memory)
    assert np.isfinite(history.loss).all()
    wrapped.save_pretrained(str(tmp_path / "adapter"))
    again = load_adapter(load_model(identified(checkpoint), device=cpu), tmp_path / "adapter")
    rows = prediction_rows(again, from_audio(again, [shard]), [PROMPT], System("adapter", "x", "grouped", 5), Batches(5, cpu))
    assert np.abs(rows.log_odds - asked[0].log_odds).max() > 1e-4
