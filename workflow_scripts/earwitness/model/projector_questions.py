"""What an assembled base is asked while its projector learns: wordings of one question, none of which a prompt search can spell.

There are more of them where the projector's training changes the language model too (rank above 0). The projector of rank 0 that comes with
Earwitness was trained before the further ones were written, so a training of rank 0 leaves them out and is the same as ever.

Search questions are spelled from earwitness.prompt_search.edits.PHRASES; the sentences here are others, and a test holds that.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from earwitness.model.engine.prompting import Prompt, TokenisedPrompt, tokenise
from earwitness.model.families.loaded_model import LoadedModel

QUESTIONS = (
    "Does the audio include anyone speaking?",
    "Is a person talking in what you just heard?",
    "Can speech be heard here?",
    "Is this a recording of somebody speaking?",
    "Are there spoken words in the audio?",
    "Would you say that someone talks in this clip?",
    "Is what you hear a human voice speaking?",
    "Was a person saying something?",
    "Do you notice any talking?",
    "Is speech present?",
    "Is it a talking person that makes this sound?",
    "Could this be part of a spoken sentence?",
    "Judge whether anyone is speaking.",
    "Say if this audio has speech in it.",
    "Determine if there is a speaking voice in the audio.",
    "Which is it: a person who talks, or another kind of sound?",
    "What do you hear, someone speaking or something else?",
    "Sort this audio by whether it has speech.",
    "Find out whether words are uttered in this recording.",
    "Mark the clip as speech if a human talks in it.",
)
"""Wordings whose "yes" means speech."""

FURTHER_QUESTIONS = (
    "Do the sounds come from a talker?",
    "Has somebody uttered a word in this clip?",
    "Is language being spoken?",
    "Is it true that you can make out a speaker?",
    "Will a listener find speech in this recording?",
    "Does someone's talking occur, however short?",
    "Are these the sounds of a voice in conversation?",
    "Is at least a piece of a word spoken?",
    "I think I hear somebody talk. Am I right?",
    "Check the recording for a human who speaks.",
    "Is there a talker behind the noise?",
    "The label of this clip is speech. Is that correct?",
)
"""The same, asked only where rank is above 0."""

NEGATED = (
    "Is the audio free of speaking voices?",
    "Is it the case that nobody says anything here?",
    "Does the clip lack spoken words?",
    "Is there no one talking in this audio?",
    "Is speech absent?",
    "Would you say that nobody speaks in what you heard?",
    "Is this a sound without anyone speaking?",
    "Is it something other than a human talking?",
    "Are spoken words missing from this recording?",
    "Did you hear no voice that speaks?",
    "Is this only noise or another sound, with no talking?",
    "Can it be said that the recording holds no speech at all?",
)
"""Wordings whose "yes" means no speech; asked for yes or no alone."""

FURTHER_NEGATED = (
    "Is everybody silent in this clip?",
    "Is it wrong to say that someone is talking?",
    "Does the sound have nothing to do with talking?",
    "Would it be false to call this speech?",
    "Are there no words to be heard?",
    "Is not a single word uttered?",
    "Could you rule out that a person speaks here?",
    "Is the sound made by anything but a talking human?",
    "Does this contain zero speech?",
    "Is the clip devoid of talking?",
    "Has speech been left out of this recording?",
    "Is the claim that a person speaks in this clip untrue?",
    "Does the recording fail to include a speaker?",
    "Neither words nor voices are in this clip. Is that so?",
    "I think nobody talks here. Am I right?",
    "The label of this clip is: no speech. Is that correct?",
)
"""The same, asked only where rank is above 0."""

OPENINGS = (
    "",
    "Here is a sound.",
    "You hear a short audio clip.",
    "Pay attention to the audio.",
    "Your task is to tell speech from other sounds.",
    "You are an assistant who analyses audio.",
    "Background noise may cover the sound.",
    "The audio may last only a fraction of a second.",
    "Music, animals, tools and weather count as other sounds.",
    "Talking in any language counts.",
)
"""What may stand before a wording."""


def wordings(rank: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is asked in training, plainly and negated; the further wordings where rank is above 0.

    rank: of what is added to the language model (earwitness.model.projector_training.ProjectorSettings).
    """
    return (QUESTIONS + FURTHER_QUESTIONS, NEGATED + FURTHER_NEGATED) if rank else (QUESTIONS, NEGATED)


def questions_digest(rank: int) -> str:
    """SHA-256 over all wordings; it tells which wordings a projector learned from."""
    plain, negated = wordings(rank)
    return hashlib.sha256("\n".join((*plain, "", *negated, "", *OPENINGS)).encode()).hexdigest()


@dataclass(frozen=True)
class PromptGroup:
    """Prompts of one answer format and audio position. share: of the training rows that are asked one of them."""

    share: float
    prompts: tuple[TokenisedPrompt, ...]


def prompt_groups(loaded: LoadedModel, rank: int) -> list[PromptGroup]:
    """Every wording with every opening, in each answer format, before and after the sound; a third of the sounds come after."""
    plain, negated = wordings(rank)
    kinds = [("letters", plain, 0.4), ("words", plain, 0.2), ("yes_no", plain, 0.2), ("yes_no", negated, 0.2)]
    groups = []
    for answer_format, questions, share in kinds:
        for place, weight in (("before", 2 / 3), ("after", 1 / 3)):
            prompts = _tokenised(loaded, questions, answer_format, place)
            groups.append(PromptGroup(share * weight, tuple(map(with_answers_swapped, prompts) if questions is negated else prompts)))
    return groups


def _tokenised(loaded: LoadedModel, questions: tuple[str, ...], answer_format: str, place: str) -> Iterator[TokenisedPrompt]:
    for question in questions:
        for opening in OPENINGS:
            yield from tokenise(loaded, Prompt(f"{opening} {question}".strip(), answer_format, place))


def with_answers_swapped(prompt: TokenisedPrompt) -> TokenisedPrompt:
    """The same prompt after a negated question, where its answers mean the opposite."""
    return TokenisedPrompt(prompt.before, prompt.after, speech=prompt.nonspeech, nonspeech=prompt.speech)
