"""What each family declares: how it hears, and which properties it does not hold. Nothing that computes rests on this."""

from dataclasses import dataclass, field

PROPERTIES = {
    "stock": "its answers are those of the library's own forward pass",
    "batch": "a sound gives the same alone and beside others of any length",
    "tokens": "a sound has as many audio tokens as the library's processor writes",
    "silence": "a sound without audio tokens is answered like any other",
    "position": "the sound can stand before or after the question",
    "generate": "constrained generation answers as the score does",
    "sweep": "many questions asked at once give what each gives alone",
    "lora": "adapters reach the modules that their scope names, and no others",
    "saved": "a saved adapter answers with the same bits when loaded again",
    "gradient": "the gradient of the answer's loss is that of the library's loss",
    "nf4": "only the language model is quantised to 4 bits",
}
"""What tests/unit/test_families.py holds of each family, in words for people."""


@dataclass(frozen=True)
class Family:
    """name: as people know it. library_class: transformers' class of its checkpoints. hearing: what it does with a sound, to follow "which".
    departures: property (PROPERTIES) that it does not hold -> in what way, in words that report, model card and table of families print."""

    name: str
    library_class: str
    hearing: str
    departures: dict[str, str] = field(default_factory=dict)


_OWN_FRAMES = "hears a sound's own frames alone, exactly as the library hears them in 30 s of silence"

FAMILIES = {
    "qwen2_audio": Family("Qwen2-Audio", "Qwen2AudioForConditionalGeneration", _OWN_FRAMES),
    "audioflamingo3": Family(
        "Audio Flamingo 3",
        "AudioFlamingo3ForConditionalGeneration",
        _OWN_FRAMES,
        {"position": "its chat template writes the sound before the question, wherever it stands, so it cannot be asked with the sound after it"},
    ),
    "qwen2_5_omni": Family(
        "Qwen2.5-Omni (thinker)",
        "Qwen2_5OmniThinkerForConditionalGeneration",
        "hears a sound's own frames alone, in blocks of 2 s, as the library does",
    ),
    "voxtral": Family(
        "Voxtral",
        "VoxtralForConditionalGeneration",
        "hears its whole window of 30 s, the silence behind a sound included, as the library does",
    ),
    "glmasr": Family(
        "GLM-ASR",
        "GlmAsrForConditionalGeneration",
        "hears its whole window of 30 s, the silence behind a sound included, and keeps what it heard in the sound's own time, as the library does",
    ),
    "qwen3_omni_moe": Family(
        "Qwen3-Omni (thinker)",
        "Qwen3OmniMoeThinkerForConditionalGeneration",
        "hears sounds of one length at a time, because its convolutions hear the padding of a batch, which the library lets them",
        {
            "tokens": "the library makes no spectrogram of 200 samples (12.5 ms) or less, so such sounds are refused",
            "lora": "its experts are one block of weights, so adapters reach its attention alone, and recipes that name others are refused",
            "nf4": "its experts, most of its weights, stay in their own precision",
        },
    ),
    "gemma4": Family(
        "Gemma 4 (E2B, E4B)",
        "Gemma4ForConditionalGeneration",
        "hears a sound's own frames alone, each with what came before it and nothing that follows, as the library does",
    ),
}
"""model_type of config.json -> family."""


def files_of_other_families(kind: str) -> frozenset[str]:
    """The files of all families but one, relative to the folder of the programs: code that jobs with a base of that model_type never run."""
    return frozenset(f"earwitness/model/families/{folder}{other}.py" for other in FAMILIES if other != kind for folder in ("", "tiny/"))


def family_tables() -> str:
    """Two Markdown tables: what each family does with a sound, and which properties it holds; and a line for each that it does not."""
    heard = ["| family | `model_type` | which |", "| --- | --- | --- |"]
    heard += [f"| {family.name} | `{kind}` | {family.hearing} |" for kind, family in FAMILIES.items()]
    held = ["| property | " + " | ".join(family.name for family in FAMILIES.values()) + " |", "| --- |" + " :---: |" * len(FAMILIES)]
    for name, meaning in PROPERTIES.items():
        held.append(f"| {meaning} | " + " | ".join("no" if name in family.departures else "yes" for family in FAMILIES.values()) + " |")
    why = [f"* {family.name}: {text}." for family in FAMILIES.values() for text in family.departures.values()]
    return "\n".join([*heard, "", *held, "", *why, ""])
