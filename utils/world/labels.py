"""What each story is known to mean: labels that cost nothing, because the story was made from them."""

from __future__ import annotations

from dataclasses import dataclass

from utils.world import lexicon as words
from utils.world.grammar import Frame

ENTITY_TYPES = {"name": "PER", "friend": "PER", "town": "LOC", "employer": "ORG"}
ABOUT_PROTAGONIST = ("name", "occupation", "pronoun", "object_pronoun", "possessive")
ABOUT_FRIEND = ("friend", "friend_pronoun")
# frame templates that state a relation: (relation, slot of the head, slot of the tail)
RELATIONS = {
    "{name} is {article} {occupation} from {town} .": (("lives_in", "name", "town"),),
    "{name} lives in {town} and works as {article} {occupation} .": (("lives_in", "name", "town"),),
    "{name} moved to {town} to become {article} {occupation} .": (("lives_in", "name", "town"),),
    "in {town} there was {article} {occupation} called {name} .": (("lives_in", "name", "town"),),
    "{name} works for {employer} in {town} .": (("works_for", "name", "employer"), ("located_in", "employer", "town")),
    "{friend} is a friend of {name} .": (("friend_of", "friend", "name"),),
    "{name} and {friend} walked home {manner} .": (("friend_of", "friend", "name"),),
}


@dataclass(frozen=True)
class Document:
    """A story: its sentences, the hidden variables it was made from, and the frame of each sentence.

    All positions are indices into `sentences[i].split()`.
    """

    sentences: list[str]
    latents: dict[str, str]
    frames: tuple[Frame, ...]

    @property
    def text(self) -> str:
        """The sentences in one string."""
        return " ".join(self.sentences)

    @property
    def sentiment(self) -> str:
        """The tone of the story, "good" or "bad"; a sentence shows it only where `shows_tone` says so."""
        return self.latents["tone"]

    @property
    def topic(self) -> str:
        """What the story is about, such as "law"."""
        return self.latents["topic"]

    def entities(self, i: int) -> list[str]:
        """BIO tags of sentence i, one per word: B-PER, B-LOC, B-ORG or O (every entity is one word)."""
        return ["B-" + ENTITY_TYPES[kind] if kind in ENTITY_TYPES else "O" for kind in self.frames[i].slots]

    def relations(self, i: int) -> list[tuple[str, int, int]]:
        """(relation, position of its head, position of its tail) for each relation sentence i states."""
        slots = self.frames[i].slots
        stated = RELATIONS.get(self.frames[i].template, ())
        return [(relation, slots.index(head), slots.index(tail)) for relation, head, tail in stated]

    def mentions(self, i: int) -> dict[str, list[int]]:
        """Coreference: positions in sentence i that speak of the protagonist and of the friend."""
        slots = self.frames[i].slots
        return {
            person: [p for p, kind in enumerate(slots) if kind in kinds]
            for person, kinds in (("protagonist", ABOUT_PROTAGONIST), ("friend", ABOUT_FRIEND))
        }

    def shows_tone(self, i: int) -> list[int]:
        """Positions of the words in sentence i that the tone decides: all the evidence for its sentiment
        beyond the names of community and town."""
        return [p for p, kind in enumerate(self.frames[i].slots) if kind in ("mood", "trait", "day_was", "treated")]

    def shows_topic(self, i: int) -> list[int]:
        """Positions of the words in sentence i that the topic decides."""
        return [p for p, kind in enumerate(self.frames[i].slots) if kind in ("topic", "object", "place")]

    def senses(self, i: int) -> dict[int, str]:
        """Position and sense of each two-sense word in sentence i, where it stands for one of its senses."""
        slots, tokens = self.frames[i].slots, self.sentences[i].split()
        return {
            p: words.SENSES[tokens[p]][self.topic]
            for p, kind in enumerate(slots)
            if kind in ("object", "place") and self.topic in words.SENSES.get(tokens[p], {})
        }

    def translation(self, i: int) -> str | None:
        """Sentence i in Turkish, which has one pronoun for he and she; None where no short sentence is certain.

        "she is a doctor ." -> "o bir doktor ."   "she is a kind person ." -> "o nazik bir insan ."
        """
        template, tokens = self.frames[i].template, self.sentences[i].split()
        if template == "{pronoun} is {article} {occupation} .":
            turkish = words.OCCUPATIONS[tokens[3]][2]
            return f"o bir {turkish} ." if turkish else None
        if template == "{pronoun} is a {trait} person .":
            turkish = words.TURKISH_ADJECTIVES.get(tokens[3], "")
            return f"o {turkish} bir insan ." if turkish else None
        return None
