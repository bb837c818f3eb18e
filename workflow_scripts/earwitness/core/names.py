"""When two names are one: the only place that decides it, for splits, audits, manifests and annotations."""

import itertools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

FEWEST_LETTERS = 5
"""Shorter names at an edit distance of one are too often two names."""

SERIES = 3
"""So many names that differ in one and the same place are a series (roomA, roomB, roomC), not misspellings."""

LOOK_ALIKES = dict(zip("авеһнкморсѕтуԝхԁԛіјѵαβεηικνορτυχ", "abehhkmopcstywxdqijvabenikvoptux", strict=True))
"""Cyrillic and Greek letters -> the Latin ones that they look like, in lower or in upper case."""

STROKED = dict(zip("đðħłøŧıæœþ", ("d", "d", "h", "l", "o", "t", "i", "ae", "oe", "th"), strict=True))
"""Letters that Unicode does not take apart, and how they are written without them."""

UMLAUTS = {"ä": "ae", "ö": "oe", "ü": "ue"}
"""How they are written where these letters are missing."""

SUFFIX = re.compile(r"\.(wav|flac|mp3|ogg|oga|opus|aiff?|aifc|au|caf|w64|rf64|sph|m4a|rttm)$")
"""Suffix of a source that is named after a file."""

NUMBER = re.compile(r"[+-]?\d{1,30}([.,]\d{0,30})?(e[+-]?\d{1,2})?")


UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Letters and marks that Unicode shows as nothing (Default_Ignorable_Code_Point), besides those of its category Cf."""


def visible(text: str) -> str:
    """A text without what is invisible in it, and without surrounding space."""
    return UNSEEN.sub("", "".join(character for character in text if unicodedata.category(character) != "Cf")).strip()


def canonical_name(name: object) -> str:
    """The one spelling of a name: composed letters (Unicode NFC), nothing invisible, no surrounding space, no difference of case, 12 for 12.0.

    A column of numbers that once held a gap is written 12.0 by many programs. "007" is not "7"; see `similar_names`. Every
    text is a name, NA, None, null and nan too.
    """
    folded = unicodedata.normalize("NFD", visible(str(name))).casefold()
    text = unicodedata.normalize("NFC", folded)
    whole = re.fullmatch(r"([+-]?\d+)\.0+", text)
    return whole.group(1) if whole else text


def whole_number(name: str) -> int | None:
    """The number that a name writes as 12, 012, 12.0, 1.2e1, 12.wav or in digits of another width or script; None where it is no whole number."""
    plain = unicodedata.normalize("NFKC", SUFFIX.sub("", canonical_name(name)))
    value = Decimal(plain.replace(",", ".")) if NUMBER.fullmatch(plain) else None
    return int(value) if value is not None and value == value.to_integral_value() else None


def term_key(term: str) -> str:
    """What a term of a fixed vocabulary is looked up by: its letters and digits, without case, space and punctuation."""
    return "".join(character for character in unicodedata.normalize("NFKC", term).casefold() if character.isalnum())


def similar_names(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of different canonical names that may be one name, each and all of them sorted.

    A pair is similar where nothing differs but leading zeros, accents, spaces, punctuation, a file's suffix and letters of scripts that
    look alike, or the order of words ("Smith, Ana"), where both are the same number (1.2e1 and 12), or where the numbers are the same and the
    letters, at least
    FEWEST_LETTERS, are one insertion, deletion, substitution or swap of neighbours apart
    (Damerau-Levenshtein distance 1). Names that differ in a number are numbered, not misspelt. The cost grows with the number
    of names, not of pairs.
    """
    distinct = sorted(set(names))
    pairs: set[tuple[str, str]] = set()
    alike = defaultdict[str, list[str]](list)
    for name in distinct:
        alike[_bare(name)].append(name)
    for key in (_bare, _with_umlauts_written_out, _words):
        written = defaultdict[object, list[str]](list)
        for name in distinct:
            written[key(name)].append(name)
        pairs |= {pair for same, group in written.items() if same for pair in itertools.combinations(group, 2)}

    near = defaultdict[tuple[tuple[str, ...], str], set[str]](set)
    for bare in filter(None, alike):
        numbers, letters = tuple(re.findall(r"\d+", bare)), re.sub(r"\d+", "0", bare)
        if sum(character.isalpha() for character in letters) >= FEWEST_LETTERS:
            for shorter in {letters, *(letters[:k] + letters[k + 1 :] for k in range(len(letters)))}:
                near[numbers, shorter].add(bare)
    for group_of_bare in near.values():
        if 1 < len(group_of_bare) < SERIES:
            first, second = sorted(group_of_bare)
            if _one_edit_apart(re.sub(r"\d+", "0", first), re.sub(r"\d+", "0", second)):
                pairs |= {(min(a, b), max(a, b)) for a in alike[first] for b in alike[second]}
    return sorted(pairs)


def _bare(name: str) -> str:
    """Letters without accents and numbers without leading zeros; a point between two numbers."""
    if NUMBER.fullmatch(name):
        return format(Decimal(name.replace(",", ".")).normalize(), "f").lstrip("-")
    decomposed = unicodedata.normalize("NFKD", SUFFIX.sub("", name))
    plain = "".join(_latin(character) for character in decomposed if not unicodedata.combining(character))
    tokens = [token.lstrip("0") or "0" if token.isdigit() else token for token in re.findall(r"\d+|[^\W\d_]+", plain)]
    joined = ""
    for token in tokens:
        joined += ("." if joined[-1:].isdigit() and token[0].isdigit() else "") + token
    return joined


def _with_umlauts_written_out(name: str) -> str:
    return _bare("".join(UMLAUTS.get(character, character) for character in name))


def _words(name: str) -> tuple[str, ...]:
    """The words of a name of several, each of two letters at least, in the order of the alphabet; none of another name."""
    words = sorted(_bare(word) for word in re.findall(r"[^\W\d_]+", name))
    several = len(words) > 1 and not re.search(r"\d", name) and all(len(word) > 1 for word in words)
    return tuple(words) if several and sum(map(len, words)) >= FEWEST_LETTERS else ()


def _latin(character: str) -> str:
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    return STROKED.get(character) or LOOK_ALIKES.get(character, character)


def _one_edit_apart(first: str, second: str) -> bool:
    if len(first) > len(second):
        first, second = second, first
    start = next((k for k, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), len(first))
    if len(first) < len(second):
        return first[start:] == second[start + 1 :]
    swapped = first[:start] + first[start : start + 2][::-1] + first[start + 2 :]
    return first[start + 1 :] == second[start + 1 :] or swapped == second
