"""What systems get wrong."""

from earwitness.tables import meanings
from earwitness.tables.columns import choice, count, duration_ms, label, number, schema, share, text

ERRORS = schema(
    "errors",
    {
        "system_id": text(means=meanings.SYSTEM),
        "stimulus_id": text(means=meanings.STIMULUS),
        "source_id": text(means=meanings.SOURCE),
        "label": label(),
        "category": text(means=meanings.CATEGORY),
        "duration_ms": duration_ms(),
        "snr_db": number(means=meanings.SNR, unit="dB", nullable=True),
        "n_wrong": count(means="seeds that answer it wrong", minimum=1),
        "n_seeds": count(means="seeds that were asked", minimum=1),
        "log_odds": number(means=meanings.LOG_ODDS + "; mean over seeds", unit="nats"),
    },
)
"""Stimuli of unseen sources that at least one seed gets wrong."""

ERROR_RATES = schema(
    "error_rates",
    {
        "system_id": text(means=meanings.SYSTEM),
        "label": label(means="class of the stimuli: errors are misses of SPEECH, false alarms of NONSPEECH"),
        "factor": choice(["all", "category", "duration_ms", "snr_db"], means="what the stimuli are divided by"),
        "value": text(means="the category, duration or SNR; `all` for all"),
        "error_rate": share(means="share of these stimuli that is wrong, mean over seeds"),
        "low": share(means=meanings.LOW, nullable=True),
        "high": share(means=meanings.HIGH, nullable=True),
        "n_items": count(means=meanings.N_ITEMS),
        "n_sources": count(means=meanings.N_SOURCES),
    },
)
"""Misses and false alarms on unseen sources, by category, duration and SNR."""
