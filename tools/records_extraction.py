"""The sweeps of notebook 06: opinions by domain, names by origin, relations with and without markers."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from tools.records import Sweep
from utils import datasets, extraction, finetune, models, tagging

SEEDS = range(2)
PAIR_SEEDS = range(5)  # signs and epochs were chosen under seed 0; the others had no part in it
CARRIERS = 8  # sentences that every name is put into
# Every setting is stated, so that the record keeps its meaning when a default changes.
COMMON = {"learning_rate": 3e-4, "batch_size": 16, "precision": "bfloat16"}
TEXTS, TAGGER, PAIRS = {"epochs": 5, **COMMON}, {"epochs": 4, **COMMON}, {"epochs": 12, **COMMON}
SHORT = {"epochs": 4, **COMMON, "precision": "float32"}  # repeated by a test in seconds, on any machine


@cache
def tables() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The opinions, the sentences with person slots, and the people."""
    return datasets.load("opinions"), datasets.load("entity-sentences"), datasets.load("people")


def measure(point: dict[str, Any]) -> dict[str, Any]:
    """Train and test at a point of one of the three sweeps; see `opinions`, `names` and `relations`."""
    settings = {name: point[name] for name in ("epochs", "learning_rate", "batch_size", "precision")}
    what = {"opinions": opinions, "names": names, "relations": relations}[point["sweep"]]
    return what(point, settings)


def opinions(point: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Fine-tune on the opinions; answers: for each text of `test`, in order, the number of the class (sorted)."""
    table = tables()[0]
    column, seed = point["label"], point["seed"]
    classes = sorted(table[column].unique())
    model, tokenizer = models.load("minilm", head="sequence-classification", num_labels=len(classes), seed=seed)
    train, test = table[table["split"] == "train"][: point.get("texts")], table[table["split"] == "test"]
    examples = finetune.encode(tokenizer, train["text"].tolist(), [classes.index(c) for c in train[column]])
    finetune.finetune(model, tokenizer, examples, seed=seed, progress=False, **settings)
    said = finetune.predict(model, tokenizer, finetune.encode(tokenizer, test["text"].tolist())).argmax(-1)
    accuracy = float(np.mean([classes[k] == c for k, c in zip(said, test[column], strict=True)]))
    return {"accuracy": round(accuracy, 4), "answers": "".join(map(str, said))}


def names(point: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Fine-tune a tagger with half of the names, or some of them; found: in how many carriers, for each other name."""
    _, table, people = tables()
    half, seed = extraction.halves(people, 0), point["seed"]
    learned, new = extraction.chosen_names(people[half == 0], point["names"]), people[half == 1]
    training = [tagging.from_filled(f) for f in extraction.filled(table, "train", learned, seed)]
    test = [tagging.from_filled(f) for f in extraction.filled(table, "test", new, 100 + seed)]
    model, tokenizer, _ = extraction.train_tagger(training, seed=seed, progress=False, **settings)
    said, gold = extraction.tag(model, tokenizer, test), [sentence.tags for sentence in test]
    frames = extraction.carriers(table, "test", CARRIERS, 0)
    found, _ = extraction.ask_about_names(model, tokenizer, frames, new[["given", "surname"]].to_numpy().tolist())
    return {"f1": round(tagging.score(gold, said).f1, 4),
            "token_accuracy": round(tagging.token_accuracy(gold, said), 4), "found": found.sum(1).tolist()}


def relations(point: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Fine-tune on pairs of entities; answers: for each pair of the test sentences, in order, the relation's number."""
    _, table, people = tables()
    seed = point["seed"]
    half = extraction.halves(people, 0)
    train, test = ([c for f in extraction.filled(table, split, people[half == k], 0)
                    for c in tagging.filled_candidates(f)] for k, split in enumerate(("train", "test")))
    model, tokenizer = models.load("minilm", head="token-classification", num_labels=len(extraction.RELATIONS),
                                   seed=seed)
    tagging.add_words(model, tokenizer, seed=seed, like=tagging.SIGNS if point["markers"] == "known signs" else None)
    encoded = [extraction.encode_relations(tokenizer, some, extraction.RELATIONS, point["markers"] != "none")
               for some in (train[: point.get("texts")], test)]
    finetune.finetune(model, tokenizer, encoded[0], seed=seed, progress=False, **settings)
    said = extraction.answer_relations(model, tokenizer, encoded[1])
    right = [extraction.RELATIONS[k] == c.relation for k, c in zip(said, test, strict=True)]
    return {"accuracy": round(float(np.mean(right)), 4), "answers": "".join(map(str, said))}


EXTRACTION = Sweep(
    about="MiniLM fine-tuned on the shipped texts: opinions by domain (answers on the test texts), "
    "taggers whose training sentences hold 180 names of all origins, 15 of all origins, or 15 English ones (found: "
    "in how many of 8 carrier sentences, for each of 180 other names), relations without entity markers, with markers "
    "whose vectors start at random, and with markers that start as copies of known signs (answers on the pairs of the "
    "test sentences). The last row is a short run that a test repeats.",
    points=[
        *({**point, "seed": seed} for seed in SEEDS for point in [
            *({"sweep": "names", "names": names, **TAGGER} for names in extraction.TRAINING_NAMES),
            {"sweep": "opinions", "label": "domain", **TEXTS},
        ]),
        *({"sweep": "relations", "markers": markers, **PAIRS, "seed": seed}
          for seed in PAIR_SEEDS for markers in extraction.MARKED),
        {"sweep": "opinions", "label": "domain", "seed": 0, "texts": 96, **SHORT},
    ],
    measure=measure,
)
