"""The exact floor of masked language modelling when words are split into pieces (WordPiece).

    independent = piece_exam(world, tokenizer, documents=150, seed=1, whole_word=False)
    together = piece_exam(world, tokenizer, documents=150, seed=1, whole_word=True)
    independent.floor(), together.floor()

A reader of pieces does not know which hidden pieces make up a word, nor how many words a sentence
has. The exact answer therefore adds up, over every frame and every way to cut the row of pieces into
the frame's words (together: a reading), what `oracle.py` adds up for words. This is not BERT's full
corruption: every piece selected becomes [MASK], as in `utils.corpus.mask_tokens` with split=(1, 0, 0).
With random and kept pieces every cut of every sentence would stay possible.

Under whole-word masking the [MASK]s tell something too. A word is hidden or shown as one, so a piece
beside a shown piece of its own word cannot be hidden; and two hidden pieces are likelier to be one
word, hidden with probability p, than two words, both hidden with probability p^2. A perfect reader
uses both, and so does the sum.

Source: Devlin et al. 2019, section 3.1; whole words: github.com/google-research/bert, README (2019).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from utils.world.exams import SINGLE_SHARE, Exam, clustered_mean, solve
from utils.world.oracle import MASK, Channel, Oracle, Sentences

if TYPE_CHECKING:
    from utils.world import World


@dataclass
class PieceExam(Exam):
    """An `Exam` over pieces: all ids are the tokenizer's, [MASK] is MASK, answers are (asked, len(tokenizer)).

    pieces_of_word: (asked,) how many pieces the word of the hidden piece has.
    shown_of_word: (asked,) how many of them are visible; always 0 under whole-word masking.
    `utils.evaluate.gap(model, tokenizer, exam)` reads it like any other exam.
    """

    pieces_of_word: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))
    shown_of_word: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))

    def floor(self, where: np.ndarray | None = None) -> tuple[float, float]:
        """The lowest loss any model can reach, per hidden piece: (mean, standard error clustered by document), nats.

        The mean of -log P(piece | all pieces shown), each hidden piece by itself, as BERT's loss counts
        them. Both maskings hide each piece with the same probability, so their floors are means over the
        same kind of pieces and may be compared. `where` (asked,) bool limits the mean to some of the
        questions, e.g. exam.pieces_of_word > 1. Raises ValueError when it leaves none.
        """
        where = np.ones(len(self.target), dtype=bool) if where is None else np.asarray(where)
        if not where.any():
            raise ValueError(f"No hidden piece is left to average over: {where.sum()} of {len(where)} chosen.")
        loss = -np.log(self.answers[np.arange(len(self.target)), self.target])
        return clustered_mean(loss[where], self.document[self.asked[:, 0]][where])


def piece_exam(
    world: World,
    tokenizer: Any,
    documents: int,
    seed: int,
    whole_word: bool,
    probability: float = 0.15,
    single_share: float = SINGLE_SHARE,
    next_share: float = 0.5,
) -> PieceExam:
    """Fresh text with pieces hidden, and the exact answers. The texts are those of `world.exam(documents, seed)`.

    tokenizer: one that spells each word of the world by itself and without [UNK], such as
    `utils.corpus.train_wordpiece(sentences, 160)`. whole_word: hide the pieces of a word together, each
    word with `probability`; otherwise each piece with `probability`. The two maskings of one seed start
    from the same random numbers. Costs about 5 ms a text, 10 at a probability of 0.6.
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability is {probability}; it must lie between 0 and 1.")
    oracle = PieceOracle(world, tokenizer, probability if whole_word else None)
    texts = world.exam(documents, seed, single_share=single_share, next_share=next_share)
    rng = np.random.default_rng([seed, 2**31 + 1])
    exam = PieceExam([], [], [], texts.is_next, texts.document)
    next_answer, asked, answers, of_word = [], [], [], []
    for text, sentences in enumerate(texts.written):
        written = tuple(oracle.spell(words) for words in sentences)
        words = [np.repeat(np.arange(len(s)), [len(oracle.spelled[w]) for w in s]) for s in sentences]
        selected = tuple(_select(word, probability, whole_word, rng) for word in words)
        shown = tuple(np.where(s, MASK, w) for w, s in zip(written, selected, strict=True))
        joint, is_next = oracle.answers(shown, next_share)
        exam.written.append(written)
        exam.selected.append(selected)
        exam.shown.append(shown)
        next_answer.append(is_next)
        answers.append(joint)
        for i, (word, hidden) in enumerate(zip(words, selected, strict=True)):
            counts = np.stack([np.bincount(word), np.bincount(word, weights=~hidden).astype(int)], axis=1)
            asked += [(text, i, position) for position in np.flatnonzero(hidden)]
            of_word.append(counts[word[hidden]])
    exam.next_answer, exam.answers = np.array(next_answer), np.concatenate(answers)
    exam.asked = np.array(asked, dtype=int).reshape(-1, 3)
    exam.target = np.array([exam.written[t][i][p] for t, i, p in exam.asked], dtype=int)
    exam.pieces_of_word, exam.shown_of_word = np.concatenate(of_word).T
    return exam


def _select(word: np.ndarray, probability: float, whole_word: bool, rng: np.random.Generator) -> np.ndarray:
    """Which pieces are hidden; `word` (pieces,) is each piece's word, counted through the sentence."""
    draw = rng.random(len(word))
    if whole_word:  # every piece takes the draw of the first piece of its word
        draw = draw[np.searchsorted(word, word)]
    return draw < probability


class Fit(NamedTuple):
    """The words of a slot that agree with a row of pieces, some of them hidden.

    words: (words,) ids; pieces: (words, pieces of each); likelihood: (states,) P(one of them | state);
    weight: P(a word has these pieces hidden), up to a factor that is common to all readings.
    """

    words: np.ndarray
    pieces: np.ndarray
    likelihood: np.ndarray
    weight: float


@dataclass
class Readings(Sentences):
    """One sentence of pieces in each of its readings: `frames` (readings,), `words` (1, pieces) as shown.

    fits: per reading, per slot; starts: per reading, where each slot's word begins.
    """

    fits: list[list[Fit]]
    starts: list[np.ndarray]


class PieceOracle(Oracle):
    """Exact sums over pieces: an Oracle whose frames are readings and whose answers are over pieces.

    whole_word: the probability with which a word is hidden, or None when pieces are hidden one by one.
    Raises ValueError when the tokenizer cannot spell a word of the world.
    """

    def __init__(self, world: World, tokenizer: Any, whole_word: float | None = None) -> None:
        super().__init__(world.grammar)
        self.vocabulary_size = len(tokenizer)
        self.whole_word = whole_word
        self.spelled = [tuple(tokenizer.encode(w, add_special_tokens=False)) for w in world.vocabulary]
        for word, pieces in zip(world.vocabulary, self.spelled, strict=True):
            if not pieces or set(pieces) & set(tokenizer.all_special_ids):
                raise ValueError(f"The tokenizer cannot spell {word!r}; train it on more text of {world!r}.")
        lengths = np.array([len(pieces) for pieces in self.spelled])
        self._by_length: dict[str, dict[int, tuple[np.ndarray, np.ndarray]]] = {}  # slot: pieces: words, spellings
        for kind, slot in self.grammar.slots.items():
            words = np.flatnonzero(slot.emission.any(0))
            self._by_length[kind] = {
                int(n): (chosen, np.array([self.spelled[w] for w in chosen]))
                for n in np.unique(lengths[words])
                for chosen in [words[lengths[words] == n]]
            }
        self._fits: dict[tuple[str, tuple[int, ...]], Fit | None] = {}

    def spell(self, words: np.ndarray) -> np.ndarray:
        """The pieces (pieces,) of a sentence of word ids (words,)."""
        return np.array([piece for word in words for piece in self.spelled[word]])

    def answers(self, shown: tuple[np.ndarray, ...], next_share: float = 0.5) -> tuple[np.ndarray, float]:
        """P(piece | all pieces shown) at each MASK of a text of one or two sentences, and P(IsNext | shown).

        shown: per sentence (pieces,), tokenizer ids, MASK where hidden. Returns (hidden, len(tokenizer)),
        first sentence first, and a probability (nan for one sentence). next_share: as in `exams.build`.
        Raises ValueError when no text of the world shows these pieces.
        """
        first, second = shown[0][None], shown[1][None] if len(shown) > 1 else None
        frames = [np.array([f for f, _ in self.readings(s)], dtype=int) for s in shown]
        if not all(len(f) for f in frames):
            raise ValueError(f"No sentence of the world shows the pieces {[s.tolist() for s in shown]}.")
        solution = solve(
            self, first, second, first == MASK, None if second is None else second == MASK, Channel(),
            next_share, frames[0], frames[-1],
        )
        if not solution.evidence[0] > 0:
            raise ValueError(f"No text of the world shows the pieces {[s.tolist() for s in shown]}.")
        joint = np.concatenate(solution.words)
        return joint / joint.sum(1, keepdims=True), float(solution.next_evidence[0] / solution.evidence[0])

    def readings(self, shown: np.ndarray) -> list[tuple[int, list[Fit]]]:
        """Every (frame, its words' fits, in order) that can show these pieces (pieces,)."""
        pieces = tuple(shown.tolist())
        return [(f, fits) for f, frame in enumerate(self.grammar.frames) for fits in self._cuts(frame.slots, pieces)]

    def _cuts(self, slots: tuple[str, ...], pieces: tuple[int, ...]) -> Iterator[list[Fit]]:
        """Every way to cut `pieces` into one word for each of `slots`, as lists of fits."""
        if len(pieces) < len(slots) or not slots:
            if not slots and not pieces:
                yield []
            return
        for length in self._by_length[slots[0]]:
            fit = self._fit(slots[0], pieces[:length]) if length <= len(pieces) else None
            if fit is not None:
                for rest in self._cuts(slots[1:], pieces[length:]):
                    yield [fit, *rest]

    def _fit(self, kind: str, pieces: tuple[int, ...]) -> Fit | None:
        """The words of a slot that these pieces may show, or None."""
        key = (kind, pieces)
        if key not in self._fits:
            words, spelled = self._by_length[kind][len(pieces)]
            shown = np.array(pieces)
            fits = ((spelled == shown) | (shown == MASK)).all(1)
            weight = 1.0  # pieces hidden one by one: P(these hidden) is the same in every reading
            if self.whole_word is not None:
                hidden = int((shown == MASK).sum())
                weight = {0: 1 - self.whole_word, len(pieces): self.whole_word}.get(hidden, 0.0)
            likelihood = self.grammar.slots[kind].emission[:, words[fits]].sum(1)
            possible = weight > 0 and likelihood.any()
            self._fits[key] = Fit(words[fits], spelled[fits], likelihood, weight) if possible else None
        return self._fits[key]

    def read(self, words: np.ndarray, frames: np.ndarray, channel: Channel) -> Readings:
        """Evidence of one sentence of pieces `words` (1, pieces) in each of its readings, whose frames are `frames`."""
        fits = [fit for _, fit in self.readings(words[0])]
        weight, evidence = np.ones((1, len(fits))), {}
        for column, (f, words_fit) in enumerate(zip(frames, fits, strict=True)):
            for kind, fit in zip(self.grammar.frames[f].slots, words_fit, strict=True):
                variable = self.grammar.slots[kind].variable
                weight[0, column] *= fit.weight if variable else fit.weight * fit.likelihood[0]
                if variable:
                    everywhere = np.ones((1, len(fits), len(fit.likelihood)))
                    evidence.setdefault(variable, everywhere)[0, column] *= fit.likelihood
        starts = [np.cumsum([0] + [fit.pieces.shape[1] for fit in words_fit[:-1]]) for words_fit in fits]
        return Readings(words, frames, weight, evidence, fits, starts)

    def words_at(self, text: Readings, beliefs, total, rows, position: int, channel: Channel) -> np.ndarray:
        """P(all pieces shown, the hidden piece at `position` is v), (1, len(tokenizer)), added over readings."""
        joint = np.zeros((1, self.vocabulary_size))
        for column, f in enumerate(text.frames):
            place = int(np.searchsorted(text.starts[column], position, side="right")) - 1
            fit = text.fits[column][place]
            slot = self.grammar.slots[self.grammar.frames[f].slots[place]]
            belief = total[0, column, None] if slot.variable is None else beliefs[slot.variable][0, column]
            others = np.divide(belief, fit.likelihood, out=np.zeros_like(belief), where=fit.likelihood > 0)
            piece = fit.pieces[:, position - text.starts[column][place]]
            joint[0] += np.bincount(piece, others @ slot.emission[:, fit.words], self.vocabulary_size)
        return joint
