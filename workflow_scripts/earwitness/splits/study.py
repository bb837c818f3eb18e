"""The study's splits: who trains, who tunes, who tests.

What must stay together is one component (earwitness.splits.components). A split by source is the one nearest to an assignment
of single sources that divides no component.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from earwitness.core.errors import InputError
from earwitness.core.randomness import stream_seed
from earwitness.splits.components import components, no_ties, shared_values
from earwitness.splits.nearest import nearest_split
from earwitness.systems import BY_ROW, BY_SOURCE
from earwitness.tables.columns import LABELS
from earwitness.tables.files import validate
from earwitness.tables.splits import SPLIT

KEPT_TOGETHER = ("recording_id", "original", "session")
"""Columns of stimuli, where they have them, whose equal values keep sources in one part, as source_id does."""


def with_origins(stimuli: pd.DataFrame, recordings: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Stimuli with the columns `original`, what their recording was cut from, and `session`, what was recorded together; "" where not known.

    recordings: tables of earwitness.tables.recordings.RECORDINGS.
    """
    told = pd.concat([pd.DataFrame(columns=["recording_id", "original", "session"], dtype=str), *recordings]).drop_duplicates("recording_id")
    told = told.set_index("recording_id")
    return stimuli.assign(**{origin: told[origin].reindex(stimuli.recording_id, fill_value="").to_numpy() for origin in ("original", "session")})


def split_by_source(stimuli: pd.DataFrame, dev_fraction: float, test_fraction: float, seed: int, ties: pd.DataFrame | None = None) -> pd.DataFrame:
    """Assign whole components of sources to train, dev and test.

    stimuli: one row per stimulus, with stimulus_id, clip_id, recording_id, source_id, label and duration_ms.
    dev_fraction, test_fraction: shares of each class's sources, in (0, 1), together below 1; every part gets at least
    one source of each class. ties: sources that must be in one part (earwitness.tables.ties.TIES), besides those that share one of KEPT_TOGETHER.

    Each class's sources are ordered by a hash of the seed and their own name, and the parts are stretches of that order:
    the order of rows plays no role, and a new source moves at most a few others from one part to the next. Where that divides
    a component (a source of both classes, sources of one recording), the nearest split that does not is taken.
    Returns a SPLIT table sorted by stimulus_id.
    Raises InputError where a class has fewer than 3 sources, or its components cannot give every part one.
    """
    parts: dict[tuple[str, str], str] = {}
    for label, sources in _sources_by_class(stimuli).items():
        ordered = _by_key(sources, seed, "split_grouped")
        count = len(ordered)
        if count < 3:
            raise InputError(
                f"class {label} has {count} source{'s' if count > 1 else ''}; train, dev and test need at least one each: "
                f"add recordings of {label} from other sources"
            )
        test = min(max(1, round(test_fraction * count)), count - 2)
        dev = min(max(1, round(dev_fraction * count)), count - 1 - test)
        stretches = ["test"] * test + ["dev"] * dev + ["train"] * (count - test - dev)
        parts |= {(label, source): part for source, part in zip(ordered, stretches, strict=True)}
    split = _finish(_whole(stimuli, parts, seed, ties))
    for part in ("train", "dev", "test"):
        _assert_both_classes(split, part)
    return split


def split_into_fold(stimuli: pd.DataFrame, folds: int, fold: int, dev_fraction: float, seed: int, ties: pd.DataFrame | None = None) -> pd.DataFrame:
    """One of the splits by source that together test every source exactly once.

    stimuli, ties: as for `split_by_source`. fold: 0, 1, ..., folds - 1. The fold tests every `folds`-th source of each class, in
    an order that depends on the seed and the sources' names alone. dev_fraction: share of each class's sources, drawn anew
    for each fold from those it does not test, at least one; the rest trains. Components stay whole, as in `split_by_source`.
    Returns a SPLIT table sorted by stimulus_id.
    Raises InputError where a class has too few sources for a test source in every fold and one to tune and one to train on
    beside it, or its components cannot give every fold one.
    """
    tested: dict[tuple[str, str], str] = {}
    by_class = _sources_by_class(stimuli)
    for label, sources in by_class.items():
        count = len(sources)
        if count < folds:
            raise InputError(
                f"class {label} has {count} source{'s' if count > 1 else ''}, fewer than splits.folds = {folds}; "
                f"lower it to {count} or less (at least 3), or add recordings of {label} from other sources"
            )
        tested |= {(label, source): str(k % folds) for k, source in enumerate(_by_key(sources, seed, "split_fold"))}
    in_fold = _whole(stimuli, tested, seed, ties)
    test, rest = in_fold[in_fold.part == str(fold)].assign(part="test"), in_fold[in_fold.part != str(fold)]
    parts: dict[tuple[str, str], str] = {}
    for label, sources in _sources_by_class(rest).items():
        others = _by_key(sources, seed, "split_fold", "dev", str(fold))
        dev = min(max(1, round(dev_fraction * len(by_class[label]))), len(others) - 1)
        parts |= {(label, source): "dev" if k < dev else "train" for k, source in enumerate(others)}
    return _finish(pd.concat([test, _whole(rest, parts, seed, ties)]))


def split_with_fewer_sources(grouped: pd.DataFrame, sources: int, seed: int) -> pd.DataFrame:
    """A split by source (SPLIT) whose train part keeps so many of its sources of each class; dev and test stay.

    The sources kept are the first in an order that depends on the seed and their names alone, so a smaller number keeps a
    subset of a larger one's.
    Returns a SPLIT table sorted by stimulus_id.
    Raises InputError where the train part has fewer sources of a class.
    """
    train = grouped[grouped.part == "train"]
    kept = grouped.part != "train"
    for label, names in _sources_by_class(train).items():
        if len(names) < sources:
            raise InputError(
                f"the train part of the grouped split has {len(names)} {label} sources, splits.training_sources asks for {sources}; "
                f"lower it to {len(names)} or less, or add recordings of {label}"
            )
        first = _by_key(names, seed, "split_training_sources")[:sources]
        kept |= (grouped.label == label) & grouped.source_id.isin(first)
    return _finish(grouped[kept])


def split_by_row(grouped: pd.DataFrame, speech_sources: int, sound_sources: int, stimuli: int, test_fraction: float, seed: int) -> pd.DataFrame:
    """The published study's mistake: rows go to train and test at random, whatever their source.

    It is kept only to show its leak. The same speakers and sounds stand on both sides, so a test on this split measures
    recognition of sources heard in training: never report it as how well a model does on new ones.

    grouped: a split by source (SPLIT); only sources of its train part are used, so that its dev and test parts stay
    unheard and can test the same adapter honestly.
    speech_sources, sound_sources: how many SPEECH and NONSPEECH sources take part, drawn at random from those with enough
    rows for an equal share, and where these do not suffice from those with the most.
    stimuli: how many rows, half of each class (SPEECH gets the odd one), as evenly over the sources as their rows allow.
    test_fraction: share of each class's rows that goes to test, in (0, 1); at least one row; the rest trains, none is dev.
    Returns a SPLIT table sorted by stimulus_id.
    Raises InputError where there are too few sources or rows, or where by chance no source is shared.
    """
    train = grouped[grouped.part == "train"]
    chosen = []
    for label, n_sources, n_rows, key in (
        ("SPEECH", speech_sources, stimuli - stimuli // 2, "speech_sources"),
        ("NONSPEECH", sound_sources, stimuli // 2, "sound_sources"),
    ):
        rows = train[train.label == label]
        shares = rows.source_id.value_counts().clip(upper=-(-n_rows // n_sources))
        sources = sorted(_by_key(shares.index, seed, "split_row_random", "source"), key=lambda source: -shares[source])
        if len(sources) < n_sources:
            raise InputError(
                f"the train part of the grouped split has {len(sources)} {label} sources, splits.row_random.{key} asks for {n_sources}; "
                f"lower it to {len(sources)} or less, or add recordings of {label}"
            )
        if n_rows < n_sources:
            raise InputError(
                f"splits.row_random.stimuli = {stimuli} gives class {label} {n_rows} stimuli, fewer than its {n_sources} sources; "
                f"raise it to at least {2 * n_sources}, or lower splits.row_random.{key}"
            )
        rows = rows[rows.source_id.isin(sources[:n_sources])]
        if len(rows) < n_rows:
            raise InputError(
                f"the {n_sources} {label} sources with the most stimuli in the train part have {len(rows)}, "
                f"splits.row_random.stimuli = {stimuli} needs {n_rows} of them; "
                f"lower it to {2 * len(rows)} or less, or raise splits.row_random.{key} or clips.per_source"
            )
        drawn = _spread(rows, n_rows, seed, "split_row_random", "draw")
        test = set(_by_key(drawn, seed, "split_row_random", "part")[: min(max(1, round(test_fraction * n_rows)), n_rows - 1)])
        rows = rows[rows.stimulus_id.isin(drawn)]
        chosen.append(rows.assign(part=["test" if name in test else "train" for name in rows.stimulus_id]))
    split = _finish(pd.concat(chosen))
    for part in ("train", "test"):
        _assert_both_classes(split, part)
    if set(split.source_id[split.part == "train"]).isdisjoint(split.source_id[split.part == "test"]):
        raise InputError("the row-random split shares no source between train and test, so it shows no leak; raise splits.row_random.stimuli")
    return split


@dataclass(frozen=True)
class PublishedDesign:
    """The sizes of the published study's data: config splits.redrawn.

    speech_sources, sound_sources, stimuli: what a draw consists of, half of the stimuli of each class. test_fraction: by row, the
    share of each class's stimuli that is tested first. extended: further stimuli of the same sources, half of each class, that are
    tested then. test_speech_sources, test_sound_sources, test_stimuli: by source, what is tested, as many stimuli of every source.
    durations_ms, snrs_db: the conditions that stimuli are drawn from; empty for all.
    """

    speech_sources: int
    sound_sources: int
    stimuli: int
    test_fraction: float
    extended: int
    test_speech_sources: int
    test_sound_sources: int
    test_stimuli: int
    durations_ms: Sequence[int] = ()
    snrs_db: Sequence[float] = ()

    def of_class(self, label: str) -> "_ClassSizes":
        """The numbers of one class; SPEECH gets what is odd."""
        speech = label == "SPEECH"
        tested = round(self.test_stimuli * self.test_speech_sources / (self.test_speech_sources + self.test_sound_sources))

        def half(number: int) -> int:
            return number - number // 2 if speech else number // 2

        return _ClassSizes(
            sources=self.speech_sources if speech else self.sound_sources,
            test_sources=self.test_speech_sources if speech else self.test_sound_sources,
            stimuli=half(self.stimuli),
            extended=half(self.extended),
            tested=tested if speech else self.test_stimuli - tested,
        )


@dataclass(frozen=True)
class _ClassSizes:
    sources: int
    test_sources: int
    stimuli: int
    extended: int
    tested: int


def redraw_design(grouped: pd.DataFrame, index: pd.DataFrame, design: PublishedDesign, draw: int, seed: int) -> dict[str, pd.DataFrame]:
    """The published study's first split and its corrected one, on sources and stimuli drawn anew.

    grouped: a split by source (SPLIT); only sources of its train part are drawn, so that its test part can test the same adapters.
    index: STIMULI. draw: 0, 1, ...: each has sources and stimuli of its own, which may be another's too; both splits of a draw have
    the same sources.

    Returns SPLIT by name. "by_row": of the stimuli, drawn as evenly over the sources as their rows allow, a share is set apart whatever its
    source, as dev, and the rest trains; test are the extended ones, of the same sources. "by_source": whole sources are tested, the others
    train on what is left of as many stimuli; there is no dev.
    Raises InputError where there are too few sources, or too few stimuli of the conditions.
    """
    conditions = index[["stimulus_id", "duration_ms", "snr_db"]]
    for column, levels in (("duration_ms", design.durations_ms), ("snr_db", design.snrs_db)):
        conditions = conditions[conditions[column].isin(levels)] if len(levels) else conditions
    train = grouped[(grouped.part == "train") & grouped.stimulus_id.isin(conditions.stimulus_id)]
    stream = ("redraw_design", str(draw))
    parts: dict[str, dict[str, str]] = {BY_ROW: {}, BY_SOURCE: {}}
    for label in LABELS:
        sizes, rows = design.of_class(label), train[train.label == label]
        shares = rows.source_id.value_counts().clip(upper=-(-(sizes.stimuli + sizes.extended) // sizes.sources))
        ordered = sorted(_by_key(shares.index, seed, *stream, "source"), key=lambda source: -shares[source])
        if len(ordered) < sizes.sources:
            raise InputError(
                f"the train part of the grouped split has {len(ordered)} {label} sources with stimuli of the published conditions, "
                f"splits.redrawn asks for {sizes.sources}; lower that, or add recordings of {label}"
            )
        rows = rows[rows.source_id.isin(ordered[: sizes.sources])]
        tested = _by_key(ordered[: sizes.sources], seed, *stream, "test source")[: sizes.test_sources]
        of_tested = rows[rows.source_id.isin(tested)]
        needed = {
            "in all": (len(rows), sizes.stimuli + sizes.extended),
            "of the sources that are tested": (len(of_tested), sizes.tested),
            "of the sources that are not": (len(rows) - len(of_tested), sizes.stimuli - sizes.tested),
        }
        for which, (there, wanted) in needed.items():
            if there < wanted:
                raise InputError(
                    f"the {sizes.sources} {label} sources of draw {draw} have {there} stimuli {which}, splits.redrawn needs {wanted}; "
                    "raise clips.per_source or the data set's clips_per_source, or lower splits.redrawn.stimuli or extended"
                )
        drawn = list(_spread(rows, sizes.stimuli, seed, *stream, "by row"))
        first = max(1, round(design.test_fraction * sizes.stimuli))
        parts[BY_ROW] |= dict.fromkeys(drawn, "train") | dict.fromkeys(_by_key(drawn, seed, *stream, "first test")[:first], "dev")
        others = rows[~rows.stimulus_id.isin(drawn)]
        parts[BY_ROW] |= dict.fromkeys(_spread(others, sizes.extended, seed, *stream, "extended"), "test")
        parts[BY_SOURCE] |= dict.fromkeys(_spread(of_tested, sizes.tested, seed, *stream, "tested"), "test")
        others = rows[~rows.source_id.isin(tested)]
        parts[BY_SOURCE] |= dict.fromkeys(_spread(others, sizes.stimuli - sizes.tested, seed, *stream, "trained"), "train")
    return {name: _finish(train.assign(part=train.stimulus_id.map(part)).dropna(subset="part")) for name, part in parts.items()}


def _spread(rows: pd.DataFrame, count: int, seed: int, *stream: str) -> pd.Series:
    """So many stimulus ids, as evenly over the sources as their rows allow, in an order that depends on seed and names alone."""
    names = pd.Series(_by_key(rows.stimulus_id, seed, *stream), dtype=object)
    turn = names.groupby(names.map(rows.set_index("stimulus_id").source_id)).cumcount()
    return names[turn.sort_values(kind="stable").index[:count]]


def _sources_by_class(stimuli: pd.DataFrame) -> dict[str, list[str]]:
    sources = stimuli[["source_id", "label"]].drop_duplicates()
    return {str(label): sorted(group.source_id) for label, group in sources.groupby("label")}


def _whole(stimuli: pd.DataFrame, parts: Mapping[tuple[str, str], str], seed: int, ties: pd.DataFrame | None) -> pd.DataFrame:
    """Stimuli with the column `part`: the assignment of the sources of each class that is nearest to `parts` and divides no component.

    Raises InputError where a part would be left without a class.
    """
    wanted = [parts[key] for key in zip(stimuli.label, stimuli.source_id, strict=True)]
    items = stimuli.assign(part=wanted, seconds=stimuli.duration_ms / 1000)
    held = pd.concat(
        [shared_values(items, [name for name in KEPT_TOGETHER if name in items]), no_ties() if ties is None else ties], ignore_index=True
    )
    nearest = nearest_split(items, components(items.source_id, held), held, sorted(set(wanted)), seed=seed)
    if nearest.missing:
        raise InputError("; ".join(nearest.missing))
    return items.assign(part=nearest.parts)


def _by_key(names: Iterable[str], seed: int, *stream: str) -> list[str]:
    """Names in an order that depends on the seed and the names alone."""
    return sorted(names, key=lambda name: (stream_seed(seed, *stream, name), name))


def _finish(split: pd.DataFrame) -> pd.DataFrame:
    return validate(split.sort_values("stimulus_id"), SPLIT)


def _assert_both_classes(split: pd.DataFrame, part: str) -> None:
    labels = sorted(split.label[split.part == part].unique())
    if labels != sorted(LABELS):
        raise InputError(f"part {part} of the split has {' and '.join(labels) or 'no stimuli'}; every part needs both classes: add recordings")


def untrained_stimuli(stimuli: pd.DataFrame, splits: list[pd.DataFrame]) -> frozenset[str]:
    """Ids of the stimuli that an adapter may be asked about.

    stimuli: with columns stimulus_id and source_id. splits: earwitness.tables.splits.SPLIT; the adapter trained on the train part of the first.
    These are stimuli in the dev or test part of any split and not in the train part of the first, and those outside all splits whose
    source neither trains nor tunes in any: sources are compared by their established ids, the same in every data set.
    """
    split = pd.concat(splits)
    divided = set(split.stimulus_id[split.part != "train"]) - set(splits[0].stimulus_id[splits[0].part == "train"])
    elsewhere = stimuli[~stimuli.stimulus_id.isin(split.stimulus_id) & ~stimuli.source_id.isin(split.source_id[split.part != "test"])]
    return frozenset(divided & set(stimuli.stimulus_id) | set(elsewhere.stimulus_id))
