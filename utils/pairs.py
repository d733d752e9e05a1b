"""Two sentences and their relation: exact answers from the world, the same questions to a model, hard pairs.

A pair can be asked three things. Does the second sentence follow the first, or is it from another story
(next-sentence prediction, Devlin et al. 2019)? Two neighbours: are they in the order written, or swapped
(sentence-order prediction, Lan et al. 2020)? Two sentences: are they from one story at all? Each has an exact
answer, because a sentence's words settle its frame, and what decides a pair is then one sum (`log_odds`):
evidence of a shared story, which is the same in both orders, plus evidence from the order of the frames,
which is not. All log-odds are in nats; P over relations assumes that half of the pairs have each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from utils.corpus import IS_NEXT, generator_for, sentences_of
from utils.world import World
from utils.world.latents import Evidence
from utils.world.oracle import Channel

ROWS_AT_A_TIME = 256  # bounds the memory of one sum
TEXTS_AT_A_TIME = 256
Pair = tuple[str, str]

# What a reader can hold on to: words that speak of these hidden variables. "order" is that of the frames.
CUES: dict[str, tuple[str, ...]] = {
    "person": ("occupation", "gender", "name"),
    "topic": ("topic",),
    "place": ("community", "town"),
    "tone": ("tone",),
}


# --------------------------------------------------------------------------------- exact answers


def frames_of(world: World, sentences: Sequence[str]) -> np.ndarray:
    """The number of the frame of each sentence, (sentences,). Raises ValueError where none, or several, fit."""
    frames = np.empty(len(sentences), dtype=int)
    for rows, words in _by_length(world, sentences):
        candidates = world.oracle.frames_of_length(words.shape[1])
        read = world.oracle.read(words, candidates, Channel())
        fits = read.weight > 0
        for evidence in read.evidence.values():
            fits = fits & (evidence.max(-1) > 0)
        if (fits.sum(1) != 1).any():
            wrong = sentences[rows[int(np.argmax(fits.sum(1) != 1))]]
            raise ValueError(f"{wrong!r} fits {int(fits.sum(1).min())} frames of {world!r}; give a sentence of it.")
        frames[rows] = candidates[fits.argmax(1)]
    return frames


def log_odds(world: World, pairs: Sequence[Pair]) -> dict[str, np.ndarray]:
    """log P(A, B | B follows A) - log P(A, B | two stories), in parts of shape (pairs,), in nats.

    "story" + "order" is the whole. "story": log P(words of both | one story) - log P(words | two stories), given
    the frames; the same for (A, B) and (B, A). "order": log P(frame g after f) - log P(f) P(g); -inf for an order
    that never happens. The names in `CUES`: what "story" would be if only that cue's words were shown.
    """
    variables = [variable.name for variable in world.grammar.forest.variables]
    f, g = (frames_of(world, sentences) for sentences in zip(*pairs, strict=True))
    oracle = world.oracle
    order = _log(oracle.successive[f, g]) - _log(oracle.first_position[f] * oracle.any_position[g])
    parts = {"story": np.empty(len(pairs)), "order": order, **{cue: np.empty(len(pairs)) for cue in CUES}}
    for rows, one, two in _evidence(world, pairs):
        for part, names in [("story", variables), *CUES.items()]:
            parts[part][rows] = _shared(world, one, two, names, len(rows))
    return parts


def next_probability(world: World, pairs: Sequence[Pair]) -> np.ndarray:
    """P(the second sentence follows the first | their words), (pairs,): `World.next_probability` for many pairs."""
    parts = log_odds(world, pairs)
    return sigmoid(parts["story"] + parts["order"])


def order_probability(world: World, pairs: Sequence[Pair]) -> np.ndarray:
    """P(two neighbours stand in the order written | their words), (pairs,).

    The evidence of a shared story is the same in both orders and cancels, so only the frames decide.
    Raises ValueError for sentences that can be neighbours in neither order.
    """
    f, g = (frames_of(world, sentences) for sentences in zip(*pairs, strict=True))
    forth, back = world.oracle.successive[f, g], world.oracle.successive[g, f]
    if ((forth + back) == 0).any():
        raise ValueError(f"{pairs[int(np.argmax(forth + back == 0))]} are neighbours in neither order.")
    return forth / (forth + back)


def story_probability(world: World, pairs: Sequence[Pair]) -> np.ndarray:
    """P(both are from one story, at least two sentences apart | their words), (pairs,).

    The first stands before the second; if they are from two stories, they stand at such places there.
    """
    f, g = (frames_of(world, sentences) for sentences in zip(*pairs, strict=True))
    together, alone = _apart(world)
    return sigmoid(log_odds(world, pairs)["story"] + _log(together[f, g]) - _log(alone[f, g]))


def latent_distribution(world: World, pairs: Sequence[Pair], variable: str) -> np.ndarray:
    """P(state of a hidden variable | the words of two neighbours), (pairs, states) as in the world's grammar."""
    answer = np.empty((len(pairs), len(world.grammar.forest.by_name[variable].states)))
    for rows, one, two in _evidence(world, pairs):
        beliefs, total = world.grammar.forest.beliefs(_joint(one, two))
        answer[rows] = np.broadcast_to(beliefs[variable] / np.asarray(total)[..., None], answer[rows].shape)
    return answer


def best_accuracy(probability: np.ndarray) -> float:
    """The accuracy expected of a reader who always names the likelier of two answers: mean of max(p, 1 - p)."""
    return float(np.maximum(probability, 1 - probability).mean())


def sigmoid(log_odds: np.ndarray) -> np.ndarray:
    """The probability that belongs to log-odds, 0 where the exponential overflows."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-np.asarray(log_odds)))


# ------------------------------------------------------------------------------------ kinds of pairs


def neighbours(documents: Sequence[Any]) -> list[Pair]:
    """Every two sentences in a row of every document."""
    return [pair for d in documents for pair in zip(sentences_of(d), sentences_of(d)[1:], strict=False)]


def labelled(world: World, variable: str, count: int, seed: int,
             stream: int) -> tuple[list[Pair], np.ndarray, np.ndarray]:
    """Two neighbours from each of `count` fresh stories, labelled with a hidden variable of the story.

    Returns the pairs, the variable's states (pairs,) and P(state | pair), (pairs, states). stream: keeps the draws
    of different tasks of one seed apart.
    """
    stories, rng = world.documents(count, seed), np.random.default_rng([seed, stream])
    chosen = [neighbours([story])[rng.integers(len(story.sentences) - 1)] for story in stories]
    states = world.grammar.forest.by_name[variable].states
    labels = np.array([states.index(story.latents[variable]) for story in stories])
    return chosen, labels, latent_distribution(world, chosen, variable)


def apart(documents: Sequence[Any], seed: int) -> list[Pair]:
    """From each document of at least three sentences two that are not neighbours, in the order written."""
    rng = np.random.default_rng([seed, 3])
    pairs = []
    for sentences in map(sentences_of, documents):
        places = [(i, j) for i in range(len(sentences)) for j in range(i + 2, len(sentences))]
        if places:
            i, j = places[rng.integers(len(places))]
            pairs.append((sentences[i], sentences[j]))
    return pairs


def strangers(pairs: Sequence[Pair], seed: int) -> list[Pair]:
    """Each pair's first sentence with the second of another pair; give pairs of different documents."""
    if len(pairs) < 2:
        raise ValueError(f"Seconds cannot be exchanged among {len(pairs)} pairs; give two or more.")
    places = torch.randperm(len(pairs), generator=generator_for(seed, 4)).tolist()
    other = dict(zip(places, [*places[1:], places[0]], strict=True))  # one round, so nobody keeps their own
    return [(first, pairs[other[i]][1]) for i, (first, _) in enumerate(pairs)]


def swapped(pairs: Sequence[Pair]) -> list[Pair]:
    """The same pairs, the second sentence first."""
    return [(second, first) for first, second in pairs]


# ------------------------------------------------------------------------------------ asking a model


@torch.no_grad()
def ask(model: Any, tokenizer: Any, pairs: Sequence[Pair]) -> np.ndarray:
    """The next-sentence head's log-odds for IsNext, logit 0 minus logit 1, (pairs,), in nats."""
    answers = np.empty(len(pairs))
    for start in range(0, len(pairs), TEXTS_AT_A_TIME):
        firsts, seconds = zip(*pairs[start : start + TEXTS_AT_A_TIME], strict=True)
        batch = tokenizer(list(firsts), list(seconds), padding=True, return_tensors="pt").to(model.device)
        output = model(**batch)
        logits = output["seq_relationship_logits"] if "seq_relationship_logits" in output else output["logits"]
        answers[start : start + len(firsts)] = (logits[:, IS_NEXT] - logits[:, 1 - IS_NEXT]).float().cpu().numpy()
    return answers


# ------------------------------------------------------------------------------------------- helpers


def _shared(world: World, one: Evidence, two: Evidence, names: Sequence[str], count: int) -> np.ndarray:
    """log P(evidence of both | one story) - log P(one's) - log P(the other's), from these variables alone."""
    one, two = ({name: e[name] for name in names if name in e} for e in (one, two))
    both, first, second = (
        _log(np.broadcast_to(world.grammar.forest.likelihood(evidence), count))
        for evidence in (_joint(one, two), one, two)
    )
    return both - first - second


def _joint(one: Evidence, two: Evidence) -> Evidence:
    return {name: one.get(name, 1.0) * two.get(name, 1.0) for name in one.keys() | two.keys()}


def _evidence(world: World, pairs: Sequence[Pair]) -> Iterator[tuple[np.ndarray, Evidence, Evidence]]:
    """Rows of pairs with the same two frames, and what each sentence says of the hidden variables."""
    f, g = (frames_of(world, sentences) for sentences in zip(*pairs, strict=True))
    kinds = f * len(world.grammar.frames) + g
    for kind in np.unique(kinds):
        rows = np.flatnonzero(kinds == kind)
        read = []
        for sentence, frame in ((0, f[rows[0]]), (1, g[rows[0]])):
            words = np.array([[world.word_ids[w] for w in pairs[row][sentence].split()] for row in rows])
            evidence = world.oracle.read(words, np.array([frame]), Channel()).evidence
            read.append({name: value[:, 0] for name, value in evidence.items()})
        yield rows, read[0], read[1]


def _by_length(world: World, sentences: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    lengths: dict[int, list[int]] = {}
    split = [sentence.split() for sentence in sentences]
    for row, words in enumerate(split):
        lengths.setdefault(len(words), []).append(row)
    for rows in lengths.values():
        for start in range(0, len(rows), ROWS_AT_A_TIME):
            part = rows[start : start + ROWS_AT_A_TIME]
            try:
                ids = np.array([[world.word_ids[w] for w in split[row]] for row in part])
            except KeyError as unknown:
                raise ValueError(f"{unknown.args[0]!r} is not a word of {world!r}.") from None
            yield np.array(part), ids


def _apart(world: World) -> tuple[np.ndarray, np.ndarray]:
    """P(frame, later frame) of two sentences of a story that are not neighbours, and of such places in two stories."""
    grammar = world.grammar
    longest = max(grammar.lengths)
    at = [grammar.start]
    for _ in range(longest - 1):
        at.append(at[-1] @ grammar.transition)
    together, alone, total = (np.zeros_like(grammar.transition), np.zeros_like(grammar.transition), 0.0)
    for length, share in grammar.lengths.items():
        places = [(i, j) for i in range(length) for j in range(i + 2, length)]
        for i, j in places:
            weight = share / len(places)  # `apart` draws one pair of places from each story
            together += weight * at[i][:, None] * np.linalg.matrix_power(grammar.transition, j - i)
            alone += weight * np.outer(at[i], at[j])
            total += weight
    # in two stories the two places are drawn independently, so the outer product of the marginals
    alone = np.outer(alone.sum(1), alone.sum(0)) / total
    return together / total, alone / total


def _log(values: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(values)
