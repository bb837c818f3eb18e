"""What the tiny base learns to answer, and the texts that its tokenizer learns its merges from."""

from earwitness.core.prompt_text import ANSWER_TEXTS
from earwitness.model.engine.prompting import Prompt, instruction

QUESTIONS = (
    "Does this sound contain human speech?",
    "Is someone speaking in this sound?",
    "Do you hear a person talking?",
    "Is there a human voice in this recording?",
    "Listen carefully. Is this speech or another sound?",
    "Decide whether the sound is speech.",
    "What is in this clip: speech or no speech?",
    "Can you hear anybody talk, even for a moment?",
    "The sound may be short and noisy. Is it speech?",
    "Classify the sound.",
)
"""Questions that the tiny base learns to answer; it also meets every answer format, and the audio positions that its family has."""


def training_texts() -> list[str]:
    """Everything the tokenizer learns its merges from."""
    letters = [{"SPEECH": "A", "NONSPEECH": "B"}, {"SPEECH": "B", "NONSPEECH": "A"}]
    formats = [("letters", answers) for answers in letters] + list(ANSWER_TEXTS.items())
    conversation = ["You are a helpful assistant.", "system\n", "user\n", "assistant\n", "Audio 1: "]
    return conversation + [instruction(Prompt(question, name), answers) for question in QUESTIONS for name, answers in formats]
