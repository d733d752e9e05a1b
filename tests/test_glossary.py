"""The glossary and the first sentences are well formed."""

from __future__ import annotations

import re

import pytest

from utils import datasets

CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def glossary():
    return datasets.load("glossary")


def test_covers_all_twenty_notebooks_with_enough_terms(glossary):
    assert list(glossary.columns) == ["term", "chinese", "meaning", "notebook"]
    assert len(glossary) >= 60
    assert set(glossary["notebook"]) == {f"{number:02d}" for number in range(20)}


def test_terms_are_unique_sorted_and_trimmed(glossary):
    lower = glossary["term"].str.lower()
    assert lower.is_unique and list(lower) == sorted(lower)
    for column in glossary:
        assert (glossary[column] == glossary[column].str.strip()).all() and (glossary[column] != "").all()


def test_chinese_is_chinese_with_full_width_brackets(glossary):
    for term, chinese in zip(glossary["term"], glossary["chinese"], strict=True):
        assert CHINESE.search(chinese), term
        assert not re.search(r"[(),;]", chinese), f"{term}: use full-width punctuation in {chinese!r}"
        assert chinese.count("（") == chinese.count("）"), term
        assert not CHINESE.search(term), term


def test_meanings_are_one_sentence(glossary):
    for term, meaning in zip(glossary["term"], glossary["meaning"], strict=True):
        assert meaning.endswith(".") and not re.search(r"\. +[A-Z]", meaning), term
        assert 4 <= len(meaning.split()) <= 30, f"{term}: {len(meaning.split())} words"
        assert "|" not in meaning and not CHINESE.search(meaning), term


def test_a_chinese_term_stands_for_one_english_term(glossary):
    repeated = glossary.loc[glossary["chinese"].duplicated(keep=False), "term"]
    assert list(repeated) == []


def test_first_sentences_are_balanced_and_held_out():
    table = datasets.load("first-sentences")
    counts = table.groupby(["split", "label"]).size().to_dict()
    assert counts == {
        ("held-out", "negative"): 8, ("held-out", "positive"): 8, ("train", "negative"): 12, ("train", "positive"): 12,
    }  # fmt: skip
    assert table["text"].str.lower().is_unique
    assert table["text"].str.split().str.len().between(5, 16).all()
    assert table["text"].str.fullmatch(r"[A-Z].*[.]").all()
