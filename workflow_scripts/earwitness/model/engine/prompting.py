"""Prompts: what the model is asked, and which tokens count as which answer."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from jinja2 import TemplateError
from transformers import Qwen2AudioProcessor

from earwitness.core.errors import InputError
from earwitness.core.prompt_text import ANSWER_TEXTS, fill, template_fault


@dataclass(frozen=True)
class Prompt:
    """A question about a sound.

    answer_format: "letters" (A or B, scored in both orders), "words" (SPEECH or NON-SPEECH) or "yes_no".
    audio_position: whether the sound comes "before" or "after" the question. template: the words of the user's turn exactly as
    they are asked, but for {question}, {speech} and {nonspeech}, which the question and the texts of the two answers take the place
    of, in the question too; None: the question, and then how to answer.
    """

    question: str
    answer_format: str = "letters"
    audio_position: str = "before"
    template: str | None = None

    @property
    def prompt_id(self) -> str:
        """Ten hexadecimal digits that name this prompt."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:10]


@dataclass(frozen=True)
class TokenisedPrompt:
    """A prompt as token ids around the place of the audio embeddings, and the ids of both answers."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    speech: tuple[int, ...]
    nonspeech: tuple[int, ...]


def tokenise(processor: Qwen2AudioProcessor, prompt: Prompt) -> list[TokenisedPrompt]:
    """Render a prompt with the model's own chat template, once per option order.

    Letters have two orders (A means speech, then B means speech); the other formats have one.
    Raises InputError where question or template hold one of the tokenizer's special tokens, where the template cannot be
    asked, where an answer letter is not one token, or where one answer begins with the other, and as `around_the_sound`.
    """
    tokenizer = processor.tokenizer
    for name, text in (("question", prompt.question), ("template", prompt.template or "")):
        if special := [token for token in tokenizer.get_added_vocab() if token in text]:
            raise InputError(f"prompt.{name} holds the special token {special[0]}; take it out")
    if prompt.template is not None and (fault := template_fault(prompt.template, prompt.question, prompt.answer_format)):
        raise InputError(f"prompt.template: {fault}")
    if prompt.answer_format == "letters":
        orders = [{"SPEECH": "A", "NONSPEECH": "B"}, {"SPEECH": "B", "NONSPEECH": "A"}]
    else:
        orders = [ANSWER_TEXTS[prompt.answer_format]]
    return [_tokenise_order(processor, prompt, answers) for answers in orders]


def instruction(prompt: Prompt, answers: dict[str, str]) -> str:
    """The user's turn in words: the template filled, or the question and how to answer it."""
    if prompt.template is not None:
        return fill(prompt.template, prompt.question, answers)
    if prompt.answer_format == "letters":
        meaning = {answers["SPEECH"]: "speech", answers["NONSPEECH"]: "no speech"}
        return f"{prompt.question}\nA: {meaning['A']}\nB: {meaning['B']}\nAnswer A or B."
    return f"{prompt.question}\nAnswer {answers['SPEECH']} or {answers['NONSPEECH']}."


def around_the_sound(processor: Qwen2AudioProcessor, words: str, audio_position: str) -> tuple[str, str]:
    """What the model's own chat template writes before and after the sound, where the user's turn is a sound and these words.

    Raises InputError where there is no template, it is broken, or it has not one place for the sound.
    """
    content = [{"type": "audio", "audio_url": "stimulus"}, {"type": "text", "text": words}]
    if audio_position == "after":
        content.reverse()
    conversation: list[Any] = [{"role": "user", "content": content}]
    remedy = "copy the model's own chat template beside its weights"
    try:
        text = processor.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)
    except (TemplateError, ValueError, TypeError) as error:
        raise InputError(f"the chat template cannot be used ({' '.join(str(error).split())[:200]}); {remedy}") from error
    if (count := text.count(processor.audio_token)) != 1:
        raise InputError(f"the chat template has {count} places for the sound, not one; {remedy}")
    before, after = text.split(processor.audio_token)
    return before, after


def _tokenise_order(processor: Qwen2AudioProcessor, prompt: Prompt, answers: dict[str, str]) -> TokenisedPrompt:
    tokenizer = processor.tokenizer
    before, after = around_the_sound(processor, instruction(prompt, answers), prompt.audio_position)

    def encode(part: str) -> tuple[int, ...]:
        return tuple(tokenizer.encode(part, add_special_tokens=False))

    speech, nonspeech = encode(answers["SPEECH"]), encode(answers["NONSPEECH"])
    if prompt.answer_format == "letters" and (len(speech), len(nonspeech)) != (1, 1):
        raise InputError("this model's tokenizer has no single token for A or for B; use another prompt.answer_format")
    shared = min(len(speech), len(nonspeech))
    if speech[:shared] == nonspeech[:shared]:
        raise InputError("one answer begins with the other in this model's tokens; use another prompt.answer_format")
    return TokenisedPrompt(encode(before), encode(after), speech, nonspeech)
