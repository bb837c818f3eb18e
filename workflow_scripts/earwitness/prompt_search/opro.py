"""A local language model proposes questions from the scores of earlier ones (OPRO: Yang et al., 2024, arXiv 2309.03409)."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, StoppingCriteria, StoppingCriteriaList

from earwitness.core.errors import InputError
from earwitness.model.checkpoint import verify_checkpoint
from earwitness.model.engine.loading import Memory, dequantise_what_fits, load_weights, refused_in_words
from earwitness.prompt_search.candidates import TAGS
from earwitness.prompt_search.proposers import Proposal, ScoredQuestion
from earwitness.runtime.device_memory import free_bytes

Write = Callable[[str, int, int], list[str]]
"""Request, how many texts, seed -> texts."""

SHOWN = 20
"""The best questions that a request shows, as many as in the paper."""
TEMPERATURE = 1.0
NEW_TOKENS = 192
SPARE = 3
"""Texts that are written for each question that is wanted, all at once: a batch takes as long as its longest text, whatever its size, and asking
again for what was unusable would take as long once more."""
TEXTS_AT_A_TIME = 24
"""In a batch: with the longest request, 2 GB for what a writer of 3 billion weights has read."""

_TASK = (
    "A listening model hears a short recording, often with noise, and is asked one question about it: does it hold human speech or"
    " some other sound? The question is yours to write. Below are questions that were tried, each with its score from 0 to 100, the"
    " worst first and the best last; 50 is guessing."
)
_ORDER = (
    "Write one question that differs from all of these and that should score higher. It may be several sentences, at most {most}"
    " characters in all. It must not say which answer is right{ways}. Give only the question, between {opening} and {closing}."
)
_WAY_IS_ADDED = ", nor how to write the answer: that is added to it"
_WAY_IS_ASKED = ", and must name both answers exactly as {answers}, since nothing is added to it"


def request_for(history: Sequence[ScoredQuestion], most_characters: int, answers: tuple[str, ...] = ()) -> str:
    """The meta-prompt: the task, the best questions in ascending order of their scores, and what to write.

    answers: those that a question must name, where nothing around it does.

    Scores are what the initial question reached plus the gain on the same stimuli, so that those of questions that were
    dropped early can be compared with the others; whole numbers, as in the paper.
    """
    # Every history begins with the initial question, asked about all stimuli.
    level = history[0].balanced_accuracy
    shown = sorted(history, key=lambda scored: (scored.gain, scored.margin))[-SHOWN:]
    opening, closing = TAGS
    tried = [f"question: {opening}{scored.question}{closing}\nscore: {round(100 * min(1, max(0, level + scored.gain)))}" for scored in shown]
    ways = _WAY_IS_ASKED.format(answers=" and ".join(answers)) if answers else _WAY_IS_ADDED
    return "\n\n".join([_TASK, *tried, _ORDER.format(most=most_characters, ways=ways, opening=opening, closing=closing)])


def parse(raw: str) -> tuple[str | None, str]:
    """The one question between the tags, or None and why there is none."""
    opening, closing = TAGS
    if (raw.count(opening), raw.count(closing)) != (1, 1):
        return None, f"not exactly one pair of {opening} and {closing}"
    found = re.search(f"{re.escape(opening)}(.*){re.escape(closing)}", raw, re.DOTALL)
    return (found[1], "") if found else (None, f"{closing} before {opening}")


class Opro:
    """Asks a language model for all candidates with one request, once."""

    attempts = 1

    def __init__(self, write: Write, most_characters: int, answers: tuple[str, ...] = ()):
        self._write = write
        self._most = most_characters
        self._answers = answers

    def propose(self, history: Sequence[ScoredQuestion], count: int, rng: np.random.Generator) -> list[Proposal]:
        request = request_for(history, self._most, self._answers)
        proposals = []
        for raw in self._write(request, SPARE * count, int(rng.integers(2**63))):
            text, fault = parse(raw)
            proposals.append(Proposal(text, raw, request, fault))
        return proposals


class _Closed(StoppingCriteria):
    """Ends a text that has closed the tag of its question: nothing after it is read."""

    _TAIL = 2 * len(TAGS[1])
    """Tokens that are looked at; a token holds at least a byte, and the tag this half of them."""

    def __init__(self, tokenizer: Any, start: int):
        """start: where the texts begin."""
        self._tokenizer, self._start = tokenizer, start

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        tails = self._tokenizer.batch_decode(input_ids[:, max(self._start, input_ids.shape[1] - self._TAIL) :])
        return torch.tensor([TAGS[1] in tail for tail in tails], device=input_ids.device)


def load_writer(folder: Path, quantisation: str, device: torch.device, memory: Memory = "compact") -> Write:
    """A local causal language model with a chat template, as a writer of texts.

    folder: a model in safetensors; no code in it is run, and nothing is fetched. quantisation: as in `load_model`; memory: with "fast" 4-bit layers
    are unpacked on a GPU, as far as it has room.
    A text ends with the tag that closes its question, or where the model ends its turn.
    The same seed gives the same texts on the same device. Raises InputError where the folder holds no such model.
    """
    verify_checkpoint(folder)
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise InputError(f"{folder}: tokenizer.json is missing; copy the model's tokenizer files beside its weights")
    with refused_in_words(folder):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if not tokenizer.chat_template:
        raise InputError(f"{folder}: its tokenizer has no chat template; name an instruction-tuned model")
    model = load_weights(AutoModelForCausalLM, folder, quantisation, device).eval()
    if device.type == "cuda" and memory == "fast" and quantisation == "nf4":
        dequantise_what_fits(model, lambda: free_bytes(device))
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        raise InputError(f"{folder}: its tokenizer has more tokens than the model; copy the model's own tokenizer files")
    model.requires_grad_(False)
    # A folder's own settings would change what is drawn; a repetition penalty works against the very tags that answers are read by.
    ends = model.generation_config.eos_token_id or tokenizer.eos_token_id
    padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=TEMPERATURE, top_k=0, top_p=1.0, repetition_penalty=1.0, eos_token_id=ends, pad_token_id=padding
    )

    @torch.inference_mode()
    def write(request: str, count: int, seed: int) -> list[str]:
        conversation = [{"role": "user", "content": request}]
        inputs: Any = tokenizer.apply_chat_template(conversation, add_generation_prompt=True, return_dict=True, return_tensors="pt")
        inputs = inputs.to(device)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            sizes = [min(TEXTS_AT_A_TIME, count - done) for done in range(0, count, TEXTS_AT_A_TIME)]
            return [text for size in sizes for text in continuations(inputs, size)]

    def continuations(inputs: Any, count: int) -> list[str]:
        start = inputs["input_ids"].shape[1]
        # What all texts begin with is read once.
        cache = model.base_model(inputs["input_ids"][:, :-1], use_cache=True).past_key_values
        cache.batch_repeat_interleave(count)
        rows = {name: values.repeat(count, 1) for name, values in inputs.items()}
        closed = StoppingCriteriaList([_Closed(tokenizer, start)])
        tokens = model.generate(**rows, past_key_values=cache, max_new_tokens=NEW_TOKENS, stopping_criteria=closed)
        return tokenizer.batch_decode(tokens[:, start:], skip_special_tokens=True)

    return write
