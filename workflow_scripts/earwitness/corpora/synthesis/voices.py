"""Synthetic speakers and what they say, through espeak-ng.

The text is made of seeded pseudo-words: syllables that the language allows (its own onsets, vowels and codas), read by
that language's voice. No word is meant to be a real one; what matters is that every language's sounds, rhythm and
intonation occur, with no text copied from anywhere.
"""

import ctypes
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import espeakng_loader
import numpy as np
import numpy.typing as npt

from earwitness.core.randomness import stream, stream_seed
from earwitness.corpora.synthesis import Samples

RATE = 22_050
"""Hz; what espeak-ng synthesises at."""

_AUDIO_OUTPUT_SYNCHRONOUS, _POSITION_CHARACTER, _CHARS_UTF8 = 2, 1, 1
_RATE, _PITCH, _PITCH_RANGE = 1, 3, 4

LANGUAGES: dict[str, dict[str, tuple[str, str, str]]] = {
    "base": {
        "en-us": ("b ch d f g h l m n p r s sh t w st tr pl", "a e i o oo ee ai ow u", "n t s m ng k nd l -"),
        "it": ("b c d f g l m n p r s t v gl sp tr qu", "a e i o u ia io uo", "- - - n l r"),
        "es": ("b c d f g l m n p r s t ll ch tr bl", "a e i o u ie ue", "- - n s r l"),
        "pt": ("b c d f g l m n p r s t v nh lh", "a e i o u ei ou", "- - s r m l"),
        "ro": ("b c d f g l m n p r s t v ș ț", "a e i o u ă î ea", "- n r t l c"),
        "ca": ("b c d f g l m n p r s t v ll x", "a e i o u ia", "- n s r l t"),
        "fr": ("b ch d f g j l m n p r s t v pl tr", "a e i o ou on an eu oi", "- - r l s"),
        "eo": ("b c d f g k l m n p r s t v ĝ ŝ ĉ", "a e i o u oj aj", "- n s r l"),
        "sw": ("b ch d f g k l m n p s t w ny mb nd", "a e i o u", "-"),
        "id": ("b c d g j k l m n p r s t ng", "a e i o u ai", "- n ng k r t"),
        "haw": ("h k l m n p w", "a e i o u ai ou ae", "-"),
        "eu": ("b d e g k l m n p s t tx z tz", "a e i o u ai", "- n k r tz"),
        "sq": ("b d f g k l m n p q r s sh t v xh", "a e i o u ë y", "- n r t sh"),
        "mt": ("b d f ġ ħ k l m n q r s t x ż", "a e i o u ie", "- n r t x b"),
        "qu": ("ch h k l ll m n p q r s t w y", "a i u", "- n y s q"),
        "ht": ("b ch d f g j k l m n p r s t v", "a e i o ou an on", "- n s l"),
        "lv": ("b d g k l m n p r s t v z š ž", "a e i o u ā ē ī", "- s n r m"),
        "la": ("b c d f g l m n p qu r s t v", "a e i o u ae", "- m s r nt t"),
        "pap": ("b d f g k l m n p r s t w", "a e i o u ei", "- n s r"),
    },
    "study": {
        "de": ("b d f g h k l m n p r s sch t w z st kr", "a e i o u ei au ie ü ö", "n t r ch l st nd -"),
        "nl": ("b d g h k l m n p r s sch t v w z", "a e i o oe ui ij aa ee", "n t r k l cht -"),
        "sv": ("b d f g h k l m n p r s sj t v sk", "a e i o u å ä ö", "n r t ll sk -"),
        "da": ("b d f g h k l m n p r s t v bl", "a e i o u æ ø å", "n r d t l -"),
        "nb": ("b d f g h k l m n p r s skj t v", "a e i o u ei øy å", "n r t k l -"),
        "is": ("b d f g h k l m n r s t v þ hj", "a e i o u á ó æ ei", "n r ð t l ng -"),
        "fi": ("h j k l m n p r s t v", "aa e ii o uu ä öy yö ai", "n s t l -"),
        "et": ("h j k l m n p r s t v", "a ee i õ uu ä ö ü ai", "n s d l k -"),
        "hu": ("b cs d f g gy h k l m n p r s sz t v zs", "a á e é i o ö ő u ü", "k n t r l sz -"),
        "tr": ("b c ç d g h k l m n p r s ş t v y", "a e ı i o ö u ü", "k n r l ş m -"),
        "pl": ("b cz d g k l ł m n p r s sz t w prz st", "a e i o u y ą ę", "k n ć t m ść -"),
        "cs": ("b č d h k l m n p r ř s š t v z př", "a á e ě i o ou u", "k n t l st v -"),
        "hr": ("b č d g k l lj m n nj p r s š t v z", "a e i o u ije", "k n t r st v -"),
        "ru": ("б в г д ж з к л м н п р с т ш пр ст", "а е и о у ы я ю", "к н т р ль сть м -"),
        "uk": ("б в г д з к л м н п р с т ч ш кр", "а е и і о у я ї", "к н т в ль р -"),
        "cy": ("b c ch d dd f g h ll m n p rh s t", "a e i o u w y ae", "n r dd l th d -"),
        "ga": ("b bh c d f g l m n p r s t th ch", "a á e i ó ú ao ia", "n r s ch l d -"),
    },
    "baseline": {
        "sk": ("b č d ď g h k l m n ň p r s š t v z str", "a á e i o ô u ú", "k n t r ľ st -"),
        "sl": ("b c č d g h k l m n p r s š t v z ž pr", "a e i o u", "n r l t k st -"),
        "lt": ("b d g j k l m n p r s š t v z ž kr", "a ą e ė i y o u ū ie", "s n r t k ms -"),
        "af": ("b d f g h k l m n p r s t v w sk", "a aa e ee i ie o oe ui y", "n r t k s ng -"),
        "az": ("b c ç d g h k l m n p q r s ş t v y z", "a e ə ı i o ö u ü", "n r l q m ş -"),
        "lb": ("b d f g h j k l m n p r s sch t w z", "a ä e é i o u ou éi", "n r t l ch ng -"),
        "gd": ("b bh c d f g l m n p r s t th ch", "a e i o u ao ea io", "n r s l dh ch -"),
        "tn": ("b d f g k l m n p r s t tl w kg ts", "a e i o u ê ô", "- - ng"),
        "kl": ("g k l m n p q r s t v", "a i u aa ii uu", "- k t q p"),
        "om": ("b d f g h j k l m n r s t w x dh", "a e i o u aa ee ii", "- n r l"),
        "uz": ("b ch d f g h k l m n p q r s sh t y z", "a e i o u", "n r l k m t -"),
        "tk": ("b ç d g h k l m n p r s ş t w ý z", "a ä e i o ö u y", "n r l k m ş -"),
        "el": ("β γ δ θ κ λ μ ν π ρ σ τ φ χ στ πρ", "α ε ι ο ου αι ει", "ν ς - -"),
    },
}
"""Corpus -> espeak language -> (onsets, vowels, codas), separated by spaces; "-" is no coda."""

# fmt: off
VARIANTS: dict[str, tuple[str, ...]] = {
    "base": (
        "m1", "f1", "Alex", "m2", "Annie", "Andy", "f2", "Denis", "m3", "Andrea", "Diogo",
        "Gene", "m4", "Jacky", "Lee", "Mario", "Michael", "Mike", "adam", "announcer", "antonio", "boris",
    ),
    "study": (
        "m5", "f3", "grandpa", "m6", "belinda", "klatt3", "f4", "edward", "m7", "linda", "benjamin", "aunty",
        "f5", "quincy", "m8", "grandma", "john", "shelby", "david", "klatt5", "steph", "rob", "travis", "victor",
    ),
    "baseline": (
        "Alicia", "Henrique", "klatt2", "Hugo", "anika", "Marco", "steph2", "caleb", "ed", "gustave", "klatt4", "ian",
        "iven", "marcelo", "max", "RicishayMax", "michel", "miguel", "norbert", "pablo", "iven2", "paul", "pedro",
        "robert", "sandro", "zac", "klatt6", "edward2", "mike2", "Gene2", "Reed",
    ),
}
# fmt: on
"""Corpus -> espeak voice variants. The number of variants and the number of languages of a corpus share no factor, so
that speakers meet no pair of the two again before every pair was used."""


@dataclass(frozen=True)
class Speaker:
    """A synthetic voice: language and variant of espeak-ng, pitch and its range (0 to 99), rate in words per minute."""

    corpus: str
    index: int
    language: str
    variant: str
    pitch: int
    pitch_range: int
    rate: int


def speaker(corpus: str, index: int, seed: int) -> Speaker:
    """The speaker with this number; it does not depend on how many others there are."""
    rng = stream(seed, "make_embedded_corpus", corpus, "speaker", index)
    languages, variants = list(LANGUAGES[corpus]), VARIANTS[corpus]
    return Speaker(
        corpus=corpus,
        index=index,
        language=languages[index % len(languages)],
        variant=variants[index % len(variants)],
        pitch=int(rng.integers(22, 79)),
        pitch_range=int(rng.integers(30, 81)),
        rate=int(rng.integers(130, 196)),
    )


def pseudo_sentences(who: Speaker, count: int, seed: int) -> list[str]:
    """Sentences of four to seven pseudo-words in the speaker's language."""
    rng = stream(seed, "make_embedded_corpus", who.corpus, "text", who.index)
    onsets, vowels, codas = (part.split() for part in LANGUAGES[who.corpus][who.language])
    sentences = []
    for _ in range(count):
        words = []
        for _ in range(rng.integers(4, 8)):
            syllables = [rng.choice(onsets) + rng.choice(vowels) for _ in range(rng.choice([1, 2, 3], p=[0.25, 0.5, 0.25]))]
            words.append("".join(syllables) + rng.choice(codas).replace("-", ""))
        sentences.append(" ".join(words) + str(rng.choice([".", ".", "?", "!"])))
    return sentences


def speak(who: Speaker, sentences: list[str], seed: int) -> list[Samples]:
    """Synthesise each sentence; mono at 22 050 Hz, full scale 1.

    The same arguments give the same samples, whatever was synthesised before: espeak-ng keeps oscillator and noise
    states in static variables, so every call loads a copy of the library of its own, which starts from zero; and the breath
    of some variants comes from the C library's generator, which is seeded too.
    Raises RuntimeError where espeak-ng has no such voice or says nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        library = ctypes.CDLL(str(shutil.copy(espeakng_loader.get_library_path(), Path(folder))))
    pieces: list[npt.NDArray[np.int16]] = []

    def collect(wave: "ctypes._Pointer[ctypes.c_short]", length: int, _events: int) -> int:
        if wave and length > 0:
            pieces.append(np.ctypeslib.as_array(wave, (length,)).copy())
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)(collect)
    voice = f"{who.language}+{who.variant}"
    if library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0) != RATE:
        raise RuntimeError("espeak-ng did not start at 22050 Hz")
    try:
        library.espeak_SetSynthCallback(callback)
        noise_seed = stream_seed(seed, "make_embedded_corpus", who.corpus, "espeak", who.index) % 2**31
        library.espeak_ng_SetRandSeed(ctypes.c_long(noise_seed))
        ctypes.CDLL(None).srand(ctypes.c_uint(noise_seed))
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise RuntimeError(f"espeak-ng has no voice {voice}")
        for parameter, value in ((_RATE, who.rate), (_PITCH, who.pitch), (_PITCH_RANGE, who.pitch_range)):
            library.espeak_SetParameter(parameter, value, 0)
        spoken = []
        for sentence in sentences:
            pieces.clear()
            text = sentence.encode()
            library.espeak_Synth(text, ctypes.c_size_t(len(text) + 1), 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None)
            if not pieces or not any(piece.any() for piece in pieces):
                raise RuntimeError(f"espeak-ng said nothing for voice {voice}")
            spoken.append(np.concatenate(pieces) / 32_768)
    finally:
        library.espeak_Terminate()
    return spoken


def active_stretches(samples: Samples, rate: int, longest_gap_s: float = 0.2, below_peak_db: float = 35.0) -> list[tuple[float, float]]:
    """Where a dry voice is active, from its energy.

    A 10 ms frame is active where its RMS is within `below_peak_db` of the loudest frame's. Gaps of up to
    `longest_gap_s` are bridged, and what remains shorter than 0.1 s is dropped.
    Returns (start, end) pairs in seconds, in order, disjoint.
    """
    step = round(rate * 0.01)
    count = len(samples) // step
    power = np.square(samples[: count * step]).reshape(count, step).mean(axis=1)
    active = np.flatnonzero(power > power.max(initial=0.0) * 10 ** (-below_peak_db / 10))
    if not len(active):
        return []
    breaks = np.flatnonzero(np.diff(active) - 1 > longest_gap_s / 0.01 + 1e-9)
    starts = active[np.r_[0, breaks + 1]]
    ends = active[np.r_[breaks, len(active) - 1]] + 1
    return [(first * step / rate, last * step / rate) for first, last in zip(starts, ends, strict=True) if last - first >= 10]
