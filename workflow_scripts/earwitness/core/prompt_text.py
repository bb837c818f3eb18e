"""What a template of the user's turn may hold, and what it says of the answers."""

import re
from collections.abc import Mapping

QUESTION = "{question}"
ANSWER_PLACES = {"SPEECH": "{speech}", "NONSPEECH": "{nonspeech}"}
"""Class -> what stands for the text of its answer."""

ANSWER_TEXTS = {"words": {"SPEECH": "SPEECH", "NONSPEECH": "NON-SPEECH"}, "yes_no": {"SPEECH": "Yes", "NONSPEECH": "No"}}
"""Answer format -> the text of each answer; letters have both orders of A and B."""

_PLACE = re.compile(r"\{[a-z_]+\}")


def fill(template: str, question: str, answers: Mapping[str, str]) -> str:
    """The template with the question, and then the answers' texts, in their places; nothing else is changed or added."""
    text = template.replace(QUESTION, question)
    for label, place in ANSWER_PLACES.items():
        text = text.replace(place, answers[label])
    return text


def template_fault(template: str, question: str, answer_format: str) -> str | None:
    """Why a template cannot be asked; None where it can."""
    known = (QUESTION, *ANSWER_PLACES.values())
    if unknown := [place for place in _PLACE.findall(template) if place not in known]:
        return f"{unknown[0]} stands for nothing; use {', '.join(known)}"
    filled = template.replace(QUESTION, question)
    if answer_format == "letters" and not all(place in filled for place in ANSWER_PLACES.values()):
        return "the answers are letters, and it does not say which letter means what; put {speech} and {nonspeech} into it"
    return None


def answers_to_name(template: str | None, answer_format: str) -> tuple[str, ...]:
    """The two answers' texts that a question must name itself, since nothing around it does; none where something does.

    A yes or no answers any question that it fits, so none needs to be named.
    """
    if template is None or answer_format == "yes_no":
        return ()
    texts = ANSWER_TEXTS.get(answer_format, ANSWER_PLACES)
    names = (texts["SPEECH"], texts["NONSPEECH"])
    around = fill(template.replace(QUESTION, ""), "", ANSWER_TEXTS[answer_format]) if answer_format in ANSWER_TEXTS else template
    return () if names_all(around, names) else names


def names_all(text: str, answers: tuple[str, ...]) -> bool:
    """Whether a text holds every answer as a word of its own: NON-SPEECH does not name SPEECH."""
    return all(re.search(rf"(?<![\w-]){re.escape(answer)}(?![\w-])", text) for answer in answers)
