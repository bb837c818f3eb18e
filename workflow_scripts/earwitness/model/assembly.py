"""A base made of two halves: a Whisper-class encoder and a causal language model in one Qwen2-Audio model, with a projector between.

Both halves stay what they are. New are the projector, and the audio token, whose embedding nobody reads: the engine puts the
sound in its place.
"""

from typing import Any, cast

import torch
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerBase,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
)

from earwitness.core.errors import InputError
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.families.qwen2_audio import Qwen2Audio
from earwitness.model.halves import Encoder, LanguageModel

AUDIO_TOKEN = "<|AUDIO|>"

_PLACEHOLDER = """\
{%- set written = namespace(messages=[]) -%}
{%- for message in messages -%}
{%- set turn = namespace(text='') -%}
{%- if message['content'] is string -%}
{%- set turn.text = message['content'] -%}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'audio' -%}{%- set turn.text = turn.text + 'AUDIO_TOKEN\\n' -%}
{%- else -%}{%- set turn.text = turn.text + part['text'] -%}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- set written.messages = written.messages + [{'role': message['role'], 'content': turn.text}] -%}
{%- endfor -%}
{%- set messages = written.messages -%}
""".replace("AUDIO_TOKEN", AUDIO_TOKEN)
"""What stands before a language model's own chat template: every turn becomes text, with the audio token and a new line for a sound."""


def assemble(encoder: Encoder, language_model: LanguageModel) -> LoadedModel:
    """Join two halves; the projector (encoder's width -> language model's) is drawn from torch's current random state.

    The language model's module is taken over, not copied. Returns the model in evaluation mode, frozen, float32.
    Raises InputError where a weight of the encoder is missing, has another size, or has no place.
    """
    processor = _processor(encoder, language_model.tokenizer)
    causal = cast(Any, language_model.model)
    _add_tokens(causal, len(processor.tokenizer))
    text_config = causal.config.to_dict() | {"tie_word_embeddings": False}
    text_config.pop("quantization_config", None)
    config = Qwen2AudioConfig(
        audio_config={"model_type": "qwen2_audio_encoder"} | encoder.settings,
        text_config=text_config,
        audio_token_index=processor.audio_token_id,
    )
    with torch.device("meta"):
        model = Qwen2AudioForConditionalGeneration(config)
    try:
        found = model.model.audio_tower.load_state_dict(encoder.weights, strict=False, assign=True)
    except RuntimeError as error:
        raise InputError("models.NAME.encoder: its weights are not of the sizes in its config.json; fetch or copy the model's files again") from error
    if strays := [*found.missing_keys, *found.unexpected_keys]:
        raise InputError(f"models.NAME.encoder: {strays[0]} (and {len(strays) - 1} more weights) did not fit; name a Whisper model")
    model.model.language_model = causal.get_decoder()
    head = torch.nn.Linear(causal.config.hidden_size, len(causal.get_input_embeddings().weight), bias=False, device="meta")
    head.weight = torch.nn.Parameter(causal.get_output_embeddings().weight.detach().clone())
    model.lm_head = head
    model.model.multi_modal_projector.to_empty(device="cpu")
    torch.nn.init.normal_(model.model.multi_modal_projector.linear.weight, std=0.01)
    torch.nn.init.zeros_(model.model.multi_modal_projector.linear.bias)
    tokenizer = processor.tokenizer
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    model.requires_grad_(False)
    return Qwen2Audio(model.eval(), processor, base_sha256="")


def _processor(encoder: Encoder, tokenizer: PreTrainedTokenizerBase) -> Qwen2AudioProcessor:
    tokenizer.add_special_tokens({"additional_special_tokens": [AUDIO_TOKEN]}, replace_extra_special_tokens=False)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    template = _PLACEHOLDER + str(tokenizer.chat_template)
    return Qwen2AudioProcessor(encoder.extractor, tokenizer, chat_template=template)


@torch.no_grad()
def _add_tokens(causal: Any, tokens: int) -> None:
    """Room for `tokens` tokens; the embeddings of new ones are the mean of all others, so that none is ever the most probable."""
    old = len(causal.get_input_embeddings().weight)
    if tokens <= old:
        return
    causal.resize_token_embeddings(tokens, mean_resizing=False)
    for table in {id(module): module for module in (causal.get_input_embeddings(), causal.get_output_embeddings())}.values():
        table.weight[old:] = table.weight[:old].mean(0)
