"""Pretraining with and without a sentence-pair objective, and what it is worth afterwards (notebook 03).

Five arms share the model, its first weights, the stories and the number of steps; they differ in which pairs
they read and in whether the pair's label is learned. Each is then fine-tuned on a few labelled pairs of the
world, for tasks whose best possible accuracy is known. `tools/records_nsp.py` runs all arms and seeds;
`run_arm` is one point.

The question is that of Liu et al. 2019 (RoBERTa, arXiv 1907.11692, section 4.2) and Lan et al. 2020 (ALBERT,
arXiv 1909.11942, section 4.6).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F
from transformers import BertForSequenceClassification

from utils import corpus, evaluate, objectives, optim, pairs
from utils.corpus import PairBatches, generator_for
from utils.forward import scored_logits
from utils.pairs import Pair
from utils.recipe import TRAINING_TEXT_SEEDS, Recipe, Text, build_model
from utils.world import World


class Arm(NamedTuple):
    """Which pairs are read (the `kind` of `corpus.PairBatches`) and whether their label is learned."""

    kind: str
    learns_label: bool


ARMS = {
    "MLM, neighbours only": Arm("plain", False),  # RoBERTa
    "MLM, same pairs as NSP": Arm("nsp", False),  # the loss alone is left out
    "MLM + NSP": Arm("nsp", True),  # BERT
    "MLM, same pairs as SOP": Arm("sop", False),
    "MLM + SOP": Arm("sop", True),  # ALBERT
}
# Small and short, so that fifty trainings fit into half an hour; what they reach is in the record.
RECIPE = Recipe(width=64, steps=800, learning_rate=3e-3, precision="float32")
DOCUMENTS = 6000
TASKS = ("tone", "one story", "order")
LABELLED, TESTED = 256, 1500  # examples to learn from, fresh examples to be marked on
TEST_SEED = 77  # stories of the test examples; those to learn from depend on the run's seed


@dataclass
class Task:
    """Labelled pairs of sentences: labels (pairs,) from 0; best: the accuracy that no reader can pass."""

    pairs: list[Pair]
    labels: np.ndarray
    best: float


def pretrain(tokenizer: Any, text: Text, arm: Arm, recipe: Recipe = RECIPE,
             on_step: Callable[[int, float, float], None] | None = None) -> Any:
    """One BERT, pretrained on one arm's pairs. on_step(step, MLM loss, pair loss) is called after each step."""
    model = build_model(recipe, text)
    batches = PairBatches(text.training, tokenizer, recipe.batch_size, recipe.seed, arm.kind)
    optimizers = optim.build_optimizers(model, recipe.muon_learning_rate, recipe.learning_rate, torch.float32)
    for step in range(recipe.steps):
        optim.set_learning_rate(optimizers, optim.schedule(step, recipe.steps, recipe.warmup))
        batch = batches[step]
        words, labels, relation = scored_logits(model, batch)
        of_words = objectives.mlm_loss(words, labels)
        of_pairs = objectives.nsp_loss(relation, batch["next_sentence_label"])
        (of_words + of_pairs if arm.learns_label else of_words).backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if on_step:
            on_step(step + 1, of_words.item(), of_pairs.item())
    return model.eval()


def training_text(world: World, seed: int, documents: int = DOCUMENTS) -> Text:
    """Stories to pretrain on; no exam and no task draws the same ones."""
    tokenizer = corpus.build_tokenizer(world.vocabulary)
    stories = world.documents(documents, TRAINING_TEXT_SEEDS + seed)
    return Text(tokenizer, corpus.encode(stories, tokenizer), world=world)


def make_task(world: World, name: str, count: int, seed: int) -> Task:
    """`count` labelled pairs, one from each of `count` fresh stories.

    "tone": two neighbours, label the story's tone. "one story": two sentences of a story that are not
    neighbours (1), or of two stories (0). "order": neighbours as written (1) or swapped (0).
    """
    stream = TASKS.index(name)
    if name == "tone":
        chosen, labels, belief = pairs.labelled(world, name, count, seed, stream)
        return Task(chosen, labels, float(belief.max(1).mean()))
    stories, rng = world.documents(count, seed), np.random.default_rng([seed, stream])
    labels = rng.integers(2, size=count)
    if name == "order":
        right = [pairs.neighbours([story])[rng.integers(len(story.sentences) - 1)] for story in stories]
        chosen = [pair if label else pair[::-1] for pair, label in zip(right, labels, strict=True)]
        return Task(chosen, labels, pairs.best_accuracy(pairs.order_probability(world, right)))
    together = pairs.apart(stories, seed)
    strangers = pairs.strangers(together, seed)
    chosen = [own if label else other for own, other, label in zip(together, strangers, labels, strict=True)]
    return Task(chosen, labels, pairs.best_accuracy(pairs.story_probability(world, chosen)))


def fine_tune(model: Any, tokenizer: Any, task: Task, seed: int, epochs: int = 10, batch_size: int = 32,
              learning_rate: float = 2e-3) -> Any:
    """A copy of the encoder with a new classification head, all weights trained on the task's examples."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.config.num_labels = int(task.labels.max()) + 1
        classifier = BertForSequenceClassification(model.config)
    classifier.bert.load_state_dict(model.bert.state_dict())
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=learning_rate, weight_decay=0.01)
    texts, labels = _encode(tokenizer, task.pairs), torch.from_numpy(task.labels)
    order = torch.cat([torch.randperm(len(labels), generator=generator_for(seed, e)) for e in range(epochs)])
    steps = len(order) // batch_size
    for step, rows in enumerate(order[: steps * batch_size].view(steps, batch_size)):
        optimizer.param_groups[0]["lr"] = learning_rate * optim.schedule(step, steps, 0.1)
        logits = classifier(**{name: tensor[rows] for name, tensor in texts.items()}).logits
        F.cross_entropy(logits, labels[rows]).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return classifier.eval()


@torch.no_grad()
def accuracy(classifier: Any, tokenizer: Any, task: Task) -> float:
    """The share of the task's pairs that the classifier labels rightly."""
    texts = _encode(tokenizer, task.pairs)
    answers = [classifier(**{name: tensor[i : i + 256] for name, tensor in texts.items()}).logits.argmax(-1)
               for i in range(0, len(task.pairs), 256)]
    return float((torch.cat(answers).numpy() == task.labels).mean())


def run_arm(world: World, arm: str, seed: int, tests: dict[str, Task], recipe: Recipe = RECIPE,
            documents: int = DOCUMENTS, labelled: int = LABELLED) -> dict[str, Any]:
    """One point: pretrain an arm, measure its distance to the floor, fine-tune it on every task of `tests`.

    Returns arm, seed, mlm_gap (nats, on neighbours in order, which every arm has read) and the accuracy on each
    task. The same seed gives every arm the same first weights, stories and labelled examples.
    """
    recipe = Recipe.from_dict({**recipe.as_dict(), "seed": seed})
    text = training_text(world, seed, documents)
    model = pretrain(text.tokenizer, text, ARMS[arm], recipe)
    exam = world.exam(200, 7, next_share=1.0)
    gap, _ = evaluate.gap(model, text.tokenizer, exam)
    point = {"arm": arm, "seed": seed, "mlm_gap": round(gap.kl, 4)}
    for name, test in tests.items():
        examples = make_task(world, name, labelled, 10_000 + seed)
        classifier = fine_tune(model, text.tokenizer, examples, seed)
        point[name] = round(accuracy(classifier, text.tokenizer, test), 4)
    return point


def exam_tasks(world: World, names: Sequence[str] = TASKS, count: int = TESTED) -> dict[str, Task]:
    """The fresh examples on which every run is marked."""
    return {name: make_task(world, name, count, TEST_SEED) for name in names}


def _encode(tokenizer: Any, some: Sequence[Pair]) -> dict[str, torch.Tensor]:
    firsts, seconds = zip(*some, strict=True)
    return dict(tokenizer(list(firsts), list(seconds), padding=True, return_tensors="pt"))
