"""The opinions: balanced, without near-duplicates within or across splits, and not to be solved by counting words."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score
from sklearn.pipeline import make_pipeline

from utils import datasets

SPLITS = {"train": 70, "dev": 14, "test": 21}  # texts of each domain and sentiment


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return datasets.load("opinions")


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def holders(texts: list[str], length: int) -> dict[tuple[str, ...], set[int]]:
    """The texts in which each sequence of `length` words occurs."""
    found = defaultdict(set)
    for number, text in enumerate(texts):
        said = words(text)
        for start in range(len(said) - length + 1):
            found[tuple(said[start : start + length])].add(number)
    return found


def test_every_split_has_the_same_shares(table):
    counts = table.groupby(["split", "domain", "sentiment"]).size()
    assert len(counts) == 3 * 6 * 2
    assert all(count == SPLITS[split] for (split, _, _), count in counts.items())
    kinds = table.groupby(["domain", "sentiment"])["phenomenon"].value_counts().unstack()
    assert (kinds == kinds.iloc[0]).all().all() and set(kinds) == {"plain", "negation", "contrast", "irony", "mixed"}


def test_the_texts_are_short_single_and_clean(table):
    assert table["id"].is_unique and table["text"].is_unique
    assert table["text"].map(lambda text: 12 <= len(words(text)) <= 46).all()
    assert not table["text"].str.contains(r"  |[\n\t\u2013\u2014\u2018-\u201f]").any()


def test_there_are_no_near_duplicates(table):
    """Within and across splits alike: sequences of words that two texts share."""
    texts = table["text"].tolist()
    assert all(len(where) == 1 for where in holders(texts, 8).values())
    five = {number for where in holders(texts, 5).values() if len(where) > 1 for number in where}
    assert len(five) <= 47
    three = holders(texts, 3)
    size, shared = Counter(), Counter()
    for where in three.values():
        size.update(where)
        members = sorted(where)
        shared.update((a, b) for i, a in enumerate(members) for b in members[i + 1 :])
    assert max(count / (size[a] + size[b] - count) for (a, b), count in shared.items()) <= 0.15


def test_the_second_labelling_agrees_as_the_datasheet_says(table):
    assert cohen_kappa_score(table["sentiment"], table["second_sentiment"]) == 1
    assert cohen_kappa_score(table["domain"], table["second_domain"]) == pytest.approx(0.98, abs=0.005)


def test_counting_words_does_not_solve_it(table):
    train, test = (table[table["split"] == split] for split in ("train", "test"))
    counting = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
                             LogisticRegression(C=10, max_iter=2000))
    for column, said in {"sentiment": 0.61, "domain": 0.44}.items():
        accuracy = counting.fit(train["text"], train[column]).score(test["text"], test[column])
        assert accuracy == pytest.approx(said, abs=0.02)
