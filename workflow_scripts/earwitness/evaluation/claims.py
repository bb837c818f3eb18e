"""What the published study claimed, and what the tables of a run say of each claim."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import yaml

from earwitness.core.errors import InputError
from earwitness.statistics.distributions import t_quantile, wilson_interval
from earwitness.systems import BASE, HONEST_SPLIT
from earwitness.tables.claims import CLAIMS, HOLDS, NOT_MEASURABLE, NOT_SETTLED, REFUTED
from earwitness.tables.files import validate

PUBLISHED_MODEL = "Qwen/Qwen2-Audio-7B-Instruct"
SCHEMA_PATH = Path(__file__).parents[3] / "config" / "schema" / "claims.schema.yaml"

Tables = Mapping[str, pd.DataFrame]
"""Name below results/tables, without suffix -> the table: "accuracy", "experiments/main"; and "history" of all prompt searches."""


@dataclass(frozen=True)
class Measurement:
    """What a run says of a quantity, in the claim's unit.

    low, high: its interval; nan where there is none, equal to the value where it is exact. p: of the test, nan without one.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan


@dataclass(frozen=True)
class Claim:
    """One entry of config/claims.yaml; config/schema/claims.schema.yaml says what each field means."""

    name: str
    group: str
    statement: str
    where: str
    stated: str
    about: str
    quantity: str
    refuted_by: str
    true_where: Mapping[str, float]
    read: Sequence[Mapping[str, Any]]
    unit: str = ""
    published: str = ""
    would_settle: str = ""
    target: str = ""


@dataclass(frozen=True)
class Ledger:
    """groups: name -> title and introduction of its page. claims: in the order of the file."""

    groups: Mapping[str, Mapping[str, str]]
    claims: tuple[Claim, ...]

    @property
    def published(self) -> dict[str, str]:
        """Claim -> the number that the study stated, as it is drawn beside ours."""
        return {claim.name: claim.published for claim in self.claims if claim.published}


def load_claims(path: Path) -> Ledger:
    """Read and check a ledger.

    Raises InputError where it is no YAML, breaks its schema, or names a group or a reader that is not there.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        jsonschema.validate(content, yaml.safe_load(SCHEMA_PATH.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: no YAML ({' '.join(str(error).split())})") from error
    except jsonschema.ValidationError as error:
        raise InputError(f"{path}: {error.json_path.removeprefix('$.')}: {error.message}; see {SCHEMA_PATH.name}") from error
    claims = tuple(Claim(name=name, **entry) for name, entry in content["claims"].items())
    for claim in claims:
        if claim.group not in content["groups"]:
            raise InputError(f"{path}: claims.{claim.name}.group = {claim.group}: no such group; use one of {', '.join(content['groups'])}")
        for spec in claim.read:
            if spec["reader"] not in READERS:
                raise InputError(f"{path}: claims.{claim.name}.read: no reader {spec['reader']}; use one of {', '.join(READERS)}")
    return Ledger(content["groups"], claims)


def judge(true_where: Mapping[str, float], found: Measurement) -> str:
    """The verdict on a claim that is true where its quantity lies above one number, below another, or has a p below a third.

    It holds where the whole interval lies there, and is refuted where no part of it does; otherwise the data do not settle it. A quantity without
    an interval settles nothing; neither does a p that is not small.
    """
    if "p_below" in true_where:
        return HOLDS if found.p < true_where["p_below"] else NOT_SETTLED
    above, below = true_where.get("above"), true_where.get("below")
    if math.isnan(found.low) or math.isnan(found.high):
        return NOT_SETTLED
    if (above is not None and found.high <= above) or (below is not None and found.low >= below):
        return REFUTED
    return HOLDS if (above is None or found.low > above) and (below is None or found.high < below) else NOT_SETTLED


def claims_table(ledger: Ledger, tables: Tables, is_published_model: bool, confidence: float) -> pd.DataFrame:
    """earwitness.tables.claims.CLAIMS: every claim, what the tables say of its quantity, and the verdict that follows.

    tables: those that the run made. is_published_model: whether the base is the published one; only then do claims about the
    model itself get a verdict. confidence: of intervals that are computed here, for tables without them.
    """
    rows = []
    for claim in ledger.claims:
        found, source = measure(claim, tables, confidence)
        if claim.about == "model" and not is_published_model:
            verdict, missing = NOT_MEASURABLE, f"the published model ({PUBLISHED_MODEL}): config/reproduction.yaml"
        elif found is None:
            verdict, missing = NOT_SETTLED, f"not measured in this run: {claim.target}" if claim.target else claim.would_settle
        else:
            verdict = judge(claim.true_where, found)
            missing = claim.would_settle if verdict == NOT_SETTLED else ""
        measured = found or Measurement(math.nan)
        rows.append(
            {
                "claim": claim.name,
                "group": ledger.groups[claim.group]["title"],
                **{key: getattr(claim, key) for key in ("statement", "where", "stated", "about", "quantity", "unit")},
                "true_where": true_where_words(claim),
                **{key: getattr(measured, key) for key in ("value", "low", "high", "p")},
                "source": source,
                "verdict": verdict,
                "would_settle": missing,
            }
        )
    return validate(pd.DataFrame(rows), CLAIMS)


def measure(claim: Claim, tables: Tables, confidence: float) -> tuple[Measurement | None, str]:
    """The measurement by the first of a claim's readers that finds one, and its table; (None, "") where none does."""
    for spec in claim.read:
        given = {key: value for key, value in spec.items() if key not in ("reader", "table")}
        reader = READERS[spec["reader"]]
        if "table" not in spec:
            return reader(None, confidence, **given), "arithmetic"
        if (table := tables.get(spec["table"])) is not None and (found := reader(table, confidence, **given)) is not None:
            return found, spec["table"]
    return None, ""


def true_where_words(claim: Claim) -> str:
    """Where a claim's quantity lies if it is true, in words."""
    if "p_below" in claim.true_where:
        return f"p below {claim.true_where['p_below']:g}"
    unit = f" {claim.unit}" if claim.unit else ""
    return " and ".join(f"{side} {claim.true_where[side]:g}{unit}" for side in ("above", "below") if side in claim.true_where)


def _only(table: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table


def _one(table: pd.DataFrame, **wanted: Any) -> Any | None:
    """The row with these values, that of all seeds where there are several; None where there is none."""
    rows = _only(table, **wanted)
    if "seed" in rows and (rows.seed == "all").any():
        rows = rows[rows.seed == "all"]
    return None if rows.empty else rows.iloc[0]


def _scaled(row: Any, value: str, low: str, high: str, scale: float, p: float = math.nan) -> Measurement:
    if pd.isna(row[low]) or pd.isna(row[high]):
        return Measurement(scale * float(row[value]), p=p)
    first, second = sorted([scale * float(row[low]), scale * float(row[high])])
    return Measurement(scale * float(row[value]), first, second, p)


def _over(values: Sequence[float], confidence: float) -> Measurement | None:
    """The mean of independent values with its t interval; None without values, no interval for a single value."""
    kept = np.array([value for value in values if not math.isnan(value)])
    if not len(kept):
        return None
    mean = float(kept.mean())
    if len(kept) < 2 or np.ptp(kept) == 0:
        return Measurement(mean)
    half = float(t_quantile((1 + confidence) / 2, len(kept) - 1) * kept.std(ddof=1) / math.sqrt(len(kept)))
    return Measurement(mean, mean - half, mean + half)


def accuracy(table: Any, _: float, system: str, test_set: str = "unseen", metric: str = "accuracy") -> Measurement | None:
    """Of ACCURACY: a system's accuracy in per cent; system: base, or RECIPE-SPLIT."""
    row = _one(table, system_id=system, test_set=test_set, metric=metric)
    return None if row is None else _scaled(row, "estimate", "low", "high", 100)


def grid_accuracy(table: Any, _: float) -> Measurement | None:
    """Of POINTS: balanced accuracy of the base, mean over the conditions of the grid, in per cent.

    The interval is the mean of the conditions' own: all have the same sources, and a mean varies no more than its terms do on average.
    """
    rows = _only(table, system_id=str(BASE), design="grid")
    return None if rows.empty else _scaled(rows[["balanced_accuracy", "low", "high"]].mean(skipna=False), "balanced_accuracy", "low", "high", 100)


def _threshold(table: Any, axis: str, held_duration_ms: int | None) -> Any | None:
    rows = _only(table, system_id=str(BASE), measure="balanced_accuracy", axis=axis)
    if held_duration_ms is None:
        rows = rows[rows.held_duration_ms.isna() | (rows.design == "grid")]
        return None if rows.empty else rows.iloc[0]
    rows = rows[(rows.design == "factorial") & (rows.held_duration_ms == held_duration_ms)]
    return None if rows.empty else rows.iloc[0]


def threshold(table: Any, _: float, axis: str, held_duration_ms: int | None = None) -> Measurement | None:
    """Of THRESHOLDS: where the base reaches 75 % balanced accuracy; beyond the tested range infinite, and nan where it has no threshold."""
    row = _threshold(table, axis, held_duration_ms)
    return None if row is None else _scaled(row, "threshold", "low", "high", 1)


def threshold_fall(table: Any, _: float, from_ms: int, to_ms: int) -> Measurement | None:
    """Of CONTRASTS: the SNR that the base needs at one duration minus that at another, on the same sources; nan beyond the tested range."""
    wanted = {"held_duration_a": from_ms, "held_duration_b": to_ms, "measure": "balanced_accuracy"}
    row = _one(table, question="duration", system_a=str(BASE), axis="snr", **wanted)
    return None if row is None else _scaled(row, "value", "low", "high", 1, float(row.p))


def mixed_model_term(table: Any, _: float, term: str, stimuli: str = "noisy") -> Measurement | None:
    """Of MIXED_MODEL_EFFECTS: an effect on the base's answers, in units of d', and the p of the test that its interval belongs to."""
    row = _one(table, system_id=str(BASE), stimuli=stimuli, term=term)
    return None if row is None or pd.isna(row.estimate) else _scaled(row, "estimate", "low", "high", 1, float(row.p_wald))


INTERVALS_OF_PROMPTS = {
    "difference": ("low", "high"),
    "initial_accuracy": ("initial_low", "initial_high"),
    "balanced_accuracy": ("accuracy_low", "accuracy_high"),
}
"""Column of PROMPT_GAINS -> those of its interval."""


def prompt_gain(
    table: Any, _: float, column: str = "difference", adapters: bool = False, proposers: Sequence[str] = ("opro", "edits")
) -> Measurement | None:
    """Of PROMPT_GAINS: what questions found by the first of these proposers gain, or an accuracy, on the test part, in points or per cent."""
    rows = table[(table.system_id != str(BASE)) if adapters else (table.system_id == str(BASE))]
    for proposer in proposers:
        own = rows[rows.proposer == proposer]
        if not own.empty:
            together = own[own.search_seed == "all"]
            row = (together if len(together) else own).iloc[0]
            return _scaled(row, column, *INTERVALS_OF_PROMPTS[column], 100)
    return None


def _searched(table: Any) -> list[pd.DataFrame]:
    """The questions of every search over the base by a proposer that sees scores."""
    rows = table[(table.system_id == str(BASE)) & (table.proposer != "paraphrases")]
    return [search for _, search in rows.groupby(["proposer", "search_seed"])]


def length_correlation(table: Any, confidence: float) -> Measurement | None:
    """Of PROMPT_HISTORY: Spearman's correlation of a question's tokens with its gain, mean over searches, each of which counts once."""
    from scipy import stats  # loads slowly

    found = []
    for search in _searched(table):
        if np.ptp(search.n_tokens) and np.ptp(search.gain):
            found.append(float(stats.spearmanr(search.n_tokens, search.gain).statistic))
    return _over(found, confidence)


def pattern_gain(table: Any, confidence: float, pattern: str) -> Measurement | None:
    """Of PROMPT_HISTORY: mean gain of questions with the pattern minus that of those without, in points, mean over searches."""
    found = []
    for search in _searched(table):
        has = search.question.map(lambda text: re.search(pattern, text) is not None)
        if has.any() and not has.all():
            found.append(100 * float(search.gain[has].mean() - search.gain[~has].mean()))
    return _over(found, confidence)


def iterations_to_best(table: Any, _: float) -> Measurement | None:
    """Of PROMPT_HISTORY: after how many iterations the chosen question was there; median over searches, and their range."""
    found = [float(search.iteration[search.chosen].iloc[0]) for search in _searched(table)]
    return Measurement(float(np.median(found)), min(found), max(found)) if found else None


def worst_condition_gain(table: Any, _: float) -> Measurement | None:
    """Of PROMPT_CONDITIONS: the least gain of searched questions over the initial one in any condition, in points, without an interval."""
    wide = _only(table, system_id=str(BASE)).pivot_table(index=["duration_ms", "snr_db"], columns="proposer", values="balanced_accuracy")
    searched = [name for name in ("opro", "edits") if name in wide]
    return Measurement(100 * float((wide[searched[0]] - wide["-"]).min())) if searched and "-" in wide else None


def words(_: Any, __: float, text: str) -> Measurement:
    """How many words a text has, by white space."""
    return _exact(len(text.split()))


def adapter_size(_: Any, __: float, rank: int, matrices: Sequence[Sequence[int]], bytes_each: float = 0) -> Measurement:
    """Millions of parameters of a LoRA adapter, or of bytes: rank x (inputs + outputs) of every adapted matrix.

    matrices: [how many, inputs, outputs] of each kind.
    """
    return _exact(sum(count * rank * (inputs + outputs) for count, inputs, outputs in matrices) * (bytes_each or 1) / 1e6)


def _exact(value: float) -> Measurement:
    return Measurement(value, value, value)


def recipe_gain(table: Any, _: float, recipe: str, split: str = HONEST_SPLIT, test_set: str = "unseen", sign: float = 1) -> Measurement | None:
    """Of EXPERIMENT: what a recipe gains over the experiment's first, in points; sign -1: what the first gains over it."""
    row = _one(table, recipe=recipe, split=split, test_set=test_set)
    return None if row is None or pd.isna(row.against_first) else _scaled(row, "against_first", "against_first_low", "against_first_high", 100 * sign)


def recipe_accuracy(table: Any, _: float, recipe: str, split: str, test_set: str) -> Measurement | None:
    """Of EXPERIMENT: a recipe's balanced accuracy, in per cent."""
    row = _one(table, recipe=recipe, split=split, test_set=test_set)
    return None if row is None else _scaled(row, "balanced_accuracy", "low", "high", 100)


def seed_range(table: Any, _: float, recipe: str, split: str = HONEST_SPLIT, test_set: str = "unseen") -> Measurement | None:
    """Of EXPERIMENT: by how many points a recipe's best seed exceeds its worst; exact, since seeds that differ are a counterexample."""
    rows = _only(table, recipe=recipe, split=split, test_set=test_set)
    seeds = rows.balanced_accuracy[rows.seed != "all"]
    return _exact(100 * float(np.ptp(seeds))) if len(seeds) > 1 else None


def class_gap(table: Any, _: float, first: str, second: str) -> Measurement | None:
    """Of ACCURACY: how much further apart speech and non-speech are for one system than for another, in points, without an interval."""
    gaps = []
    for system in (first, second):
        speech, nonspeech = (_one(table, system_id=system, test_set="unseen", metric=metric) for metric in ("speech_accuracy", "nonspeech_accuracy"))
        if speech is None or nonspeech is None:
            return None
        gaps.append(abs(float(speech.estimate) - float(nonspeech.estimate)))
    return Measurement(100 * (gaps[0] - gaps[1]))


def draw(table: Any, _: float, quantity: str, metric: str = "accuracy", recipe: str | None = None) -> Measurement | None:
    """Of DRAWS: a quantity over all draws of a recipe, or of the first recipe, in per cent or points; of a single draw without an interval."""
    rows = _only(table, quantity=quantity, metric=metric)
    rows = rows[rows.recipe == (recipe or table.recipe.iloc[0])]
    together = rows[rows.draw == "all"] if (rows.draw == "all").any() else rows
    return None if together.empty else _scaled(together.iloc[0], "value", "low", "high", 100)


def leakage(table: Any, _: float) -> Measurement | None:
    """Of LEAKAGE: what a leaky system gains on its own test rows, in points of balanced accuracy."""
    row = _one(table, metric="balanced_accuracy")
    return None if row is None else _scaled(row, "inflation", "low", "high", 100)


def size_ratio(table: Any, _: float, small: int, large: int) -> Measurement | None:
    """Of TEST_SIZES: half width of the interval of an honest adapter's accuracy on the larger test set, as a share of that on the smaller."""
    rows = table[table.system_id.str.endswith(f"-{HONEST_SPLIT}")]
    pair = [rows.half_width[rows.n_items == size] for size in (large, small)]
    return None if any(values.empty or values.isna().all() for values in pair) else _exact(float(pair[0].iloc[0] / pair[1].iloc[0]))


def generation_agreement(table: Any, confidence: float) -> Measurement | None:
    """Of GENERATION: on how many of 100 stimuli scores and generated answers agree, with Wilson's interval, in the worst option order."""
    if table.empty:
        return None
    row = table.loc[table.agreement.idxmin()]
    low, high = wilson_interval(int(row.n_agreeing), int(row.n_stimuli), confidence)
    return Measurement(100 * float(row.agreement), 100 * low, 100 * high)


def ensemble_gain(table: Any, _: float, rule: str) -> Measurement | None:
    """Of ENSEMBLES: what the first ensemble of a rule gains over its single seeds, in points."""
    row = _one(table, rule=rule)
    return None if row is None else _scaled(row, "gain", "low", "high", 100)


def speakers(table: Any, _: float, number: int) -> Measurement | None:
    """Of LEARNING_CURVE: balanced accuracy with so many training speakers, measured or else extrapolated, in per cent."""
    rows = _only(table, training_speakers=number)
    rows = rows.assign(rank=rows.kind.map({"measured": 0, "fitted": 1, "extrapolated": 2})).sort_values("rank", kind="stable")
    return None if rows.empty else _scaled(rows.iloc[0], "balanced_accuracy", "low", "high", 100)


READERS: Mapping[str, Callable[..., Measurement | None]] = {
    reader.__name__: reader
    for reader in (
        accuracy, adapter_size, class_gap, draw, ensemble_gain, generation_agreement, grid_accuracy, iterations_to_best, leakage,
        length_correlation, mixed_model_term, pattern_gain, prompt_gain, recipe_accuracy, recipe_gain, seed_range, speakers, size_ratio,
        threshold, threshold_fall, words, worst_condition_gain,
    )
}  # fmt: skip
"""What the ledger's `read` may name."""
