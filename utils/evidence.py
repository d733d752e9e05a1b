"""Which words carry the information about a hidden word: exact, from the oracle, to hold explanations against.

    words = evidence.by_removal(world, "the nurse said that [MASK] was happy .")
    words[1]                                               # ("nurse", 0.35): what hiding it would cost, in nats

    asked = evidence.questions(world, documents=200, seed=1)        # two sentences, one word hidden, evidence known
    used = evidence.effects(model, tokenizer, asked)                # which words the model itself uses
    evidence.precision(asked, scores)                               # does an explanation point at the right words?

The evidence of a word is how far the exact distribution of the hidden word moves when that word is hidden too. It is
about the language, not about a model: a model that never learned the link is right to ignore a word that carries
evidence. Two words that say the same (she … she) each have none by removal, and both have it alone: see both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from utils.forward import word_logits
from utils.world import World, exams
from utils.world.oracle import MASK, Channel

DECISIVE = 0.1  # nats: a word with at least this much evidence is one that an explanation should name
TEXTS_AT_A_TIME = 512


def distributions(world: World, text: str, hidden: np.ndarray, relation: str = "mixed") -> np.ndarray:
    """The exact distribution of the one [MASK] of `text` when other words are hidden too: (variants, vocabulary).

    text: a sentence, or two joined by [SEP], with one [MASK]. hidden: (variants, words) booleans, True where a word is
    hidden; words are counted through both sentences, without [SEP]. relation: as in `World.masked_distribution`.
    Raises ValueError for a text without exactly one [MASK], and for one that the world never writes.
    """
    sentences = world._read(text)
    words = np.concatenate(sentences)
    if (words == MASK).sum() != 1:
        raise ValueError(f"{text!r} should have one [MASK]; it has {int((words == MASK).sum())}.")
    hidden = np.atleast_2d(np.asarray(hidden, dtype=bool))
    if hidden.shape[1] != len(words):
        raise ValueError(f"{text!r} has {len(words)} words, but each variant speaks of {hidden.shape[1]}.")
    variants = np.where(hidden, MASK, words)
    return _solve(world, variants, len(sentences[0]), int(np.flatnonzero(words == MASK)[0]), relation)


def by_removal(world: World, text: str, relation: str = "mixed") -> list[tuple[str, float]]:
    """For each word w of the text KL(p(· | text) || p(· | text without w)), in nats; the [MASK] itself has 0."""
    words = text.replace("[SEP]", " ").split()
    answers = distributions(world, text, np.vstack([np.zeros((1, len(words))), np.eye(len(words))]), relation)
    return list(zip(words, kl(answers[0], answers[1:]).tolist(), strict=True))


def alone(world: World, text: str, relation: str = "mixed") -> list[tuple[str, float]]:
    """For each word w KL(p(· | only w shown) || p(· | nothing shown)), in nats: what it says by itself."""
    words = text.replace("[SEP]", " ").split()
    answers = distributions(world, text, np.vstack([np.ones((1, len(words))), 1 - np.eye(len(words))]), relation)
    return list(zip(words, kl(answers[1:], answers[0]).tolist(), strict=True))


def kl(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """KL(p || q) in nats along the last axis, broadcasting; tiny negative rounding is 0."""
    p, q = np.broadcast_arrays(p, q)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * (np.log(p) - np.log(q)), 0.0)
    return np.maximum(terms.sum(-1), 0.0)


# --------------------------------------------------------------------------------------- questions with answers


@dataclass(frozen=True)
class Question:
    """Two neighbouring sentences of a story with one word hidden, and what each other word says about it.

    words: of both sentences, "[MASK]" at `place`; first: words of the first sentence; target: the word hidden;
    slot: the kind of place it stands in ("pronoun"); exact: (vocabulary,); evidence: (words,) nats, by removal;
    document: its cluster.
    """

    words: tuple[str, ...]
    first: int
    place: int
    target: str
    slot: str
    exact: np.ndarray
    evidence: np.ndarray
    document: int

    @property
    def text(self) -> str:
        """Both sentences with [SEP] between them."""
        return f"{' '.join(self.words[: self.first])} [SEP] {' '.join(self.words[self.first :])}"

    @property
    def columns(self) -> np.ndarray:
        """Where each word stands in a BERT's input: after [CLS], and after the [SEP] between the sentences."""
        return np.array([i + 1 + (i >= self.first) for i in range(len(self.words))])

    def decisive(self, least: float = DECISIVE) -> np.ndarray:
        """Which words carry at least that much evidence: (words,) booleans."""
        return self.evidence >= least


def questions(
    world: World, documents: int, seed: int, least: float = DECISIVE, slots: Iterable[str] = ()
) -> list[Question]:
    """One question from each document: a random place of a random pair of neighbouring sentences.

    Only places (of the kinds `slots`, if given) about which at least one word carries `least` nats are asked; where
    the first one drawn fails another is tried, and a document without any is left out.
    """
    wanted, rng, found = set(slots), np.random.default_rng([seed, 12]), []
    for d, story in enumerate(world.documents(documents, seed)):
        kinds = [frame.slots for frame in story.frames]
        places = [(k, i) for k in range(len(kinds) - 1) for i, kind in enumerate(kinds[k] + kinds[k + 1])
                  if not kind.startswith("=") and (not wanted or kind in wanted)]  # fmt: skip
        for k, place in rng.permutation(np.array(places, dtype=int).reshape(-1, 2)):
            question = _question(world, story.sentences[k], story.sentences[k + 1], int(place), d,
                                 (kinds[k] + kinds[k + 1])[place])  # fmt: skip
            if question.evidence.max() >= least:
                found.append(question)
                break
    return found


def as_batch(asked: Sequence[Question], tokenizer: Any) -> dict[str, Tensor]:
    """Questions as one padded input of a BERT: input_ids, token_type_ids, attention_mask, each (questions, longest)."""
    one = [" ".join(question.words[: question.first]) for question in asked]
    two = [" ".join(question.words[question.first :]) for question in asked]
    return dict(tokenizer(one, two, padding=True, return_tensors="pt"))


def places(asked: Sequence[Question]) -> Tensor:
    """The column of the hidden word in the model's input: (questions,)."""
    return torch.tensor([question.columns[question.place] for question in asked])


@torch.no_grad()
def log_answers(model: Any, tokenizer: Any, batch: dict[str, Tensor], place: Tensor, world_size: int) -> np.ndarray:
    """The model's log-probabilities of the world's words at `place` of each text: (texts, world_size)."""
    logits = []
    for start in range(0, len(place), TEXTS_AT_A_TIME):
        part = slice(start, start + TEXTS_AT_A_TIME)
        scores = word_logits(model(**{name: tensor[part] for name, tensor in batch.items()}))
        logits.append(scores[torch.arange(len(scores)), place[part]])
    chosen = torch.cat(logits)[:, len(tokenizer) - world_size :]  # the special tokens come before the words
    return torch.log_softmax(chosen.double(), -1).numpy()


def effects(model: Any, tokenizer: Any, asked: Sequence[Question]) -> list[np.ndarray]:
    """What each word is worth to the model: KL(q(· | text) || q(· | text without w)) in nats, (words,) per question.

    The counterpart of `Question.evidence`, with the model's q in place of the exact p.
    """
    batch, place, size = as_batch(asked, tokenizer), places(asked), len(asked[0].exact)
    own = np.exp(log_answers(model, tokenizer, batch, place, size))
    rows = [k for k, question in enumerate(asked) for _ in question.words]
    hidden = torch.tensor([column for question in asked for column in question.columns])
    variants = {name: tensor[rows] for name, tensor in batch.items()}
    variants["input_ids"] = variants["input_ids"].clone()
    variants["input_ids"][torch.arange(len(rows)), hidden] = tokenizer.mask_token_id
    changed = kl(own[rows], np.exp(log_answers(model, tokenizer, variants, place[rows], size)))
    return np.split(changed, np.cumsum([len(question.words) for question in asked])[:-1])


def used(
    model: Any, tokenizer: Any, asked: Sequence[Question], least: float = DECISIVE, most: float = 0.1
) -> list[Question]:
    """The questions on which an explanation of this model can be marked: it knows the answer, and uses the evidence.

    Knows: KL(exact || model) <= most nats. Uses: hiding any decisive word moves its answer by at least `least` nats.
    """
    q = log_answers(model, tokenizer, as_batch(asked, tokenizer), places(asked), len(asked[0].exact))
    away = kl(np.array([question.exact for question in asked]), np.exp(q))
    changed = effects(model, tokenizer, asked)
    return [question for question, distance, effect in zip(asked, away, changed, strict=True)
            if distance <= most and effect[question.decisive(least)].min() >= least]  # fmt: skip


def precision(asked: Sequence[Question], scores: Sequence, least: float = DECISIVE) -> np.ndarray:
    """Of the k words with the highest score, the share that is decisive, where k words are: (questions,).

    scores: per question a score for each column of the model's input; those of special tokens and of the hidden word
    itself are not looked at. Ties are broken evenly, so equal scores give what random scores give on average.
    """
    shares = []
    for question, row in zip(asked, scores, strict=True):
        others = np.arange(len(question.words)) != question.place
        value, decisive = np.asarray(row, float)[question.columns][others], question.decisive(least)[others]
        if not np.isfinite(value).all() or not decisive.any():
            raise ValueError(f"scores must be finite, and some word decisive: {question.text!r}.")
        k = decisive.sum()
        edge = np.sort(value)[-k]
        sure, tied = value > edge, value == edge
        named = sure + tied * (k - sure.sum()) / tied.sum()
        shares.append(named[decisive].sum() / k)
    return np.array(shares)


def _question(world: World, one: str, two: str, place: int, document: int, slot: str) -> Question:
    words = one.split() + two.split()
    target, words[place] = words[place], "[MASK]"
    first = len(one.split())
    ids = np.array([MASK if w == "[MASK]" else world.word_ids[w] for w in words])
    variants = np.where(np.vstack([np.zeros((1, len(ids))), np.eye(len(ids))]).astype(bool), MASK, ids)
    answers = _solve(world, variants, first, place, "mixed")
    return Question(tuple(words), first, place, target, slot, answers[0], kl(answers[0], answers[1:]), document)


def _solve(world: World, variants: np.ndarray, first: int, place: int, relation: str) -> np.ndarray:
    """variants: (variants, words) ids with MASK; the distribution at `place` in each, (variants, vocabulary)."""
    query = np.zeros(variants.shape, dtype=bool)
    query[:, place] = True
    pair = first < variants.shape[1]
    second = (variants[:, first:], query[:, first:]) if pair else (None, None)
    solution = exams.solve(world.oracle, variants[:, :first], second[0], query[:, :first], second[1], Channel(),
                           next_share=exams.share_of_next(relation))  # fmt: skip
    joint = np.concatenate(solution.words)
    if not (joint.sum(1) > 0).all():
        raise ValueError(f"no text of {world!r} reads so: check the words against its frames.")
    return joint / joint.sum(1, keepdims=True)
