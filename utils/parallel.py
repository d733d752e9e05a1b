"""Parallel text: short sentences in Turkish, which has one pronoun for she and he, and in the world's English.

    pairs(World("full"), count=1, seed=0)[0]   # Pair(source="o bir doktor .", target="she is a doctor .", …)

The people come from the world's stories (occupation, gender, name, tone), so the text carries the same planted shares.
Only the simplest sentences are written: subject, adjective, noun, in the present, where the third person takes no
ending ("o mutlu" = "she is happy"); no speaker of Turkish has reviewed them. Every English word but one
follows from the Turkish: the pronoun, whose exact probability `probability_of_she` gives. Hence the entropy of a
translation is that of its pronoun.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from transformers import BertTokenizer

from utils.corpus import SPECIAL_TOKENS
from utils.world import World
from utils.world import lexicon as words

TURKISH_OCCUPATIONS = {english: turkish for english, (_, _, turkish) in words.OCCUPATIONS.items() if turkish}
GOOD_OR_BAD = {"good": ("iyi", "good"), "bad": ("kötü", "bad")}
PRONOUNS = ("she", "he")
SHE = {"she", "her", "hers", "herself"}
HE = {"he", "him", "his", "himself"}


class Template(NamedTuple):
    """A sentence in both languages. {pronoun} is the only word of the English side that the Turkish leaves open."""

    source: str
    target: str


# {o}: occupation, {t}: trait, {m}: mood, {g}: good or bad, {n}: name; capitals: the English word.
ALONE = (  # nobody is named: only the occupation says anything about the gender, or nothing does
    Template("o bir {o} .", "{pronoun} is {a} {O} ."),
    Template("o {t} bir {o} .", "{pronoun} is a {T} {O} ."),
    Template("o {g} bir {o} .", "{pronoun} is a {G} {O} ."),
    Template("o {t} bir insan .", "{pronoun} is a {T} person ."),
    Template("o {m} .", "{pronoun} is {M} ."),
    Template("o bugün {m} .", "{pronoun} is {M} today ."),
    Template("o çok {m} .", "{pronoun} is very {M} ."),
    Template("o {m} ve {t} .", "{pronoun} is {M} and {T} ."),
)
NO_PRONOUN = (  # the same "o" before a noun means "that"
    Template("o {o} çok {m} .", "that {O} is very {M} ."),
    Template("bu {o} bugün {m} .", "this {O} is {M} today ."),
    Template("{n} {t} bir {o} .", "{n} is a {T} {O} ."),
)
AFTER_A_NAME = (  # the name says more, and for most names everything
    Template("{n} bir {o} . o {m} .", "{n} is {a} {O} . {pronoun} is {M} ."),
    Template("{n} bir {o} . o {t} bir insan .", "{n} is {a} {O} . {pronoun} is a {T} person ."),
    Template("{n} bugün {m} . o bir {o} .", "{n} is {M} today . {pronoun} is {a} {O} ."),
)
KINDS = {"alone": ALONE, "no pronoun": NO_PRONOUN, "after a name": AFTER_A_NAME}


@dataclass(frozen=True)
class Pair:
    """A sentence (or two) in both languages; occupation and name as far as the source tells them."""

    source: str
    target: str
    kind: str  # of KINDS
    occupation: str | None
    name: str | None
    gender: str  # of the person meant: "female" or "male"

    @property
    def pronoun(self) -> str | None:
        """The pronoun of the reference translation."""
        return None if self.kind == "no pronoun" else PRONOUNS[self.gender == "male"]

    @property
    def place(self) -> int:
        """Which word of the target is the pronoun (0 for the first). Raises ValueError where there is none."""
        return self.target.split().index(self.pronoun or "she")


def pairs(world: World, count: int, seed: int, kinds: Sequence[str] = tuple(KINDS)) -> list[Pair]:
    """`count` pairs about people of the world's stories; the same seed gives the same pairs."""
    random = np.random.default_rng([seed, 7])
    templates = [(kind, template) for kind in kinds for template in KINDS[kind]]
    found: list[Pair] = []
    for latents in _people(world, count, random):
        kind, template = templates[random.integers(len(templates))]
        found.append(_fill(template, kind, latents, random))
    return found


def _people(world: World, count: int, random: np.random.Generator) -> list[dict[str, str]]:
    """Occupation, gender, name and tone, drawn from the world's own tables, for occupations that Turkish names."""
    forest = world.grammar.forest
    occupation, gender, name, tone = (forest.by_name[v] for v in ("occupation", "gender", "name", "tone"))
    known = [i for i, word in enumerate(occupation.states) if word in TURKISH_OCCUPATIONS]
    prior = occupation.table[known] / occupation.table[known].sum()
    communities = forest.by_name["community"].table
    people = []
    for i in random.choice(known, size=count, p=prior):
        g = random.choice(2, p=gender.table[i])
        n = random.choice(len(name.states), p=name.table[g])
        good = random.choice(2, p=communities @ tone.table)
        people.append({"occupation": occupation.states[i], "gender": gender.states[g], "name": name.states[n],
                       "tone": tone.states[good]})
    return people


def _fill(template: Template, kind: str, latents: dict[str, str], random: np.random.Generator) -> Pair:
    tone, occupation, name = latents["tone"], latents["occupation"], latents["name"]
    mood, trait = (str(random.choice([w for w in lists[tone] if w in words.TURKISH_ADJECTIVES]))
                   for lists in (words.MOODS, words.TRAITS))
    good, good_english = GOOD_OR_BAD[tone]
    source = template.source.format(o=TURKISH_OCCUPATIONS[occupation], t=words.TURKISH_ADJECTIVES[trait],
                                    m=words.TURKISH_ADJECTIVES[mood], g=good, n=name)
    target = template.target.format(O=occupation, T=trait, M=mood, G=good_english, n=name,
                                    a=words.article(occupation),
                                    pronoun=PRONOUNS[latents["gender"] == "male"])
    return Pair(source, target, kind, occupation if "{o}" in template.source else None,
                name if "{n}" in template.source else None, latents["gender"])


def probability_of_she(world: World, occupation: str | None = None, name: str | None = None) -> float:
    """The exact P(the person meant is a woman | what the Turkish tells of her or him).

    Bayes' rule over the occupations that the parallel text has: P(occupation) P(gender | occupation) P(name | gender).
    """
    forest = world.grammar.forest
    occupations, gender, names = (forest.by_name[v] for v in ("occupation", "gender", "name"))
    if occupation is not None and occupation not in TURKISH_OCCUPATIONS:
        raise ValueError(f"{occupation!r} is not in the parallel text, because no Turkish word for it is given.")
    joint = occupations.table[:, None] * gender.table  # (occupations, genders)
    wanted = [o in TURKISH_OCCUPATIONS if occupation is None else o == occupation for o in occupations.states]
    weight = joint[np.array(wanted)].sum(0)
    if name is not None:
        weight = weight * names.table[:, names.states.index(name)]
    return float(weight[gender.states.index("female")] / weight.sum())


def shares(world: World) -> dict[str, float]:
    """P(she | occupation) for the occupations of the parallel text, by rising share."""
    found = {o: probability_of_she(world, o) for o in world.share_of_she() if o in TURKISH_OCCUPATIONS}
    return dict(sorted(found.items(), key=lambda item: item[1]))


def about_occupations(world: World) -> list[Pair]:
    """"o bir {occupation} ." for every occupation of the parallel text, by rising share of women."""
    found = []
    for occupation in shares(world):
        target = f"she is {words.article(occupation)} {occupation} ."
        found.append(Pair(f"o bir {TURKISH_OCCUPATIONS[occupation]} .", target, "alone", occupation, None, "female"))
    return found


def about_people(world: World, seed: int) -> list[Pair]:
    """"{name} bir {occupation} . o {mood} ." for every occupation and every name that only one gender bears."""
    random, names = np.random.default_rng([seed, 8]), world.grammar.forest.by_name["name"]
    people = []
    for name, (female, male) in zip(names.states, names.table.T, strict=True):
        for occupation in shares(world) if (female > 0) != (male > 0) else ():
            latents = {"name": name, "occupation": occupation, "gender": "female" if female > 0 else "male",
                       "tone": str(random.choice(["good", "bad"]))}
            people.append(_fill(AFTER_A_NAME[0], "after a name", latents, random))
    return people


def entropy(p: float) -> float:
    """The entropy of a choice between two, in nats: what the pronoun costs the best possible translator."""
    return -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)


def nats_of(world: World, text: Sequence[Pair]) -> np.ndarray:
    """(pairs,) what the best possible translator pays for each reference on average: its pronoun's entropy, in nats."""
    return np.array([0.0 if p.pronoun is None else entropy(probability_of_she(world, p.occupation, p.name))
                     for p in text])


def floor_per_token(world: World, text: Sequence[Pair]) -> float:
    """The lowest mean loss per token of these references, the end token counted, that any translator can expect."""
    return float(nats_of(world, text).sum() / sum(len(p.target.split()) + 1 for p in text))


def build_tokenizer(world: World) -> BertTokenizer:
    """Whole words of both languages with one id each; nothing is lower-cased, and Turkish keeps its letters."""
    adjectives = words.TURKISH_ADJECTIVES
    open_words = [*TURKISH_OCCUPATIONS.values(), *adjectives.values(), *world.grammar.forest.by_name["name"].states,
                  *(o for o in world.share_of_she() if o in TURKISH_OCCUPATIONS), *adjectives,
                  *(word for pair in GOOD_OR_BAD.values() for word in pair), *PRONOUNS, "a", "an"]
    fixed = [word for templates in KINDS.values() for template in templates for side in template
             for word in side.split() if not word.startswith("{")]
    vocabulary = {word: i for i, word in enumerate([*SPECIAL_TOKENS, *dict.fromkeys([*fixed, *open_words])])}
    return BertTokenizer(vocab=vocabulary, do_lower_case=False, strip_accents=False, model_max_length=64,
                         clean_up_tokenization_spaces=False)


def spaced(text: str) -> str:
    """Punctuation as words of their own, as in the world's sentences: "he sings." becomes "he sings ."."""
    return re.sub(r"\s*([.,!?])", r" \1", text).strip()


def pronoun_of(translation: str) -> str | None:
    """"she" or "he" for an English text that has pronouns of one gender only, else None."""
    found = {word.strip(".,!?;:'\"") for word in translation.lower().split()}
    she, he = bool(found & SHE), bool(found & HE)
    return None if she == he else PRONOUNS[he]
