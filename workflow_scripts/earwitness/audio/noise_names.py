"""How a stimulus names the recordings that it was mixed with."""

RECORDED_NOISES = ("babble", "recorded")
"""Kinds of noise that are cut from recordings."""

NOISE_SEPARATOR = "//"
"""Between the recordings of a babble in its noise_id; no file's name holds it."""


def noise_parts(noise_id: str) -> list[str]:
    """What a noise was made of: its recordings, or itself where it was computed."""
    kind, _, recordings = noise_id.partition(":")
    return recordings.split(NOISE_SEPARATOR) if kind in RECORDED_NOISES else [noise_id]
