"""WordPiece written out: cutting a word into pieces, and learning the pieces from text.

    words = spell(Counter("the baker baked the bread".split()))
    merges = learn_merges(words, 3)                            # [("##k", "##e"), ("b", "##a"), ...]
    longest_match("bakery", {"bake", "##r", "##y"})            # ["bake", "##r", "##y"]

For reading, not for speed: `utils.corpus.train_wordpiece` uses the `tokenizers` library, and the tests hold the two
equal. A piece that continues a word begins with "##". A text is a dictionary {pieces of a word: times it occurs}.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping

Pieces = tuple[str, ...]
Pair = tuple[str, str]
# Score of a pair of neighbouring pieces: (times together, times of the left, times of the right, all pieces) -> score
Criterion = Callable[[int, int, int, int], float]

LONGEST_WORD = 100  # characters; BERT's tokenizer gives a longer word up as [UNK]


def longest_match(word: str, vocabulary: Collection[str]) -> list[str]:
    """Cut one word into pieces: the longest piece of the vocabulary that fits, again and again.

    Returns ["[UNK]"] for a word that some part of no piece fits (BERT gives up the whole word).
    Source: Wu et al. 2016 (arXiv 1609.08144), section 4.1; code of Devlin et al. 2019.
    """
    pieces, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        ends = range(len(word), start, -1)  # the longest first
        end = next((end for end in ends if prefix + word[start:end] in vocabulary), None)
        if end is None or len(word) > LONGEST_WORD:
            return ["[UNK]"]
        pieces.append(prefix + word[start:end])
        start = end
    return pieces


def spell(counts: Mapping[str, int]) -> dict[Pieces, int]:
    """Every word as its characters: {"she": 7} -> {("s", "##h", "##e"): 7}."""
    return {(word[0], *("##" + letter for letter in word[1:])): count for word, count in counts.items()}


def merge(pieces: Pieces, pair: Pair) -> Pieces:
    """Join the pair wherever it stands in a word, from the left: ("b", "##a", "##k") -> ("ba", "##k")."""
    joined, i = [], 0
    while i < len(pieces):
        together = pieces[i : i + 2] == pair
        joined.append(pair[0] + pair[1].removeprefix("##") if together else pieces[i])
        i += 2 if together else 1
    return tuple(joined)


def count_pieces(words: Mapping[Pieces, int]) -> Counter[str]:
    """How often each piece occurs in the text."""
    counts: Counter[str] = Counter()
    for pieces, count in words.items():
        for piece in pieces:
            counts[piece] += count
    return counts


def count_pairs(words: Mapping[Pieces, int]) -> Counter[Pair]:
    """How often each two pieces stand side by side within a word of the text."""
    counts: Counter[Pair] = Counter()
    for pieces, count in words.items():
        for pair in zip(pieces, pieces[1:], strict=False):
            counts[pair] += count
    return counts


def log_likelihood(words: Mapping[Pieces, int]) -> float:
    """log P(text) in nats when every piece is drawn independently with its own share of the text.

    sum over pieces x of c(x) log(c(x) / N), with c(x) the times x occurs and N all pieces.
    """
    counts = count_pieces(words)
    total = sum(counts.values())
    return sum(count * math.log(count / total) for count in counts.values())


def frequency(together: int, left: int, right: int, total: int) -> float:
    """The most frequent pair first: byte-pair encoding, and what the `tokenizers` library does for WordPiece."""
    return together


def ratio(together: int, left: int, right: int, total: int) -> float:
    """c(ab) / (c(a) c(b)): the score that tutorials give for WordPiece. It does not ask how often the pair occurs."""
    return together / (left * right)


def likelihood_gain(together: int, left: int, right: int, total: int) -> float:
    """By how many nats `log_likelihood` rises when the pair (two different pieces) becomes one piece.

    The criterion that Schuster and Nakajima 2012 describe in words, for a model of independent pieces.
    """
    before = _nats(left) + _nats(right) - _nats(total)
    return _nats(together) + _nats(left - together) + _nats(right - together) - _nats(total - together) - before


def learn_merges(words: Mapping[Pieces, int], merges: int, criterion: Criterion = frequency) -> list[Pair]:
    """Join the pair with the best score, `merges` times over; returns the pairs in the order in which they were joined.

    Equal scores go to the pair whose pieces are older, as in the `tokenizers` library: characters inside words
    first, then characters, each in alphabetical order, then joined pieces in the order in which they appeared.
    """
    words, learned = dict(words), []
    age = {piece: i for i, piece in enumerate(alphabet(words))}
    while len(learned) < merges:
        single, pairs = count_pieces(words), count_pairs(words)
        if not pairs:
            break
        total = sum(single.values())

        def score(pair: Pair) -> tuple[float, int, int]:
            a, b = pair
            return criterion(pairs[pair], single[a], single[b], total), -age[a], -age[b]  # noqa: B023 (used at once)

        best = max(pairs, key=score)
        age.setdefault(best[0] + best[1].removeprefix("##"), len(age))
        words = {merge(pieces, best): count for pieces, count in words.items()}
        learned.append(best)
    return learned


def alphabet(words: Mapping[Pieces, int]) -> list[str]:
    """The pieces of one character: those inside words, then all characters, each in alphabetical order."""
    text = {pieces[0] + "".join(piece.removeprefix("##") for piece in pieces[1:]) for pieces in words}
    inner = {"##" + letter for word in text for letter in word[1:]}
    return sorted(inner) + sorted({letter for word in text for letter in word})


def vocabulary(words: Mapping[Pieces, int], merges: list[Pair]) -> list[str]:
    """Characters and joined pieces, without repetition, in the order in which they were learned."""
    joined = [left + right.removeprefix("##") for left, right in merges]
    return list(dict.fromkeys([*alphabet(words), *joined]))


def _nats(count: int) -> float:
    return count * math.log(count) if count > 0 else 0.0
