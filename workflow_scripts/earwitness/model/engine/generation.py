"""What constrained generate() answers, to check the scores against."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from earwitness.core.progress import Progress
from earwitness.model.engine.features import AudioEmbeddings
from earwitness.model.engine.key_value_cache import splice, texts_of
from earwitness.model.engine.prompting import Prompt, TokenisedPrompt, tokenise
from earwitness.model.engine.scoring import Scorer
from earwitness.model.families.loaded_model import LoadedModel


@torch.inference_mode()
def generate_answers(loaded: LoadedModel, audio: AudioEmbeddings, order: TokenisedPrompt) -> list[str]:
    """SPEECH or NONSPEECH per sound: greedy decoding by the library, allowed to write one of the two answers only.

    Answers of several tokens are decided at the first token in which they differ, which need not be the more probable
    answer as a whole; with letters the two are the same.
    """
    answers = {"SPEECH": order.speech, "NONSPEECH": order.nonspeech}
    longest = max(map(len, answers.values()))
    end = loaded.processor.tokenizer.eos_token_id
    embeddings, ids, mask = splice(loaded, audio, texts_of(loaded, [order] * len(audio.n_tokens)))

    def allowed(_: int, written: torch.Tensor) -> list[int]:
        so_far = tuple(written.tolist())
        return sorted({answer[len(so_far)] for answer in answers.values() if answer[: len(so_far)] == so_far and len(answer) > len(so_far)}) or [end]

    generated = loaded.model.generate(
        inputs_embeds=embeddings,
        attention_mask=mask,
        max_new_tokens=longest,
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,
        pad_token_id=end,
        eos_token_id=end,
        prefix_allowed_tokens_fn=allowed,
        **loaded.extra_inputs(ids),
    )
    return [_name(row, answers) for row in generated.tolist()]


def _name(written: Sequence[int], answers: dict[str, tuple[int, ...]]) -> str:
    [name] = [name for name, answer in answers.items() if tuple(written[: len(answer)]) == answer]
    return name


def compare_with_scores(loaded: LoadedModel, batches: Sequence[AudioEmbeddings], prompt: Prompt) -> pd.DataFrame:
    """What generate_answers and the scores say of the same sounds, one row per option order (earwitness.tables.generation.GENERATION)."""
    orders = tokenise(loaded, prompt)
    scorer = Scorer(loaded, [orders])
    scores = [scorer(audio)[0] for audio in batches]
    log_odds, bias, coverage = (np.concatenate([getattr(part, name) for part in scores]) for name in ("log_odds", "letter_bias", "coverage"))
    rows = []
    for turn, order in enumerate(orders):
        odds = log_odds if np.isnan(bias).all() else log_odds + (bias if turn == 0 else -bias)
        generated = np.concatenate([generate_answers(loaded, audio, order) for audio in Progress(batches, desc="generating answers", unit="batches")])
        agree = (generated == "SPEECH") == (odds > 0)
        rows.append(
            {
                "prompt_id": prompt.prompt_id,
                "speech_answer": loaded.processor.tokenizer.decode(order.speech),
                "n_stimuli": len(agree),
                "n_agreeing": int(agree.sum()),
                "agreement": agree.mean(),
                "largest_disagreeing_log_odds": np.nan if agree.all() else np.abs(odds[~agree]).max(),
                "median_coverage": np.median(coverage),
                "mean_letter_bias": bias.mean(),
            }
        )
    return pd.DataFrame(rows)
