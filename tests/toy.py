"""A tiny generator of documents, so that tests of training need no world."""

from __future__ import annotations

import random

NAMES, TRADES = ["ann", "ben", "eva", "tom"], ["baker", "nurse", "pilot", "farmer"]
TOOLS = {"baker": "oven", "nurse": "ward", "pilot": "plane", "farmer": "field"}
TOWNS = ["york", "leeds", "bath"]


def toy_documents(count: int, seed: int = 0) -> list[list[str]]:
    """Stories of two to four sentences of different lengths; tools follow from trades."""
    rng = random.Random(seed)
    documents = []
    for _ in range(count):
        name, trade, town = rng.choice(NAMES), rng.choice(TRADES), rng.choice(TOWNS)
        sentences = [
            f"{name} is a {trade} from {town} .",
            f"the {trade} works at the {TOOLS[trade]} every day .",
            f"{name} likes {town} .",
            f"people in {town} know {name} very well and like the {TOOLS[trade]} .",
        ]
        documents.append(sentences[: rng.randint(2, 4)])
    return documents


def toy_words() -> list[str]:
    lines = [line for document in toy_documents(500, seed=1) for line in document]
    return sorted({word for line in lines for word in line.split()})
