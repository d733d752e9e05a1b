"""Corrupted text with the exact answers: what a perfect model would say, and the loss it would pay.

An exam is fresh text of the world, corrupted as in training, together with the exact distribution
of every word asked for. The floors are its mean losses; a model's distance to the floor is the mean
KL divergence between the exam's answers and the model's, on the very same positions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from utils.world.oracle import MASK, Channel, Corruption, Oracle

if TYPE_CHECKING:
    from utils.world import World

SINGLE_SHARE = 0.15  # of the training texts: one sentence alone, without a next-sentence question
BERT = Corruption()
ROWS_AT_A_TIME = 64  # bounds the memory of one sum


@dataclass
class Solution:
    """Exact joint probabilities of a batch: words, per sentence (queries, vocabulary); the evidences (batch,)."""

    words: list[np.ndarray]
    evidence: np.ndarray
    next_evidence: np.ndarray


@dataclass
class Exam:
    """Corrupted texts and the exact answers. Ids are positions in world.vocabulary; MASK stands for [MASK].

    shown, written, selected: per text, a tuple of one or two arrays over words.
    is_next: per text True, False, or None for a single sentence. document: per text, its cluster.
    answers: (asked, vocabulary) exact distribution of each selected word; asked: (asked, 3) rows of
    (text, sentence, position), text by text; target: (asked,) the word written there.
    next_answer: (texts,) exact P(IsNext | corrupted text), nan for single sentences.
    """

    shown: list[tuple[np.ndarray, ...]]
    written: list[tuple[np.ndarray, ...]]
    selected: list[tuple[np.ndarray, ...]]
    is_next: list[bool | None]
    document: np.ndarray
    asked: np.ndarray = field(default_factory=lambda: np.empty((0, 3), dtype=int))
    answers: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    target: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))
    next_answer: np.ndarray = field(default_factory=lambda: np.empty(0))

    def mlm_floor(self) -> tuple[float, float]:
        """Mean of -log P(word written) over the words asked for, and its standard error clustered by document."""
        loss = -np.log(self.answers[np.arange(len(self.target)), self.target])
        return clustered_mean(loss, self.document[self.asked[:, 0]])

    def nsp_floor(self) -> tuple[float, float]:
        """Mean of -log P(the relation the pair has) over the pairs, and its standard error clustered by document."""
        pairs = np.array([answer is not None for answer in self.is_next])
        truth = np.array([bool(answer) for answer in self.is_next])[pairs]
        answer = self.next_answer[pairs]
        return clustered_mean(-np.log(np.where(truth, answer, 1 - answer)), self.document[pairs])


def build(
    world: World,
    documents: int,
    seed: int,
    corruption: Corruption = BERT,
    single_share: float = SINGLE_SHARE,
    next_share: float = 0.5,
) -> Exam:
    """An exam from fresh documents: every two neighbouring sentences of each document make one text.

    With probability single_share the text is instead one sentence drawn from all sentences; otherwise,
    with probability 1 - next_share, its second sentence is replaced by one drawn from another document.
    """
    stories = world.documents(documents, seed)
    rng = np.random.default_rng([seed, 2**31])
    ids = [[np.array([world.word_ids[w] for w in s.split()]) for s in story.sentences] for story in stories]
    pool = [(d, sentence) for d, story in enumerate(ids) for sentence in story]
    exam = Exam([], [], [], [], np.empty(0))
    cluster = []
    for d, story in enumerate(ids):
        for first, second in zip(story, story[1:], strict=False):
            if rng.random() < single_share:
                written, is_next = (pool[rng.integers(len(pool))][1],), None
            elif rng.random() < next_share:
                written, is_next = (first, second), True
            else:
                origin, other = pool[rng.integers(len(pool))]
                while origin == d:
                    origin, other = pool[rng.integers(len(pool))]
                written, is_next = (first, other), False
            shown, selected = zip(*(corrupt(s, corruption, len(world.vocabulary), rng) for s in written), strict=True)
            exam.written.append(written)
            exam.shown.append(shown)
            exam.selected.append(selected)
            exam.is_next.append(is_next)
            cluster.append(d)
    exam.document = np.array(cluster)
    _answer(exam, world.oracle, corruption, next_share)
    return exam


def corrupt(
    sentence: np.ndarray, corruption: Corruption, vocabulary_size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One pass of the masking scheme over word ids: (shown, selected)."""
    selected = rng.random(len(sentence)) < corruption.probability
    fate = rng.random(len(sentence))
    drawn = rng.integers(vocabulary_size, size=len(sentence))
    shown = np.where(selected & (fate < corruption.mask), MASK, sentence)
    randomised = selected & (fate >= corruption.mask) & (fate < corruption.mask + corruption.random)
    return np.where(randomised, drawn, shown), selected


def _answer(exam: Exam, oracle: Oracle, corruption: Corruption, next_share: float) -> None:
    """Fill in the exact answers, texts of equal lengths together."""
    channel = Channel.of(corruption, oracle.vocabulary_size)
    groups: dict[tuple[int, ...], list[int]] = {}
    for text, shown in enumerate(exam.shown):
        groups.setdefault(tuple(len(s) for s in shown), []).append(text)
    exam.next_answer = np.full(len(exam.shown), np.nan)
    asked, answers = [], []
    for lengths, members in groups.items():
        for start in range(0, len(members), ROWS_AT_A_TIME):
            texts = np.array(members[start : start + ROWS_AT_A_TIME])
            shown = [np.stack([exam.shown[t][i] for t in texts]) for i in range(len(lengths))]
            queries = [np.stack([exam.selected[t][i] for t in texts]) for i in range(len(lengths))]
            pair = len(lengths) == 2
            second = (shown[1], queries[1]) if pair else (None, None)
            solution = solve(oracle, shown[0], second[0], queries[0], second[1], channel, next_share)
            if pair:
                exam.next_answer[texts] = solution.next_evidence / solution.evidence
            for i, joint in enumerate(solution.words):
                rows, positions = np.nonzero(queries[i])
                asked.append(np.stack([texts[rows], np.full(len(rows), i), positions], axis=1))
                answers.append(_given_selected(joint, shown[i][rows, positions], corruption))
    asked, answers = np.concatenate(asked), np.concatenate(answers)
    order = np.lexsort((asked[:, 2], asked[:, 1], asked[:, 0]))
    exam.asked, exam.answers = asked[order], answers[order]
    exam.target = np.array([exam.written[t][i][p] for t, i, p in exam.asked])


def _given_selected(joint: np.ndarray, shown: np.ndarray, corruption: Corruption) -> np.ndarray:
    """P(word | text, this position was selected): the loss is counted only there, so the word shown
    at the position itself was kept with `keep` or drawn at random with `random`."""
    size = joint.shape[1]
    visible = np.flatnonzero(shown != MASK)
    own = np.ones_like(joint)
    own[visible] = corruption.random / size
    own[visible, shown[visible]] += corruption.keep
    joint = joint * own
    return joint / joint.sum(1, keepdims=True)


def share_of_next(relation: str) -> float:
    """P(the second sentence follows the first) where the relation is "mixed", "next" or "other"; else ValueError."""
    shares = {"mixed": 0.5, "next": 1.0, "other": 0.0}
    if relation not in shares:
        raise ValueError(f"relation is {relation!r}; it may be 'mixed', 'next' or 'other'.")
    return shares[relation]


def solve(
    oracle: Oracle,
    first: np.ndarray,
    second: np.ndarray | None,
    query_first: np.ndarray,
    query_second: np.ndarray | None,
    channel: Channel,
    next_share: float,
    first_frames: np.ndarray | None = None,
    second_frames: np.ndarray | None = None,
) -> Solution:
    """Sum out everything hidden in a batch of texts of one shape.

    first, second: (batch, words) ids; query_*: (batch, words) bool, where a word is asked for;
    next_share: prior P(the second sentence follows the first); *_frames: candidate frames, by
    default those of the sentences' lengths. `words` holds, per sentence, rows in the order of
    np.nonzero(query), each P(everything shown elsewhere, the word there is w).
    """
    frames = oracle.frames_of_length(first.shape[1]) if first_frames is None else first_frames
    one = oracle.read(first, frames, channel)
    if second is None:
        beliefs = oracle.single(one, oracle.any_position[frames])
        evidence = beliefs[1].sum(1)
        words = _ask(oracle, one, query_first, channel, [(beliefs, 1.0)])
        return Solution([words], evidence, np.full(len(first), np.nan))
    others = oracle.frames_of_length(second.shape[1]) if second_frames is None else second_frames
    two = oracle.read(second, others, channel)
    for_first, for_second = [], []
    next_evidence = other_evidence = np.zeros(len(first))
    if next_share > 0:
        of_first, of_second = oracle.story(one, two, oracle.successive[np.ix_(frames, others)])
        next_evidence = next_share * of_first[1].sum(1)
        for_first.append((of_first, np.full(len(first), next_share)))
        for_second.append((of_second, np.full(len(first), next_share)))
    if next_share < 1:
        alone_first = oracle.single(one, oracle.first_position[frames])
        alone_second = oracle.single(two, oracle.any_position[others])
        evidence_first, evidence_second = alone_first[1].sum(1), alone_second[1].sum(1)
        other_evidence = (1 - next_share) * evidence_first * evidence_second
        for_first.append((alone_first, (1 - next_share) * evidence_second))
        for_second.append((alone_second, (1 - next_share) * evidence_first))
    return Solution(
        [_ask(oracle, one, query_first, channel, for_first), _ask(oracle, two, query_second, channel, for_second)],
        next_evidence + other_evidence,
        next_evidence,
    )


def _ask(oracle: Oracle, text, query: np.ndarray, channel: Channel, hypotheses) -> np.ndarray:
    """P(shown elsewhere, word) at every queried position, added over weighted hypotheses (beliefs, weight)."""
    rows, positions = np.nonzero(query)
    joint = np.zeros((len(rows), oracle.vocabulary_size))
    for position in np.unique(positions):
        at = positions == position
        for (beliefs, total), weight in hypotheses:
            words = oracle.words_at(text, beliefs, total, rows[at], position, channel)
            joint[at] += words * np.broadcast_to(weight, len(text.words))[rows[at], None]
    return joint


def causal_floor(world: World, documents: int, seed: int) -> tuple[float, float]:
    """Mean of -log P(word | all words before it) over two sentences in a row, clustered by document, nats.

    The model reads sentence, separator, sentence; the separators, which never surprise after a full
    stop, are not counted. The frames of every length whose beginning fits are summed over.
    """
    losses, clusters = [], []
    texts = []
    for d, story in enumerate(world.documents(documents, seed)):
        ids = [np.array([world.word_ids[w] for w in s.split()]) for s in story.sentences]
        texts += [(d, first, second) for first, second in zip(ids, ids[1:], strict=False)]
    groups: dict[tuple[int, int], list[int]] = {}
    for t, (_, first, second) in enumerate(texts):
        groups.setdefault((len(first), len(second)), []).append(t)
    for members in groups.values():
        for start in range(0, len(members), ROWS_AT_A_TIME):
            rows = members[start : start + ROWS_AT_A_TIME]
            first, second = (np.stack([texts[t][i] for t in rows]) for i in (1, 2))
            answers = causal_distributions(world.oracle, first, second)
            written = np.concatenate([first, second], axis=1)
            losses.append(-np.log(np.take_along_axis(answers, written[..., None], axis=2)[..., 0]).ravel())
            clusters.append(np.repeat([texts[t][0] for t in rows], written.shape[1]))
    return clustered_mean(np.concatenate(losses), np.concatenate(clusters))


def causal_distributions(oracle: Oracle, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """P(word | all words before it) at every word of two sentences in a row: (batch, words, vocabulary)."""
    channel, answers = Channel(), []
    batch = len(first)
    for position in range(first.shape[1]):
        frames = np.flatnonzero(oracle.lengths > position)
        text, query = _beginning(first, position)
        beliefs = oracle.single(oracle.read(text, frames, channel), oracle.first_position[frames])
        answers.append(_ask(oracle, oracle.read(text, frames, channel), query, channel, [(beliefs, 1.0)]))
    one_frames = oracle.frames_of_length(first.shape[1])
    silent = np.zeros(first.shape, dtype=bool)
    for position in range(second.shape[1]):
        frames = np.flatnonzero(oracle.lengths > position)
        text, query = _beginning(second, position)
        solution = solve(oracle, first, text, silent, query, channel, 1.0, one_frames, frames)
        answers.append(solution.words[1])
    stacked = np.stack(answers, axis=1).reshape(batch, -1, oracle.vocabulary_size)
    return stacked / stacked.sum(-1, keepdims=True)


def _beginning(sentences: np.ndarray, position: int) -> tuple[np.ndarray, np.ndarray]:
    """The words before `position` with a hidden word after them, and a query for that word."""
    hidden = np.full((len(sentences), 1), MASK)
    query = np.zeros((len(sentences), position + 1), dtype=bool)
    query[:, position] = True
    return np.concatenate([sentences[:, :position], hidden], axis=1), query


def clustered_mean(values: np.ndarray, clusters: np.ndarray) -> tuple[float, float]:
    """Mean of values and its standard error when values of one cluster are not independent.

    The ratio estimator: mean = sum / count; se = sqrt(C/(C-1) * sum over clusters of (sum of residuals)^2) / count.
    """
    mean = float(values.mean())
    _, index = np.unique(clusters, return_inverse=True)
    residuals = np.bincount(index, weights=values - mean)
    count = len(residuals)
    return mean, float(np.sqrt(count / max(count - 1, 1) * (residuals**2).sum()) / len(values))
