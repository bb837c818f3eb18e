"""Tables of mixed models."""

import pandera.pandas as pa

from earwitness.tables.columns import count, number, schema, share, text

MIXED_MODEL_EFFECTS = schema(
    "mixed_model_effects",
    {
        "system_id": text(),
        "seed": text(),
        "stimuli": pa.Column(str, pa.Check.isin(["noisy", "clean"])),
        "term": text(),
        "meaning": text(),
        "estimate": number(nullable=True),
        "standard_error": number(nullable=True),
        "low": number(nullable=True),
        "high": number(nullable=True),
        "df": number(nullable=True),
        "z": number(nullable=True),
        "p_wald": share(nullable=True),
        "likelihood_ratio": number(nullable=True),
        "p_likelihood_ratio": share(nullable=True),
        "p_holm": share(nullable=True),
    },
)
"""One row per fixed effect of the mixed model of one system's (and seed's) answers, in units of d'. Standard errors come from
leaving out sources, with t of df degrees of freedom (inf: the model's own, where sources have several clips). likelihood_ratio: against
the refit without the term, for the label terms only; its p takes sources to differ in their intercepts alone. p_holm adjusts p_wald
over the label terms of one fit. Estimates are empty where the fit's status is not "ok", p-values below 6 sources in a class."""

MIXED_MODEL_FITS = schema(
    "mixed_model_fits",
    {
        "system_id": text(),
        "seed": text(),
        "stimuli": pa.Column(str, pa.Check.isin(["noisy", "clean"])),
        "formula": text(),
        "status": pa.Column(str, pa.Check.isin(["ok", "separated", "not_converged"])),
        "method": pa.Column(str, pa.Check.isin(["quadrature", "laplace", "-"])),
        "singular": pa.Column("boolean", nullable=True),
        "largest_step": number(nullable=True),
        "n_answers": count(),
        "n_clips": count(),
        "n_speech_sources": count(),
        "n_nonspeech_sources": count(),
        "sd_speech_sources": number(nullable=True),
        "sd_nonspeech_sources": number(nullable=True),
        "sd_clips": number(nullable=True),
        "log_likelihood": number(nullable=True),
        "log_likelihood_constant": number(nullable=True),
        "log_likelihood_constant_mixed": number(nullable=True),
        "mcfadden_against_constant": number(nullable=True),
        "mcfadden_against_constant_mixed": number(nullable=True),
        "r2_marginal": share(nullable=True),
        "r2_conditional": share(nullable=True),
        "reliability": pa.Column(str, pa.Check.isin(["ok", "few_sources", "descriptive_only"])),
        "note": text(),
    },
)
"""One row per mixed model; seed: a number, or "-" (no training). status: "separated" where answers are predicted
perfectly and estimates would be infinite; "not_converged" where more than 0.05 standard errors
are left to go (largest_step), or a smaller model fits better. method: how the likelihood was integrated; "-" where it has
no maximum. singular: a random standard deviation (sd_...) below 0.01, its boundary. Log-likelihoods are of Bernoulli rows;
the null models are intercept-only, "constant" without and "constant_mixed" with the random effects. R2 marginal and
conditional are Nakagawa's, on the latent scale. sd_clips is empty where every source has one clip."""
