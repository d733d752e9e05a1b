"""Texts of the world whose deciding words are known: what a classifier of the tone should look at, and does.

    clean = planted.cases(World("small", valence_dose=0), count=200, seed=0)     # only the tone words tell the tone
    planted.beliefs(world, case, hidden)                                         # exact P(tone | words shown)
    planted.swap_effects(model, tokenizer, world, clean)                         # which words the model itself uses

A text is two neighbouring sentences of a story; its label is the story's tone, 1 good, 0 bad. At valence dose 0 the
communities say nothing about the tone, so every word but the tone words is without information. At a high dose a town
nearly gives the label away: a shortcut that holds in that text only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from utils import finetune, models
from utils.world import World
from utils.world.oracle import MASK, Channel

TONE = ("mood", "trait", "day_was", "treated")  # slots that the tone decides
STORIES_AT_A_TIME = 512
LARGEST_DRAW = 16  # times as many stories as texts asked for
RATE = 2e-3  # of fine-tuning the small world's model
FLIPS, STAYS = 0.5, 0.1  # of probability: swapping a word that is used, and one that is not


@dataclass(frozen=True)
class Case:
    """Two neighbouring sentences, their words, and what is known of them.

    slots: the kind of each word, "=word" for one that never changes; label: 1 good, 0 bad; story: its number.
    """

    pair: tuple[str, str]
    slots: tuple[str, ...]
    label: int
    story: int

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(" ".join(self.pair).split())

    @property
    def tone(self) -> np.ndarray:
        """Which words the tone decides: (words,) booleans."""
        return np.array([kind in TONE for kind in self.slots])

    @property
    def town(self) -> np.ndarray:
        """Which word is the town: (words,) booleans."""
        return np.array([kind == "town" for kind in self.slots])

    def with_words(self, changes: dict[int, str]) -> tuple[str, str]:
        """The pair with other words at some places, counted through both sentences."""
        words, first = [*self.words], len(self.pair[0].split())
        for place, word in changes.items():
            words[place] = word
        return " ".join(words[:first]), " ".join(words[first:])


def cases(world: World, count: int, seed: int, tone_words: Sequence[int] = (1,)) -> list[Case]:
    """`count` texts, each of a story of its own, with one town and as many tone words as `tone_words` allows.

    No text names a community. Raises ValueError where the world writes too few such texts.
    """
    drawn = max(STORIES_AT_A_TIME, 4 * count)
    while drawn <= LARGEST_DRAW * max(STORIES_AT_A_TIME, count):
        found, rng = [], np.random.default_rng([seed, 13])
        for number, story in enumerate(world.documents(drawn, seed)):
            kinds = [frame.slots for frame in story.frames]
            fitting = [i for i in range(len(kinds) - 1) if _fits(kinds[i] + kinds[i + 1], tone_words)]
            if fitting:
                i = fitting[rng.integers(len(fitting))]
                found.append(Case((story.sentences[i], story.sentences[i + 1]), kinds[i] + kinds[i + 1],
                                  int(story.sentiment == "good"), number))  # fmt: skip
            if len(found) == count:
                return found
        drawn *= 2
    raise ValueError(f"{world!r} writes fewer than {count} texts with one town and {tone_words} tone words.")


def _fits(kinds: Sequence[str], tone_words: Sequence[int]) -> bool:
    return kinds.count("town") == 1 and "community" not in kinds and sum(k in TONE for k in kinds) in tone_words


# ------------------------------------------------------------------------------------------ what the words say


def beliefs(world: World, case: Case, hidden: np.ndarray | None = None) -> np.ndarray:
    """The exact P(bad), P(good) given the words that are not hidden: (variants, 2).

    hidden: (variants, words) booleans; None for the whole text. Sums over every frame that a sentence with hidden
    words could have, and over everything else in the story.
    """
    ids, first = np.array([world.word_ids[word] for word in case.words]), len(case.pair[0].split())
    hidden = np.zeros((1, len(ids)), dtype=bool) if hidden is None else np.atleast_2d(np.asarray(hidden, dtype=bool))
    if hidden.shape[1] != len(ids):
        raise ValueError(f"the text has {len(ids)} words, but each variant speaks of {hidden.shape[1]}.")
    shown, oracle = np.where(hidden, MASK, ids), world.oracle
    f, g = oracle.frames_of_length(first), oracle.frames_of_length(len(ids) - first)
    one, two = oracle.read(shown[:, :first], f, Channel()), oracle.read(shown[:, first:], g, Channel())
    (of_first, _), _ = oracle.story(one, two, oracle.successive[np.ix_(f, g)])
    joint = of_first["tone"].sum(1)[:, ::-1]  # the world lists good first
    return joint / joint.sum(1, keepdims=True)


def evidence(world: World, case: Case) -> np.ndarray:
    """What hiding each word takes from the answer: KL(P(tone | text) || P(tone | text without w)), (words,) nats."""
    count = len(case.words)
    answers = beliefs(world, case, np.vstack([np.zeros((1, count)), np.eye(count)]).astype(bool))
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(answers[0] > 0, answers[0] * np.log(answers[0] / answers[1:]), 0.0)
    return np.maximum(terms.sum(1), 0.0)


# ------------------------------------------------------------------------------------------ classifiers


def train(texts: Sequence[Case], seed: int, *, blanks: bool = False, labels: Sequence[int] | None = None,
          steps: int = 150, rate: float = RATE) -> tuple[Any, Any]:
    """A classifier of the tone, fine-tuned from the small world's model: (model, tokenizer).

    blanks: read each text a second time with words blank (`with_blanks`); labels: others than the texts' own. On the
    biased collection with blanks one training in five learned nothing at `RATE`; at half of it all did in 400 steps.
    """
    model, tokenizer = models.load("world-small", head="sequence-classification", num_labels=2, seed=seed)
    own = [case.label for case in texts] if labels is None else labels
    examples = finetune.encode(tokenizer, [case.pair for case in texts], own)
    examples += with_blanks(examples, tokenizer, seed) if blanks else []
    finetune.finetune(model, tokenizer, examples, steps=steps, learning_rate=rate, seed=seed)
    return model, tokenizer


def with_blanks(examples: Sequence[dict], tokenizer: Any, seed: int) -> list[dict]:
    """The same examples with words replaced by [MASK]: a share of each text's words, drawn evenly from 0 to 1.

    So a classifier meets in training what an attribution will show it (Hase et al. 2021, arXiv 2106.00786).
    """
    rng, kept = np.random.default_rng([seed, 16]), {tokenizer.cls_token_id, tokenizer.sep_token_id}
    changed = []
    for example in examples:
        share = rng.random()
        ids = [i if i in kept or rng.random() >= share else tokenizer.mask_token_id for i in example["input_ids"]]
        changed.append({**example, "input_ids": ids})
    return changed


# ------------------------------------------------------------------------------------------ what a model uses


def classify(model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """P(good) of each text: (texts,)."""
    logits = torch.from_numpy(finetune.predict(model, tokenizer, finetune.encode(tokenizer, pairs), batch_size=256))
    return logits.softmax(-1)[:, 1].numpy()


def alternatives(world: World, case: Case, place: int) -> list[str]:
    """Words that could stand at a place instead: of the other tone, of the other community's towns, or any others.

    Empty for a word that its sentence pattern fixes.
    """
    kind, word = case.slots[place], case.words[place]
    if kind.startswith("="):
        return []
    slot = world.grammar.slots[kind]
    column = world.word_ids[word]
    allowed = slot.emission.max(0) > 0
    if kind in TONE:
        allowed = slot.emission[slot.emission[:, column] == 0].max(0) > 0
    elif kind == "town":
        allowed = world.grammar.forest.by_name["town"].table  # (communities, towns)
        states = world.grammar.forest.by_name["town"].states
        other = allowed[allowed[:, states.index(word)] == 0].max(0) > 0
        return [state for state, yes in zip(states, other, strict=True) if yes]
    return [other for other, yes in zip(world.vocabulary, allowed, strict=True) if yes and other != word]


def swap_effects(model: Any, tokenizer: Any, world: World, texts: Sequence[Case], seed: int = 0, tries: int = 2,
                 absolute: bool = False) -> list[np.ndarray]:
    """How much the probability of the model's answer falls when a word is swapped for another of its kind: (words,).

    The mean over `tries` random alternatives; words without an alternative have 0. Negative where it rises; with
    `absolute` the mean size of the change, in which a rise and a fall do not cancel.
    """
    rng, pairs, owner = np.random.default_rng([seed, 14]), [], []
    for number, case in enumerate(texts):
        for place in range(len(case.words)):
            others = alternatives(world, case, place)
            for _ in range(tries if others else 0):
                pairs.append(case.with_words({place: others[rng.integers(len(others))]}))
                owner.append((number, place))
    whole = classify(model, tokenizer, [case.pair for case in texts])
    sign = np.where(whole >= 0.5, 1.0, -1.0)
    effects = [np.zeros(len(case.words)) for case in texts]
    for (number, place), value in zip(owner, classify(model, tokenizer, pairs), strict=True):
        fall = sign[number] * (whole[number] - value)
        effects[number][place] += (abs(fall) if absolute else fall) / tries
    return effects


def joint_effects(model: Any, tokenizer: Any, world: World, texts: Sequence[Case], keys: Sequence[np.ndarray],
                  seed: int = 0) -> np.ndarray:
    """The same when all words of a key are swapped at once, (texts,)."""
    rng, pairs = np.random.default_rng([seed, 15]), []
    for case, key in zip(texts, keys, strict=True):
        choices = {int(place): alternatives(world, case, place) for place in np.flatnonzero(key)}
        pairs.append(case.with_words({place: words[rng.integers(len(words))] for place, words in choices.items()}))
    whole = classify(model, tokenizer, [case.pair for case in texts])
    return np.where(whole >= 0.5, 1.0, -1.0) * (whole - classify(model, tokenizer, pairs))


def used(model: Any, tokenizer: Any, world: World, texts: Sequence[Case], keys: Sequence[np.ndarray],
         seed: int = 0) -> np.ndarray:
    """On which texts the model uses exactly the words of the key, (texts,) booleans.

    Swapping them (all at once) takes at least `FLIPS` from its answer's probability, swapping any other word moves that
    by at most `STAYS`, up or down, on average over the tries. Only there is it known what an attribution should say.
    """
    effects = swap_effects(model, tokenizer, world, texts, seed, absolute=True)
    others = np.array([effect[~key].max() for effect, key in zip(effects, keys, strict=True)])
    return (joint_effects(model, tokenizer, world, texts, keys, seed) >= FLIPS) & (others <= STAYS)
