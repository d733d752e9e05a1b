"""Exact probabilities of the artificial language, by summing over everything hidden.

A text is one sentence or two. What is hidden: which frame each sentence has, the story's hidden
variables, whether the second sentence continues the first, and, under BERT's corruption, which of
the words shown are not the words written. Given the frames and the hidden variables every word is
independent of the others, so the sum is a product of evidence per variable (`latents.py`), added up
over frames. Nothing is approximated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils.world.grammar import Grammar
from utils.world.latents import Evidence

MASK = -1  # the id of a hidden word in this module's arrays


@dataclass(frozen=True)
class Corruption:
    """BERT's masking scheme (Devlin et al. 2019, section 3.1): what happens to a word before it is shown.

    Each word is selected with `probability`; of the selected, the share `mask` becomes [MASK],
    `random` a word drawn evenly from the vocabulary, the rest is kept. The loss counts selected words.
    """

    probability: float = 0.15
    mask: float = 0.8
    random: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.probability <= 1 or min(self.mask, self.random) < 0 or self.mask + self.random > 1 + 1e-12:
            raise ValueError(f"Not a masking scheme: {self}; shares lie in [0, 1], and mask + random may not pass 1.")

    @property
    def keep(self) -> float:
        """Share of the selected words that are shown as they are."""
        return 1.0 - self.mask - self.random


@dataclass(frozen=True)
class Channel:
    """P(word shown | word written) for words not shown as [MASK]: same * 1[equal] + other."""

    same: float = 1.0
    other: float = 0.0

    @classmethod
    def of(cls, corruption: Corruption | None, vocabulary_size: int) -> Channel:
        """The channel of a masking scheme; without one, of text in which every word shown is right."""
        if corruption is None:
            return cls()
        selected = corruption.probability
        return cls(1 - selected + selected * corruption.keep, selected * corruption.random / vocabulary_size)


@dataclass
class Sentences:
    """Evidence of a batch of equally long sentences under each candidate frame.

    weight: (batch, frames) from the fixed and the free words; evidence: variable -> (batch, frames, states).
    """

    words: np.ndarray
    frames: np.ndarray
    weight: np.ndarray
    evidence: Evidence


class Oracle:
    """Exact sums over a grammar. Words are ids into `grammar.vocabulary`; `MASK` is a hidden word."""

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self.vocabulary_size = len(grammar.vocabulary)
        self.lengths = np.array([len(frame) for frame in grammar.frames])
        self._fixed = np.full((len(grammar.frames), self.lengths.max()), MASK)
        for f, frame in enumerate(grammar.frames):
            for p, kind in enumerate(frame.slots):
                if kind.startswith("="):
                    self._fixed[f, p] = int(grammar.slots[kind].emission[0].argmax())
        self._tables: dict[tuple[Channel, str], np.ndarray] = {}
        self.any_position, self.first_position, self.successive = _frame_priors(grammar)

    def frames_of_length(self, length: int) -> np.ndarray:
        """Numbers of the frames whose sentences have this many words."""
        return np.flatnonzero(self.lengths == length)

    def read(self, words: np.ndarray, frames: np.ndarray, channel: Channel) -> Sentences:
        """Evidence of sentences (or beginnings of sentences) `words` (batch, length) under `frames`."""
        batch, length = words.shape
        fixed = self._fixed[frames, :length]
        shown = words[:, None, :]
        likelihood = channel.same * (shown == fixed) + channel.other
        weight = np.where((fixed == MASK) | (shown == MASK), 1.0, likelihood).prod(-1)
        evidence: Evidence = {}
        for column, f in enumerate(frames):
            for position, kind in enumerate(self.grammar.frames[f].slots[:length]):
                if kind.startswith("="):
                    continue
                variable = self.grammar.slots[kind].variable
                likelihood = self._table(kind, channel)[words[:, position]]
                if variable is None:
                    weight[:, column] *= likelihood[:, 0]
                    continue
                if variable not in evidence:
                    states = likelihood.shape[1]
                    evidence[variable] = np.ones((batch, len(frames), states))
                evidence[variable][:, column] *= likelihood
        return Sentences(words, frames, weight, evidence)

    def single(self, text: Sentences, prior: np.ndarray) -> tuple[Evidence, np.ndarray]:
        """Beliefs P(words, frame, state) and P(words, frame) of one sentence; prior (frames,) of its frame."""
        scale = text.weight * prior
        beliefs, total = self.grammar.forest.beliefs(text.evidence)
        scaled = {v: belief * scale[..., None] for v, belief in beliefs.items()}
        return scaled, np.broadcast_to(total, scale.shape) * scale

    def story(
        self, first: Sentences, second: Sentences, prior: np.ndarray
    ) -> tuple[tuple[Evidence, np.ndarray], tuple[Evidence, np.ndarray]]:
        """Beliefs of two sentences of one story, for each sentence summed over the other's frame.

        prior: (frames of first, frames of second). Returns two pairs as `single` does.
        """
        none = np.ones((1, 1, 1))
        evidence = {
            v: first.evidence.get(v, none)[:, :, None] * second.evidence.get(v, none)[:, None]
            for v in first.evidence.keys() | second.evidence.keys()
        }
        scale = first.weight[:, :, None] * second.weight[:, None] * prior
        beliefs, total = self.grammar.forest.beliefs(evidence)
        total = np.broadcast_to(total, scale.shape) * scale
        of_first, of_second = {}, {}
        for variable, belief in beliefs.items():
            belief = np.broadcast_to(belief, (*scale.shape, belief.shape[-1]))
            of_first[variable] = np.einsum("nfgs,nfg->nfs", belief, scale)
            of_second[variable] = np.einsum("nfgs,nfg->ngs", belief, scale)
        return (of_first, total.sum(2)), (of_second, total.sum(1))

    def words_at(
        self, text: Sentences, beliefs: Evidence, total: np.ndarray, rows: np.ndarray, position: int, channel: Channel
    ) -> np.ndarray:
        """P(everything shown elsewhere, the word at `position` is w) for the batch's `rows`; (rows, vocabulary).

        The word shown at `position` itself is taken out of the evidence: it is divided out of the
        beliefs, which is safe because a shown word has positive likelihood wherever belief is positive.
        """
        shown = text.words[rows, position]
        joint = np.zeros((len(rows), self.vocabulary_size))
        for column, f in enumerate(text.frames):
            kind = self.grammar.frames[f].slots[position]
            slot = self.grammar.slots[kind]
            belief = total[rows, column, None] if slot.variable is None else beliefs[slot.variable][rows, column]
            own = self._table(kind, channel)[shown]
            joint += np.divide(belief, own, out=np.zeros_like(belief), where=own > 0) @ slot.emission
        return joint

    def _table(self, kind: str, channel: Channel) -> np.ndarray:
        """P(shown word | state) of a slot, (vocabulary + 1, states); the last row, id MASK = -1, is all ones."""
        key = (channel, kind)
        if key not in self._tables:
            emission = self.grammar.slots[kind].emission
            table = channel.same * emission.T + channel.other
            self._tables[key] = np.vstack([table, np.ones((1, len(emission)))])
        return self._tables[key]


def _frame_priors(grammar: Grammar) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """P(frame) of a sentence drawn evenly from all positions, of a first sentence of two, and of two in a row."""
    longest = max(grammar.lengths)
    at = [grammar.start]
    for _ in range(longest - 1):
        at.append(at[-1] @ grammar.transition)
    long_enough = np.array([sum(p for n, p in grammar.lengths.items() if n > i) for i in range(longest)])
    any_position = (long_enough / long_enough.sum()) @ np.array(at)
    first_position = (long_enough[1:] / long_enough[1:].sum()) @ np.array(at[:-1])
    return any_position, first_position, first_position[:, None] * grammar.transition
