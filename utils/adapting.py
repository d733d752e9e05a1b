"""Experiments of notebook 05: one pretrained encoder, few labels, and what fine-tuning keeps and breaks.

`world_task` gives labelled texts of the world with the exact probability of each label, so that the best possible
accuracy is known. `prepare` decides which weights may learn (`METHODS`), `learn` fine-tunes, and `put_back` sets a
fine-tuned encoder under its old masked-word head again, to see what it has forgotten (`utils.evaluate.gap`).
`opinions` are the same questions on the shipped English texts, with two plain baselines: `word_counts`, and
`frozen_vectors`, a linear classifier on the vectors of the model as it is shipped. `tools/records_finetuning.py` runs
the sweeps.
"""

from __future__ import annotations

import copy
import io
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from transformers import BertForSequenceClassification
from transformers.utils import logging as library_logging

from utils import datasets, finetune, models, pairs, stats
from utils.finetune import encode
from utils.pairs import Pair
from utils.world import World

HEAD = "sequence-classification"
VARIABLES = ("tone", "topic")  # hidden variables of a story that serve as labels
TEST_SEED, LABEL_SEED = 77, 10_000  # stories of the test; those to learn from are LABEL_SEED + the run's seed


@dataclass
class Task:
    """Texts, their labels (texts,) from 0, and the exact P(label | text), (texts, labels), where it is known."""

    texts: Sequence[str] | Sequence[Pair]
    labels: np.ndarray
    belief: np.ndarray | None = None

    @property
    def best(self) -> float:
        """The accuracy expected of a reader who always names the likeliest label: mean of max P(label | text)."""
        return float(self.belief.max(1).mean())

    @property
    def floor(self) -> float:
        """The loss expected of a reader who knows P(label | text), in nats: its mean entropy, the lowest there is."""
        return float(-(self.belief * np.log(np.clip(self.belief, 1e-12, 1))).sum(1).mean())

    @property
    def oracle_right(self) -> np.ndarray:
        """Where that reader is right on these very labels, (texts,) of 0 and 1."""
        return (self.belief.argmax(1) == self.labels).astype(float)


def world_task(world: World, variable: str, count: int, seed: int) -> Task:
    """Two neighbouring sentences from each of ``count`` fresh stories; the label is a hidden variable of the story."""
    return Task(*pairs.labelled(world, variable, count, seed, stream=VARIABLES.index(variable)))


def opinions(split: str, label: str = "sentiment") -> Task:
    """The shipped English opinions of one split; label: "sentiment" (1 positive) or "domain" (alphabetical)."""
    table = datasets.load("opinions", split)
    return Task(table["text"].tolist(), pd.Categorical(table[label]).codes.astype(int))


def library_says(name: str, num_labels: int) -> str:
    """What transformers prints when a classifier is loaded from a pretrained model, which `models.load` keeps quiet."""
    folder, heard = models.CHECKPOINTS / name, io.StringIO()
    logger, ours = logging.getLogger("transformers"), logging.StreamHandler(heard)
    theirs, verbosity = logger.handlers[:], library_logging.get_verbosity()
    bars = library_logging.is_progress_bar_enabled()
    library_logging.disable_progress_bar()
    logger.handlers[:] = [ours]
    library_logging.set_verbosity_warning()
    try:
        with torch.random.fork_rng(devices=[]):
            BertForSequenceClassification.from_pretrained(folder, num_labels=num_labels)
    finally:
        logger.handlers[:] = theirs
        library_logging.set_verbosity(verbosity)
        if bars:
            library_logging.enable_progress_bar()
    text = re.sub(r"\x1b\[\d+m", "", heard.getvalue()).replace(str(folder), name)
    table = [line for line in text.splitlines() if line.rstrip(" |").endswith(("UNEXPECTED", "MISSING"))]
    order = iter(sorted(table, key=lambda line: ("MISSING" in line, line)))  # the library's own order is that of a set
    return "\n".join(next(order) if line in table else line for line in text.splitlines()).strip()


# ------------------------------------------------------------------------------------------ what may learn


class Method(NamedTuple):
    """prepare(model, seed) returns the model with the weights that learn; rates: for the world and for MiniLM."""

    prepare: Callable[[Any, int], Any]
    rate: float
    minilm_rate: float


METHODS = {
    "all weights": Method(lambda model, seed: model, 1e-3, 1e-4),
    "all weights, tenth of the rate": Method(lambda model, seed: model, 1e-4, 1e-5),
    "upper half": Method(lambda model, seed: finetune.freeze(model, _layers(model) // 2), 1e-3, 1e-4),
    "head only": Method(lambda model, seed: finetune.freeze(model), 1e-2, 1e-2),
    "LoRA": Method(lambda model, seed: finetune.lora(model, seed=seed), 5e-3, 2e-3),
}


STARTS = ("pretrained", "new top layer", "random")


def learn(name: str, task: Task, seed: int, *, method: str = "all weights", start: str = "pretrained",
          rate: float | None = None, classes: int | None = None,
          **settings: Any) -> tuple[Any, Any, finetune.Finetuned]:
    """Load a model with a new head, fine-tune it on a task and return (model, tokenizer, result).

    start: one of `STARTS`. rate: the learning rate, instead of the method's own. classes: how many labels there are,
    if the task's few examples may not show them all.
    """
    model, tokenizer = models.load(name, head=HEAD, num_labels=classes or _classes(task), seed=seed)
    if start == "random":
        model = finetune.from_scratch(model, seed)
    elif start == "new top layer":
        model = renew(model, seed)
    model = METHODS[method].prepare(model, seed)
    own = METHODS[method].minilm_rate if name == "minilm" else METHODS[method].rate
    result = finetune.finetune(model, tokenizer, encode(tokenizer, task.texts, task.labels),
                               learning_rate=rate or own, seed=seed, **settings)
    return model, tokenizer, result


def renew(model: Any, seed: int) -> Any:
    """Draw the top layer and the pooler again (Zhang et al. 2021, arXiv 2006.05987, section 5); the rest stays."""
    new = finetune.from_scratch(model, seed).base_model
    model.base_model.encoder.layer[-1].load_state_dict(new.encoder.layer[-1].state_dict())
    model.base_model.pooler.load_state_dict(new.pooler.state_dict())
    return model


def marked(model: Any, tokenizer: Any, task: Task) -> np.ndarray:
    """Where the model is right, (texts,) of 0 and 1."""
    logits = finetune.predict(model, tokenizer, encode(tokenizer, task.texts), batch_size=128)
    return (logits.argmax(-1) == task.labels).astype(float)


def first(task: Task, count: int) -> Task:
    """The first examples of a task; a larger number begins with the smaller."""
    return Task(task.texts[:count], task.labels[:count], None if task.belief is None else task.belief[:count])


def trainable(model: Any) -> int:
    """How many numbers learn."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


# ------------------------------------------------------------------------------------------ what is forgotten


def put_back(classifier: Any, pretrained: Any) -> Any:
    """The pretrained model with the classifier's encoder under its own, unchanged heads.

    The output matrix of the masked-word head usually is the input embedding itself; here it stays as pretraining left
    it, so that whatever is lost was lost in the encoder. Neither argument is changed.
    """
    whole = copy.deepcopy(classifier)
    if hasattr(whole, "merge_and_unload"):
        whole = whole.merge_and_unload()  # LoRA's update is added to the matrices
    model = copy.deepcopy(pretrained)
    decoder = model.cls.predictions.decoder
    decoder.weight = torch.nn.Parameter(decoder.weight.detach().clone())
    model.base_model.load_state_dict(whole.base_model.state_dict())
    return model.eval()


def distance(model: Any, pretrained: Any) -> float:
    """How far the weights of the embeddings and layers have moved, as one long vector (the pooler is left out)."""
    before = {name: weight for name, weight in pretrained.base_model.named_parameters() if "pooler" not in name}
    after = dict(model.base_model.named_parameters())
    return float(sum((after[name] - weight).detach().square().sum() for name, weight in before.items()) ** 0.5)


# ------------------------------------------------------------------------------------------ plain baselines


def word_counts(training: Task, test: Task) -> np.ndarray:
    """Where a classifier that only counts words and pairs of words is right on ``test``, (texts,) of 0 and 1.

    Logistic regression on tf-idf of words and neighbouring pairs, as in the datasheet of the opinions.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = [_joined(task) for task in (training, test)]
    counts = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = make_pipeline(counts, LogisticRegression(C=10, max_iter=2000))
    model.fit(texts[0], training.labels)
    return (model.predict(texts[1]) == test.labels).astype(float)


def frozen_vectors(name: str, training: Task, test: Task) -> np.ndarray:
    """Where a linear classifier on the shipped model's `mean_vectors` is right on ``test``: (texts,) of 0, 1."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=10, max_iter=2000).fit(mean_vectors(name, training.texts), training.labels)
    return (model.predict(mean_vectors(name, test.texts)) == test.labels).astype(float)


@torch.no_grad()
def mean_vectors(name: str, texts: Sequence[str] | Sequence[Pair], batch_size: int = 64) -> np.ndarray:
    """The last layer's vectors of a model as it is shipped, averaged over each text's tokens: (texts, width)."""
    encoder, tokenizer = models.load(name, head="encoder")
    examples, vectors = encode(tokenizer, texts), []
    for start in range(0, len(examples), batch_size):
        batch = finetune.pad(examples[start : start + batch_size], tokenizer)
        mask = batch["attention_mask"][..., None]  # (texts, tokens, 1)
        vectors.append((encoder(**batch).last_hidden_state * mask).sum(1) / mask.sum(1))
    return torch.cat(vectors).numpy()


def unseen_words(training: Task, test: Task) -> float:
    """Share of the different words of the test texts that no training text has."""
    known, fresh = (set(re.findall(r"\w+", " ".join(_joined(task)).lower())) for task in (training, test))
    return len(fresh - known) / len(fresh)


def paired(ours: np.ndarray, theirs: np.ndarray, seed: int = 0) -> stats.Estimate:
    """The difference of two accuracies on the same texts, with a bootstrap interval over the texts."""
    return stats.bootstrap(np.asarray(ours) - np.asarray(theirs), seed=seed)


def _joined(task: Task) -> list[str]:
    return [text if isinstance(text, str) else " ".join(text) for text in task.texts]


def _classes(task: Task) -> int:
    return int(task.belief.shape[1]) if task.belief is not None else int(task.labels.max()) + 1


def _layers(model: Any) -> int:
    return len(model.base_model.encoder.layer)
