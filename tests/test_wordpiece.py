"""WordPiece written out against the library, and against texts small enough to work out by hand."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from utils import corpus, models, wordpiece
from utils.world import World

WORDS = {("a", "##b", "##b"): 3, ("b", "##a", "##b"): 2}


@pytest.fixture(scope="module")
def text():
    return [s for story in World(size="small").documents(200, seed=3) for s in story.sentences]


def test_longest_match_equals_the_library_on_berts_vocabulary():
    _, tokenizer = models.load("minilm")
    vocabulary = tokenizer.get_vocab()
    random = np.random.default_rng(0)
    letters = list("abcdefghijklmnopqrstuvwxyz")
    words = ["".join(random.choice(letters, random.integers(1, 16))) for _ in range(1500)]
    words += ["unaffable", "a" * 100, "b" * 101, "łukasz", "☃", "x☃"]
    for word in words:
        assert wordpiece.longest_match(word, vocabulary) == tokenizer.tokenize(word), word


def test_longest_match_is_greedy_and_gives_up_whole_words():
    vocabulary = {"bake", "bak", "##e", "##ery", "##r", "##y"}
    assert wordpiece.longest_match("bakery", vocabulary) == ["bake", "##r", "##y"]  # bak ##ery would be shorter
    assert wordpiece.longest_match("bakes", vocabulary) == ["[UNK]"]
    assert wordpiece.longest_match("", vocabulary) == []


@pytest.mark.parametrize("size", [80, 150, 300])
def test_learning_by_frequency_equals_the_library(text, size):
    words = wordpiece.spell(Counter(" ".join(text).split()))
    library = corpus.train_wordpiece(text, size, min_frequency=0).get_vocab()
    merges = wordpiece.learn_merges(words, size - len(corpus.SPECIAL_TOKENS) - len(wordpiece.alphabet(words)))
    assert set(wordpiece.vocabulary(words, merges)) == set(library) - set(corpus.SPECIAL_TOKENS)


def test_spell_and_merge():
    assert wordpiece.spell({"she": 7, "a": 1}) == {("s", "##h", "##e"): 7, ("a",): 1}
    assert wordpiece.merge(("b", "##a", "##b", "##b"), ("##b", "##b")) == ("b", "##a", "##bb")
    assert wordpiece.merge(("x", "##a", "##a", "##a"), ("##a", "##a")) == ("x", "##aa", "##a")  # from the left
    assert wordpiece.merge(("b", "##a"), ("##a", "##b")) == ("b", "##a")


def test_counts_are_weighted_by_how_often_a_word_occurs():
    assert wordpiece.count_pieces(WORDS) == {"a": 3, "##b": 8, "b": 2, "##a": 2}
    assert wordpiece.count_pairs(WORDS) == {("a", "##b"): 3, ("##b", "##b"): 3, ("b", "##a"): 2, ("##a", "##b"): 2}


def test_log_likelihood_by_hand():
    by_hand = 3 * math.log(3 / 15) + 8 * math.log(8 / 15) + 2 * 2 * math.log(2 / 15)
    assert wordpiece.log_likelihood(WORDS) == pytest.approx(by_hand, abs=1e-12)


def test_likelihood_gain_is_the_rise_that_joining_brings(text):
    words = wordpiece.spell(Counter(" ".join(text).split()))
    single, pairs = wordpiece.count_pieces(words), wordpiece.count_pairs(words)
    before = wordpiece.log_likelihood(words)
    for pair in list(pairs)[::7]:
        if pair[0] == pair[1]:
            continue  # a doubled piece: the formula is for two different ones
        after = wordpiece.log_likelihood({wordpiece.merge(w, pair): n for w, n in words.items()})
        gain = wordpiece.likelihood_gain(pairs[pair], single[pair[0]], single[pair[1]], single.total())
        assert gain == pytest.approx(after - before, abs=1e-6), pair


def test_criteria_disagree_where_they_should():
    # q is always followed by u but rare; e and s stand together often, and apart often
    words = {("q", "##u"): 2, ("e", "##s"): 50, ("e", "##n"): 40, ("o", "##s"): 40}
    first = {c.__name__: wordpiece.learn_merges(words, 1, c)[0]
             for c in (wordpiece.frequency, wordpiece.ratio, wordpiece.likelihood_gain)}  # fmt: skip
    assert first["frequency"] == ("e", "##s")
    assert first["ratio"] == ("q", "##u")
    assert first["likelihood_gain"] != ("q", "##u")


def test_learning_stops_when_nothing_is_left_to_join():
    assert wordpiece.learn_merges({("a", "##b"): 1}, 5) == [("a", "##b")]
