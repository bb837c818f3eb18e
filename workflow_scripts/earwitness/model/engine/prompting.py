"""Prompts: what the model is asked, and which tokens count as which answer."""

import hashlib
import json
from dataclasses import asdict, dataclass

from earwitness.core.errors import InputError
from earwitness.core.prompt_text import ANSWER_TEXTS, fill, template_fault
from earwitness.model.families.loaded_model import LoadedModel


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


def tokenise(loaded: LoadedModel, prompt: Prompt) -> list[TokenisedPrompt]:
    """Render a prompt with the model's own chat template, once per option order.

    Letters have two orders (A means speech, then B means speech); the other formats have one.
    Raises InputError where question or template hold one of the tokenizer's special tokens, where the template cannot be
    asked, where an answer letter is not one token, or where one answer begins with the other, and as the model's `ids_around` does.
    """
    tokenizer = loaded.processor.tokenizer
    for name, text in (("question", prompt.question), ("template", prompt.template or "")):
        if special := [token for token in tokenizer.get_added_vocab() if token in text]:
            raise InputError(f"prompt.{name} holds the special token {special[0]}; take it out")
    if prompt.template is not None and (fault := template_fault(prompt.template, prompt.question, prompt.answer_format)):
        raise InputError(f"prompt.template: {fault}")
    if prompt.answer_format == "letters":
        orders = [{"SPEECH": "A", "NONSPEECH": "B"}, {"SPEECH": "B", "NONSPEECH": "A"}]
    else:
        orders = [ANSWER_TEXTS[prompt.answer_format]]
    return [_tokenise_order(loaded, prompt, answers) for answers in orders]


def instruction(prompt: Prompt, answers: dict[str, str]) -> str:
    """The user's turn in words: the template filled, or the question and how to answer it."""
    if prompt.template is not None:
        return fill(prompt.template, prompt.question, answers)
    if prompt.answer_format == "letters":
        meaning = {answers["SPEECH"]: "speech", answers["NONSPEECH"]: "no speech"}
        return f"{prompt.question}\nA: {meaning['A']}\nB: {meaning['B']}\nAnswer A or B."
    return f"{prompt.question}\nAnswer {answers['SPEECH']} or {answers['NONSPEECH']}."


def _tokenise_order(loaded: LoadedModel, prompt: Prompt, answers: dict[str, str]) -> TokenisedPrompt:
    before, after = loaded.ids_around(instruction(prompt, answers), prompt.audio_position)
    speech, nonspeech = loaded.text_ids(answers["SPEECH"]), loaded.text_ids(answers["NONSPEECH"])
    if prompt.answer_format == "letters" and (len(speech), len(nonspeech)) != (1, 1):
        raise InputError("this model's tokenizer has no single token for A or for B; use another prompt.answer_format")
    shared = min(len(speech), len(nonspeech))
    if speech[:shared] == nonspeech[:shared]:
        raise InputError("one answer begins with the other in this model's tokens; use another prompt.answer_format")
    return TokenisedPrompt(before, after, speech, nonspeech)
