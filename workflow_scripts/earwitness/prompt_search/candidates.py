"""Which texts may be asked as a question, and when two are the same."""

import re
import unicodedata
from collections.abc import Collection

from earwitness.core.prompt_text import names_all

TAGS = ("<INS>", "</INS>")
"""What a language model must write its question between (earwitness.prompt_search.opro)."""

_ANSWER = r"[\"'“”‘’*(\[]*(?P<answer>non-?speech|no speech|speech|yes|no|[AB](?![\w'’]))"
_FILLER = r"(?:with|only|always|just|simply|the|a|word|letter|option|is|that it is|it is|that|must be|should be|will be|:|=)"
_TOLD = re.compile(
    rf"\b(?:answer(?:ing)?|reply|respond|response|say|choose|select|pick|output|return|write|always|option|correct)\b[\s:=]*(?:{_FILLER}[\s:=]+)*{_ANSWER}",
    re.IGNORECASE,
)
_ASSERTED = re.compile(
    r"^(?:the |this |that |these |those |every |each |all )?(?:sounds?|clips?|recordings?|audio|it|these|those|you (?:will |can )?hear)\b"
    r"\s*(?:is|are|has|have|contains?|does not contain|is not|never|always|a|any|only|human|not|no|someone|somebody|\s)*"
    r"\s*(?:speech|non-?speech|a voice|speaking|talking)\b",
    re.IGNORECASE,
)
_OPEN = re.compile(r"\b(?:if|when|whenever|whether|or|otherwise|unless|may|might|could|can be|either)\b", re.IGNORECASE)
_OTHERS = {
    "a": re.compile(r"\bB\b"),
    "b": re.compile(r"\bA\b(?! (?:voice|person|sound|clip))"),
    "yes": re.compile(r"\bno\b", re.IGNORECASE),
    "no": re.compile(r"\byes\b", re.IGNORECASE),
    "speech": re.compile(r"\bno(?:n-?| )speech\b", re.IGNORECASE),
    "nonspeech": re.compile(r"(?<!non)(?<!non-)(?<!no )\bspeech\b", re.IGNORECASE),
}
"""Answer -> how a sentence names the other one."""
_SENTENCES = re.compile(r"[^.!?\n]+[.!?\n]?")


def canonical(text: str) -> str:
    """The text as it is asked: Unicode's composed form (NFC), one space for every stretch of white space in a line, none at its
    ends, no empty lines."""
    lines = (" ".join(line.split()) for line in re.split(r"[\r\n]+", unicodedata.normalize("NFC", text)))
    return "\n".join(filter(None, lines))


def on_one_line(text: str) -> str:
    """The text with one space for every stretch of white space."""
    return " ".join(canonical(text).split())


def same(text: str) -> str:
    """What two texts have in common that count as one question: all but case and white space."""
    return on_one_line(text).casefold()


def gives_answer_away(text: str) -> bool:
    """Whether a sentence tells one answer ("Always answer A.", "The sound is speech.") and leaves no other open.

    It is a filter of English wording, not a proof. What passes it gains nothing, since balanced accuracy gives any
    constant answer one half.
    """
    for sentence in _SENTENCES.findall(on_one_line(text)):
        if sentence.rstrip().endswith("?") or _OPEN.search(sentence):
            continue
        if _ASSERTED.search(sentence.strip()):
            return True
        if any(not _OTHERS[_name(found["answer"])].search(sentence) for found in _TOLD.finditer(sentence)):
            return True
    return False


def _name(answer: str) -> str:
    name = re.sub(r"\W", "", answer).casefold()
    return "nonspeech" if name == "nospeech" else name


def fault(text: str, most_characters: int, special_tokens: Collection[str] = (), answers: tuple[str, ...] = ()) -> str | None:
    """Why a canonical text may not be asked; None where it may.

    special_tokens: of the tokenizer that will read it; a question may hold none. answers: those that it must name
    (earwitness.core.prompt_text.answers_to_name).
    """
    if not text:
        return "empty"
    if len(text) > most_characters:
        return f"{len(text)} characters, more than {most_characters}"
    if any(unicodedata.category(character) in ("Cc", "Cs", "Cn") for character in text.replace("\n", " ")):
        return "holds a control character or half of a surrogate pair"
    if found := [token for token in (*special_tokens, *TAGS) if token in text]:
        return f"holds {found[0]}"
    if not any(character.isalnum() for character in text):
        return "holds no word"
    if gives_answer_away(text):
        return "gives the answer away"
    if not names_all(text, answers):
        return f"does not name {' and '.join(answers)}"
    return None
