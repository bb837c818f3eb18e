"""Tables of mixed models."""

from earwitness.tables import meanings
from earwitness.tables.columns import choice, column, count, number, reliability, schema, share, text

_STIMULI = "which stimuli the model is of: with noise, or without"
_D_PRIME = "d'"
_LEFT_OUT = "; empty where the model has none"

MIXED_MODEL_EFFECTS = schema(
    "mixed_model_effects",
    {
        "system_id": text(means=meanings.SYSTEM),
        "seed": text(means=meanings.SEED_OR_ALL),
        "stimuli": choice(["noisy", "clean"], means=_STIMULI),
        "term": text(means="fixed effect, as the formula writes it"),
        "meaning": text(means="what it means, in words"),
        "estimate": number(means="the effect; empty where the fit's status is not ok", unit=_D_PRIME, nullable=True),
        "standard_error": number(
            means="standard error of the effect: the larger of that from leaving out sources and the model's own", unit=_D_PRIME, nullable=True
        ),
        "low": number(means=meanings.LOW, unit=_D_PRIME, nullable=True),
        "high": number(means=meanings.HIGH, unit=_D_PRIME, nullable=True),
        "df": number(
            means="degrees of freedom of t; inf where the standard error is the model's own, which takes several clips per source", nullable=True
        ),
        "z": number(means="estimate over standard error", nullable=True),
        "p_wald": share(means="two-sided p of that; empty below 6 sources in a class", nullable=True),
        "p_holm": share(means="p_wald after Holm's correction over the terms with the label of one fit", nullable=True),
    },
)
"""One row per fixed effect of the mixed model of one system's (and seed's) answers."""

MIXED_MODEL_FITS = schema(
    "mixed_model_fits",
    {
        "system_id": text(means=meanings.SYSTEM),
        "seed": text(means="training seed; `all` for the mean over them; `-` where nothing was trained"),
        "stimuli": choice(["noisy", "clean"], means=_STIMULI),
        "formula": text(means="the model"),
        "status": choice(
            ["ok", "separated", "not_converged", "not_available", "not_pooled", "single_source"],
            means="`separated`: answers are predicted perfectly, and estimates would be infinite; `not_converged`: more than 0.05 standard errors"
            " are left to go; `not_available`: sources have several clips, and the package gpboost is not installed;"
            " `not_pooled`: sources have several clips, so that seeds have no mean with an error over sources;"
            " `single_source`: a class has one, so that nothing tells how sources differ",
        ),
        "method": choice(["quadrature", "laplace", "-"], means="how the likelihood was integrated; `-` where it has no maximum"),
        "singular": column("boolean", means="is a random standard deviation at its boundary, below 0.01, and so held at 0", nullable=True),
        "largest_step": number(means="what is left to go to the maximum", unit="standard errors", nullable=True),
        "n_answers": count(means="answers that it was fitted to"),
        "n_clips": count(means="clips of these answers"),
        "n_speech_sources": count(means=meanings.N_SPEECH_SOURCES),
        "n_nonspeech_sources": count(means=meanings.N_NONSPEECH_SOURCES),
        "sd_speech_sources": number(means="standard deviation of sources of speech, at 100 ms and 0 dB", unit=_D_PRIME, nullable=True),
        "sd_speech_sources_logdur": number(means=f"that of their change per tenfold duration{_LEFT_OUT}", unit=_D_PRIME, nullable=True),
        "sd_speech_sources_snr": number(means=f"that of their change per 10 dB{_LEFT_OUT}", unit=_D_PRIME, nullable=True),
        "sd_speech_sources_logdur_snr": number(means=f"that of their interaction of both{_LEFT_OUT}", unit=_D_PRIME, nullable=True),
        "sd_nonspeech_sources": number(means="standard deviation of other sources, at 100 ms and 0 dB", unit=_D_PRIME, nullable=True),
        "sd_nonspeech_sources_logdur": number(means=f"that of their change per tenfold duration{_LEFT_OUT}", unit=_D_PRIME, nullable=True),
        "sd_nonspeech_sources_snr": number(means=f"that of their change per 10 dB{_LEFT_OUT}", unit=_D_PRIME, nullable=True),
        "sd_nonspeech_sources_logdur_snr": number(means=f"that of their interaction of both{_LEFT_OUT}", unit=_D_PRIME, nullable=True),
        "sd_clips": number(means="standard deviation of clips; empty where every source has one", unit=_D_PRIME, nullable=True),
        "log_likelihood": number(means="log-likelihood of the answers", unit="nats", nullable=True),
        "log_likelihood_constant": number(means="that of a constant alone", unit="nats", nullable=True),
        "log_likelihood_constant_mixed": number(means="that of a constant with the random effects", unit="nats", nullable=True),
        "mcfadden_against_constant": number(means="McFadden's R2 against the constant", nullable=True),
        "mcfadden_against_constant_mixed": number(means="McFadden's R2 against the constant with random effects", nullable=True),
        "r2_marginal": share(means="Nakagawa's R2 of the fixed effects, on the latent scale", nullable=True),
        "r2_conditional": share(means="Nakagawa's R2 of fixed and random effects", nullable=True),
        "reliability": reliability(),
        "note": text(means="what to know of the fit, in words; `-` for nothing"),
    },
)
"""One row per mixed model (probit, of "said SPEECH")."""
