"""Sentences with people, places and organisations: names are filled into slots, so that any name can stand anywhere.

`data/entity_sentences.jsonl` holds sentences such as

    {P1} left [Lindholm Foundry|ORG] to open a bakery with {P2} in [Tartu|LOC].

and `data/people.csv` full names of twelve origins. Because a name is put into a sentence only here, whose name
stands where is balanced by design, and the same sentence can be read with another name.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

MENTION = re.compile(r"\{(P[12])([gs]?)\}|\[([^\]|]+)\|(LOC|ORG)\]")  # {P1}, {P1g} given name, {P1s} surname
RELATIONS = {  # type of the first and of the second entity
    "works_for": ("PER", "ORG"),
    "founded": ("PER", "ORG"),
    "lives_in": ("PER", "LOC"),
    "born_in": ("PER", "LOC"),
    "based_in": ("ORG", "LOC"),
}


class Person(NamedTuple):
    """A person's name, and the origin of the given name where it is known."""

    given: str
    surname: str
    origin: str = ""


class Entity(NamedTuple):
    """A stretch of text: text[start:end]. slot is P1 or P2 for a person, empty otherwise."""

    start: int
    end: int
    type: str  # "PER", "LOC" or "ORG"
    slot: str = ""
    origin: str = ""  # of a person's name


class Tagged(NamedTuple):
    """A text with its entities and with the relations between them."""

    text: str
    entities: list[Entity]
    relations: list[tuple[int, str, int]]  # number of an entity, type of relation, number of an entity


def slots(template: str) -> list[str]:
    """The person slots of a sentence, in order of their names: [], ["P1"] or ["P1", "P2"]."""
    return sorted({match[1] for match in MENTION.finditer(template) if match[1]})


def fill(template: str, relations: Sequence[Sequence[str]], people: Mapping[str, Person]) -> Tagged:
    """Put people into the slots of a sentence; returns its text with entities and relations.

    relations: triples such as ["P1", "works_for", "Lindholm Foundry"]. people: a Person for each slot.
    Raises KeyError when a slot has no person, ValueError when a relation names something that is not there.
    """
    text, entities, first = "", [], {}
    done = 0
    for match in MENTION.finditer(template):
        text += template[done : match.start()]
        done = match.end()
        slot, part, name, kind = match.groups()
        if slot:
            person = people[slot]
            said = {"g": person.given, "s": person.surname}.get(part, f"{person.given} {person.surname}")
            entity = Entity(len(text), len(text) + len(said), "PER", slot, person.origin)
        else:
            said = name
            entity = Entity(len(text), len(text) + len(said), kind)
        first.setdefault(slot or name, len(entities))  # a relation belongs to the first mention
        entities.append(entity)
        text += said
    text += template[done:]
    for head, relation, tail in relations:
        if head not in first or tail not in first or relation not in RELATIONS:
            raise ValueError(f"The relation {head!r} {relation!r} {tail!r} is not about entities of: {template}")
    return Tagged(text, entities, [(first[head], relation, first[tail]) for head, relation, tail in relations])


def assign(sentences: pd.DataFrame, people: pd.DataFrame, seed: int) -> list[Tagged]:
    """Fill every sentence, each origin equally often in each slot (to within one), people in random order.

    sentences: columns text, relations. people: columns given, surname, origin. The two people of a sentence may
    have any two origins.
    """
    draw = random.Random(seed)
    by_origin = {origin: [Person(*row) for row in group[["given", "surname", "origin"]].itertuples(index=False)]
                 for origin, group in people.groupby("origin")}
    decks: dict[str, list[Person]] = {}

    def next_person(slot: str) -> Person:
        if not decks.get(slot):  # one of each origin, in a new order
            decks[slot] = [draw.choice(group) for group in draw.sample(list(by_origin.values()), len(by_origin))]
        return decks[slot].pop()

    return [fill(row.text, row.relations, {slot: next_person(slot) for slot in slots(row.text)})
            for row in sentences.itertuples()]
