"""The edits of opinions: of test texts, one of each kind, each a real change of a few words."""

from __future__ import annotations

from utils import datasets


def test_every_text_has_one_edit_of_each_kind():
    opinions, edits = datasets.load("opinions").set_index("id"), datasets.load("opinion-edits")
    assert len(edits) == 96 and (edits.groupby("id")["kind"].agg(sorted).map(tuple) == ("keeps", "turns")).all()
    assert (opinions["split"][edits["id"]] == "test").all()


def test_an_edit_changes_some_words_and_leaves_some():
    opinions, edits = datasets.load("opinions").set_index("id"), datasets.load("opinion-edits")
    for identifier, text in zip(edits["id"], edits["text"], strict=True):
        before, after = set(opinions["text"][identifier].split()), set(text.split())
        assert before != after and before & after, identifier
    assert edits["text"].is_unique and not edits["text"].isin(opinions["text"]).any()
    assert not edits["text"].str.contains("  ").any()
