"""Schemas of every table that a rule writes, and how tables are written and read."""

import json
from collections.abc import Callable, Iterator, Set
from pathlib import Path

import pandas as pd
import pandera.errors
import pandera.pandas as pa
import pyarrow
import pyarrow.parquet as parquet

from earshot.audio import SAMPLE_RATE, Waveform, decode_flac
from earshot.errors import InputError
from earshot.files import atomic

LABELS = ("SPEECH", "NONSPEECH")


def _label() -> pa.Column:
    return pa.Column(str, pa.Check.isin(LABELS))


def _text(unique: bool = False) -> pa.Column:
    return pa.Column(str, pa.Check.str_length(min_value=1), unique=unique)


def _share(nullable: bool = False) -> pa.Column:
    return pa.Column(float, pa.Check.in_range(0, 1), nullable=nullable)


def _number(nullable: bool = False) -> pa.Column:
    return pa.Column(float, nullable=nullable)


def _count() -> pa.Column:
    return pa.Column(int, pa.Check.ge(0))


def _schema(name: str, columns: dict[str, pa.Column]) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(columns, name=name, strict=True, ordered=True, coerce=True)


RECORDINGS = _schema(
    "recordings",
    {
        "recording_id": _text(unique=True),
        "dataset": _text(),
        "path": _text(),
        "sha256": pa.Column(str, pa.Check.str_matches("^[0-9a-f]{64}$")),
        "sample_rate": pa.Column(int, pa.Check.gt(0)),
        "duration_s": pa.Column(float, pa.Check.gt(0)),
        "source_id": _text(),
        "category": _text(),
        "label": _label(),
        "licence": _text(),
    },
)
"""One row per usable recording."""

SEGMENTS = _schema(
    "segments",
    {"recording_id": _text(), "start_s": pa.Column(float, pa.Check.ge(0)), "end_s": pa.Column(float, pa.Check.gt(0))},
)
"""Stretches that clips may be cut from: one speaker alone, or the whole of a sound."""

AUDIO_CHECK = _schema(
    "audio_check",
    {
        "path": _text(unique=True),
        "verdict": pa.Column(str, pa.Check.isin(["ok", "broken", "excluded"])),
        "reason": pa.Column(str),
        "sample_rate": pa.Column("Int64", nullable=True),
        "channels": pa.Column("Int64", nullable=True),
        "duration_s": _number(nullable=True),
        "rms_dbfs": _number(nullable=True),
        "peak": _number(nullable=True),
        "clipped_fraction": _share(nullable=True),
        "dc_offset": _number(nullable=True),
        "non_finite_samples": pa.Column("Int64", nullable=True),
    },
)
"""One row per audio file found, usable or not."""

CLIPS = _schema(
    "clips",
    {
        "clip_id": _text(unique=True),
        "recording_id": _text(),
        "source_id": _text(),
        "label": _label(),
        "category": _text(),
        "start_s": pa.Column(float, pa.Check.ge(0)),
        "end_s": pa.Column(float, pa.Check.gt(0)),
        "active_fraction": _share(),
    },
)
"""One row per clip; the Parquet files carry an `audio` column besides."""

STIMULI = _schema(
    "stimuli",
    {
        "stimulus_id": _text(unique=True),
        "clip_id": _text(),
        "recording_id": _text(),
        "source_id": _text(),
        "label": _label(),
        "category": _text(),
        "noise_id": _text(),
        "design": pa.Column(str, pa.Check.isin(["grid", "factorial"])),
        "axis": _text(),
        "duration_ms": pa.Column(int, pa.Check.gt(0)),
        "snr_db": _number(nullable=True),
        "band": _text(),
        "room": _text(),
        "normalisation": pa.Column(str, pa.Check.isin(["peak", "rms"])),
        "achieved_snr_db": _number(nullable=True),
        "achieved_level_dbfs": _number(),
        "segment_start_s": pa.Column(float, pa.Check.ge(0)),
        "segment_end_s": pa.Column(float, pa.Check.gt(0)),
    },
)
"""One row per stimulus; the shards carry an `audio` column besides. segment_start_s and segment_end_s are seconds in
the recording that the stimulus's segment was cut from.

design "factorial": axis "duration_x_snr". design "grid": one axis at a time, axis "reference", "duration", "snr", "band" or
"room"; off the axis, the longest duration, no noise, band "clean", room "none". The grid's longest duration, its band "clean"
and its room "anechoic" equal the reference in content by construction; their floors are drawn apart. snr_db: NaN where no
noise was added; active speech (sound) level over noise level. band: clean, telephone or am_radio. room: none, anechoic,
small_room or large_hall. noise_id: "none", the noise's kind and seed, or its kind and the recordings that it was cut from."""

STIMULUS_SUMMARY = _schema(
    "stimulus_summary",
    {
        "label": _label(),
        "design": _text(),
        "axis": _text(),
        "duration_ms": pa.Column(int, pa.Check.gt(0)),
        "snr_db": _number(nullable=True),
        "band": _text(),
        "room": _text(),
        "n": _count(),
        "n_sources": _count(),
        "max_abs_snr_error_db": _number(nullable=True),
        "max_abs_level_error_db": _number(),
    },
)
"""One row per class and condition, as in STIMULI; the errors are achieved minus requested, no SNR error without noise."""

SPLIT = _schema(
    "split",
    {
        "stimulus_id": _text(unique=True),
        "clip_id": _text(),
        "source_id": _text(),
        "label": _label(),
        "part": pa.Column(str, pa.Check.isin(["train", "dev", "test"])),
    },
)
"""Which part each stimulus of a split belongs to; stimuli that the split does not use have no row."""

PREDICTIONS = _schema(
    "predictions",
    {
        "stimulus_id": _text(),
        "system_id": _text(),
        "prompt_id": _text(),
        "seed": pa.Column("Int64", nullable=True),
        "log_odds": _number(),
        "answer": _label(),
        "coverage": _share(nullable=True),
        "letter_bias": _number(nullable=True),
        "n_audio_tokens": pa.Column("Int64", nullable=True),
    },
)
"""log_odds: SPEECH minus NONSPEECH, nats. letter_bias: how much the model favours the letter A, nats; empty where the answer
is no letter. seed, coverage, letter_bias and n_audio_tokens are empty for detectors; seed for the base."""

GENERATION = _schema(
    "generation",
    {
        "prompt_id": _text(),
        "speech_answer": _text(),
        "n_stimuli": _count(),
        "n_agreeing": _count(),
        "agreement": _share(),
        "largest_disagreeing_log_odds": _number(nullable=True),
        "median_coverage": _share(),
        "mean_letter_bias": _number(nullable=True),
    },
)
"""Scores against constrained generate(), one row per option order: speech_answer is what stands for speech in it. The largest
absolute log-odds among disagreeing stimuli tells ties from errors; empty where all agree. mean_letter_bias: nats by which A is
favoured whatever it means; empty where the answer is no letter."""

ACCURACY = _schema(
    "accuracy",
    {
        "system_id": _text(),
        "trained_on": _text(),
        "test_set": _text(),
        "seed": _text(),
        "metric": pa.Column(str, pa.Check.isin(["balanced_accuracy", "accuracy", "speech_accuracy", "nonspeech_accuracy"])),
        "estimate": _share(),
        "low": _share(nullable=True),
        "high": _share(nullable=True),
        "naive_low": _share(nullable=True),
        "naive_high": _share(nullable=True),
        "interval": _text(),
        "n_items": _count(),
        "n_speech_sources": _count(),
        "n_nonspeech_sources": _count(),
        "reliability": pa.Column(str, pa.Check.isin(["ok", "few_sources", "descriptive_only"])),
    },
)
"""seed: a number, "all" (mean over several seeds), or "-" (no training). trained_on names a split; "-" where not trained.
test_set: "unseen" (test part of the grouped split) or "row_random" (test part of that split). interval: "jackknife_t",
"two_way_t" (over sources and seeds), with "+wilson_sources" where a class had no variation between sources, or "none". Counts
are of what enters the metric. The naive interval assumes independent items."""

SOURCE_ACCURACY = _schema(
    "source_accuracy",
    {
        "system_id": _text(),
        "trained_on": _text(),
        "test_set": _text(),
        "seed": _text(),
        "source_id": _text(),
        "label": _label(),
        "n_items": _count(),
        "accuracy": _share(),
    },
)

CONDITION_ACCURACY = _schema(
    "condition_accuracy",
    {
        "system_id": _text(),
        "trained_on": _text(),
        "test_set": _text(),
        "duration_ms": pa.Column(int, pa.Check.gt(0)),
        "snr_db": _number(),
        "balanced_accuracy": _share(),
        "n_items": _count(),
    },
)
"""Mean over seeds."""

COMPARISONS = _schema(
    "comparisons",
    {
        "system_a": _text(),
        "system_b": _text(),
        "test_set": _text(),
        "difference": _number(),
        "low": _number(nullable=True),
        "high": _number(nullable=True),
        "p_clustered_t": _share(nullable=True),
        "p_sign_flip": _share(nullable=True),
        "p_durkalski": _share(nullable=True),
        "p_tost": _share(nullable=True),
        "p_holm": _share(nullable=True),
        "conclusion": pa.Column(str, pa.Check.isin(["different", "equivalent", "inconclusive", "descriptive_only"])),
        "only_a_correct": _count(),
        "only_b_correct": _count(),
        "p_mcnemar_assumes_independent_items": _share(),
        "n_items": _count(),
        "n_sources": _count(),
    },
)
"""difference: balanced accuracy of a minus b on the same stimuli, averaged over seeds. The interval, p_clustered_t and
p_tost (equivalence within the margin) hold for new sources and, where a system has several seeds, new seeds; p_sign_flip
and p_durkalski for new sources. p_holm adjusts p_clustered_t over the table. Clustered p-values are empty below 6 sources
in a class."""

MIXED_MODEL_EFFECTS = _schema(
    "mixed_model_effects",
    {
        "system_id": _text(),
        "seed": _text(),
        "stimuli": pa.Column(str, pa.Check.isin(["noisy", "clean"])),
        "term": _text(),
        "meaning": _text(),
        "estimate": _number(nullable=True),
        "standard_error": _number(nullable=True),
        "low": _number(nullable=True),
        "high": _number(nullable=True),
        "z": _number(nullable=True),
        "p_wald": _share(nullable=True),
        "likelihood_ratio": _number(nullable=True),
        "p_likelihood_ratio": _share(nullable=True),
        "p_holm": _share(nullable=True),
    },
)
"""One row per fixed effect of the mixed model of one system's (and seed's) answers, in units of d'. likelihood_ratio: against the
refit without the term, for the label terms only; p_holm adjusts its p over the label terms of one fit. Estimates are
empty where the fit's status is not "ok", p-values below 6 sources in a class."""

MIXED_MODEL_FITS = _schema(
    "mixed_model_fits",
    {
        "system_id": _text(),
        "seed": _text(),
        "stimuli": pa.Column(str, pa.Check.isin(["noisy", "clean"])),
        "formula": _text(),
        "status": pa.Column(str, pa.Check.isin(["ok", "separated", "not_converged"])),
        "method": pa.Column(str, pa.Check.isin(["quadrature", "laplace", "-"])),
        "singular": pa.Column("boolean", nullable=True),
        "largest_step": _number(nullable=True),
        "n_answers": _count(),
        "n_clips": _count(),
        "n_speech_sources": _count(),
        "n_nonspeech_sources": _count(),
        "sd_speech_sources": _number(nullable=True),
        "sd_nonspeech_sources": _number(nullable=True),
        "sd_clips": _number(nullable=True),
        "log_likelihood": _number(nullable=True),
        "log_likelihood_constant": _number(nullable=True),
        "log_likelihood_constant_mixed": _number(nullable=True),
        "mcfadden_against_constant": _number(nullable=True),
        "mcfadden_against_constant_mixed": _number(nullable=True),
        "r2_marginal": _share(nullable=True),
        "r2_conditional": _share(nullable=True),
        "reliability": pa.Column(str, pa.Check.isin(["ok", "few_sources", "descriptive_only"])),
        "note": _text(),
    },
)
"""One row per mixed model; seed: a number, or "-" (no training). status: "separated" where answers are predicted
perfectly and estimates would be infinite; "not_converged" where the optimiser stopped early, more than 0.05 standard errors
are left to go (largest_step), or a smaller model fits better. method: how the likelihood was integrated; "-" where it has
no maximum. singular: a random standard deviation (sd_...) below 0.01, its boundary. Log-likelihoods are of Bernoulli rows;
the null models are intercept-only, "constant" without and "constant_mixed" with the random effects. R2 marginal and
conditional are Nakagawa's, on the latent scale. sd_clips is empty where every source has one clip."""

LEAKAGE = _schema(
    "leakage",
    {
        "system_id": _text(),
        "seed": _text(),
        "metric": _text(),
        "own_test": _share(),
        "unseen_sources": _share(),
        "inflation": _number(),
        "low": _number(nullable=True),
        "high": _number(nullable=True),
        "base_own_test": _share(),
        "base_unseen_sources": _share(),
    },
)
"""What leakage buys: the same adapter on its own row-random test rows and on sources it never heard; the base on the
same two sets shows how far they differ in difficulty."""


_CURVE_IDENTITY = {
    "system_id": _text(),
    "design": pa.Column(str, pa.Check.isin(["grid", "factorial"])),
    "axis": pa.Column(str, pa.Check.isin(["duration", "snr"])),
    "held_duration_ms": pa.Column("Int64", pa.Check.gt(0), nullable=True),
    "measure": pa.Column(str, pa.Check.isin(["balanced_accuracy", "d_prime"])),
}

POINTS = _schema(
    "points",
    {
        "system_id": _text(),
        "design": pa.Column(str, pa.Check.isin(["grid", "factorial"])),
        "axis": _text(),
        "duration_ms": pa.Column(int, pa.Check.gt(0)),
        "snr_db": _number(nullable=True),
        "band": _text(),
        "room": _text(),
        "n_speech": _count(),
        "hits": _count(),
        "n_nonspeech": _count(),
        "false_alarms": _count(),
        "balanced_accuracy": _share(),
        "low": _share(nullable=True),
        "high": _share(nullable=True),
        "d_prime": _number(),
        "d_prime_low": _number(nullable=True),
        "d_prime_high": _number(nullable=True),
        "criterion": _number(),
        "criterion_low": _number(nullable=True),
        "criterion_high": _number(nullable=True),
        "n_speech_sources": _count(),
        "n_nonspeech_sources": _count(),
        "reliability": pa.Column(str, pa.Check.isin(["ok", "few_sources", "descriptive_only"])),
    },
)
"""One row per system and condition of the baseline set. Counts are answers of all seeds. d' and criterion with the
log-linear correction; criterion is above 0 where the system says speech too rarely. Intervals are clustered by source (jackknife, t)."""

THRESHOLDS = _schema(
    "thresholds",
    {
        **_CURVE_IDENTITY,
        "target": _number(),
        "status": pa.Column(str, pa.Check.isin(["ok", "right_censored", "left_censored", "never", "non_monotone", "flat"])),
        "threshold": _number(nullable=True),
        "low": _number(nullable=True),
        "high": _number(nullable=True),
        "jackknife_low": _number(nullable=True),
        "jackknife_high": _number(nullable=True),
        "bootstrap_low": _number(nullable=True),
        "bootstrap_high": _number(nullable=True),
        "isotonic": _number(nullable=True),
        "interval": pa.Column(str, pa.Check.isin(["jackknife_t", "cluster_bootstrap"])),
        "censored_resamples": _share(),
        "lowest_level": _number(),
        "highest_level": _number(),
        "n_levels": _count(),
        "location": _number(nullable=True),
        "scale": _number(nullable=True),
        "lapse_rate": _share(nullable=True),
        "slope": _number(nullable=True),
        "deviance": _number(),
        "goodness_of_fit_p_assumes_independent_items": _share(nullable=True),
        "n_speech_sources": _count(),
        "n_nonspeech_sources": _count(),
        "reliability": pa.Column(str, pa.Check.isin(["ok", "few_sources", "descriptive_only"])),
    },
)
"""Where each system's curve reaches the target: 75 % balanced accuracy, or the d' of an unbiased observer there. Thresholds and
levels in ms (axis duration) or dB (axis snr, at held_duration_ms); -inf and inf mean below and above the tested range, empty no
threshold. location, scale and slope (change of the proportion) are per decade of duration or dB; for d' they are of Phi(d'/2)."""

CURVES = _schema(
    "curves",
    {**_CURVE_IDENTITY, "level": _number(), "fitted": _number(), "low": _number(), "high": _number()},
)
"""Fitted curves in units of their measure, with pointwise intervals; a curve that is flat or not monotone has no rows."""

EVIDENCE = _schema(
    "evidence",
    {
        "check": _text(),
        "part_a": pa.Column(str),
        "part_b": pa.Column(str),
        "item_a": pa.Column(str),
        "item_b": pa.Column(str),
        "source_a": pa.Column(str),
        "source_b": pa.Column(str),
        "detail": _text(),
    },
)
"""What the leakage audit's failed checks found: one row per offending pair or item; "" where a column does not apply."""

COUNTERFACTUALS = _schema(
    "counterfactuals",
    {"stimulus_id": _text(), "source_id": _text(), "label": _label(), "variant": _text(), "log_odds": _number()},
)
"""What the base model answers to variants of a stimulus (earshot.counterfactuals); log_odds as in PREDICTIONS."""

PRETRAINING_CORPORA = _schema(
    "pretraining_corpora",
    {
        "model": _text(),
        "dataset": _text(),
        "certainty": pa.Column(str, pa.Check.isin(["stated", "likely", "unknown", "excluded"])),
        "known": _text(),
        "stated": _text(),
    },
)
"""What is publicly known about whether a base model heard a dataset in training, and where that is stated."""

_PROMPT_SEARCH = {"proposer": pa.Column(str, pa.Check.isin(["edits", "opro", "paraphrases"])), "search_seed": _text()}

PROMPT_SCORES = _schema(
    "prompt_scores",
    {
        "iteration": _count(),
        "origin": pa.Column(str, pa.Check.isin(["baseline", "direct", "searched"])),
        "prompt_id": _text(),
        "question": _text(),
        "n_characters": _count(),
        "n_tokens": _count(),
        "n_stimuli": _count(),
        "balanced_accuracy": _share(),
        "margin": _number(),
        "gain": _number(),
        "n_development": _count(),
        "development_balanced_accuracy": _share(nullable=True),
        "development_margin": _number(nullable=True),
        "chosen": pa.Column(bool),
    },
)
"""One row per question of one search, the baseline first; origin "direct" is written by hand. n_stimuli of the search's
stimuli were asked about before it was dropped, and n_development of the development part: together its cost in answers.
n_tokens: of the question alone. margin: mean log-odds of the right answer, nats, classes weighing the same. gain: balanced
accuracy minus the baseline's on the same stimuli. The development columns are empty for what was no finalist."""

PROMPT_HISTORY = _schema("prompt_history", {**_PROMPT_SEARCH, **PROMPT_SCORES.columns})
"""PROMPT_SCORES of every search."""

PROMPT_GAINS = _schema(
    "prompt_gains",
    {
        **_PROMPT_SEARCH,
        "prompt_id": _text(),
        "question": _text(),
        "n_prompts": _count(),
        "n_answers": _count(),
        "search_gain": _number(),
        "search_optimism": _number(nullable=True),
        "development_gain": _number(),
        "development_optimism": _number(nullable=True),
        "baseline_accuracy": _share(),
        "balanced_accuracy": _share(),
        "difference": _number(),
        "low": _number(nullable=True),
        "high": _number(nullable=True),
        "p_clustered_t": _share(nullable=True),
        "n_items": _count(),
        "n_sources": _count(),
        "reliability": pa.Column(str, pa.Check.isin(["ok", "few_sources", "descriptive_only"])),
    },
)
"""What each search's chosen question gains over the baseline on the test part, which no search saw: one row per search and,
where a proposer has several, one over them (search_seed "all", prompt_id and question "-"). difference: balanced accuracy
minus the baseline's on the same stimuli; interval and p clustered by source and, over all searches, by search.
search_gain, development_gain: the same on the stimuli of the search and of the choice; optimism: the gain expected there
if all questions were equally good (earshot.prompt_search.honesty). n_prompts and n_answers: what the search cost."""


def joint_schema(name: str, *schemas: pa.DataFrameSchema) -> pa.DataFrameSchema:
    """A schema with the columns of several; where two have a column of one name, the last one's counts."""
    return _schema(name, {column: definition for schema in schemas for column, definition in schema.columns.items()})


def validate(table: pd.DataFrame, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """Return `table` with the schema's column order and types; raise InputError naming the first violation."""
    missing = [name for name in schema.columns if name not in table]
    if missing:
        raise InputError(f"table {schema.name}: missing column {missing[0]}; has {', '.join(map(str, table.columns))}")
    try:
        return schema.validate(table[list(schema.columns)].reset_index(drop=True))
    except pandera.errors.SchemaError as error:
        raise InputError(f"table {schema.name}: {error}") from error


def write_table(path: Path, table: pd.DataFrame, schema: pa.DataFrameSchema) -> None:
    """Validate `table` and write it atomically, as CSV or Parquet by the suffix of `path`."""
    valid = validate(table, schema)
    with atomic(path) as temporary:
        if path.suffix == ".csv":
            valid.to_csv(temporary, index=False, lineterminator="\n")
        else:
            valid.to_parquet(temporary, index=False)


def read_table(path: Path, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """Read the schema's columns of a table (CSV or Parquet); an `audio` column is left on disk."""
    if path.suffix == ".csv":
        text = {name: str for name, column in schema.columns.items() if str(column.dtype).startswith("str")}
        empty = {name: [""] for name in schema.columns if name not in text}
        return validate(pd.read_csv(path, dtype=text, keep_default_na=False, na_values=empty), schema)
    try:
        there = parquet.read_schema(path).names
    except pyarrow.ArrowInvalid as error:
        raise InputError(f"{path}: cannot be read as Parquet ({error}); make it again") from error
    return validate(pd.read_parquet(path, columns=[name for name in schema.columns if name in there]), schema)


_DTYPES = {pyarrow.string(): "string", pyarrow.large_string(): "large_string", pyarrow.int64(): "int64", pyarrow.float64(): "float64"}

AUDIO_TYPE = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
"""How Hugging Face `datasets` stores audio."""


class AudioTableWriter:
    """Write a table with an `audio` column row group by row group, so that memory stays bounded.

    Use inside `earshot.files.atomic`. The file loads with datasets.load_dataset("parquet") and plays in its viewer.
    Where nothing was written, closing raises InputError, or with allow_empty leaves a valid table of no rows.
    """

    def __init__(self, path: Path, schema: pa.DataFrameSchema, allow_empty: bool = False):
        self._path, self._schema, self._allow_empty = path, schema, allow_empty
        self._writer: parquet.ParquetWriter | None = None

    def __enter__(self) -> "AudioTableWriter":
        return self

    def write(self, rows: pd.DataFrame, flac: list[bytes], names: list[str]) -> None:
        """Append rows of the schema with their FLAC bytes and file names (such as stimulus_id + ".flac")."""
        table = pyarrow.Table.from_pandas(validate(rows, self._schema), preserve_index=False)
        audio = pyarrow.array([{"bytes": content, "path": name} for content, name in zip(flac, names, strict=True)], AUDIO_TYPE)
        table = table.append_column("audio", audio)
        if self._writer is None:
            features: dict[str, dict[str, str | int]] = {
                field.name: {"dtype": _DTYPES[field.type], "_type": "Value"} for field in table.schema if field.name != "audio"
            }
            features["audio"] = {"sampling_rate": SAMPLE_RATE, "_type": "Audio"}
            metadata = {"huggingface": json.dumps({"info": {"features": features}})}
            self._writer = parquet.ParquetWriter(self._path, table.schema.with_metadata(metadata), compression="zstd")
        if len(table):
            self._writer.write_table(table.cast(self._writer.schema))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._writer is None and kind is None:
            if not self._allow_empty:
                raise InputError(f"table {self._schema.name}: no rows to write; check the sources and the clip settings")
            self.write(pd.DataFrame(columns=list(self._schema.columns)), [], [])
        if self._writer is not None:
            self._writer.close()


def iterate_audio(
    path: Path, schema: pa.DataFrameSchema, batch_rows: int = 256, keep: Callable[[pd.DataFrame], pd.Series] | None = None
) -> Iterator[tuple[pd.DataFrame, list[Waveform]]]:
    """Yield the rows of an audio table in batches, each with its decoded 16 kHz mono waveforms; memory stays bounded.

    keep: which rows of a batch to yield, as a Boolean series; the others are not decoded. A batch may so be empty.
    """
    # Buffered ahead, every row group that was read would stay in memory until the last.
    file = parquet.ParquetFile(path, pre_buffer=False)
    for batch in file.iter_batches(batch_rows, columns=[*schema.columns, "audio"]):
        rows = batch.drop_columns(["audio"]).to_pandas()
        if keep is not None:
            mask = keep(rows).to_numpy(bool)
            rows, batch = rows[mask], batch.filter(pyarrow.array(mask))
        audio = batch.column("audio").field("bytes")
        yield validate(rows, schema), [decode_flac(content.as_py()) for content in audio]


def iterate_encoded_audio(path: Path, key: str, wanted: Set[str], batch_rows: int = 128) -> Iterator[list[tuple[str, bytes]]]:
    """Yield the FLAC bytes of an audio table's rows by the text in their column `key`, in batches; memory stays bounded.

    wanted: the rows to yield. Nothing but key and audio is read, and nothing decoded or validated.
    """
    for batch in parquet.ParquetFile(path).iter_batches(batch_rows, columns=[key, "audio"]):
        kept = batch.filter(pyarrow.array([name in wanted for name in batch.column(key).to_pylist()], pyarrow.bool_()))
        if len(kept):
            yield list(zip(kept.column(key).to_pylist(), kept.column("audio").field("bytes").to_pylist(), strict=True))
