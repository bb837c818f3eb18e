import json
import struct

import numpy as np
import pytest
import torch
from full_size import CHAT
from programs import call_program
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2AudioForConditionalGeneration,
    Qwen2Config,
    Qwen2ForCausalLM,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperModel,
)

from earwitness.config import complete_config
from earwitness.core.errors import InputError
from earwitness.model import halves, projector_questions
from earwitness.model.assembly import AUDIO_TOKEN, assemble
from earwitness.model.ctranslate2_encoder import read_encoder_arrays
from earwitness.model.engine.features import encode_waveforms
from earwitness.model.engine.loading import load_model
from earwitness.model.engine.prompting import Prompt, tokenise
from earwitness.model.engine.saving import save_model
from earwitness.model.engine.scoring import score
from earwitness.model.families.tiny.qwen2_audio import build_processor
from earwitness.model.halves import folder_of, load_encoder, load_language_model
from earwitness.model.identity import identified
from earwitness.model.projector import fitting_projector, provenance_of, put_projector, rank_of, save_projector
from earwitness.model.projector_training import EncodedStimuli, ProjectorSettings, train_projector
from earwitness.model.tiny_base_questions import QUESTIONS
from earwitness.plan.models import Models
from earwitness.plan.study import Plan
from earwitness.prompt_search.edits import PHRASES, Grammar
from earwitness.runtime.saved_state import SavedState

WHISPER = WhisperConfig(
    d_model=32, encoder_layers=3, encoder_attention_heads=4, encoder_ffn_dim=48, decoder_layers=1, decoder_attention_heads=4, decoder_ffn_dim=48,
    num_mel_bins=20, max_source_positions=50, vocab_size=64, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
)  # fmt: skip
SIZES = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 640}


def write_whisper(folder):
    torch.manual_seed(3)
    model = WhisperForConditionalGeneration(WHISPER)
    model.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=20, chunk_length=1).save_pretrained(folder)
    return model.model.encoder.eval()


def write_language_model(folder, kind, **changes):
    torch.manual_seed(4)
    tokenizer = build_processor(
        [*QUESTIONS, "A: speech\nB: no speech\nAnswer A or B.", "Answer SPEECH or NON-SPEECH.", "Answer Yes or No."]
    ).tokenizer
    tokenizer.chat_template = CHAT
    sizes = SIZES | {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id} | changes
    model = LlamaForCausalLM(LlamaConfig(**sizes)) if kind == "llama" else Qwen2ForCausalLM(Qwen2Config(**sizes))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model.eval()


@pytest.fixture(scope="module", params=["llama", "qwen2"])
def joined(request, tmp_path_factory):
    """Both halves as their own classes, the base that was assembled of their folders as the library loads it, and as the engine does."""
    root = tmp_path_factory.mktemp(request.param)
    encoder = write_whisper(root / "encoder")
    language_model = write_language_model(root / "language_model", request.param, tie_word_embeddings=request.param == "llama")
    save_model(assemble(load_encoder(root / "encoder"), load_language_model(root / "language_model")), root / "base")
    stock = Qwen2AudioForConditionalGeneration.from_pretrained(root / "base", dtype=torch.float64).eval()
    return encoder.double(), language_model.double(), stock, load_model(identified(root / "base"))


def outputs_of(layers, run):
    """What each layer gives while `run` runs."""
    seen = []
    hooks = [layer.register_forward_hook(lambda *args: seen.append(args[2][0] if isinstance(args[2], tuple) else args[2])) for layer in layers]
    run()
    for hook in hooks:
        hook.remove()
    return seen


@torch.no_grad()
def test_every_layer_of_the_encoder_gives_what_it_gave_alone(joined):
    encoder, _, stock, _ = joined
    mel = torch.randn(2, 20, 100, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    tower = stock.model.audio_tower
    alone = outputs_of(encoder.layers, lambda: encoder(mel))
    inside = outputs_of(tower.layers, lambda: tower(mel, attention_mask=None))
    assert len(alone) == len(inside) == 3
    for mine, theirs in zip(alone, inside, strict=True):
        torch.testing.assert_close(theirs, mine, rtol=0, atol=1e-13)


@torch.no_grad()
def test_every_layer_of_the_language_model_gives_what_it_gave_alone(joined):
    _, alone, inside, _ = joined
    ids = torch.randint(0, alone.config.vocab_size, (2, 17), generator=torch.Generator().manual_seed(2))
    mine = outputs_of(alone.model.layers, lambda: alone(ids))
    theirs = outputs_of(inside.model.language_model.layers, lambda: inside.model.language_model(input_ids=ids))
    assert len(mine) == len(theirs) == 3
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-13)
    logits = inside.lm_head(inside.model.language_model(input_ids=ids).last_hidden_state)
    torch.testing.assert_close(logits[..., : alone.config.vocab_size], alone(ids).logits, rtol=0, atol=1e-13)


def test_no_weight_is_lost_or_added_but_those_of_the_projector_and_of_the_audio_token(joined):
    encoder, language_model, stock, _ = joined
    tower = stock.model.audio_tower.state_dict()
    assert tower.keys() == encoder.state_dict().keys()
    assert all(torch.equal(tensor, tower[name]) for name, tensor in encoder.state_dict().items())
    inside = stock.model.language_model.state_dict()
    alone = language_model.model.state_dict()
    assert inside.keys() == alone.keys()
    grown = {name for name in alone if inside[name].shape != alone[name].shape}
    assert grown <= {"embed_tokens.weight"}
    for name in alone:
        assert torch.equal(inside[name][: len(alone[name])], alone[name])


def test_the_audio_token_stands_before_the_question_in_the_language_models_own_template(joined):
    loaded = joined[-1]
    text = loaded.processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "audio", "audio_url": "x"}, {"type": "text", "text": "Is this speech?"}]}],
        add_generation_prompt=True,
        tokenize=False,
    )
    plain = loaded.processor.tokenizer.apply_chat_template([{"role": "user", "content": "HERE"}], add_generation_prompt=True, tokenize=False)
    assert text == plain.replace("HERE", f"{AUDIO_TOKEN}\nIs this speech?")
    [prompt] = tokenise(loaded, Prompt("Is this speech?", "yes_no", "after"))
    assert loaded.processor.tokenizer.decode(prompt.before).endswith("Is this speech?\nAnswer Yes or No.")
    assert loaded.processor.audio_token_id not in (*prompt.before, *prompt.after)


def test_an_assembled_base_answers_and_hears(joined):
    loaded = joined[-1]
    tone = 0.1 * np.sin(np.arange(8000) / 3).astype(np.float32)
    hiss = np.random.default_rng(1).standard_normal(8000).astype(np.float32) / 10
    assert encode_waveforms(loaded, [tone]).vectors.shape == (1, 12, 24)
    answers = score(loaded, [tone, hiss], Prompt("Is this speech?"))
    assert np.isfinite(answers.log_odds).all()
    assert answers.log_odds[0] != answers.log_odds[1]


def ctranslate2(weights, heads=4, version=6, kind="WhisperSpec", dtype="<f2", drop=0):
    """The bytes of a Whisper encoder in CTranslate2's format, written from its description."""
    arrays = {"encoder/num_heads": np.array(heads, "<i2"), "decoder/scale_embeddings": np.array(0, "<i1")}
    direct = {"conv1": "conv1", "conv2": "conv2", "layer_norm": "layer_norm"}
    for name in [name for name in weights if name != "key_bias"]:
        array = weights[name].numpy().astype(dtype)
        module, _, part = name.rpartition(".")
        part = {"weight": "gamma", "bias": "beta"}[part] if "norm" in module else part
        if module in direct:
            arrays[f"encoder/{module}/{part}"] = array
        elif module == "embed_positions":
            arrays["encoder/position_encodings/encodings"] = array
        elif "self_attn." not in module or "out_proj" in module:
            _, layer, rest = module.split(".", 2)
            place = {"self_attn.out_proj": "self_attention/linear_1", "self_attn_layer_norm": "self_attention/layer_norm",
                     "fc1": "ffn/linear_0", "fc2": "ffn/linear_1", "final_layer_norm": "ffn/layer_norm"}[rest]  # fmt: skip
            arrays[f"encoder/layer_{layer}/{place}/{part}"] = array
    for layer in range(3):
        prefix = f"layers.{layer}.self_attn"
        zeros = torch.zeros(32)
        q, k, v = (weights[f"{prefix}.{p}_proj.weight"] for p in "qkv")
        arrays[f"encoder/layer_{layer}/self_attention/linear_0/weight"] = torch.cat([q, k, v]).numpy().astype(dtype)
        biases = [weights[f"{prefix}.q_proj.bias"], weights.get("key_bias", zeros), weights[f"{prefix}.v_proj.bias"]]
        arrays[f"encoder/layer_{layer}/self_attention/linear_0/bias"] = torch.cat(biases).numpy().astype(dtype)

    def text(value):
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    numbers = {"<f4": 0, "<i1": 1, "<i2": 2, "<f2": 4}
    content = struct.pack("<I", version) + text(kind) + struct.pack("<II", 3, len(arrays))
    for name, array in arrays.items():
        content += text(name) + struct.pack("<B", array.ndim) + struct.pack(f"<{array.ndim}I", *array.shape)
        stored = {"int16": "<i2", "int8": "<i1"}.get(array.dtype.name, dtype)
        content += struct.pack("<BI", numbers[stored], array.nbytes) + array.tobytes()
    content += struct.pack("<I", 0)
    return content[: len(content) - drop]


@pytest.fixture(scope="module")
def whisper():
    torch.manual_seed(3)
    weights = WhisperModel(WHISPER).encoder.state_dict()
    return {name: torch.randn(tensor.shape, generator=torch.Generator().manual_seed(len(name))).half().float() for name, tensor in weights.items()}


def test_a_ctranslate2_file_gives_every_weight_of_the_encoder(whisper, tmp_path):
    (tmp_path / "model.bin").write_bytes(ctranslate2(whisper))
    weights, heads = read_encoder_arrays(tmp_path / "model.bin")
    assert heads == 4
    assert weights.keys() == whisper.keys()
    assert all(torch.equal(weights[name], whisper[name]) for name in whisper)
    encoder = load_encoder(tmp_path)
    assert encoder.settings["encoder_layers"] == 3
    assert encoder.extractor.feature_size == 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"drop": 5000}, "cut short"),
        ({"version": 99}, "version 99"),
        ({"kind": "TransformerSpec"}, "TransformerSpec"),
        ({"dtype": "<i1"}, "quantised to int8"),
    ],
)
def test_another_ctranslate2_file_is_refused_by_what_is_wrong(whisper, tmp_path, changes, message):
    (tmp_path / "model.bin").write_bytes(ctranslate2(whisper, **changes))
    with pytest.raises(InputError, match=message):
        read_encoder_arrays(tmp_path / "model.bin")


def test_a_bias_of_the_keys_is_no_whisper_encoder(whisper, tmp_path):
    (tmp_path / "model.bin").write_bytes(ctranslate2(whisper | {"key_bias": torch.ones(32)}))
    with pytest.raises(InputError, match="bias of the keys"):
        read_encoder_arrays(tmp_path / "model.bin")


def test_a_folder_with_pickled_weights_alone_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "whisper"}))
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    for load in (load_encoder, load_language_model):
        with pytest.raises(InputError, match="can run code"):
            load(tmp_path)


def test_a_language_model_with_a_weight_missing_is_refused_by_its_name(tmp_path):
    from safetensors.torch import load_file, save_file

    write_language_model(tmp_path, "llama")
    weights = load_file(tmp_path / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"model\.layers\.1\.mlp\.up_proj\.weight"):
        load_language_model(tmp_path)


def test_a_package_that_is_absent_or_changed_is_named(monkeypatch, tmp_path):
    changed = tmp_path / "changed_model"
    changed.mkdir()
    (changed / "__init__.py").write_text("raise SystemExit('imported')")
    (changed / "model.bin").write_bytes(b"other")
    monkeypatch.syspath_prepend(tmp_path)
    package = halves.Package("changed-model==1", "changed_model", ".", "model.bin", "0" * 64)
    monkeypatch.setitem(halves.PACKAGES, "encoder", package)
    with pytest.raises(InputError, match="not the file of changed-model==1"):
        folder_of("encoder", "package")
    monkeypatch.setitem(halves.PACKAGES, "encoder", halves.Package("no-such-model==1", "no_such_model", ".", "model.bin", "0" * 64))
    with pytest.raises(InputError, match="no-such-model==1 is not installed"):
        folder_of("encoder", "package")


def heard(loaded, stimuli=40):
    """Outputs in which one direction tells speech."""
    generator = torch.Generator().manual_seed(5)
    outputs = torch.randn(stimuli, 6, 32, generator=generator)
    is_speech = np.arange(stimuli) % 2 == 0
    outputs[torch.from_numpy(is_speech), :, 0] += 4
    return EncodedStimuli(outputs.half(), is_speech)


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"rank": None}, "missing key rank"), ({"raank": 8}, "unknown key raank"), ({"origin": "trained"}, "unknown key origin")],
)
def test_settings_with_a_key_too_many_or_too_few_are_told_in_one_line(tmp_path, changes, told):
    settings = {"steps": 2, "batch_size": 2, "pool": 4, "learning_rate": 0.01, "rank": 0} | changes
    given = json.dumps({key: value for key, value in settings.items() if value is not None})
    files = [tmp_path / name for name in ("speech", "sounds", "projector.safetensors")]
    options = ["--history", tmp_path / "h.csv", "--encoder", tmp_path, "--language-model", tmp_path]
    done = call_program("train_projector", *files, *options, "--settings", given, "--window-ms", 1200, "--seed", 1, "--threads", 1, folder=tmp_path)
    assert done.returncode
    assert done.stderr == f"error: --settings: {told}; give steps, batch_size, pool, learning_rate, rank\n"


class Ended(Exception):
    pass


@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_only_the_projector_and_what_is_added_learn_and_an_interrupted_training_ends_the_same(tmp_path, monkeypatch, rank):
    write_whisper(tmp_path / "encoder")
    write_language_model(tmp_path / "language_model", "llama")
    settings = ProjectorSettings(steps=6, batch_size=8, pool=40, learning_rate=0.01, rank=rank)

    def learner():
        torch.manual_seed(6)
        return assemble(load_encoder(tmp_path / "encoder"), load_language_model(tmp_path / "language_model"))

    whole, fresh = learner(), learner()
    before = {name: tensor.clone() for name, tensor in fresh.model.state_dict().items()}
    learned, history = train_projector(whole, heard(whole), settings, 1, SavedState(tmp_path / "one", {}))
    assert len(history) == 6
    save_projector(tmp_path / "made.safetensors", learned, {"encoder": "e", "language_model": "l"})
    put_projector(fresh, tmp_path / "made.safetensors")
    after = fresh.model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    changed = {f"model.language_model.layers.{i}.self_attn.{layer}.weight" for i in range(3) for layer in ("q_proj", "v_proj")}
    assert moved == {"model.multi_modal_projector.linear.weight", "model.multi_modal_projector.linear.bias"} | (changed if rank else set())

    asked = Prompt("Is this speech?")
    sounds = [np.random.default_rng(i).standard_normal(8000).astype(np.float32) / 10 for i in range(3)]
    as_trained, as_put = score(whole, sounds, asked), score(fresh, sounds, asked)
    np.testing.assert_allclose(as_put.log_odds, as_trained.log_odds, atol=3e-6)  # the answers of untrained halves differ by 1e-5
    for name in moved & changed:
        layer = name.removesuffix(".weight")
        torch.testing.assert_close(
            after[name] - before[name], learned[f"{layer}.low_rank_out"] @ learned[f"{layer}.low_rank_in"], atol=3e-5, rtol=0.05
        )

    monkeypatch.setattr("earwitness.model.engine.optimisation.CHECKPOINT_INTERVAL_S", 0.0)
    state = SavedState(tmp_path / "two", {})
    saved = []

    def save_three(*args):
        SavedState.save(state, *args)
        saved.append(args)
        if len(saved) == 3:
            raise Ended

    interrupted = learner()
    monkeypatch.setattr(state, "save", save_three, raising=False)
    with pytest.raises(Ended):
        train_projector(interrupted, heard(interrupted), settings, 1, state)
    resumed = learner()
    resumed_learned, _ = train_projector(resumed, heard(resumed), settings, 1, SavedState(tmp_path / "two", {}))
    assert learned.keys() == resumed_learned.keys()
    for name, tensor in learned.items():
        assert torch.equal(tensor, resumed_learned[name])


def test_what_was_added_to_another_language_model_is_refused_by_the_layers_name(tmp_path, joined):
    loaded = joined[-1]
    weights = dict(loaded.projector.linear.state_dict())
    layer = "model.language_model.layers.0.self_attn.q_proj"
    weights |= {f"{layer}.low_rank_in": torch.ones(2, 24), f"{layer}.low_rank_out": torch.ones(23, 2)}
    save_projector(tmp_path / "other.safetensors", weights, {"encoder": "e", "language_model": "l"})
    with pytest.raises(InputError, match=r"layers\.0\.self_attn\.q_proj does not fit"):
        put_projector(loaded, tmp_path / "other.safetensors")


def test_a_projector_goes_only_between_the_halves_that_it_was_trained_between(tmp_path, joined):
    loaded = joined[-1]
    linear = loaded.model.model.multi_modal_projector.linear
    weights = {name: torch.full_like(tensor, 0.25) for name, tensor in linear.state_dict().items()}
    write_whisper(tmp_path / "encoder")
    write_language_model(tmp_path / "language_model", "llama")
    encoder, language_model = load_encoder(tmp_path / "encoder"), load_language_model(tmp_path / "language_model")
    save_projector(tmp_path / "right.safetensors", weights, {"encoder": encoder.sha256, "language_model": language_model.sha256, "seed": "1"})
    save_projector(tmp_path / "wrong.safetensors", weights, {"encoder": encoder.sha256, "language_model": "0" * 64})
    both = [tmp_path / "wrong.safetensors", tmp_path / "right.safetensors"]
    assert fitting_projector(both, encoder, language_model, 0) == both[1]
    with pytest.raises(InputError, match="projector: none of rank 0"):
        fitting_projector(both[:1], encoder, language_model, 0)
    put_projector(loaded, both[1])
    assert torch.equal(linear.weight, torch.full((24, 32), 0.25))
    layer = "model.language_model.layers.0.self_attn.q_proj"
    changing = weights | {f"{layer}.low_rank_in": torch.ones(3, 24), f"{layer}.low_rank_out": torch.ones(24, 3)}
    save_projector(tmp_path / "changing.safetensors", changing, provenance_of(both[1]))
    assert fitting_projector([*both, tmp_path / "changing.safetensors"], encoder, language_model, 3) == tmp_path / "changing.safetensors"
    with pytest.raises(InputError, match="none of rank 2"):
        fitting_projector([*both, tmp_path / "changing.safetensors"], encoder, language_model, 2)


def test_no_wording_of_the_projectors_training_can_be_spelled_by_a_prompt_search():
    grammar = Grammar(complete_config({})["prompt"]["question"])
    searched = {phrase.casefold() for phrases in PHRASES.values() for phrase in phrases}
    plain, negated = projector_questions.wordings(8)
    wordings = (*plain, *negated, *projector_questions.OPENINGS)
    assert len(set(wordings)) == len(wordings)
    assert not {wording.casefold() for wording in wordings} & searched
    assert all(set(few) < set(many) for few, many in zip(projector_questions.wordings(0), (plain, negated), strict=True))
    for question in (*plain, *negated):
        for opening in projector_questions.OPENINGS:
            assert grammar.parse(f"{opening} {question}".strip()) is None


@pytest.mark.parametrize("rank", [0, 8])
def test_every_format_order_and_place_is_taught_and_negation_turns_the_answer(joined, rank):
    loaded = joined[-1]
    groups = projector_questions.prompt_groups(loaded, rank)
    assert sum(group.share for group in groups) == pytest.approx(1)
    encode = loaded.processor.tokenizer.encode
    answers = {(prompt.speech, prompt.nonspeech) for group in groups for prompt in group.prompts}
    pairs = [("A", "B"), ("B", "A"), ("Yes", "No"), ("No", "Yes"), ("SPEECH", "NON-SPEECH")]
    assert answers == {tuple(tuple(encode(word, add_special_tokens=False)) for word in pair) for pair in pairs}


MADE_WITH = {0: {}, 8: {"rank": 8, "learning_rate": 0.0002}}
"""Rank -> config models.NAME.projector of the projectors that come with Earwitness, as docs/middle_size.md has it."""


@pytest.mark.parametrize("path", Models.of(Plan(complete_config({"models": {"base": {"origin": "assembled"}}}))).projectors("base"))
def test_the_projector_that_comes_with_earwitness_is_what_its_command_would_make(path):
    provenance, rank = provenance_of(halves.Path(path)), rank_of(halves.Path(path))
    config = complete_config({"models": {"base": {"origin": "assembled", "projector": MADE_WITH[rank]}}})
    assert provenance["questions"] == projector_questions.questions_digest(rank)
    settings = Models.of(Plan(config)).projector_training("base") | {"window_ms": config["stimuli"]["window_ms"], "seed": 20260101}
    assert {"rank": 0} | json.loads(provenance["settings"]) == settings
