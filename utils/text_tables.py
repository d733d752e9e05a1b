"""Read public text collections into tables: sentiment, acceptability, syntax, plain text.

Like `utils.tables`: one function per data set, nothing dropped silently, known faults flagged in columns. Use
`utils.datasets.load(name)`; this file holds the details.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd


def sst2(folder: Path) -> pd.DataFrame:
    """Stanford Sentiment Treebank, whole sentences: 6,920 for training and 872 for development.

    Columns: `split` ("train", "dev"); `sentence` (lower case, tokens apart); `label` (1 positive, 0
    negative); `duplicate` (the sentence occurred before in its split).
    """
    parts = []
    for split in ("train", "dev"):
        pairs = [line.rsplit("\t", 1) for line in lines(folder / f"{split}.tsv")]
        parts.append(
            pd.DataFrame({"split": split, "sentence": [p[0] for p in pairs], "label": [int(p[1]) for p in pairs]})
        )
    table = pd.concat(parts, ignore_index=True)
    table["duplicate"] = table.duplicated(["split", "sentence"])
    return table


def sst2_glue(folder: Path) -> pd.DataFrame:
    """SST-2 as in GLUE: 67,349 phrases and sentences for training, 872 sentences for validation.

    Columns: `split` ("train", "validation"); `part` (this copy cuts GLUE's training set into "train" and "dev");
    `sentence`; `label`; `duplicate`; `in_validation` (a training text with the words of a validation sentence). The
    training rows are mostly phrases of the same sentences, so splitting them at random leaks.
    """
    parts = []
    for part, split in (("train", "train"), ("dev", "train"), ("test", "validation")):
        pairs = [line.rsplit("\t", 1) for line in lines(folder / f"{part}.tsv")[1:]]
        rows = {
            "split": split,
            "part": part,
            "sentence": [p[0].strip() for p in pairs],
            "label": [int(p[1]) for p in pairs],
        }
        parts.append(pd.DataFrame(rows))
    table = pd.concat(parts, ignore_index=True)
    table["duplicate"] = table.duplicated(["split", "sentence"])
    words = table["sentence"].map(lambda text: " ".join(re.findall(r"\w+", text)))
    training = table["split"] == "train"
    table["in_validation"] = training & words.isin(set(words[~training]))
    return table


def cola(folder: Path) -> pd.DataFrame:
    """Corpus of Linguistic Acceptability: 8,551 + 527 + 516 sentences (Warstadt et al. 2019).

    Columns: `split` ("in_domain_train", "in_domain_dev", "out_of_domain_dev"); `source` (publication);
    `label` (1 acceptable); `mark` (the author's own, "*" or ""); `sentence`. About 70 % are acceptable:
    report Matthews' correlation, not accuracy.
    """
    rows = [
        (split, *line.split("\t"))
        for split in ("in_domain_train", "in_domain_dev", "out_of_domain_dev")
        for line in lines(folder / f"{split}.tsv")
    ]
    table = pd.DataFrame(rows, columns=["split", "source", "label", "mark", "sentence"])
    table["label"] = table["label"].astype(int)
    table["mark"] = table["mark"].str.strip()
    return table


def ud_ewt(folder: Path) -> pd.DataFrame:
    """English Web Treebank, development and test: one row per word.

    Columns: `split`; `sentence` (its id); `position` (from 1); `form`, `lemma`, `upos`, `xpos`, `features`,
    `head` (position; 0 is the root), `relation`. Ranges such as 3-4 ("don't") and empty nodes such as 8.1
    are left out, because they are not words of their own.
    """
    rows = []
    for split in ("dev", "test"):
        sentence = ""
        for line in lines(folder / f"en_ewt-ud-{split}.conllu"):
            if line.startswith("# sent_id = "):
                sentence = line.removeprefix("# sent_id = ")
            elif line[0].isdigit():
                fields = line.split("\t")
                if fields[0].isdigit():
                    rows.append((split, sentence, int(fields[0]), *fields[1:6], int(fields[6]), fields[7]))
    names = "split sentence position form lemma upos xpos features head relation".split()
    return pd.DataFrame(rows, columns=names)


def wikitext2(folder: Path) -> pd.DataFrame:
    """WikiText-2, validation and test, with `<unk>` for rare words.

    Columns: `split` ("valid", "test"); `line`; `text` (stripped; many lines are empty); `heading` (the line
    is a title, such as "= Title =").
    """
    rows = [
        (split, number, text.strip(), text.strip().startswith("= ") and text.strip().endswith(" ="))
        for split in ("valid", "test")
        for number, text in enumerate((folder / f"{split}.txt").read_text(encoding="utf-8").splitlines())
    ]
    return pd.DataFrame(rows, columns=["split", "line", "text", "heading"])


def lines(file: Path) -> list[str]:
    """Return a file's lines without the empty ones (never split at other characters than a newline)."""
    return [line for line in file.read_text(encoding="utf-8").replace("\r\n", "\n").split("\n") if line.strip()]
