"""The parts of a multimodal model's processor that a question about a sound needs: those for pictures need packages of their own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from transformers import AutoFeatureExtractor, AutoTokenizer

from earwitness.core.files import read_text
from earwitness.model.checkpoint import json_object_in


@dataclass(frozen=True)
class SoundProcessor:
    """audio_token: what the chat template writes where the sound stands."""

    feature_extractor: Any
    tokenizer: Any
    chat_template: str
    audio_token: str

    @classmethod
    def load(cls, folder: Path, audio_token: str) -> Self:
        """Read it from a checkpoint's folder; the processor's own chat template goes before the tokenizer's."""
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        template = tokenizer.chat_template
        if (folder / "chat_template.jinja").is_file():
            template = read_text(folder / "chat_template.jinja")
        elif (folder / "chat_template.json").is_file():
            template = json_object_in(folder / "chat_template.json")["chat_template"]
        extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return cls(extractor, tokenizer, template, audio_token)

    def apply_chat_template(self, conversation: list[Any], **options: Any) -> Any:
        """As the library's processors do."""
        return self.tokenizer.apply_chat_template(conversation, chat_template=self.chat_template, **options)
