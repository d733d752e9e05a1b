"""Read the public data sets on bias into tables, and mark in columns what is known to be wrong with them.

One function per data set: it takes the folder that `utils.datasets.fetch` returned and gives a
`pandas.DataFrame` whose columns its docstring lists. Nothing is dropped or repaired: a row with a known
fault is flagged, and the notebook decides. Use `utils.datasets.load(name)`; this file holds the details.
"""

from __future__ import annotations

import ast
import difflib
import json
import re
import string
from pathlib import Path

import pandas as pd

from utils.text_tables import lines

WORD = re.compile(r"\w+|[^\w\s]")
PRONOUNS = frozenset({"he", "she", "his", "her", "hers", "him", "himself", "herself"})
ROLES = {"targ1": "X", "targ2": "Y", "attr1": "A", "attr2": "B"}
SENTENCES = re.compile(r"^sent-|_(1|1-|1\+3-|one_sentence)$")  # files whose texts are whole sentences
LABELS = {"stereotype": "stereotype", "anti-stereotype": "anti_stereotype", "unrelated": "unrelated"}


def crows_pairs(folder: Path) -> pd.DataFrame:
    """CrowS-Pairs: 1,508 pairs (Nangia et al. 2020).

    Columns: `row`; `sent_more` (the more stereotyping sentence); `sent_less`; `stereo_antistereo` (which of
    the two is about the disadvantaged group); `bias_type` (nine); `writer` (the code of the person who wrote the
    pair, 77 of them: pairs of one writer are alike); `annotators_agree` (how many of five chose `bias_type`); and
    the known faults (Blodgett et al. 2021): `spans` (stretches of words that differ; a
    clean pair has 1), `length_differs`, `insertion` (a word in one that has no partner in the other),
    `end_differs` (other last character), `case_differs` (other case of the first letter), `duplicate`. Words
    are compared in lower case, punctuation apart.
    """
    table = pd.read_csv(folder / "crows_pairs_anonymized.csv", index_col=0, keep_default_na=False)
    more, less = list(table["sent_more"]), list(table["sent_less"])
    changes = [_changes(first, second) for first, second in zip(more, less, strict=True)]
    votes = [
        sum(kind in vote for vote in ast.literal_eval(text))
        for kind, text in zip(table["bias_type"], table["annotations"], strict=True)
    ]
    return pd.DataFrame(
        {
            "row": range(len(table)),
            "sent_more": more,
            "sent_less": less,
            "stereo_antistereo": list(table["stereo_antistereo"]),
            "bias_type": list(table["bias_type"]),
            "writer": list(table["anon_writer"]),
            "annotators_agree": votes,
            "spans": [len(each) for each in changes],
            "length_differs": [len(_words(a)) != len(_words(b)) for a, b in zip(more, less, strict=True)],
            "insertion": [any(kind != "replace" for kind in each) for each in changes],
            "end_differs": [a[-1:] != b[-1:] for a, b in zip(more, less, strict=True)],
            "case_differs": [a[:1].isupper() != b[:1].isupper() for a, b in zip(more, less, strict=True)],
            "duplicate": list(table.duplicated(["sent_more", "sent_less"])),
        }
    )


def crows_pairs_bert_scores(folder: Path) -> pd.DataFrame:
    """Published scores of bert-base-uncased, row by row with `crows_pairs`, without the sentences.

    Columns: `row`; `score_more`, `score_less` (pseudo-log-likelihood of the shared tokens, nats, three decimals);
    `stereo_antistereo`; `bias_type`. The published program saves the two scores of an antistereotype pair under
    each other's names (nyu-mll/crows-pairs, issue 6); here each is back with its sentence.
    """
    saved = pd.read_csv(folder / "bert_crows_score.csv", index_col=0, keep_default_na=False)
    swapped = saved["stereo_antistereo"] == "antistereo"
    return pd.DataFrame(
        {
            "row": range(len(saved)),
            "score_more": saved["sent_more_score"].mask(swapped, saved["sent_less_score"]).to_numpy(),
            "score_less": saved["sent_less_score"].mask(swapped, saved["sent_more_score"]).to_numpy(),
            "stereo_antistereo": list(saved["stereo_antistereo"]),
            "bias_type": list(saved["bias_type"]),
        }
    )


def stereoset(folder: Path) -> pd.DataFrame:
    """StereoSet, development split: 2,106 intrasentence and 2,123 intersentence clusters (Nadeem et al. 2021).

    Columns: `id` (of the cluster); `kind` ("intrasentence", "intersentence"); `bias_type`; `target` (79
    terms); `context`; `stereotype`, `anti_stereotype`, `unrelated` (the three sentences); and the known
    faults of
    intrasentence contexts: `blanks` (times that BLANK occurs; should be 1), `blank_glued` (BLANK is joined to
    another word, so it does not stand for a whole word).
    """
    lists = json.loads((folder / "stereoset.json").read_text(encoding="utf-8"))
    sentences = {label: {each["id"]: each["sentence"] for each in lists[label]} for label in LABELS}
    rows = [
        {
            "id": each["id"],
            "kind": "intrasentence" if "BLANK" in each["context"] else "intersentence",
            "bias_type": each["bias_type"],
            "target": each["target"],
            "context": each["context"],
            **{column: sentences[label][each["id"]] for label, column in LABELS.items()},
        }
        for each in lists["stereotype"]
    ]
    return _mark_blanks(pd.DataFrame(rows))


def stereoset_dev(folder: Path) -> pd.DataFrame:
    """StereoSet's official development file: the columns of `stereoset`, and what the copy leaves out.

    More columns: `stereotype_id`, `anti_stereotype_id`, `unrelated_id` (the sentences' own ids, as in
    published predictions); `stereotype_votes`, … (how many of the annotators gave the sentence its label).
    """
    data = json.loads((folder / "dev.json").read_text(encoding="utf-8"))["data"]
    rows = [_cluster(each, kind) for kind in ("intrasentence", "intersentence") for each in data[kind]]
    return _mark_blanks(pd.DataFrame(rows))


def stereoset_subset(folder: Path) -> pd.DataFrame:
    """Intrasentence clusters on race and religion with sentence ids and votes: the columns of `stereoset_dev`.

    The copy's file on gender is left out: it has no votes and its stereotypes and anti-stereotypes are exchanged.
    """
    rows = [
        _cluster(each, "intrasentence")
        for part in ("race", "religion")
        for each in json.loads((folder / f"{part}_test.json").read_text(encoding="utf-8"))
    ]
    return _mark_blanks(pd.DataFrame(rows))


def winobias(folder: Path) -> pd.DataFrame:
    """WinoBias: 4 × 396 pairs of sentences (Zhao et al. 2018).

    Columns: `split` ("dev", "test"); `type` (1: meaning decides who is meant; 2: syntax does); `stereotype`
    ("pro", "anti"); `number` (the same in both versions of a pair); `sentence` (without brackets);
    `occupation` and `occupation_gender` ("female" or "male": the list it stands in); `other_occupation` (the
    other person; "" if it is not certain); `entity_start`, `entity_end`, `pronoun`, `pronoun_start`,
    `pronoun_end` (characters of `sentence`); and the known faults: `two_pronouns` (a second pronoun is
    bracketed too; the first is given), `only_pronouns_differ` and `minimal_pair` (one word differs between
    the pro and the anti version).
    """
    lists = {gender: _occupations(folder / f"{gender}_occupations.txt") for gender in ("female", "male")}
    rows = [
        {"split": split, "type": kind, "stereotype": stereotype, **_bracketed(line, lists)}
        for kind in (1, 2)
        for split in ("dev", "test")
        for stereotype in ("pro", "anti")
        for line in lines(folder / f"{stereotype}_stereotyped_type{kind}.txt.{split}")
    ]
    table = pd.DataFrame(rows)
    keys = ["split", "type", "number"]
    pairs = table.pivot(index=keys, columns="stereotype", values="sentence")
    differences = {
        key: _word_pairs(pair.pro, pair.anti) for key, pair in zip(pairs.index, pairs.itertuples(), strict=True)
    }
    found = [differences[key] for key in table[keys].itertuples(index=False, name=None)]
    table["only_pronouns_differ"] = [
        each is not None and all({a.lower(), b.lower()} <= PRONOUNS for a, b in each) for each in found
    ]
    table["minimal_pair"] = [each is not None and len(each) == 1 for each in found]
    return table


def association_tests(folder: Path) -> pd.DataFrame:
    """Association tests of May et al. 2019 (46 of them) or, in the same format, of Meade et al. 2022.

    Columns: `test`; `level` ("word", or "sentence" where words stand in templates); `role` ("X", "Y": the
    two sets of targets; "A", "B": the two sets of attributes); `set` (its name); `text`.
    """
    rows = []
    for file in sorted(folder.glob("*.jsonl")):
        level = "sentence" if SENTENCES.search(file.stem) else "word"
        for key, content in json.loads(file.read_text(encoding="utf-8")).items():
            for text in content["examples"]:
                rows.append((file.stem, level, ROLES[key], content["category"], text))
    return pd.DataFrame(rows, columns=["test", "level", "role", "set", "text"])


def weat_wefe(folder: Path) -> pd.DataFrame:
    """WEFE's copy of Caliskan's word lists. Columns: `set`, `word`."""
    sets = json.loads((folder / "WEAT.json").read_text(encoding="utf-8"))
    return pd.DataFrame([(name, word) for name, words in sets.items() for word in words], columns=["set", "word"])


def professions(folder: Path) -> pd.DataFrame:
    """320 professions as rated by crowd workers (Bolukbasi et al. 2016).

    Columns: `profession`; `definitional` and `stereotypical`, from −1 (she) to 1 (he).
    """
    rows = json.loads((folder / "professions.json").read_text(encoding="utf-8"))
    return pd.DataFrame(rows, columns=["profession", "definitional", "stereotypical"])


def winogender_occupations(folder: Path) -> pd.DataFrame:
    """Winogender's table: `occupation`, `bergsma_pct_female` (in text), `bls_pct_female` (at work), `bls_year`."""
    return pd.read_csv(folder / "occupations-stats.tsv", sep="\t")


def _words(sentence: str) -> list[str]:
    return WORD.findall(sentence.lower())


def _changes(first: str, second: str) -> list[str]:
    """Return the kinds of change ("replace", "insert", "delete") that lead from one sentence to the other."""
    matcher = difflib.SequenceMatcher(None, _words(first), _words(second), autojunk=False)
    return [kind for kind, *_ in matcher.get_opcodes() if kind != "equal"]


def _cluster(entry: dict, kind: str) -> dict:
    """Turn one cluster of StereoSet's official format into a row."""
    row = {"id": entry["id"], "kind": kind}
    row |= {key: entry[key] for key in ("bias_type", "target", "context")}
    by_label = {each["gold_label"]: each for each in entry["sentences"]}
    row |= {column: by_label[label]["sentence"] for label, column in LABELS.items()}
    row |= {f"{column}_id": by_label[label]["id"] for label, column in LABELS.items()}
    for label, column in LABELS.items():
        row[f"{column}_votes"] = sum(vote["label"] == label for vote in by_label[label]["labels"])
    return row


def _mark_blanks(table: pd.DataFrame) -> pd.DataFrame:
    """Add the columns that flag a context whose BLANK does not stand for one whole word."""
    table["blanks"] = [text.count("BLANK") for text in table["context"]]
    table["blank_glued"] = [
        any("BLANK" in word and word.strip(string.punctuation) != "BLANK" for word in text.split())
        for text in table["context"]
    ]
    return table


def _occupations(file: Path) -> list[str]:
    return [line.strip().lower() for line in lines(file)]


def _bracketed(line: str, lists: dict[str, list[str]]) -> dict:
    """Parse '7 [The cook] thanked the guard because [she] …' into a sentence, two spans and two occupations."""
    number, text = line.strip().split(" ", 1)
    pieces = re.split(r"[\[\]]", text)  # plain, bracketed, plain, bracketed, …
    starts = [sum(len(piece) for piece in pieces[:index]) for index in range(len(pieces))]
    known = [name for names in lists.values() for name in names]
    occupation = re.sub(r"^(the|a|an)\s+", "", pieces[1].strip().lower())
    rest = "".join([pieces[0], *pieces[2:]]).lower()
    others = [name for name in known if re.search(rf"\b{re.escape(name)}s?\b", rest)]
    return {
        "number": int(number),
        "sentence": "".join(pieces),
        "occupation": occupation,
        "occupation_gender": next((gender for gender, names in lists.items() if occupation in names), ""),
        "other_occupation": others[0] if len(others) == 1 else "",
        "entity_start": starts[1],
        "entity_end": starts[2],
        "pronoun": pieces[3],
        "pronoun_start": starts[3],
        "pronoun_end": starts[4],
        "two_pronouns": len(pieces) > 5,
    }


def _word_pairs(first: str, second: str) -> list[tuple[str, str]] | None:
    """Return the words at which two sentences differ, or None if they have different numbers of words."""
    one, two = WORD.findall(first), WORD.findall(second)
    if len(one) != len(two):
        return None
    return [(a, b) for a, b in zip(one, two, strict=True) if a != b]
