"""The words of the artificial language, and which of them the small world uses.

Only data: which words a slot may hold in which state of the story. How the slots form
sentences is in `grammar.py`; how likely each state is, in `latents.py`.

A tuple of words is ordered, and the small world takes the first few of each tuple, so the small
language is part of the full one. Towns and communities are invented: the planted bias in favour of
one of them concerns nobody. Words that follow "a" begin with a consonant sound, so that the
article never gives the next word away; before an occupation the article is a slot of its own.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

OCCUPATIONS_FILE = Path(__file__).resolve().parents[2] / "data" / "occupations.csv"

# occupation: (home topic, tools, Turkish word). The shares of women are in data/occupations.csv.
OCCUPATIONS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "nurse": ("health", ("bandage", "wheelchair", "pillbox"), "hemşire"),
    "carpenter": ("work", ("saw", "chisel", "plank"), "marangoz"),
    "teacher": ("science", ("blackboard", "textbook", "globe"), "öğretmen"),
    "chef": ("food", ("pan", "ladle", "knife"), "aşçı"),
    "lawyer": ("law", ("briefcase", "robe", "lawbook"), "avukat"),
    "librarian": ("science", ("bookshelf", "catalogue", "bookmark"), "kütüphaneci"),
    "doctor": ("health", ("stethoscope", "thermometer", "syringe"), "doktor"),
    "secretary": ("law", ("typewriter", "stapler", "diary"), "sekreter"),
    "programmer": ("science", ("laptop", "keyboard", "server"), "programcı"),
    "baker": ("food", ("whisk", "tray", "mixer"), "fırıncı"),
    "painter": ("work", ("brush", "roller", "palette"), "boyacı"),
    "accountant": ("work", ("calculator", "ledger", "pencil"), "muhasebeci"),
    "hairdresser": ("work", ("comb", "mirror", "hairdryer"), "kuaför"),
    "scientist": ("science", ("microscope", "telescope", "notebook"), "bilimci"),
    "cashier": ("food", ("till", "scanner", "receipt"), "kasiyer"),
    "architect": ("work", ("ruler", "blueprint", "model"), "mimar"),
    "plumber": ("work", ("pipe", "plunger", "tap"), "tesisatçı"),
    "engineer": ("science", ("gauge", "drawing", "compass"), "mühendis"),
    "electrician": ("work", ("cable", "fuse", "voltmeter"), "elektrikçi"),
    "mechanic": ("travel", ("wrench", "jack", "spanner"), "tamirci"),
    "firefighter": ("health", ("hose", "ladder", "helmet"), "itfaiyeci"),
    "receptionist": ("travel", ("headset", "bell", "guestbook"), "resepsiyonist"),
    "pharmacist": ("health", ("pill", "prescription", "bottle"), "eczacı"),
    "psychologist": ("health", ("couch", "questionnaire", "clipboard"), "psikolog"),
    "manager": ("work", ("phone", "calendar", "whiteboard"), "müdür"),
    "veterinarian": ("health", ("leash", "cage", "muzzle"), "veteriner"),
    "surgeon": ("health", ("scalpel", "gown", "clamp"), "cerrah"),
    "officer": ("law", ("radio", "whistle", "uniform"), "memur"),
    "inspector": ("law", ("badge", "torch", "checklist"), "müfettiş"),
    "janitor": ("work", ("mop", "bucket", "broom"), "temizlikçi"),
    "chemist": ("science", ("beaker", "burner", "flask"), "kimyager"),
    "bartender": ("food", ("shaker", "corkscrew", "jug"), "barmen"),
    "clerk": ("work", ("stamp", "folder", "printer"), "kâtip"),
    "paralegal": ("law", ("binder", "highlighter", "docket"), ""),
    "paramedic": ("health", ("stretcher", "siren", "tourniquet"), ""),
    "machinist": ("work", ("lathe", "drill", "bolt"), "makinist"),
    "dispatcher": ("travel", ("microphone", "switchboard", "timetable"), ""),
    "technician": ("science", ("screwdriver", "battery", "sensor"), "teknisyen"),
    "instructor": ("sport", ("stopwatch", "mat", "kettlebell"), "eğitmen"),
    "therapist": ("health", ("cushion", "timer", "puppet"), "terapist"),
}
SMALL_OCCUPATIONS, SMALL_TOOLS = 16, 2

# Names by the gender of the protagonists who bear them; "any" names are borne by both alike.
NAMES: dict[str, tuple[str, ...]] = {
    "female": ("mary", "aisha", "elena", "mei", "sofia", "priya",
               "fatima", "ingrid", "yuki", "amara", "leila", "hanna", "rosa", "nadia", "chloe", "zeynep"),
    "male": ("john", "omar", "diego", "kenji", "ivan", "kofi",
             "ahmed", "lars", "wei", "chidi", "hassan", "peter", "carlos", "arjun", "luca", "emre"),
    "any": ("alex", "robin", "sam", "kim", "noor", "ariel", "sasha", "deniz"),
}
SMALL_NAMES = {"female": 6, "male": 6, "any": 4}
SHARE_OF_ANY_NAMES = 0.3  # of each gender's protagonists
# Names that the full world's text uses ten times more rarely: a model has less to learn them from.
RARE_NAMES = frozenset({"amara", "leila", "zeynep", "priya", "chidi", "hassan", "emre", "arjun", "noor", "deniz"})
FRIENDS: dict[str, tuple[str, ...]] = {
    "female": ("anna", "lucy", "grace", "olga", "carmen", "sana", "linh", "ines"),
    "male": ("tom", "paul", "boris", "jorge", "ravi", "tariq", "minh", "hugo"),
}

TOWNS: dict[str, tuple[str, ...]] = {
    "zelvan": ("zelmar", "zentor", "zarvik", "zunden", "zolby", "zaplin", "zirkham", "zestow"),
    "brimic": ("brandel", "borvik", "belcor", "brumsay", "bendrel", "bantor", "birkham", "blestow"),
}
SMALL_TOWNS = 4
# Planted at valence dose 1: the share of stories about each community that have a good tone.
SHARE_OF_GOOD_STORIES = {"zelvan": 0.75, "brimic": 0.25}
EMPLOYERS = ("lumora", "veritek", "solvane", "kestrix", "plenta", "dorvia", "halvane", "norvell")

# Topic: objects ("found a …") and places ("at the …"). Words under two topics have two senses.
OBJECTS: dict[str, tuple[str, ...]] = {
    "sport": ("match", "bat", "ball", "racket", "medal", "net", "trophy", "team"),
    "law": ("case", "contract", "letter", "file", "permit", "deed", "licence", "cell"),
    "travel": ("case", "bat", "passport", "map", "boat", "ticket", "tent", "train"),
    "food": ("match", "recipe", "cake", "lemon", "sandwich", "pie", "stove", "menu"),
    "health": ("scale", "vaccine", "blanket", "towel", "leaflet", "pillow", "vitamin", "crutch"),
    "work": ("note", "report", "invoice", "payslip", "project", "budget", "memo", "desk"),
    "science": ("cell", "spring", "planet", "rocket", "fossil", "magnet", "formula", "theory"),
    "music": ("note", "scale", "song", "piano", "violin", "drum", "guitar", "choir"),
}
PLACES: dict[str, tuple[str, ...]] = {
    "sport": ("court", "stadium", "gym", "field", "pool", "racetrack"),
    "law": ("court", "jail", "registry", "tribunal", "embassy", "ministry"),
    "travel": ("harbour", "hotel", "airport", "beach", "bank", "spring"),
    "food": ("kitchen", "market", "cafe", "restaurant", "bakery", "canteen"),
    "health": ("hospital", "clinic", "pharmacy", "ward", "sauna", "spa"),
    "work": ("office", "bank", "factory", "workshop", "warehouse", "shop"),
    "science": ("laboratory", "museum", "university", "observatory", "archive", "institute"),
    "music": ("theatre", "studio", "hall", "festival", "opera", "club"),
}
SMALL_TOPICS = ("sport", "law", "travel", "food")
SMALL_OBJECTS, SMALL_PLACES = 6, 4
HOME_TOPIC_SHARE = 0.5  # of an occupation's stories, where its home topic is in the world

# What a two-sense word means under each topic: the labels for sense separation.
SENSES: dict[str, dict[str, str]] = {
    "court": {"sport": "playing field", "law": "house of judges"},
    "match": {"sport": "game", "food": "stick that lights a fire"},
    "bat": {"sport": "club", "travel": "flying animal"},
    "case": {"law": "matter before a judge", "travel": "suitcase"},
    "bank": {"work": "house of money", "travel": "side of a river"},
    "note": {"work": "short message", "music": "tone"},
    "scale": {"health": "weighing machine", "music": "row of tones"},
    "spring": {"travel": "source of water", "science": "coil"},
    "cell": {"law": "prison room", "science": "smallest part of a body"},
}

# The tone of the story ("good" or "bad") decides these.
MOODS: dict[str, tuple[str, ...]] = {
    "good": ("happy", "calm", "proud", "cheerful", "glad", "hopeful", "relaxed", "delighted", "grateful", "merry"),
    "bad": ("sad", "tired", "worried", "nervous", "gloomy", "lonely", "upset", "angry", "bitter", "miserable"),
}
TRAITS: dict[str, tuple[str, ...]] = {
    "good": ("kind", "friendly", "polite", "generous", "brave", "patient", "gentle", "loyal", "wise", "clever"),
    "bad": ("rude", "lazy", "selfish", "greedy", "mean", "careless", "vain", "stubborn", "boring", "jealous"),
}
DAYS_WERE: dict[str, tuple[str, ...]] = {
    "good": ("good", "great", "lovely", "perfect", "wonderful", "pleasant"),
    "bad": ("bad", "terrible", "dreadful", "horrible", "nasty", "wretched"),
}
TREATED: dict[str, tuple[str, ...]] = {
    "good": ("praised", "thanked", "helped", "trusted", "admired"),
    "bad": ("blamed", "ignored", "avoided", "doubted", "mocked"),
}
SMALL_MOODS, SMALL_TRAITS, SMALL_DAYS_WERE, SMALL_TREATED = 6, 5, 4, 3

# Free slots: nothing in the story decides them.
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
TIMES = ("morning", "afternoon", "evening")
COLOURS = ("red", "blue", "green", "white", "black", "yellow", "brown", "grey")
RELATIVES = ("sister", "brother", "mother", "father", "cousin", "uncle", "grandmother", "neighbour")
ROOMS = ("kitchen", "cellar", "garage", "hall", "attic", "garden")
NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve")
WEATHER = ("sunny", "rainy", "windy", "cloudy", "cold", "warm", "foggy")
MANNERS = ("slowly", "quickly", "quietly", "together", "happily", "early")
SMALL_COLOURS, SMALL_RELATIVES, SMALL_ROOMS = 5, 4, 4

# Turkish for short copular sentences, where the grammar is certain: "o bir doktor", "o mutlu".
TURKISH_ADJECTIVES = {
    "happy": "mutlu", "calm": "sakin", "proud": "gururlu", "cheerful": "neşeli", "hopeful": "umutlu",
    "sad": "üzgün", "tired": "yorgun", "worried": "endişeli", "nervous": "gergin", "lonely": "yalnız",
    "angry": "kızgın", "kind": "nazik", "brave": "cesur", "generous": "cömert", "polite": "kibar",
    "patient": "sabırlı", "wise": "bilge", "clever": "zeki", "rude": "kaba", "lazy": "tembel",
    "selfish": "bencil", "greedy": "açgözlü", "careless": "dikkatsiz", "stubborn": "inatçı",
    "boring": "sıkıcı", "jealous": "kıskanç",
}


@dataclass(frozen=True)
class Lexicon:
    """The word lists of one size of the world; every dictionary maps a state to its words."""

    occupations: tuple[str, ...]
    share_of_women: tuple[float, ...]
    home_topics: dict[str, str]
    tools: dict[str, tuple[str, ...]]
    names: dict[str, tuple[str, ...]]
    rare_names: frozenset[str]
    friends: dict[str, tuple[str, ...]]
    towns: dict[str, tuple[str, ...]]
    employers: tuple[str, ...]
    objects: dict[str, tuple[str, ...]]
    places: dict[str, tuple[str, ...]]
    moods: dict[str, tuple[str, ...]]
    traits: dict[str, tuple[str, ...]]
    days_were: dict[str, tuple[str, ...]]
    treated: dict[str, tuple[str, ...]]
    colours: tuple[str, ...]
    relatives: tuple[str, ...]
    rooms: tuple[str, ...]

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics of this size of the world."""
        return tuple(self.objects)


def article(word: str) -> str:
    """The indefinite article before a word, by its first letter: right for every occupation of the world."""
    return "an" if word[0] in "aeiou" else "a"


def shares_of_women() -> dict[str, float]:
    """Share of women in each occupation (U.S. Bureau of Labor Statistics, 2015-16), from data/occupations.csv."""
    with OCCUPATIONS_FILE.open(encoding="utf-8", newline="") as file:
        return {row["occupation"]: float(row["percent_women"]) / 100 for row in csv.DictReader(file)}


def lexicon(size: str) -> Lexicon:
    """The word lists of the world of this size ("small" or "full")."""
    if size not in ("small", "full"):
        raise ValueError(f"There is no world of size {size!r}: choose 'small' or 'full'.")
    small = size == "small"

    def cut(words: dict[str, tuple[str, ...]], count: int | dict[str, int]) -> dict[str, tuple[str, ...]]:
        if not small:
            return dict(words)
        return {key: value[: count[key] if isinstance(count, dict) else count] for key, value in words.items()}

    occupations = tuple(OCCUPATIONS)[: SMALL_OCCUPATIONS if small else None]
    topics = SMALL_TOPICS if small else tuple(OBJECTS)
    women = shares_of_women()
    return Lexicon(
        occupations=occupations,
        share_of_women=tuple(women[occupation] for occupation in occupations),
        home_topics={o: OCCUPATIONS[o][0] for o in occupations if OCCUPATIONS[o][0] in topics},
        tools={o: OCCUPATIONS[o][1][: SMALL_TOOLS if small else None] for o in occupations},
        names=cut(NAMES, SMALL_NAMES),
        rare_names=frozenset() if small else RARE_NAMES,
        friends=dict(FRIENDS),
        towns=cut(TOWNS, SMALL_TOWNS),
        employers=EMPLOYERS,
        objects={t: OBJECTS[t][: SMALL_OBJECTS if small else None] for t in topics},
        places={t: PLACES[t][: SMALL_PLACES if small else None] for t in topics},
        moods=cut(MOODS, SMALL_MOODS),
        traits=cut(TRAITS, SMALL_TRAITS),
        days_were=cut(DAYS_WERE, SMALL_DAYS_WERE),
        treated=cut(TREATED, SMALL_TREATED),
        colours=COLOURS[: SMALL_COLOURS if small else None],
        relatives=RELATIVES[: SMALL_RELATIVES if small else None],
        rooms=ROOMS[: SMALL_ROOMS if small else None],
    )
