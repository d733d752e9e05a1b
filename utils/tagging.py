"""Entities and relations as labels of tokens and of texts: BIO tags, their pieces, spans, F1, entity markers.

    sentence = from_filled(entities.fill(...))          # or from_story(document, i): words with BIO tags
    examples = encode(tokenizer, [sentence, ...])       # for utils.finetune.finetune
    predicted = read(predict(model, tokenizer, examples), examples)
    score([s.tags for s in ...], predicted)             # precision, recall, F1 of whole entities

A tag belongs to a word. Where a tokenizer cuts the word into pieces, the first piece carries the tag and the others
are not scored (Devlin et al. 2019, section 5.3). An entity counts as found only if its type and both ends are right
(Tjong Kim Sang and De Meulder 2003).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from utils import entities, stats
from utils.corpus import IGNORED
from utils.entities import Tagged

TYPES = ("PER", "LOC", "ORG")
TAGS = ("O", *(f"{part}-{kind}" for kind in TYPES for part in "BI"))
MARKERS = ("[E1]", "[/E1]", "[E2]", "[/E2]")
SIGNS = ("@", "@", "#", "#")  # known tokens that the markers may start as copies of
NONE = "none"  # the relation of two entities about which the sentence states nothing
WORD = re.compile(r"\w+|[^\w\s]")
Span = tuple[str, int, int]  # type, first word, one past the last word


class Sentence(NamedTuple):
    """Words and their BIO tags, equally many."""

    words: list[str]
    tags: list[str]


class Candidate(NamedTuple):
    """Two entities of a sentence, as (first word, one past the last), and the relation stated between them."""

    words: list[str]
    head: tuple[int, int]
    tail: tuple[int, int]
    relation: str


class Score(NamedTuple):
    """Precision, recall and F1 of the entities found, each from 0 to 1."""

    precision: float
    recall: float
    f1: float


# ------------------------------------------------------------------------------------ words and tags


def from_story(document: Any, i: int) -> Sentence:
    """Sentence i of a story of the world."""
    return Sentence(document.sentences[i].split(), document.entities(i))


def from_filled(filled: Tagged) -> Sentence:
    """A sentence of `utils.entities.fill`; punctuation marks are words of their own."""
    words, tags = [], []
    for match in WORD.finditer(filled.text):
        inside = [e for e in filled.entities if e.start <= match.start() and match.end() <= e.end]
        words.append(match.group())
        tags.append(f"{'B' if inside[0].start == match.start() else 'I'}-{inside[0].type}" if inside else "O")
    return Sentence(words, tags)


def spans(tags: Sequence[str]) -> list[Span]:
    """The entities that BIO tags describe, in order. A lone I- begins an entity, as in the CoNLL evaluation.

    >>> spans(["B-PER", "I-PER", "O", "B-LOC"])
    [('PER', 0, 2), ('LOC', 3, 4)]
    """
    found: list[Span] = []
    for place, tag in enumerate(tags):
        part, _, kind = tag.partition("-")
        if part == "O":
            continue
        goes_on = part == "I" and found and found[-1][2] == place and found[-1][0] == kind
        if goes_on:
            found[-1] = (kind, found[-1][1], place + 1)
        else:
            found.append((kind, place, place + 1))
    return found


def align(word_ids: Sequence[int | None], tags: Sequence[str], known: Sequence[str] = TAGS) -> list[int]:
    """The label of each token: the number of its word's tag at the first piece, -100 at other pieces and specials."""
    return [IGNORED if word is None or word == before else known.index(tags[word])
            for before, word in zip([None, *word_ids], word_ids, strict=False)]


def encode(tokenizer: Any, sentences: Sequence[Sentence]) -> list[dict[str, list[int]]]:
    """Sentences as examples for `utils.finetune`, each with one label per token."""
    encoded = tokenizer([sentence.words for sentence in sentences], is_split_into_words=True)
    return [{**{name: list(encoded[name][i]) for name in encoded}, "labels": align(encoded.word_ids(i), sentence.tags)}
            for i, sentence in enumerate(sentences)]


def read(logits: Sequence[np.ndarray], examples: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Each word's most likely tag. logits: (tokens, tags) for each example."""
    return [[TAGS[k] for k in scores.argmax(-1)[np.array(example["labels"]) != IGNORED]]
            for scores, example in zip(logits, examples, strict=True)]


# ---------------------------------------------------------------------------------------------- scores


def counts(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> np.ndarray:
    """For each sentence: entities found, entities predicted, entities there; (sentences, 3)."""
    rows = []
    for true, said in zip(gold, predicted, strict=True):
        there, claimed = set(spans(true)), set(spans(said))
        rows.append((len(there & claimed), len(claimed), len(there)))
    return np.array(rows)


def score(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Score:
    """Precision, recall and F1 of whole entities over all sentences together (micro average)."""
    return _score(counts(gold, predicted).sum(0))


def f1_interval(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], *, resamples: int = 2000,
                seed: int = 0) -> stats.Estimate:
    """F1 with a percentile interval from resampling sentences, because the entities of a sentence go together."""
    rows = counts(gold, predicted)
    draws = np.random.default_rng(seed).integers(len(rows), size=(resamples, len(rows)))
    found, claimed, there = rows[draws].sum(1).T
    low, high = np.quantile(2 * found / np.maximum(claimed + there, 1), [0.025, 0.975])
    return stats.Estimate(_score(rows.sum(0)).f1, float(low), float(high))


def token_accuracy(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> float:
    """The share of words with the right tag."""
    return float(np.mean([a == b for true, said in zip(gold, predicted, strict=True)
                          for a, b in zip(true, said, strict=True)]))


def errors(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, dict[str, int]]:
    """For each type, what became of its entities: found, wrong type, wrong ends, missed; and how many were invented.

    "wrong type": the ends are right. "wrong ends": some predicted entity overlaps. "invented", under the type that
    was claimed: no true entity overlaps.
    """
    table = {kind: dict.fromkeys(("found", "wrong type", "wrong ends", "missed", "invented"), 0) for kind in TYPES}
    for true, said in zip(map(spans, gold), map(spans, predicted), strict=True):
        for kind, start, end in true:
            same = [claim for claim in said if claim[1:] == (start, end)]
            close = any(a < end and start < b for _, a, b in said)
            fate = "wrong ends" if close else "missed"
            table[kind]["found" if (kind, start, end) in same else "wrong type" if same else fate] += 1
        for kind, start, end in said:
            table[kind]["invented"] += not any(a < end and start < b for _, a, b in true)
    return table


def _score(total: np.ndarray) -> Score:
    found, claimed, there = map(float, total)
    return Score(found / max(claimed, 1), found / max(there, 1), 2 * found / max(claimed + there, 1))


# ------------------------------------------------------------------------------------------- relations


def mark(words: Sequence[str], head: tuple[int, int], tail: tuple[int, int]) -> list[str]:
    """The words with [E1] [/E1] around the head and [E2] [/E2] around the tail (Baldini Soares et al. 2019).

    >>> mark(["mary", "lives", "in", "zelmar"], (0, 1), (3, 4))
    ['[E1]', 'mary', '[/E1]', 'lives', 'in', '[E2]', 'zelmar', '[/E2]']
    """
    opening, closing = {head[0]: MARKERS[0], tail[0]: MARKERS[2]}, {head[1]: MARKERS[1], tail[1]: MARKERS[3]}
    marked: list[str] = []
    for place in range(len(words) + 1):
        marked += [closing[place]] if place in closing else []
        marked += [opening[place]] if place in opening else []
        marked += [words[place]] if place < len(words) else []
    return marked


def story_candidates(document: Any, i: int) -> list[Candidate]:
    """Every two entities of a sentence of the world, with the relation stated between them, in its direction.

    Pairs without a relation are turned round by a coin that depends on the words alone, or else "tail first" would
    give away that something is stated.
    """
    words, tags = from_story(document, i)
    stated = {(head, tail): relation for relation, head, tail in document.relations(i)}
    places = [start for _, start, _ in spans(tags)]
    both = [(a, b) for k, a in enumerate(places) for b in places[k + 1 :]]
    coin = [zlib.crc32(f"{' '.join(words)} {a} {b}".encode()) % 2 for a, b in both]
    both = [(b, a) if (b, a) in stated or (turned and (a, b) not in stated) else (a, b)
            for (a, b), turned in zip(both, coin, strict=True)]
    return [Candidate(words, (a, a + 1), (b, b + 1), stated.get((a, b), NONE)) for a, b in both]


def filled_candidates(filled: Tagged) -> list[Candidate]:
    """Every two entities of a sentence whose types fit a relation of `utils.entities.RELATIONS`.

    An entity that is mentioned again, a person in the same slot or the same name, counts once, at its first mention.
    """
    words, tags = from_filled(filled)
    where = [(start, end) for _, start, end in spans(tags)]
    stated = {(head, tail): relation for head, relation, tail in filled.relations}
    first: dict[str, int] = {}
    for number, entity in enumerate(filled.entities):
        first.setdefault(entity.slot or filled.text[entity.start : entity.end], number)
    allowed, kinds = set(entities.RELATIONS.values()), [entity.type for entity in filled.entities]
    return [Candidate(words, where[a], where[b], stated.get((a, b), NONE))
            for a in first.values() for b in first.values() if (kinds[a], kinds[b]) in allowed]


def add_words(model: Any, tokenizer: Any, words: Sequence[str] = MARKERS, seed: int = 0,
              like: Sequence[str] | None = None) -> None:
    """Give model and tokenizer new tokens, never cut or lower-cased.

    Their vectors start at random, or as copies of those of the tokens `like`, one for each new word, which the model
    knows already (the idea of Zhou and Chen 2022, arXiv 2102.01373, who use the signs themselves as markers).
    """
    tokenizer.add_tokens(list(words), special_tokens=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    if like is not None:
        vectors = model.get_input_embeddings().weight
        with torch.no_grad():
            for word, known in zip(words, like, strict=True):
                vectors[tokenizer.convert_tokens_to_ids(word)] = vectors[tokenizer.convert_tokens_to_ids(known)]
