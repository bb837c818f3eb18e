"""The engine on a small random model: exact features, exact scores, prompts, adapters."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft.tuners import lora
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, Qwen2AudioConfig, Qwen2AudioForConditionalGeneration
from transformers.cache_utils import DynamicLayer
from transformers.masking_utils import create_bidirectional_mask

from earwitness.core.errors import InputError
from earwitness.model.engine.adapters import attach_adapter, load_adapter
from earwitness.model.engine.features import AudioEmbeddings, encode_spectrograms, encode_waveforms
from earwitness.model.engine.generation import compare_with_scores, generate_answers
from earwitness.model.engine.key_value_cache import KeyValueCache, splice, texts_of
from earwitness.model.engine.loading import HEADROOM_BYTES, dequantise_what_fits, load_model
from earwitness.model.engine.losses import answer_loss, training_targets
from earwitness.model.engine.low_rank import Linear16
from earwitness.model.engine.prompting import Prompt, tokenise
from earwitness.model.engine.scoring import Scorer, score
from earwitness.model.families.qwen2_audio import Qwen2Audio
from earwitness.model.families.whisper import convolution_length, log_mel
from earwitness.model.identity import identified
from earwitness.model.tiny_base_questions import QUESTIONS

FORMATS = ("letters", "words", "yes_no")


@pytest.fixture
def loaded(folder):
    return load_model(identified(folder))


def noise(milliseconds, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(round(16 * milliseconds))).astype(np.float32)


def stock_features(loaded, mel, valid):
    """The library's own tower on the whole window, under its own key mask."""
    model = loaded.model
    tower = model.model.audio_tower
    positions = tower.config.max_source_positions
    mask = create_bidirectional_mask(
        config=tower.config,
        inputs_embeds=torch.zeros(1, positions, 1, dtype=mel.dtype),
        attention_mask=(torch.arange(positions) < valid)[None].long(),
    )
    return model.model.multi_modal_projector(tower(mel, attention_mask=mask).last_hidden_state)[:, : valid // 2]


def full_window_mel(loaded, waveform):
    extractor = loaded.processor.feature_extractor
    whole = extractor([waveform], sampling_rate=16_000, return_tensors="pt", return_attention_mask=True)
    return whole.input_features.double(), (int(whole.attention_mask.sum()) - 1) // 2 + 1


def library_log_probabilities(loaded, waveform, prompt, answer):
    """Log-probability of each token of an answer, from one plain forward pass of the library with its stock audio path."""
    ids = [*prompt.before, *[loaded.processor.audio_token_id] * loaded.n_tokens(len(waveform)), *prompt.after]
    whole = loaded.processor.feature_extractor([waveform], sampling_rate=16_000, return_tensors="pt", return_attention_mask=True)
    tokens = torch.tensor([[*ids, *answer]])
    with torch.no_grad():
        logits = loaded.model(
            input_ids=tokens,
            attention_mask=torch.ones_like(tokens),
            input_features=whole.input_features,
            feature_attention_mask=whole.attention_mask,
        ).logits.log_softmax(-1)
    return [logits[0, len(ids) - 1 + k, token].item() for k, token in enumerate(answer)]


@pytest.mark.parametrize("frames", [range(2, 101), range(101, 201), range(395, 401)])
def test_features_of_the_first_frames_equal_the_whole_window(loaded, frames):
    """Every number of mel frames, even and odd, from 20 ms to 2 s, and the longest."""
    loaded.model.double()
    with torch.no_grad():
        for milliseconds in (10 * count - 1 for count in frames):
            mel, valid = full_window_mel(loaded, noise(milliseconds))
            assert valid == convolution_length(16 * milliseconds)
            features = encode_spectrograms(loaded, mel[:, :, : 2 * valid + 2], [valid]).vectors
            assert features.shape[1] == loaded.n_tokens(16 * milliseconds)
            torch.testing.assert_close(features, stock_features(loaded, mel, valid), rtol=0, atol=1e-12)


@pytest.mark.parametrize("milliseconds", [40, 200, 500, 510])
def test_one_frame_less_or_zero_filling_is_not_exact(loaded, milliseconds):
    """Negative controls: the test above could not tell a wrong cut otherwise."""
    loaded.model.double()
    mel, valid = full_window_mel(loaded, noise(milliseconds))
    exact = stock_features(loaded, mel, valid)
    short = encode_spectrograms(loaded, mel[:, :, : 2 * valid], [valid]).vectors
    frames = -(-round(16 * milliseconds) // 160)
    zeros = torch.cat([mel[:, :, :frames], torch.zeros_like(mel[:, :, : 2 * valid + 2 - frames])], dim=2)
    filled = encode_spectrograms(loaded, zeros, [valid]).vectors
    assert (short - exact).abs().max() > 1e-3
    assert (filled - exact).abs().max() > 1e-3


def test_the_short_buffer_gives_the_same_log_mel(loaded):
    for milliseconds in (20, 33, 200, 999, 1000, 4000):
        short, lengths = log_mel(loaded.processor.feature_extractor, [noise(milliseconds)])
        whole, _ = full_window_mel(loaded, noise(milliseconds))
        assert short.shape[2] == min(2 * lengths[0] + 2, 400)
        torch.testing.assert_close(short.double(), whole[:, :, : short.shape[2]], rtol=0, atol=2e-5)


@settings(max_examples=15)
@given(milliseconds=st.lists(st.integers(20, 2000), min_size=2, max_size=5))
def test_a_stimulus_scores_the_same_alone_and_in_any_batch(folder, milliseconds):
    loaded = load_model(identified(folder))
    waveforms = [noise(length, seed) for seed, length in enumerate(milliseconds)]
    together = score(loaded, waveforms, Prompt(QUESTIONS[0], "words"))
    alone = [score(loaded, [waveform], Prompt(QUESTIONS[0], "words")) for waveform in waveforms]
    np.testing.assert_allclose(together.log_odds, np.concatenate([one.log_odds for one in alone]), atol=2e-4)
    assert together.n_audio_tokens.tolist() == [loaded.n_tokens(len(waveform)) for waveform in waveforms]


def test_audio_tokens_are_25_a_second_and_none_at_20_ms(loaded):
    assert [loaded.n_tokens(16 * ms) for ms in (10, 20, 21, 60, 61, 100, 200, 500, 1000, 30_000)] == [0, 0, 1, 1, 2, 2, 5, 12, 25, 750]


@pytest.mark.parametrize("answer_format", FORMATS)
@pytest.mark.parametrize("position", ["before", "after"])
def test_scores_equal_the_library_on_the_whole_text(loaded, answer_format, position):
    prompt, waveform = Prompt(QUESTIONS[1], answer_format, position), noise(400)
    expected = []
    for order in tokenise(loaded, prompt):
        log_p = [sum(library_log_probabilities(loaded, waveform, order, answer)) for answer in (order.speech, order.nonspeech)]
        expected.append(log_p)
    expected = np.array(expected)
    scores = score(loaded, [waveform], prompt)
    assert scores.log_odds[0] == pytest.approx((expected[:, 0] - expected[:, 1]).mean(), abs=1e-4)
    assert scores.coverage[0] == pytest.approx(np.exp(expected).sum(1).mean(), rel=1e-4)


@pytest.mark.parametrize("answer_format", FORMATS)
def test_constrained_generation_answers_what_the_scores_say(loaded, answer_format):
    waveforms = [noise(duration, seed) for seed, duration in enumerate((20, 40, 60, 61, 200, 1000, 1500))]
    for question in QUESTIONS[:4]:
        table = compare_with_scores(
            loaded, [encode_waveforms(loaded, waveforms[:3]), encode_waveforms(loaded, waveforms[3:])], Prompt(question, answer_format)
        )
        assert len(table) == (2 if answer_format == "letters" else 1)
        assert table.n_stimuli.eq(7).all()
        # A word is generated token by token, and its first token need not belong to the more probable word.
        assert answer_format != "letters" or table.agreement.eq(1).all()


def test_generated_words_follow_their_first_different_token(loaded):
    waveforms = [noise(300, seed) for seed in range(6)]
    [order] = tokenise(loaded, Prompt(QUESTIONS[0], "words"))
    for waveform in waveforms:
        first = [library_log_probabilities(loaded, waveform, order, answer)[0] for answer in (order.speech, order.nonspeech)]
        assert generate_answers(loaded, encode_waveforms(loaded, [waveform]), order) == ["SPEECH" if first[0] > first[1] else "NONSPEECH"]


def test_the_letter_bias_is_half_the_difference_of_the_option_orders(loaded):
    waveform, prompt = noise(400), Prompt(QUESTIONS[2])
    odds = []
    for order in tokenise(loaded, prompt):
        speech, nonspeech = (sum(library_log_probabilities(loaded, waveform, order, answer)) for answer in (order.speech, order.nonspeech))
        odds.append(speech - nonspeech)
    scores = score(loaded, [waveform], prompt)
    assert scores.letter_bias[0] == pytest.approx((odds[0] - odds[1]) / 2, abs=1e-4)
    assert np.isnan(score(loaded, [waveform], Prompt(QUESTIONS[2], "words")).letter_bias).all()


def test_a_sweep_scores_every_prompt_as_alone_and_hears_each_sound_once(loaded, monkeypatch):
    prompts = [Prompt(question, name, place) for question in QUESTIONS[:3] for name in FORMATS for place in ("before", "after")]
    waveforms = [noise(length, seed) for seed, length in enumerate((20, 40, 333, 1000))]
    alone = [score(loaded, waveforms, prompt) for prompt in prompts]

    tokens_read = []
    layer = loaded.model.model.language_model.layers[0]
    forward = layer.forward

    def counting(hidden, *arguments, **options):
        tokens_read.append(hidden[..., 0].numel())
        return forward(hidden, *arguments, **options)

    monkeypatch.setattr(layer, "forward", counting)
    orders = [tokenise(loaded, prompt) for prompt in prompts]
    together = Scorer(loaded, orders)(encode_waveforms(loaded, waveforms))
    for one, other in zip(together, alone, strict=True):
        for name in ("log_odds", "coverage", "letter_bias"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=2e-4)
    separately = sum(len(order.before) + len(order.after) + 25 for prompt in orders for order in prompt) * len(waveforms)
    assert sum(tokens_read) < 0.6 * separately


@pytest.mark.parametrize("answer_format", FORMATS)
def test_any_text_can_be_asked_and_reads_back(loaded, answer_format):
    question = 'Braces {x}, "quotes",\nnewline, emoji 🎧, 日本語, עברית'
    for order in tokenise(loaded, Prompt(question, answer_format)):
        assert question in loaded.processor.tokenizer.decode(order.after)
    assert np.isfinite(score(loaded, [noise(200)], Prompt(question, answer_format)).log_odds).all()


PUBLISHED_QUESTIONS = (
    "Does this audio contain human speech?\nReply with ONLY one word: SPEECH or NON-SPEECH.",
    "Based on the audio file, is it SPEECH or NON-SPEECH?",
)


def ids_of_chat(processor, text):
    """What the processor itself makes of one turn with a sound and a text."""
    content = [{"type": "audio", "audio_url": "stimulus"}, {"type": "text", "text": text}]
    chat = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False)
    return processor.tokenizer(chat, add_special_tokens=False).input_ids


@pytest.mark.parametrize("text", PUBLISHED_QUESTIONS)
def test_a_published_question_is_asked_as_it_stands_with_nothing_added(loaded, text):
    processor = loaded.processor
    for prompt in (Prompt(text, "words", template="{question}"), Prompt("Any?", "words", template=text)):
        [order] = tokenise(loaded, prompt)
        assert [*order.before, processor.audio_token_id, *order.after] == ids_of_chat(processor, text)
    assert [*order.before, processor.audio_token_id, *order.after] != ids_of_chat(processor, text + "\nAnswer SPEECH or NON-SPEECH.")
    assert [processor.tokenizer.decode(answer) for answer in (order.speech, order.nonspeech)] == ["SPEECH", "NON-SPEECH"]


def test_a_template_puts_question_and_answers_in_their_places_and_leaves_other_braces(loaded):
    prompt = Prompt("Is it {nonspeech}?", "yes_no", template="Q: {question} {speech}/{nonspeech} {0} {}")
    [order] = tokenise(loaded, prompt)
    assert [*order.before, loaded.processor.audio_token_id, *order.after] == ids_of_chat(loaded.processor, "Q: Is it No? Yes/No {0} {}")
    first, second = tokenise(loaded, Prompt("?", template="{question} {speech} = speech, {nonspeech} = none"))
    for order, text in ((first, "? A = speech, B = none"), (second, "? B = speech, A = none")):
        assert [*order.before, loaded.processor.audio_token_id, *order.after] == ids_of_chat(loaded.processor, text)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (Prompt("Is it speech?", template="{question}"), "which letter means what"),
        (Prompt("Is it speech?", "words", template="{questoin}"), "{questoin} stands for nothing"),
        (Prompt("Is it speech?", "words", template="{question}<|AUDIO|>"), "prompt.template holds the special token"),
    ],
)
def test_a_template_that_cannot_be_asked_is_refused(loaded, prompt, words):
    with pytest.raises(InputError, match=re.escape(words)):
        tokenise(loaded, prompt)


def test_words_of_several_tokens_are_scored_whole(loaded):
    """NON-SPEECH and SPEECH differ in their first tokens already, but a score of those alone would be another number."""
    prompt, waveform = Prompt(PUBLISHED_QUESTIONS[1], "words", template="{question}"), noise(400)
    [order] = tokenise(loaded, prompt)
    assert len(order.nonspeech) > 1
    each = [library_log_probabilities(loaded, waveform, order, answer) for answer in (order.speech, order.nonspeech)]
    found = score(loaded, [waveform], prompt).log_odds[0]
    assert found == pytest.approx(sum(each[0]) - sum(each[1]), abs=1e-4)
    assert abs(found - (each[0][0] - each[1][0])) > 1e-3


def test_reading_on_copies_nothing_that_was_read_and_a_forgotten_branch_leaves_no_trace(loaded):
    start = KeyValueCache(loaded, [5, 6, 7])
    roomy, library = start.repeated(3, room=9), start.repeated(3, room=0)
    library._cache.layers = [DynamicLayer() for _ in library._cache.layers]
    for mine, theirs in zip(start._cache.layers, library._cache.layers, strict=True):
        theirs.update(mine.keys.expand(3, -1, -1, -1), mine.values.expand(3, -1, -1, -1))
    places = [layer.keys.data_ptr() for layer in roomy._cache.layers]
    with torch.inference_mode():
        read = {}
        for cache in (roomy, library):
            with cache.branch():
                cache.read([8, 9, 10, 11, 12])
            cache.read([13, 14])
            read[cache] = cache.read([15, 16, 17, 18, 19, 20, 21])
    torch.testing.assert_close(read[roomy], read[library], rtol=0, atol=0)
    assert [layer.keys.data_ptr() for layer in roomy._cache.layers] == places
    with pytest.raises(RuntimeError):
        roomy.read([22])


def test_both_option_orders_are_asked_and_the_letters_swap(loaded):
    first, second = tokenise(loaded, Prompt(QUESTIONS[0]))
    assert (first.speech, first.nonspeech) == (second.nonspeech, second.speech)
    assert first.after != second.after


def test_a_special_token_in_the_question_is_refused(loaded):
    with pytest.raises(InputError, match=r"special token <\|AUDIO\|>"):
        tokenise(loaded, Prompt("What is <|AUDIO|>?"))


def test_numbers_that_grow_too_large_on_the_way_are_no_answer(loaded):
    loaded.head.weight.copy_(3e38 * loaded.head.weight.sign())
    assert all(weight.isfinite().all() for weight in loaded.model.parameters())
    with pytest.raises(InputError, match=r"the model answers with NaN"):
        score(loaded, [noise(400)], Prompt(QUESTIONS[0]))


def loss_of(loaded, audio, prompts, answers, on="answer", focal_gamma=0.0):
    return answer_loss(loaded, audio, training_targets(loaded, audio.n_tokens, prompts, answers, on), focal_gamma)


@pytest.mark.parametrize("answer_format", FORMATS)
def test_the_loss_is_the_cross_entropy_of_the_answer_alone(loaded, answer_format):
    prompt = Prompt(QUESTIONS[0], answer_format)
    waveforms = [noise(200), noise(700, 1)]
    orders = [tokenise(loaded, prompt)[0]] * 2
    mel, lengths = log_mel(loaded.processor.feature_extractor, waveforms)
    with torch.no_grad():
        result = loss_of(loaded, encode_spectrograms(loaded, mel, lengths), orders, [orders[0].speech, orders[1].nonspeech])
    log_p = []
    for waveform, answer in zip(waveforms, (orders[0].speech, orders[1].nonspeech), strict=True):
        log_p += library_log_probabilities(loaded, waveform, orders[0], answer)
    assert result.loss.item() == pytest.approx(-np.mean(log_p), abs=1e-4)


def test_the_loss_on_text_counts_every_token_of_text(loaded):
    waveform, prompt = noise(300), tokenise(loaded, Prompt(QUESTIONS[0]))[0]
    audio = encode_waveforms(loaded, [waveform])
    with torch.no_grad():
        result = loss_of(loaded, audio, [prompt], [prompt.speech], on="text")
        embeddings, _, mask = splice(loaded, audio, texts_of(loaded, [prompt]))
        logits = loaded.model(inputs_embeds=embeddings, attention_mask=mask).logits[0].log_softmax(-1)
    sounds = audio.n_tokens[0]
    targets = [*prompt.before[1:], *[None] * sounds, *prompt.after, *prompt.speech]
    expected = [-logits[place, token].item() for place, token in enumerate(targets) if token is not None]
    assert len(expected) == len(prompt.before) + len(prompt.after)
    assert result.loss.item() == pytest.approx(np.mean(expected), abs=1e-4)


def test_focal_loss_weighs_down_what_is_already_probable(loaded):
    orders = [tokenise(loaded, Prompt(QUESTIONS[0]))[0]] * 3
    answers = [orders[0].speech, orders[0].nonspeech, orders[0].speech]
    audio = encode_waveforms(loaded, [noise(200, seed) for seed in range(3)])
    with torch.no_grad():
        single = []
        for i, answer in enumerate(answers):
            one = AudioEmbeddings(audio.vectors[i : i + 1], audio.n_tokens[i : i + 1])
            single.append(loss_of(loaded, one, orders[:1], [answer]).loss.item())
        focal = loss_of(loaded, audio, orders, answers, focal_gamma=2.0).loss.item()
    assert focal == pytest.approx(np.mean([(1 - np.exp(-loss)) ** 2 * loss for loss in single]), rel=1e-4)


@pytest.mark.parametrize(
    ("scope", "with_mlp", "modules", "parameters"),
    [
        ("published", False, 224, 20_709_376),
        ("published", True, 320, 43_909_120),
        ("language_model", False, 128, 16_777_216),
        ("language_model", True, 224, 39_976_960),
    ],
)
def test_the_scopes_have_their_number_of_parameters_at_full_size(scope, with_mlp, modules, parameters):
    """Without weights. The published study's list targets reach the audio tower's q, k and v too."""
    config = Qwen2AudioConfig(
        text_config={
            "model_type": "qwen2",
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
            "vocab_size": 156032,
        }
    )
    targets = ["q_proj", "k_proj", "v_proj", "o_proj"] + ["gate_proj", "up_proj", "down_proj"] * with_mlp
    with torch.device("meta"):
        model = Qwen2AudioForConditionalGeneration(config)
        model.requires_grad_(False)
        wrapped = attach_adapter(Qwen2Audio(model, None, ""), targets, scope, rank=16, alpha=32, dropout=0.05)
    adapted = [name for name, module in wrapped.named_modules() if hasattr(module, "lora_A")]
    assert len(adapted) == modules
    assert any("audio_tower" in name for name in adapted) == (scope == "published")
    assert sum(parameter.numel() for parameter in wrapped.parameters() if parameter.requires_grad) == parameters


def test_modules_that_do_not_exist_are_refused(loaded):
    with pytest.raises(InputError, match="no such modules"):
        attach_adapter(loaded, ["w_proj"], "language_model", rank=4, alpha=8, dropout=0.0)


def test_an_adapter_reloads_to_the_same_scores_and_only_on_its_base(folder, tmp_path):
    torch.manual_seed(3)
    targets = ["v_proj", "o_proj", "q_proj", "k_proj"]
    wrapped = attach_adapter(load_model(identified(folder)), targets, "published", rank=4, alpha=8, dropout=0.0)
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    wrapped.save_pretrained(str(tmp_path / "adapter"))
    waveforms, prompt = [noise(300), noise(900, 1)], Prompt(QUESTIONS[0])
    processor = load_model(identified(folder)).processor
    trained = score(Qwen2Audio(wrapped.eval().get_base_model(), processor, ""), waveforms, prompt).log_odds
    loaded = score(load_adapter(load_model(identified(folder)), tmp_path / "adapter"), waveforms, prompt).log_odds
    plain = score(load_model(identified(folder)), waveforms, prompt).log_odds
    np.testing.assert_array_equal(loaded, trained)
    assert np.abs(plain - trained).max() > 1e-3

    weights = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    renamed = {name.replace("model.language_model.layers", "language_model.model.layers"): tensor for name, tensor in weights.items()}
    shutil.copytree(tmp_path / "adapter", tmp_path / "older")
    save_file(renamed, tmp_path / "older" / "adapter_model.safetensors")
    with pytest.raises(InputError, match="another module tree"):
        load_adapter(load_model(identified(folder)), tmp_path / "older")

    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["target_modules"] == sorted(targets), "the same bytes in every process"
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps({**config, "r": 8}))
    with pytest.raises(InputError, match="or use the base that this adapter was trained on"):
        load_adapter(load_model(identified(folder)), tmp_path / "adapter")


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_beside_weights_in_16_bits_an_adapter_computes_as_the_librarys_own_but_for_rounding(loaded, dropout):
    """Values and gradients; in float32 the layer is the library's own."""
    targets = ["q_proj", "o_proj"]
    wrapped = attach_adapter(loaded, targets, "language_model", rank=4, alpha=12, dropout=dropout)
    assert {type(module) for module in wrapped.modules() if hasattr(module, "lora_A")} == {lora.Linear}
    wrapped.unload()
    loaded.model.bfloat16()
    wrapped = attach_adapter(loaded, targets, "language_model", rank=4, alpha=12, dropout=dropout).train()
    layers = [module for module in wrapped.modules() if hasattr(module, "lora_A")]
    assert {type(module) for module in layers} == {Linear16}
    layer = layers[0]
    torch.manual_seed(1)
    torch.nn.init.normal_(layer.lora_B["default"].weight)
    x = torch.randn(2, 30, layer.in_features).bfloat16()
    found = {}
    for kind in (Linear16, lora.Linear):
        layer.__class__ = kind
        torch.manual_seed(2)
        given = x.clone().requires_grad_()
        result = layer(given)
        trained = [layer.lora_A["default"].weight, layer.lora_B["default"].weight]
        found[kind] = [result, *torch.autograd.grad(result.float().square().mean(), [given, *trained])]
        assert [tensor.dtype for tensor in found[kind]] == [torch.bfloat16, torch.bfloat16, torch.float32, torch.float32]
    for ours, theirs in zip(found[Linear16], found[lora.Linear], strict=True):
        assert (ours - theirs).abs().max() < 0.02 * theirs.abs().max()


def test_silence_is_answered_like_any_sound(loaded):
    scores = score(loaded, [np.zeros(3200, np.float32), np.zeros(320, np.float32)], Prompt(QUESTIONS[0]))
    assert np.isfinite(scores.log_odds).all()
    assert scores.n_audio_tokens.tolist() == [5, 0]


def test_unusable_stimuli_are_refused(loaded):
    extractor = loaded.processor.feature_extractor
    for waveform, message in (
        (noise(4001), "longer than the model's 4 s"),
        (noise(0), "no samples"),
        (np.full(800, np.nan, np.float32), "not finite"),
    ):
        with pytest.raises(InputError, match=message):
            log_mel(extractor, [waveform])


def test_nf4_leaves_the_tower_and_the_head_alone(folder):
    model = load_model(identified(folder), "nf4", torch.device("cpu")).model
    kinds = {name: type(module).__name__ for name, module in model.named_modules()}
    quantised = [name for name, kind in kinds.items() if kind == "Linear4bit"]
    assert quantised
    assert not [name for name in quantised if name.startswith(tuple(Qwen2Audio.unquantised()))]
    assert all(name.startswith("model.language_model.layers") for name in quantised)


def test_the_checkpoint_has_the_layout_of_the_library(folder):
    assert AutoConfig.from_pretrained(folder).model_type == "qwen2_audio"
    assert Qwen2AudioForConditionalGeneration.from_pretrained(folder).num_parameters() < 600_000


@pytest.mark.usefixtures("any_width_in_4_bits")
@pytest.mark.parametrize("layers", [0, 3, 14])
def test_weights_are_unpacked_as_far_as_memory_goes_and_stand_for_the_same(folder, layers):
    """The language model has two blocks of seven linear layers each."""
    packed, unpacked = (load_model(identified(folder), "nf4", torch.device("cpu")) for _ in range(2))
    room = iter([HEADROOM_BYTES + 10**9] * layers + [HEADROOM_BYTES])
    dequantise_what_fits(unpacked.model, lambda: next(room))
    kinds = [type(module).__name__ for module in unpacked.language_model.modules() if isinstance(module, torch.nn.Linear)]
    assert kinds == ["Linear"] * layers + ["Linear4bit"] * (14 - layers)
    before, after = (score(loaded, [noise(300), noise(900, 1)], Prompt(QUESTIONS[0])).log_odds for loaded in (packed, unpacked))
    np.testing.assert_allclose(after, before, atol=1e-4)
    assert not [name for name, parameter in unpacked.model.named_parameters() if parameter.requires_grad]
