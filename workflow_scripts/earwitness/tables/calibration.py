"""Calibrations and how well probabilities hold."""

import pandera.pandas as pa

from earwitness.tables.columns import count, number, schema, share, text

CALIBRATION_FITS = schema(
    "calibration_fits",
    {
        "system_id": text(),
        "seed": text(),
        "method": pa.Column(str, pa.Check.isin(["temperature", "platt"])),
        "slope": number(),
        "intercept": number(),
        "threshold": number(nullable=True),
        "cross_validated_nll": number(nullable=True),
        "chosen": pa.Column(bool),
        "n_items": count(),
        "n_speech_sources": count(),
        "n_nonspeech_sources": count(),
    },
)
"""Calibrations fitted on the development part: the calibrated log-odds are slope x log-odds + intercept, for classes equally
frequent. Temperature is 1 / slope. threshold: the log-odds at which the calibrated probability is one half; empty where the slope is
not positive. cross_validated_nll: nats, on development sources that the fit did not see;
chosen: the simpler method unless the other is better there by more than one standard error."""

CALIBRATION = schema(
    "calibration",
    {
        "system_id": text(),
        "trained_on": text(),
        "seed": text(),
        "method": pa.Column(str, pa.Check.isin(["none", "temperature", "platt"])),
        "nll": number(),
        "nll_low": number(nullable=True),
        "nll_high": number(nullable=True),
        "brier": share(),
        "brier_low": share(nullable=True),
        "brier_high": share(nullable=True),
        "ece": share(),
        "ece_floor": share(),
        "ece_corrected": share(),
        "ece_low": share(nullable=True),
        "ece_high": share(nullable=True),
        "balanced_accuracy": share(),
        "n_items": count(),
        "n_speech_sources": count(),
        "n_nonspeech_sources": count(),
    },
)
"""How well probabilities of speech hold on unseen sources, both classes weighing the same. nll: nats. ece: 15 bins of equal weight;
ece_floor: what a perfectly calibrated system is expected to show whose sources scatter like these; ece_corrected: without that, with its
interval ece_low to ece_high. Intervals are clustered by source, and hold for new seeds.
balanced_accuracy: with SPEECH from a probability of one half."""

RELIABILITY = schema(
    "reliability",
    {
        "system_id": text(),
        "method": pa.Column(str, pa.Check.isin(["none", "temperature", "platt"])),
        "bin": count(),
        "probability": share(),
        "speech_share": share(),
        "low": share(nullable=True),
        "high": share(nullable=True),
        "n_items": count(),
        "n_sources": count(),
    },
)
"""The reliability diagram: per bin of equal weight the mean probability and the share of speech, both classes weighing the same, with
intervals clustered by source. Items count once per seed."""
