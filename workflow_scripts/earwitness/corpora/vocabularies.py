"""The labels that data sets use, what they say of speech, and how a label that somebody wrote is found among them."""

import re
from collections.abc import Iterable

from earwitness.core.errors import InputError
from earwitness.core.names import NUMBER, canonical_name, term_key


def _terms(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _numbered(text: str) -> dict[str, int]:
    return {term: number for number, term in enumerate(text.split())}


ESC50_HUMAN_VOICE = frozenset({"breathing", "clapping", "coughing", "crying_baby", "drinking_sipping", "laughing", "sneezing", "snoring"})
"""ESC-50 categories that can contain a human voice, and so cannot stand for "no speech".

Of its ten categories of humans, all that come from the vocal tract (breathing and snoring are often voiced, sips often end
in a voiced sigh), and clapping, since audiences cheer. Footsteps and brushing teeth stay: nothing there is voiced. Outdoor
scenes (fireworks, train, church bells, ...) stay: a voice in their background is an accident of one clip, not of the
category. On 217 original clips silero-vad marked speech in no such scene; of the categories that stay it marked 0.3 to
1.8 s in one or two clips each of pig, insects, hen, chainsaw, sheep and dog, which nobody has listened to.
"""

ESC50_TARGETS = _numbered("""
    dog rooster pig cow frog cat hen insects sheep crow
    rain sea_waves crackling_fire crickets chirping_birds water_drops wind pouring_water toilet_flush thunderstorm
    crying_baby sneezing clapping breathing coughing footsteps laughing brushing_teeth snoring drinking_sipping
    door_wood_knock mouse_click keyboard_typing door_wood_creaks can_opening washing_machine vacuum_cleaner clock_alarm clock_tick glass_breaking
    helicopter chainsaw siren car_horn engine train church_bells airplane fireworks hand_saw
    """)
"""All 50 categories, with the number that the column `target` and the end of a file's name have for each."""

FSD50K_SPEECH = frozenset(
    {"Speech", "Human_voice", "Male_speech_and_man_speaking", "Female_speech_and_woman_speaking", "Child_speech_and_kid_speaking"}
)
"""A clip with Speech and no label but these is SPEECH: somebody speaks, and nothing else was heard."""

FSD50K_HUMAN_VOICE = FSD50K_SPEECH | _terms("""
    Applause Breathing Burping_and_eructation Chatter Cheering Chuckle_and_chortle Clapping Conversation Cough Crowd Crying_and_sobbing
    Female_singing Gasp Giggle Human_group_actions Laughter Male_singing Respiratory_sounds Scratching_(performance_technique) Screaming
    Shout Sigh Singing Sneeze Speech_synthesizer Whispering Yell
    """)
"""FSD50K labels of sounds that can contain a human voice; scratched records usually carry one, audiences cheer."""

FSD50K_LABELS = FSD50K_HUMAN_VOICE | _terms("""
    Accelerating_and_revving_and_vroom Accordion Acoustic_guitar Aircraft Alarm Animal Bark Bass_drum Bass_guitar
    Bathtub_(filling_or_washing) Bell Bicycle Bicycle_bell Bird Bird_vocalization_and_bird_call_and_bird_song Boat_and_Water_vehicle
    Boiling Boom Bowed_string_instrument Brass_instrument Bus Buzz Camera Car Car_passing_by Cat Chewing_and_mastication
    Chicken_and_rooster Chime Chink_and_clink Chirp_and_tweet Church_bell Clock Coin_(dropping) Computer_keyboard Cowbell Crack Crackle
    Crash_cymbal Cricket Crow Crumpling_and_crinkling Crushing Cupboard_open_or_close Cutlery_and_silverware Cymbal
    Dishes_and_pots_and_pans Dog Domestic_animals_and_pets Domestic_sounds_and_home_sounds Door Doorbell Drawer_open_or_close Drill
    Drip Drum Drum_kit Electric_guitar Engine Engine_starting Explosion Fart Fill_(with_liquid) Finger_snapping Fire Fireworks
    Fixed-wing_aircraft_and_airplane Fowl Frog Frying_(food) Glass Glockenspiel Gong Growling Guitar Gull_and_seagull
    Gunshot_and_gunfire Gurgling Hammer Hands Harmonica Harp Hi-hat Hiss Idling Insect Keyboard_(musical) Keys_jangling Knock Liquid
    Livestock_and_farm_animals_and_working_animals Mallet_percussion Marimba_and_xylophone Mechanical_fan Mechanisms Meow
    Microwave_oven Motor_vehicle_(road) Motorcycle Music Musical_instrument Ocean Organ Packing_tape_and_duct_tape Percussion Piano
    Plucked_string_instrument Pour Power_tool Printer Purr Race_car_and_auto_racing Rail_transport Rain Raindrop Ratchet_and_pawl
    Rattle Rattle_(instrument) Ringtone Run Sawing Scissors Screech Shatter Sink_(filling_or_washing) Siren Skateboard Slam
    Sliding_door Snare_drum Splash_and_splatter Squeak Stream Strum Subway_and_metro_and_underground Tabla Tambourine Tap Tearing
    Telephone Thump_and_thud Thunder Thunderstorm Tick Tick-tock Toilet_flush Tools Traffic_noise_and_roadway_noise Train
    Trickle_and_dribble Truck Trumpet Typewriter Typing Vehicle Vehicle_horn_and_car_horn_and_honking Walk_and_footsteps Water
    Water_tap_and_faucet Waves_and_surf Whoosh_and_swoosh_and_swish Wild_animals Wind Wind_chime
    Wind_instrument_and_woodwind_instrument Wood Writing Zipper_(clothing)
    """)
"""All 200 labels."""


WRITTEN = "TERM"
"""In the remedy of a vocabulary: the term that somebody wrote."""


class Vocabulary:
    """A fixed set of terms; a term is found in any case and with any space or punctuation between its words.

    Terms that differ in nothing else (C and C#, 1 and -1) are found as they are spelled, and numbers always are. Of two terms that are
    one even so, the last counts.
    what: what a term is called in an error; remedy: what the user does about an unknown one.
    """

    def __init__(self, terms: Iterable[str], what: str, remedy: str):
        self._spelled = {canonical_name(term): term for term in terms}
        self._alike: dict[str, list[str]] = {}
        for term in self._spelled.values():
            self._alike.setdefault(term_key(term), []).append(term)
        self._what, self._remedy = what, remedy

    def term(self, written: str, where: str) -> str:
        """The term as the vocabulary spells it. Raises InputError naming it and `where` it stands where there is none, or two fit."""
        if (found := self._spelled.get(canonical_name(written))) is not None:
            return found
        alike = self._alike.get(term_key(written), []) if term_key(written) and not NUMBER.fullmatch(canonical_name(written)) else []
        if len(alike) > 1:
            raise InputError(f"{where}: {self._what} {written!r} may be {' or '.join(map(repr, alike))}; write it as one of them")
        if not alike or NUMBER.fullmatch(canonical_name(alike[0])):
            raise InputError(f"{where}: unknown {self._what} {written!r}; {self._remedy.replace(WRITTEN, written)}")
        return alike[0]


def divided_labels(text: str) -> list[str]:
    """The labels of a list that is written with commas, semicolons or bars."""
    return [label.strip() for label in re.split(r"[,;|]", text) if label.strip()]


def judge_fsd50k(labels: list[str]) -> tuple[str, str, str]:
    """Label, category and reason for exclusion ("" for none) of a clip by its FSD50K labels, from the most specific to the broadest."""
    voices = [label for label in labels if label in FSD50K_HUMAN_VOICE]
    if not voices:
        return "NONSPEECH", labels[0], ""
    others = [label for label in labels if label not in FSD50K_SPEECH]
    if "Speech" not in labels:
        return "NONSPEECH", labels[0], f"label with human voice: {voices[0]}"
    return "SPEECH", "speech", f"speech and something else: {others[0]}" if others else ""
