"""The sweeps of notebook 05: few labels, learning rates, what may learn and what is forgotten; MiniLM and SST-2."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from typing import Any

import numpy as np

from tools.records import Sweep
from utils import adapting, datasets, evaluate, models
from utils.adapting import METHODS, STARTS, Task, learn, marked
from utils.world import World

SEEDS = range(5)
# Number of labelled examples -> steps. Few examples are learned by heart long before.
STEPS = {8: 60, 32: 100, 128: 200, 512: 200}
TESTED = 1000
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
WORLD_RATE, WORLD_BATCH = 1e-3, 16
EXAM = {"documents": 200, "seed": 7, "next_share": 1.0}  # for the masked-word loss

# ------------------------------------------------------------------------------------------ the world


@cache
def world() -> World:
    """The world of this sweep."""
    return World("small")


@cache
def world_test(variable: str) -> Task:
    """The pairs on which a task about this hidden variable is tested."""
    return adapting.world_task(world(), variable, TESTED, adapting.TEST_SEED)


@cache
def exam() -> tuple[Any, Any, Any, float]:
    """The model before fine-tuning, its tokenizer, questions about hidden words, and its distance to their floor."""
    model, tokenizer = models.load("world-small")
    questions = world().exam(**EXAM)
    return model, tokenizer, questions, evaluate.gap(model, tokenizer, questions)[0].kl


def measure_world(point: dict[str, Any]) -> dict[str, Any]:
    """Accuracy on fresh pairs; where the point asks for it, the rise of the distance to the masked-word floor."""
    task = adapting.world_task(world(), point["task"], point["labelled"], adapting.LABEL_SEED + point["seed"])
    model, tokenizer, result = learn(
        "world-small", task, point["seed"], method=point["method"], start=point["start"], rate=point["rate"],
        steps=point["steps"], batch_size=WORLD_BATCH, warmup=point["warmup"], progress=False)
    values = {"accuracy": round(float(marked(model, tokenizer, world_test(point["task"])).mean()), 4),
              "loss": round(float(np.mean(result.losses[-20:])), 4)}
    if point["experiment"] == "methods":
        pretrained, words, questions, before = exam()
        after = evaluate.gap(adapting.put_back(model, pretrained), words, questions)[0].kl
        values |= {"trained": adapting.trainable(model), "forgotten": round(after - before, 4)}
    return values


def world_point(experiment: str, task: str, labelled: int, seed: int, **changes: Any) -> dict[str, Any]:
    """A point with the usual settings, but for the changes."""
    usual = {"method": "all weights", "start": "pretrained", "rate": WORLD_RATE, "warmup": 0.1,
             "steps": STEPS[labelled]}
    return {"experiment": experiment, "task": task, "labelled": labelled, "seed": seed, **usual, **changes}


WORLD = Sweep(
    about="The shipped world-small fine-tuned on two neighbouring sentences of a story. labels: from pretrained "
    "weights, with a new top layer, from random weights. rates: learning rates with and without warm-up. methods: "
    "what may learn, with the rise of the mean KL to the exact masked-word answers (forgotten, nats). Accuracy on "
    f"{TESTED} fresh pairs; loss: mean of the last 20 steps.",
    points=[
        *(world_point("methods", "topic", 512, seed, method=method, rate=METHODS[method].rate)
          for seed in SEEDS for method in METHODS),
        *(world_point("methods", "topic", 512, seed, method="LoRA", rate=rate)
          for seed in SEEDS for rate in (1e-2, 2e-2)),
        *(world_point("labels", "topic", labelled, seed, start=start)
          for seed in SEEDS for start in STARTS for labelled in STEPS),
        *(world_point("rates", "topic", 512, seed, rate=rate, warmup=warmup)
          for seed in SEEDS for rate in RATES for warmup in (0.0, 0.1)),
        *(world_point("labels", "tone", labelled, seed, start=start)
          for seed in SEEDS for start in STARTS for labelled in (128, 512)),
    ],
    measure=measure_world,
)

# ------------------------------------------------------------------------------------------ real text

EPOCHS = {8: 20, 32: 10, 128: 6, 512: 3}
# After 3 epochs on 512 labels of sentiment two of five runs still had the loss of a coin, log 2, and accuracy 0.5.
LONGER = {("sentiment", 512): 10}
BASELINES = ("word counts", "frozen vectors")
REAL = {"batch_size": 16, "rate": 3e-4, "precision": "bfloat16"}


@cache
def real_data(data: str) -> tuple[Task, Task]:
    """Everything to learn from, and the test: the opinions' own, or the 872 sentences of GLUE's development set."""
    if data != "sst2":
        return adapting.opinions("train", data), adapting.opinions("test", data)
    train, dev = (datasets.load("sst2", split) for split in ("train", "dev"))
    train = train[~train["duplicate"]]
    return tuple(Task(part["sentence"].tolist(), part["label"].to_numpy()) for part in (train, dev))


def labelled_sample(data: str, labelled: int, seed: int) -> Task:
    """So many labelled texts, drawn by the seed."""
    everything, _ = real_data(data)
    rows = np.random.default_rng([seed, 1]).permutation(len(everything.labels))[:labelled]
    return Task([everything.texts[row] for row in rows], everything.labels[rows])


def measure_real(point: dict[str, Any]) -> dict[str, Any]:
    """Accuracy of MiniLM, or of a baseline, after so many labelled texts; for "leak", see `phrases`."""
    if point["experiment"] == "leak":
        return phrases(point["seed"])
    task, test = labelled_sample(point["data"], point["labelled"], point["seed"]), real_data(point["data"])[1]
    if point["start"] == "word counts":
        return {"accuracy": round(float(adapting.word_counts(task, test).mean()), 4)}
    if point["start"] == "frozen vectors":
        return {"accuracy": round(float(adapting.frozen_vectors("minilm", task, test).mean()), 4)}
    model, tokenizer, result = learn(
        "minilm", task, point["seed"], start=point["start"], rate=point["rate"], epochs=point["epochs"],
        batch_size=point["batch_size"], precision=point["precision"], progress=False,
        classes=int(test.labels.max()) + 1)
    return {"accuracy": round(float(marked(model, tokenizer, test).mean()), 4),
            "loss": round(float(np.mean(result.losses[-10:])), 4)}


def phrases(seed: int) -> dict[str, Any]:
    """What splitting SST-2 by phrase is worth to a classifier that counts words: the same phrases are marked twice.

    Some sentences of the treebank are held out, and half of their phrases are the test. One training set has no phrase
    of these sentences; in the other the same number of phrases is exchanged for the other half of theirs. contained:
    another split, a random tenth of the phrases, and the share of it that stands whole in a phrase of the rest.
    """
    table = datasets.load("sst2-glue", "train").drop_duplicates("sentence")
    parents = _sentences_of(table["sentence"].tolist(), datasets.load("sst2", "train")["sentence"].tolist())
    random = np.random.default_rng(seed)
    count = 1 + max(max(p) for p in parents if p)
    held_out = random.random(count) < 0.1
    inside = np.array([bool(p) and all(held_out[i] for i in p) for p in parents])
    outside = np.array([bool(p) and not any(held_out[i] for i in p) for p in parents])
    test_rows, leaked = (part for part in np.array_split(random.permutation(np.flatnonzero(inside)), 2))
    clean = random.permutation(np.flatnonzero(outside))
    texts, labels = table["sentence"].to_numpy(dtype=object), table["label"].to_numpy()
    kept = min(len(clean), 40_000)
    test = Task(texts[test_rows].tolist(), labels[test_rows])
    tenth, rest = np.split(random.permutation(len(texts)), [len(texts) // 10])
    values: dict[str, Any] = {"phrases": len(table), "tested": len(test_rows),
                              "contained": round(_contained(texts, tenth, rest), 4)}
    for name, rows in {"by sentence": clean[:kept], "by phrase": np.r_[leaked, clean[: kept - len(leaked)]]}.items():
        right = adapting.word_counts(Task(texts[rows].tolist(), labels[rows]), test)
        values[name] = round(float(right.mean()), 4)
    return values


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _sentences_of(parts: list[str], sentences: list[str]) -> list[list[int]]:
    """For each phrase, the sentences whose words contain its words in a row."""
    padded = [" " + " ".join(_words(sentence)) + " " for sentence in sentences]
    holders: dict[str, set[int]] = defaultdict(set)
    for number, sentence in enumerate(padded):
        for word in sentence.split():
            holders[word].add(number)
    found = []
    for part in parts:
        words = _words(part)
        phrase = " " + " ".join(words) + " "
        candidates = min((holders.get(word, set()) for word in words), key=len, default=set())
        found.append(sorted(i for i in candidates if phrase in padded[i]))
    return found


def _contained(texts: np.ndarray, test: np.ndarray, training: np.ndarray, sample: int = 1000) -> float:
    """Share of test phrases whose words stand in a row within some training phrase."""
    some = [texts[row] for row in test[:sample]]
    return float(np.mean([bool(found) for found in _sentences_of(some, [texts[row] for row in training])]))


def real_points(data: str, labelled: tuple[int, ...], starts: tuple[str, ...], seeds: range) -> list[dict[str, Any]]:
    return [{"experiment": "labels", "data": data, "labelled": n, "start": start, "seed": seed,
             **({} if start in BASELINES else {"epochs": LONGER.get((data, n), EPOCHS[n]), **REAL})}
            for seed in seeds for n in labelled for start in starts]


MINILM = Sweep(
    about="MiniLM fine-tuned on the shipped opinions (data: domain or sentiment) and on sentences of SST-2 (marked on "
    "GLUE's development set), all weights, beside a classifier that counts words and a linear one on the mean token "
    "vectors of MiniLM as it is (frozen vectors). leak: what splitting SST-2 by phrase instead of by sentence is worth "
    "to the word counts (contained: share of a random tenth of the phrases that stand whole in a phrase of the rest).",
    points=[
        *real_points("domain", (32, 128), ("pretrained", "random"), range(3)),
        *real_points("sst2", (128, 512), ("pretrained",), range(3)),
        *real_points("sentiment", (128, 512), ("pretrained",), range(3)),
        *real_points("sst2", (512,), ("random",), range(3)),
        *real_points("domain", (8, 512), ("pretrained", "random"), range(3)),
        *real_points("domain", (32, 128), ("pretrained", "random"), range(3, 5)),
        *real_points("sst2", (128, 512), ("pretrained",), range(3, 5)),
        *real_points("sentiment", (128, 512), ("pretrained",), range(3, 5)),
        *real_points("domain", (8, 512), ("pretrained", "random"), range(3, 5)),
        *real_points("sst2", (512,), ("random",), range(3, 5)),
        *(point for data in ("domain", "sentiment", "sst2")
          for point in real_points(data, tuple(EPOCHS), BASELINES, SEEDS)),
        *({"experiment": "leak", "data": "sst2", "seed": seed} for seed in SEEDS),
    ],
    measure=measure_real,
)
