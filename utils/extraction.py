"""Reading labels, entities and relations out of text, in the world and in English, as notebook 06 does.

    asked = ask_for(world, "topic", count=500, seed=1)      # texts, labels, and the exact distribution of the label
    found, probability = ask_about_names(model, tokenizer, frames, names)     # every name in every carrier sentence
    matched_gap(found.mean(1), origins, pieces, "Igbo")     # against names of other origins with as many pieces

The world answers exactly; on English the same functions run without an answer. `tools/records_extraction.py` repeats
the fine-tunings over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from utils import entities, finetune, models, pairs, tagging
from utils.pairs import Pair
from utils.tagging import NONE, TAGS, Candidate, Sentence
from utils.world import World

RELATIONS = (NONE, *entities.RELATIONS)
WORLD_RELATIONS = (NONE, "lives_in", "works_for", "located_in", "friend_of")
PER = TAGS.index("B-PER")
TRAINING_NAMES = ("180 of all origins", "15 of all origins", "15 English")
MARKED = ("none", "at random", "known signs")  # no entity markers, or how their vectors start
FEWEST = 3  # names of other groups that a stratum must have to be compared with


class Asked(NamedTuple):
    """Pairs of neighbouring sentences, the hidden variable's state, and its exact distribution, (pairs, states)."""

    pairs: list[Pair]
    labels: np.ndarray
    exact: np.ndarray
    states: tuple[str, ...]


class Gap(NamedTuple):
    """A difference of means with its 95 % interval and the two-sided p-value of a permutation test."""

    value: float
    low: float
    high: float
    p: float


# ------------------------------------------------------------------------------------- the world's texts


def ask_for(world: World, variable: str, count: int, seed: int) -> Asked:
    """Two neighbours from each of `count` stories, labelled with a hidden variable such as "topic" or "tone"."""
    labelled = pairs.labelled(world, variable, count, seed, stream=6)
    return Asked(*labelled, world.grammar.forest.by_name[variable].states)


def shown(world: World, asked: Sequence[Pair], variable: str) -> np.ndarray:
    """How many words of each pair the variable itself decides, (pairs,)."""
    slots, frames = world.grammar.slots, world.grammar.frames
    count = np.array([sum(slots[kind].variable == variable for kind in frame.slots) for frame in frames])
    return sum(count[pairs.frames_of(world, side)] for side in zip(*asked, strict=True))


def confusion(labels: np.ndarray, said: np.ndarray, states: int) -> np.ndarray:
    """Share of texts for each (truth, answer); sums to 1, and its diagonal to the accuracy."""
    table = np.zeros((states, states))
    np.add.at(table, (labels, said), 1 / len(labels))
    return table


def best_confusion(exact: np.ndarray) -> np.ndarray:
    """What `confusion` is expected to be for a reader who names the likeliest state, and tosses a coin for ties."""
    best = np.isclose(exact, exact.max(1, keepdims=True))
    return exact.T @ (best / best.sum(1, keepdims=True)) / len(exact)


def story_sentences(world: World, count: int, seed: int) -> list[Sentence]:
    """One sentence, with its BIO tags, from each of `count` stories."""
    rng = np.random.default_rng([seed, 7])
    stories = world.documents(count, seed)
    return [tagging.from_story(story, int(rng.integers(len(story.sentences)))) for story in stories]


def careless(sentences: Sequence[Sentence], kept: Mapping[str, float], seed: int) -> list[Sentence]:
    """The sentences as careless annotators tag them: each mention of a name keeps its tag with the name's share."""
    rng = np.random.default_rng([seed, 8])
    return [Sentence(words, ["O" if word in kept and rng.random() >= kept[word] else tag
                             for word, tag in zip(words, tags, strict=True)]) for words, tags in sentences]


def story_relations(world: World, count: int, seed: int) -> list[Candidate]:
    """Every two entities of a sentence, for all sentences of `count` stories."""
    return [candidate for story in world.documents(count, seed) for i in range(len(story.sentences))
            for candidate in tagging.story_candidates(story, i)]


# --------------------------------------------------------------------------------------- English texts


def halves(people: pd.DataFrame, seed: int) -> np.ndarray:
    """0 or 1 for each person, each half with half of every origin: names to train with and names to be tested on."""
    rng, half = np.random.default_rng([seed, 9]), np.zeros(len(people), dtype=int)
    for rows in people.groupby("origin").indices.values():
        half[rng.permutation(rows)[: len(rows) // 2]] = 1
    return half


def chosen_names(people: pd.DataFrame, which: str) -> pd.DataFrame:
    """The people of `TRAINING_NAMES`: all, or as many as there are English ones: these, or some of each origin."""
    if which not in TRAINING_NAMES:
        raise ValueError(f"which={which!r} is unknown; use one of {', '.join(TRAINING_NAMES)}.")
    english = people[people["origin"] == "English"]
    if which == TRAINING_NAMES[2]:
        return english
    turn = people.groupby("origin").cumcount()  # the first of each origin, then the second of each, ...
    return people if which == TRAINING_NAMES[0] else people.iloc[np.lexsort((people["origin"], turn))[: len(english)]]


def filled(table: pd.DataFrame, split: str, people: pd.DataFrame, seed: int) -> list[entities.Tagged]:
    """The sentences of a split with people's names put in."""
    return entities.assign(table[table["split"] == split], people, seed)


def carriers(table: pd.DataFrame, split: str, count: int, seed: int) -> list[Sentence]:
    """`count` sentences of a split with one person in them, named once and in full; any name can be put there."""
    someone = entities.Person("Given", "Surname")
    single = [row.text for row in table[table["split"] == split].itertuples()
              if [match[0] for match in entities.MENTION.finditer(row.text) if match[1]] == ["{P1}"]]
    chosen = np.random.default_rng([seed, 10]).permutation(len(single))[:count]
    return [tagging.from_filled(entities.fill(single[i], [], {"P1": someone})) for i in chosen]


def train_tagger(sentences: Sequence[Sentence], name: str = "minilm", seed: int = 0, scratch: bool = False,
                 **settings: Any) -> tuple[Any, Any, finetune.Finetuned]:
    """A model fine-tuned to tag entities, its tokenizer, and the training. scratch: from random weights."""
    model, tokenizer = models.load(name, head="token-classification", num_labels=len(TAGS), seed=seed)
    model = finetune.from_scratch(model, seed).train() if scratch else model
    result = finetune.finetune(model, tokenizer, tagging.encode(tokenizer, sentences), seed=seed, **settings)
    return model, tokenizer, result


def tag(model: Any, tokenizer: Any, sentences: Sequence[Sentence]) -> list[list[str]]:
    """The tags that the model gives to the words of each sentence."""
    examples = tagging.encode(tokenizer, sentences)
    return tagging.read(finetune.predict(model, tokenizer, examples), examples)


def encode_relations(tokenizer: Any, candidates: Sequence[Candidate], relations: Sequence[str],
                     markers: bool = True) -> list[dict[str, Any]]:
    """Pairs of entities as examples for a model with a head for tokens, with one label each.

    With markers, the relation is asked at the token [E1], which can look at everything (Baldini Soares et al. 2019,
    "entity start"); without, at [CLS].
    """
    texts = [" ".join(tagging.mark(c.words, c.head, c.tail) if markers else c.words) for c in candidates]
    examples, first = finetune.encode(tokenizer, texts), tokenizer.convert_tokens_to_ids(tagging.MARKERS[0])
    for example, candidate in zip(examples, candidates, strict=True):
        example["labels"] = [tagging.IGNORED] * len(example["input_ids"])
        example["labels"][example["input_ids"].index(first) if markers else 0] = relations.index(candidate.relation)
    return examples


def answer_relations(model: Any, tokenizer: Any, examples: Sequence[dict[str, Any]]) -> np.ndarray:
    """The number of the likeliest relation of each pair, (pairs,)."""
    logits = finetune.predict(model, tokenizer, examples)
    return np.array([scores[np.array(example["labels"]) != tagging.IGNORED][0].argmax()
                     for scores, example in zip(logits, examples, strict=True)])


def best_without_markers(candidates: Sequence[Candidate]) -> float:
    """The accuracy that no reader of the words alone can pass: all pairs of a sentence get one and the same answer."""
    table = pd.DataFrame([(" ".join(c.words), c.relation) for c in candidates], columns=["text", "relation"])
    return float(table.groupby("text")["relation"].agg(lambda r: r.value_counts().max()).sum() / len(table))


def told_apart(candidates: Sequence[Candidate], answers: Sequence[int]) -> float:
    """Share of the sentences with several pairs in which not all pairs got the same answer; nan without such."""
    table = pd.DataFrame({"text": [" ".join(c.words) for c in candidates], "answer": np.asarray(answers)})
    several = table.groupby("text")["answer"].agg(["size", "nunique"]).query("size > 1")
    return float((several["nunique"] > 1).mean())


# ------------------------------------------------------------------------------------- names and groups


def swap(sentence: Sentence, name: Sequence[str]) -> Sentence:
    """The sentence with its one person renamed; raises ValueError where there is not exactly one."""
    people = [(start, end) for kind, start, end in tagging.spans(sentence.tags) if kind == "PER"]
    if len(people) != 1:
        raise ValueError(f"There are {len(people)} persons in {' '.join(sentence.words)!r}; one is needed.")
    (start, end), words, tags = people[0], list(sentence.words), list(sentence.tags)
    words[start:end], tags[start:end] = name, ["B-PER", *["I-PER"] * (len(name) - 1)]
    return Sentence(words, tags)


def ask_about_names(model: Any, tokenizer: Any, frames: Sequence[Sentence],
                    names: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Every name in every frame: was exactly this person found, and P(B-PER) at the name; both (names, frames)."""
    sentences = [swap(frame, name) for name in names for frame in frames]
    examples = tagging.encode(tokenizer, sentences)
    logits = finetune.predict(model, tokenizer, examples)
    said = tagging.read(logits, examples)
    found, probability = [], []
    for sentence, tags, example, scores in zip(sentences, said, examples, logits, strict=True):
        person = next(span for span in tagging.spans(sentence.tags) if span[0] == "PER")
        found.append(person in tagging.spans(tags))
        row = scores[int(np.flatnonzero(np.array(example["labels"]) == PER)[0])]
        probability.append(np.exp(row[PER] - np.logaddexp.reduce(row)))
    shape = (len(names), len(frames))
    return np.reshape(found, shape), np.reshape(probability, shape)


def pieces_of(tokenizer: Any, people: pd.DataFrame) -> np.ndarray:
    """How many pieces a full name is cut into, (people,)."""
    return np.array([len(tokenizer.tokenize(f"{row.given} {row.surname}")) for row in people.itertuples()])


def matched_gap(values: Sequence[float], groups: Sequence[str], strata: Sequence[int], group: str, *,
                resamples: int = 2000, seed: int = 0) -> Gap:
    """Mean of a group's values minus that of the others in the same strata, in the group's proportions.

    One value per name, because sentences with the same name are no independent evidence. Names in a stratum with
    fewer than FEWEST others are left out. Interval: names resampled in each stratum and side. p: sides
    exchanged at random within the strata. nan where no stratum can be compared.
    """
    values, strata = np.asarray(values, float), np.asarray(strata)
    inside = np.asarray(groups) == group
    cells = [(values[(strata == s) & inside], values[(strata == s) & ~inside]) for s in np.unique(strata[inside])]
    cells = [(own, others) for own, others in cells if len(others) >= FEWEST]
    if not cells:
        return Gap(*[float("nan")] * 4)
    weight = np.array([len(own) for own, _ in cells]) / sum(len(own) for own, _ in cells)
    value = float(weight @ [own.mean() - others.mean() for own, others in cells])
    rng = np.random.default_rng([seed, 11])
    drawn, exchanged = np.zeros(resamples), np.zeros(resamples)
    for share, (own, others) in zip(weight, cells, strict=True):
        resample = [rng.choice(side, (resamples, len(side))).mean(1) for side in (own, others)]
        drawn += share * (resample[0] - resample[1])
        mixed = rng.permuted(np.tile(np.concatenate([own, others]), (resamples, 1)), axis=1)
        exchanged += share * (mixed[:, : len(own)].mean(1) - mixed[:, len(own) :].mean(1))
    p = (1 + int((np.abs(exchanged) >= abs(value) - 1e-12).sum())) / (1 + resamples)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Gap(value, float(low), float(high), p)
