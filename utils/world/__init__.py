"""An artificial language of short stories whose probabilities are known exactly.

    world = World(size="small")
    world.documents(count=2, seed=0)[0].sentences
    world.masked_distribution("the nurse said that [MASK] was happy .")

`World` samples stories and answers questions about them; it knows nothing of models. The parts:
`lexicon` (words), `grammar` (sentences), `latents` and `oracle` (exact sums), `exams` (corrupted
text with exact answers, and the floors), `labels` (what each story is known to mean).
"""

from __future__ import annotations

import numpy as np

from utils.world import exams
from utils.world.exams import Exam
from utils.world.grammar import Grammar, build
from utils.world.labels import Document
from utils.world.oracle import MASK, Channel, Corruption, Oracle

__all__ = ["Corruption", "Document", "Exam", "World"]

BLOCK = 512  # documents are drawn in blocks with a seed each, so that a larger draw begins with the smaller one


class World:
    """The artificial language in one of its two sizes, with its planted associations scaled by doses.

    size: "small" (about 240 words, 27 frames) or "full" (about 580 words, 64 frames).
    pronoun_dose: scales the log-odds of P(she | occupation); 0 none, 1 as in the statistics, negative reversed.
    valence_dose: scales the log-odds of P(good tone | community) in the same way.
    """

    def __init__(
        self,
        size: str = "small",
        pronoun_dose: float = 1.0,
        valence_dose: float = 1.0,
        *,
        grammar: Grammar | None = None,
    ) -> None:
        self.size, self.pronoun_dose, self.valence_dose = size, float(pronoun_dose), float(valence_dose)
        self.grammar = grammar or build(size, self.pronoun_dose, self.valence_dose)
        self.vocabulary: list[str] = list(self.grammar.vocabulary)
        self.word_ids = {word: i for i, word in enumerate(self.vocabulary)}
        self.oracle = Oracle(self.grammar)

    def __repr__(self) -> str:
        return f"World(size={self.size!r}, pronoun_dose={self.pronoun_dose:g}, valence_dose={self.valence_dose:g})"

    # --- sampling -----------------------------------------------------------------------------

    def documents(self, count: int, seed: int) -> list[Document]:
        """`count` stories; the same seed gives the same stories, and a larger count begins with the smaller."""
        stories: list[Document] = []
        for block in range(-(-count // BLOCK)):
            stories += self._block(np.random.default_rng([seed, block]))
        return stories[:count]

    def _block(self, rng: np.random.Generator) -> list[Document]:
        grammar, forest = self.grammar, self.grammar.forest
        states: dict[str, np.ndarray] = {}
        for variable in forest.variables:
            rows = variable.table[None] if variable.parent is None else variable.table[states[variable.parent]]
            states[variable.name] = _draw(np.broadcast_to(rows, (BLOCK, rows.shape[1])), rng)
        counts = np.array(list(grammar.lengths))
        length = counts[_draw(np.broadcast_to(list(grammar.lengths.values()), (BLOCK, len(counts))), rng)]
        frames = np.empty((BLOCK, counts.max()), dtype=int)
        frames[:, 0] = _draw(np.broadcast_to(grammar.start, (BLOCK, len(grammar.start))), rng)
        for i in range(1, counts.max()):
            frames[:, i] = _draw(grammar.transition[frames[:, i - 1]], rng)
        sentences: dict[tuple[int, int], str] = {}
        for f, frame in enumerate(grammar.frames):
            stories, positions = np.nonzero((frames == f) & (np.arange(counts.max()) < length[:, None]))
            if len(stories) == 0:
                continue
            columns = []
            for kind in frame.slots:
                slot = grammar.slots[kind]
                row = states[slot.variable][stories] if slot.variable else np.zeros(len(stories), dtype=int)
                columns.append(_draw(slot.emission[row], rng))
            for story, position, ids in zip(stories, positions, np.stack(columns, axis=1), strict=True):
                sentences[story, position] = " ".join([self.vocabulary[i] for i in ids])
        return [
            Document(
                sentences=[sentences[story, i] for i in range(length[story])],
                latents={v.name: v.states[states[v.name][story]] for v in forest.variables},
                frames=tuple(grammar.frames[frames[story, i]] for i in range(length[story])),
            )
            for story in range(BLOCK)
        ]

    # --- exact answers ------------------------------------------------------------------------

    def masked_distribution(
        self, text: str, relation: str = "mixed", corruption: Corruption | None = None
    ) -> dict[str, float] | list[dict[str, float]]:
        """The exact distribution of each hidden word of a sentence, or of two joined by [SEP].

        Returns {word: probability} for one [MASK], a list of them, in order, for several (each given
        the words shown, the other masks unknown). relation: how the second sentence relates to the
        first: "next" (it follows it), "other" (it is from another story) or "mixed" (half of each, as
        in BERT's training text). corruption=Corruption() takes the words shown for BERT's corrupted
        input, in which some are not the words written.
        Raises ValueError for an unknown word, and for words that no sentence of the world can show.
        """
        sentences = self._read(text)
        queries = [np.atleast_2d(s == MASK) for s in sentences]
        if not any(q.any() for q in queries):
            raise ValueError(f"There is no [MASK] in {text!r}: put one where the hidden word is.")
        joint, evidence = self._joint(sentences, queries, relation, corruption)
        if not evidence > 0:
            raise ValueError(f"No text of {self!r} reads {text!r}: check the words against its frames.")
        answers = [dict(zip(self.vocabulary, (row / row.sum()).tolist(), strict=True)) for row in joint]
        return answers[0] if len(answers) == 1 else answers

    def log_probability(self, text: str, relation: str = "mixed") -> float:
        """log P(text) in nats, hidden words summed out; -inf for a text the world never writes."""
        sentences = self._read(text)
        _, evidence = self._joint(sentences, [np.zeros((1, len(s)), dtype=bool) for s in sentences], relation, None)
        with np.errstate(divide="ignore"):
            return float(np.log(evidence))

    def next_probability(self, first: str, second: str) -> float:
        """P(second follows first | both), where half of all pairs do and the other half are from two stories."""
        next_, other = (self.log_probability(f"{first} [SEP] {second}", relation) for relation in ("next", "other"))
        if max(next_, other) == -np.inf:
            raise ValueError(f"No two sentences of {self!r} read {first!r} and {second!r}.")
        return float(1 / (1 + np.exp(other - next_)))

    def share_of_she(self) -> dict[str, float]:
        """The planted P(she | occupation) at this pronoun dose."""
        gender = self.grammar.forest.by_name["gender"]
        occupations = self.grammar.forest.by_name["occupation"].states
        return dict(zip(occupations, gender.table[:, gender.states.index("female")].tolist(), strict=True))

    def share_of_good(self) -> dict[str, float]:
        """The planted P(good tone | community) at this valence dose."""
        tone = self.grammar.forest.by_name["tone"]
        communities = self.grammar.forest.by_name["community"].states
        return dict(zip(communities, tone.table[:, tone.states.index("good")].tolist(), strict=True))

    # --- floors -------------------------------------------------------------------------------

    def exam(self, documents: int = 600, seed: int = 1, **scheme) -> Exam:
        """Corrupted text with the exact answers: see `exams.build` for the scheme's arguments."""
        return exams.build(self, documents, seed, **scheme)

    def mlm_floor(self, documents: int = 600, seed: int = 1, **scheme) -> tuple[float, float]:
        """The lowest masked-word loss that any model can reach on fresh text: (mean, standard error), nats.

        E[-log P(word | corrupted text, the position was selected)], the mean over the selected
        positions of that many documents; the standard error is clustered by document.
        """
        return self.exam(documents, seed, **scheme).mlm_floor()

    def nsp_floor(self, documents: int = 600, seed: int = 1, **scheme) -> tuple[float, float]:
        """The lowest next-sentence loss that any model can reach: (mean, standard error), nats."""
        return self.exam(documents, seed, **scheme).nsp_floor()

    def causal_floor(self, documents: int = 600, seed: int = 1) -> tuple[float, float]:
        """The lowest loss per word of any left-to-right model: (mean, standard error), nats.

        The model reads two sentences of a story in a row.
        """
        return exams.causal_floor(self, documents, seed)

    # --- helpers ------------------------------------------------------------------------------

    def _read(self, text: str) -> list[np.ndarray]:
        """Word ids of one or two sentences, [MASK] as MASK; [CLS] and a last [SEP] may stand around them."""
        parts = text.lower().replace("[cls]", " ").split("[sep]")
        parts = parts[:-1] if len(parts) > 1 and not parts[-1].strip() else parts
        if not 1 <= len(parts) <= 2 or not all(part.strip() for part in parts):
            raise ValueError(f"{text!r} has {len(parts)} parts; give one sentence, or two joined by [SEP].")
        sentences = []
        for part in parts:
            unknown = [w for w in part.split() if w != "[mask]" and w not in self.word_ids]
            if unknown:
                raise ValueError(f"{unknown[0]!r} is not a word of {self!r}; world.vocabulary lists its words.")
            sentences.append(np.array([MASK if w == "[mask]" else self.word_ids[w] for w in part.split()]))
        return sentences

    def _joint(
        self, sentences: list[np.ndarray], queries: list[np.ndarray], relation: str, corruption: Corruption | None
    ) -> tuple[np.ndarray, float]:
        """P(words shown, word at each queried position) as (queries, vocabulary), and P(words shown)."""
        channel = Channel.of(corruption, len(self.vocabulary))
        second = sentences[1][None] if len(sentences) == 2 else None
        result = exams.solve(
            self.oracle, sentences[0][None], second, queries[0], queries[1] if second is not None else None,
            channel, next_share=exams.share_of_next(relation),
        )
        return np.concatenate(result.words), float(result.evidence[0])


def _draw(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One index from each row of probabilities, by inverting its cumulative sum."""
    cumulative = np.cumsum(rows, axis=1)
    return (rng.random((len(rows), 1)) * cumulative[:, -1:] >= cumulative).sum(1)
