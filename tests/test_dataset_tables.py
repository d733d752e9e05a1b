"""`utils.tables` and `utils.text_tables`: every reader on synthetic files with every fault, and on the real files.

What is asserted of the real files are facts that were measured or published about them elsewhere.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tests.data_fixtures import REAL, ROOT, needs_real, use_synthetic
from utils import datasets


@pytest.fixture
def synthetic(tmp_path, monkeypatch) -> Path:
    return use_synthetic(tmp_path, monkeypatch)


@pytest.fixture
def real(monkeypatch) -> None:
    monkeypatch.setenv("COURSE_DATA_MIRROR", str(REAL))


# --- readers on synthetic files ------------------------------------------------------------------------------------


def test_crows_pairs_faults(synthetic):
    table = datasets.load("crows-pairs")
    assert list(table["row"]) == [0, 1, 2, 3, 4]
    assert list(table["spans"]) == [1, 2, 2, 1, 1]
    assert list(table["annotators_agree"]) == [5, 1, 3, 5, 4]
    assert list(table["length_differs"]) == [False, False, True, False, False]
    assert list(table["insertion"]) == [False, False, True, False, False]
    assert list(table["end_differs"]) == [False, False, True, False, True]
    assert list(table["duplicate"]) == [False, False, False, True, False]
    assert list(table["writer"]) == ["a0", "a1", "a0", "a1", "a0"]
    assert (table["sent_more"][4], table["sent_less"][4]) == ("null", "NA"), "words, not missing values"


def test_published_scores_are_put_back_in_order(synthetic):
    table = datasets.load("crows-pairs-bert-scores")
    assert list(table["score_more"]) == [-10.5, -8.0] and list(table["score_less"]) == [-11.0, -9.0]
    assert "sent_more" not in table


def test_stereoset_faults(synthetic):
    table = datasets.load("stereoset").set_index("id")
    assert list(table["kind"]) == ["intrasentence", "intrasentence", "intersentence"]
    assert list(table["blanks"]) == [1, 2, 0]
    assert list(table["blank_glued"]) == [False, True, False]
    assert list(table["unrelated"]) == ["c1 purple", "c2 purple", "c3 purple"], "joined by id, not by position"


def test_stereoset_official(synthetic):
    table = datasets.load("stereoset-dev")
    assert list(table["kind"]) == ["intrasentence", "intersentence"]
    assert list(table["stereotype_votes"]) == [5, 3]
    assert list(table["anti_stereotype"]) == ["a anti-stereotype", "b anti-stereotype"]
    assert list(table["unrelated_id"]) == ["a-unrelated", "b-unrelated"]
    assert list(datasets.load("stereoset-subset")["id"]) == ["a", "c"]


def test_winobias_spans_and_faults(synthetic):
    table = datasets.load("winobias", split="dev")
    assert len(table) == 8
    first = table.iloc[0]
    assert first["sentence"] == "The guard thanked the nurse because he was kind."
    assert first["sentence"][first["entity_start"] : first["entity_end"]] == "The guard"
    assert first["sentence"][first["pronoun_start"] : first["pronoun_end"]] == first["pronoun"] == "he"
    assert (first["occupation"], first["occupation_gender"], first["other_occupation"]) == ("guard", "male", "nurse")
    assert list(table["two_pronouns"]) == [False, True, False, True, False, True, False, False]
    pairs = table[table["stereotype"] == "pro"].set_index(["type", "number"])
    assert pairs["minimal_pair"].to_dict() == {(1, 1): True, (1, 2): False, (2, 1): False, (2, 2): False}
    assert pairs["only_pronouns_differ"].to_dict() == {(1, 1): True, (1, 2): True, (2, 1): False, (2, 2): False}


def test_association_tests(synthetic):
    table = datasets.load("seat")
    assert set(table["role"]) == {"X", "Y", "A", "B"}
    assert table.groupby("test")["level"].first().to_dict() == {"sent-weat1": "sentence", "weat1": "word"}
    row = table[(table["test"] == "weat1") & (table["role"] == "A")].iloc[0]
    assert (row["set"], row["text"]) == ("Warm", "Warm")
    assert list(datasets.load("seat-religion")["test"].unique()) == ["sent-religion1"]


def test_texts(synthetic):
    sst2 = datasets.load("sst2")
    assert list(sst2["label"]) == [1, 0, 1, 1] and list(sst2["duplicate"]) == [False, False, True, False]
    assert sst2["sentence"].iloc[-1] == 'a "fine" loaf'
    glue = datasets.load("sst2-glue", split="train")
    assert list(glue["part"]) == ["train", "train", "dev"]
    assert list(glue["duplicate"]) == [False, False, True] and list(glue["in_validation"]) == [False, True, False]
    cola = datasets.load("cola")
    assert list(cola["mark"]) == ["", "*", "", "??"] and list(cola["label"]) == [1, 0, 1, 0]
    assert cola["sentence"][2] == 'The "baker" sang.'
    words = datasets.load("ud-ewt", split="dev")
    assert list(words["form"]) == ["I", "do", "n't", "sing"] and list(words["head"]) == [4, 4, 4, 0]
    wiki = datasets.load("wikitext2", split="valid")
    assert list(wiki["text"]) == ["", "= Bread =", "", "Bread is <unk> ."]
    assert list(wiki["heading"]) == [False, True, False, False]


# --- readers on the real files: the facts that are known about them --------------------------------------------------


@needs_real
def test_real_crows_pairs(real):
    table = datasets.load("crows-pairs")
    assert len(table) == 1508 and table["bias_type"].nunique() == 9
    assert table["stereo_antistereo"].value_counts().to_dict() == {"stereo": 1290, "antistereo": 218}
    flags = ["length_differs", "insertion", "end_differs", "case_differs", "duplicate"]
    assert table[flags].sum().tolist() == [268, 56, 41, 4, 1]
    assert (table["spans"] > 1).sum() == 239 and (table["spans"] > 0).all()
    assert table["writer"].nunique() == 77 and table["writer"].value_counts().iloc[0] == 130
    assert (table["annotators_agree"] < 3).sum() == 162
    assert table["annotators_agree"].mean() / 5 == pytest.approx(0.80, abs=0.005)


@needs_real
def test_real_crows_pairs_scores_give_the_published_figures(real):
    scores, pairs = datasets.load("crows-pairs-bert-scores"), datasets.load("crows-pairs")
    assert (scores["bias_type"] == pairs["bias_type"]).all()
    wins = (scores["score_more"] > scores["score_less"]) * 100
    assert wins.mean() == pytest.approx(60.48, abs=0.005)
    by_direction = wins.groupby(scores["stereo_antistereo"]).mean().round(2).to_dict()
    assert by_direction == {"stereo": 61.09, "antistereo": 56.88}
    by_type = wins.groupby(scores["bias_type"]).mean().round(2)
    assert by_type["race-color"] == 58.14 and by_type["religion"] == 71.43 and by_type["age"] == 55.17


@needs_real
def test_real_stereoset(real):
    table = datasets.load("stereoset")
    assert table["kind"].value_counts().to_dict() == {"intersentence": 2123, "intrasentence": 2106}
    kinds = {"race": 1938, "profession": 1637, "gender": 497, "religion": 157}
    assert table["bias_type"].value_counts().to_dict() == kinds
    assert table["target"].nunique() == 79 and table["id"].is_unique
    assert (table["blanks"] == 2).sum() == 2 and table["blank_glued"].sum() == 4
    subset = datasets.load("stereoset-subset").merge(table, on="id", suffixes=("", "_flat"))
    assert len(subset) == 962 + 79
    for column in ("stereotype", "anti_stereotype", "unrelated", "context", "target"):
        assert (subset[column] == subset[f"{column}_flat"]).all()


@needs_real
def test_real_winobias(real):
    table = datasets.load("winobias")
    assert len(table) == 8 * 396
    assert table.groupby("stereotype")["two_pronouns"].sum().to_dict() == {"anti": 43, "pro": 44}
    pairs = table[table["stereotype"] == "pro"].groupby(["type", "split"])
    assert (~pairs["minimal_pair"].first()).size == 4
    assert pairs["minimal_pair"].apply(lambda column: (~column).sum()).tolist() == [11, 27, 14, 10]
    assert table["occupation"].nunique() == 40 and (table["other_occupation"] == "").sum() == 4
    men = table["pronoun"].isin(["he", "his", "him", "himself"])
    follows = men == (table["occupation_gender"] == "male")
    assert (follows == (table["stereotype"] == "pro")).all()


@needs_real
def test_real_association_tests(real):
    seat = datasets.load("seat")
    assert seat["test"].nunique() == 46
    assert not seat.duplicated(["test", "role", "text"]).any()
    sizes = seat.groupby(["test", "role"]).size().unstack()
    assert (sizes["X"] == sizes["Y"]).all()
    assert sizes.loc["sent-weat1"].to_dict() == {"A": 215, "B": 250, "X": 350, "Y": 350}
    assert datasets.load("seat-religion")["test"].nunique() == 4


@needs_real
def test_real_texts(real):
    sst2 = datasets.load("sst2")
    assert sst2.groupby("split").size().to_dict() == {"train": 6920, "dev": 872}
    assert sst2.groupby("split")["duplicate"].sum().to_dict() == {"train": 9, "dev": 0}
    glue = datasets.load("sst2-glue")
    assert glue.groupby("split").size().to_dict() == {"train": 67349, "validation": 872}
    assert glue["duplicate"].sum() == 371
    cola = datasets.load("cola")
    assert cola["split"].value_counts().to_dict() == {
        "in_domain_train": 8551,
        "in_domain_dev": 527,
        "out_of_domain_dev": 516,
    }
    assert cola.groupby("split")["label"].mean().round(3).tolist() == [0.693, 0.704, 0.686]
    words = datasets.load("ud-ewt")
    assert words.groupby("split").size().to_dict() == {"dev": 25147, "test": 25094}
    assert words.groupby("split")["sentence"].nunique().to_dict() == {"dev": 2001, "test": 2077}
    assert datasets.load("wikitext2").groupby("split").size().to_dict() == {"valid": 3760, "test": 4358}
    assert len(datasets.load("professions")) == 320


@needs_real
def test_no_sentence_of_a_public_data_set_is_committed(real):
    """Eight words in a row that occur in a benchmark on bias must not occur in any text file of the repository."""

    def runs(text: str) -> set[tuple[str, ...]]:
        words = re.findall(r"[a-z']+", text.lower())
        return {tuple(words[index : index + 8]) for index in range(len(words) - 7)}

    crows, stereo, wino = (datasets.load(name) for name in ("crows-pairs", "stereoset", "winobias"))
    columns = [crows["sent_more"], crows["sent_less"], wino["sentence"]]
    columns += [stereo[each] for each in ("stereotype", "anti_stereotype", "unrelated")]
    forbidden = set().union(*(runs(text) for text in pd.concat(columns)))
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    texts = [
        ROOT / name
        for name in listed.stdout.split("\0")
        if Path(name).suffix in {".py", ".md", ".ipynb", ".csv", ".json"}
    ]
    found = {
        str(file.relative_to(ROOT)): runs(file.read_text(encoding="utf-8")) & forbidden
        for file in texts
        if file.is_file()
    }
    assert {name: list(hits)[:3] for name, hits in found.items() if hits} == {}
