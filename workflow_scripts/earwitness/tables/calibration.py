"""Calibrations and how well probabilities hold."""

from earwitness.tables import meanings
from earwitness.tables.columns import choice, column, count, number, schema, share, text

_METHODS = ["none", "temperature", "platt"]
_METHOD = "how log-odds became probabilities: as they are, divided by a temperature, or by Platt's slope and intercept"

CALIBRATION_FITS = schema(
    "calibration_fits",
    {
        "system_id": text(means=meanings.SYSTEM),
        "seed": text(means=meanings.SEED_OR_ALL),
        "method": choice(["temperature", "platt"], means=_METHOD),
        "slope": number(means="calibrated log-odds = slope x log-odds + intercept, for classes equally frequent; a temperature is 1 / slope"),
        "intercept": number(means="see slope; 0 for a temperature", unit="nats"),
        "threshold": number(
            means="log-odds at which the calibrated probability is one half; empty where the slope is not positive", unit="nats", nullable=True
        ),
        "cross_validated_nll": number(
            means="negative log-likelihood on development sources that the fit did not see; empty where there are too few", unit="nats", nullable=True
        ),
        "chosen": column(bool, means="is it the one that is used: the simpler method, unless the other is better by more than one standard error"),
        "n_items": count(means="development stimuli that it was fitted on"),
        "n_speech_sources": count(means=meanings.N_SPEECH_SOURCES),
        "n_nonspeech_sources": count(means=meanings.N_NONSPEECH_SOURCES),
    },
)
"""Calibrations, fitted on the development part of the grouped split."""

CALIBRATION = schema(
    "calibration",
    {
        "system_id": text(means=meanings.SYSTEM),
        "trained_on": text(means=meanings.TRAINED_ON),
        "seed": text(means=meanings.SEED_OR_ALL),
        "method": choice(_METHODS, means=_METHOD),
        "nll": number(means="negative log-likelihood of the right answer, per stimulus", unit="nats"),
        "nll_low": number(means=meanings.LOW, unit="nats", nullable=True),
        "nll_high": number(means=meanings.HIGH, unit="nats", nullable=True),
        "brier": share(means="Brier score: mean squared distance between probability and truth"),
        "brier_low": share(means=meanings.LOW, nullable=True),
        "brier_high": share(means=meanings.HIGH, nullable=True),
        "ece": share(means="expected calibration error over 15 bins of equal weight"),
        "ece_floor": share(means="the calibration error that a perfectly calibrated system is expected to show with sources that scatter like these"),
        "ece_corrected": share(means="the calibration error beyond that floor"),
        "ece_low": share(means="lower end of the interval of ece_corrected, clustered by source", nullable=True),
        "ece_high": share(means="upper end of the same interval", nullable=True),
        "balanced_accuracy": share(means="balanced accuracy where the answer is SPEECH from a probability of one half"),
        "n_items": count(means=meanings.N_ITEMS),
        "n_speech_sources": count(means=meanings.N_SPEECH_SOURCES),
        "n_nonspeech_sources": count(means=meanings.N_NONSPEECH_SOURCES),
    },
)
"""How well probabilities of speech hold on unseen sources, before and after calibration. Both classes weigh the same."""

RELIABILITY = schema(
    "reliability",
    {
        "system_id": text(means=meanings.SYSTEM),
        "method": choice(_METHODS, means=_METHOD),
        "bin": count(means="number of the bin, from the lowest probabilities"),
        "probability": share(means="mean probability of speech in the bin"),
        "speech_share": share(means="share of speech in the bin"),
        "low": share(means=meanings.LOW, nullable=True),
        "high": share(means=meanings.HIGH, nullable=True),
        "n_items": count(means="answers in the bin; a stimulus counts once per seed"),
        "n_sources": count(means=meanings.N_SOURCES),
    },
)
"""The reliability diagrams: bins of equal weight, both classes weighing the same."""
