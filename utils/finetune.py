"""The fine-tuning loop of the course: any model that returns a loss, any labelled examples.

    model, tokenizer = models.load("minilm", head="sequence-classification", num_labels=3, seed=0)
    training = encode(tokenizer, texts, labels)
    result = finetune(model, tokenizer, training, validation, epochs=3, learning_rate=5e-5, seed=0)
    accuracy(predict(model, tokenizer, test).argmax(-1), test_labels)          # value, low, high

An example is a dictionary of numbers and lists of numbers (input_ids, labels, …), as a tokenizer makes them; a batch
is padded to its longest example. What is special about a task (words with tags, two sentences, a reply) is in how its
examples are encoded, never in the loop. Pretraining has a loop of its own, `utils.pretrain`.
"""

from __future__ import annotations

import builtins
import contextlib
import copy
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from utils import optim, stats
from utils.corpus import IGNORED, generator_for
from utils.precision import PRECISIONS

Example = Mapping[str, Any]
Score = Callable[[Any], float]  # of a model; higher is better
WINDOW = 8  # batches that are sorted by length together, so that little is padded and the order stays random
MAX_LENGTH = 128  # tokens; longer texts are cut
FILLING = {"labels": IGNORED, "attention_mask": 0, "token_type_ids": 0}  # everything else with the padding token


@dataclass(frozen=True)
class Settings:
    """How to fine-tune. The defaults suit a real BERT of ordinary size (Devlin et al. 2019, appendix A.3).

    epochs: how often each example is read; steps, if not 0, counts instead. warmup: share of the steps.
    largest_gradient: a longer gradient is shortened to this length. evaluate_every: steps between two looks at the
    validation score (0: once per epoch). patience: looks without a better score until training stops (0: never).
    """

    epochs: int = 3
    steps: int = 0
    batch_size: int = 16
    learning_rate: float = 5e-5
    warmup: float = 0.1
    weight_decay: float = 0.01
    largest_gradient: float = 1.0
    evaluate_every: int = 0
    patience: int = 0
    seed: int = 0
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name in ("batch_size", "learning_rate", "largest_gradient"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)} must be above 0.")
        if self.epochs < 1 and self.steps < 1:
            raise ValueError(f"epochs={self.epochs} and steps={self.steps} leave nothing to do; give one of them.")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision={self.precision!r} is unknown; use one of {', '.join(PRECISIONS)}.")


@dataclass
class Finetuned:
    """What came of it. model: in evaluation mode, with the weights of the best look where there was validation.

    losses: of each step, in nats. looks: {"step", "score"} of each look at the validation score. best_step: the step
    whose weights the model has. seconds: of training and looking together.
    """

    model: Any
    settings: Settings
    losses: list[float] = field(default_factory=list)
    looks: list[dict[str, float]] = field(default_factory=list)
    best_step: int = 0
    seconds: float = 0.0


# ------------------------------------------------------------------------------------------ the loop


def finetune(model: Any, tokenizer: Any, training: Sequence[Example],
             validation: Sequence[Example] | Score | None = None, *, progress: bool = True,
             **settings: Any) -> Finetuned:
    """Train those weights of ``model`` that require a gradient, in place.

    validation: examples, whose mean loss is watched, or a function of the model, higher is better. With it, the
    weights of the best look are kept. settings: see `Settings`. The same seed, machine and threads give the same
    weights; global random state is left as it was. Raises ValueError for no examples, no weights to train, or a
    loss that is not a number.
    """
    chosen = Settings(**settings)
    if not len(training):
        raise ValueError("There are no examples to fine-tune on.")
    trainable = _trainable(model)
    per_epoch = math.ceil(len(training) / chosen.batch_size)
    chosen = replace(chosen, steps=chosen.steps or chosen.epochs * per_epoch)
    result, kept, order = Finetuned(model, chosen), {}, []
    optimizer, score = _optimizer(trainable, chosen), _score(tokenizer, validation)
    every = chosen.evaluate_every or per_epoch
    started = time.perf_counter()
    model.train()
    with _seeded(model.device, chosen.seed), _bar(chosen.steps, progress) as bar:
        for step in range(chosen.steps):
            if step % per_epoch == 0:
                order = order_of_epoch(training, chosen, step // per_epoch)
            batch = pad([training[row] for row in order[step % per_epoch]], tokenizer, model.device)
            result.losses.append(_update(model, batch, trainable, optimizer, chosen, step))
            bar.update()
            if score and ((step + 1) % every == 0 or step + 1 == chosen.steps):
                since_best = _look(result, score, step + 1, trainable, kept)
                bar.set_postfix(score=f"{result.looks[-1]['score']:.3f}", refresh=False)
                if chosen.patience and since_best >= chosen.patience:
                    break
    result.best_step = result.best_step or len(result.losses)
    _put_back(kept, trainable)
    model.eval()
    result.seconds = time.perf_counter() - started
    return result


def _trainable(model: Any) -> dict[str, Tensor]:
    trainable = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    if not trainable:
        raise ValueError("No weight of the model requires a gradient; unfreeze one, such as the classification head.")
    return trainable


def _update(model: Any, batch: dict[str, Tensor], trainable: Mapping[str, Tensor], optimizer: torch.optim.Optimizer,
            settings: Settings, step: int) -> float:
    """One step of training; returns the loss of its batch before the step, in nats."""
    dtype = PRECISIONS[settings.precision]
    with torch.autocast(model.device.type, dtype, enabled=dtype != torch.float32):
        loss = model(**batch).loss
    if not torch.isfinite(loss):
        if "labels" in batch and not (batch["labels"] != IGNORED).any():
            raise ValueError(f"No label of the batch of step {step + 1} is scored: all are {IGNORED}.")
        raise ValueError(f"The loss is {loss.item()} at step {step + 1}; lower learning_rate.")
    loss.backward()
    torch.nn.utils.clip_grad_norm_(list(trainable.values()), settings.largest_gradient)
    optim.set_learning_rate([optimizer], optim.schedule(step, settings.steps, settings.warmup))
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item()


def _look(result: Finetuned, score: Score, step: int, trainable: Mapping[str, Tensor], kept: dict[str, Tensor]) -> int:
    """Note the score after so many steps, and the weights in ``kept`` if it is the best; returns the looks since."""
    value = _finite(score(result.model), step)
    result.model.train()
    if all(value > look["score"] for look in result.looks):
        result.best_step = step
        kept.update(_copy(trainable))
    result.looks.append({"step": step, "score": value})
    return sum(look["step"] > result.best_step for look in result.looks)


def order_of_epoch(training: Sequence[Example], settings: Settings, epoch: int) -> list[list[int]]:
    """The batches of an epoch, as rows of ``training``: in random order, examples of like length together."""
    generator, size = generator_for(settings.seed, epoch), settings.batch_size
    rows = torch.randperm(len(training), generator=generator).tolist()
    batches = []
    for start in range(0, len(rows), WINDOW * size):
        window = sorted(rows[start : start + WINDOW * size], key=lambda row: len(training[row]["input_ids"]))
        batches += [window[i : i + size] for i in range(0, len(window), size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator)]


def pad(examples: Sequence[Example], tokenizer: Any, device: Any = "cpu") -> dict[str, Tensor]:
    """A batch of examples: lists become (batch, longest), numbers (batch,); padded labels are -100, never scored."""
    batch: dict[str, Tensor] = {}
    for name, first in examples[0].items():
        values = [example[name] for example in examples]
        if isinstance(first, Sequence):
            longest, filling = max(map(len, values)), FILLING.get(name, tokenizer.pad_token_id)
            values = [[*value, *[filling] * (longest - len(value))] for value in values]
        batch[name] = torch.tensor(values, device=device)
    return batch


def _optimizer(trainable: Mapping[str, Tensor], settings: Settings) -> torch.optim.Optimizer:
    """AdamW; biases and the gains of LayerNorm (vectors) are not pulled towards 0."""
    matrices = [weight for weight in trainable.values() if weight.ndim > 1]
    vectors = [weight for weight in trainable.values() if weight.ndim < 2]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    groups = [{**group, "peak_lr": settings.learning_rate} for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def _score(tokenizer: Any, validation: Sequence[Example] | Score | None) -> Score | None:
    if validation is None or callable(validation):
        return validation
    if not len(validation):
        raise ValueError("There are no validation examples; leave validation out to train without.")
    return lambda model: -mean_loss(model, tokenizer, validation)


@contextlib.contextmanager
def _seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Dropout from the seed; afterwards the global random state is what it was."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _bar(steps: int, progress: bool) -> tqdm:
    """A bar on a terminal and in Jupyter, nowhere else. It clears itself, so that executed notebooks keep no trace."""
    seen = sys.stderr.isatty() or "ZMQInteractiveShell" in type(getattr(builtins, "get_ipython", str)()).__name__
    return tqdm(total=steps, desc="fine-tuning", unit="step", mininterval=0.5, leave=False, file=sys.stderr,
                disable=not (progress and seen))


def _finite(score: float, step: int) -> float:
    if not math.isfinite(score):
        raise ValueError(f"The validation score is {score} at step {step}; nothing can be compared with it.")
    return float(score)


def _copy(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in weights.items()}


@torch.no_grad()
def _put_back(kept: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    for name, weight in kept.items():
        weights[name].copy_(weight)


# ------------------------------------------------------------------------------------------ examples and answers


def encode(tokenizer: Any, texts: Sequence[str] | Sequence[tuple[str, str]], labels: Sequence[int] | None = None,
           max_length: int = MAX_LENGTH) -> list[dict[str, Any]]:
    """Texts, or pairs of texts, as examples; with ``labels`` (one number per text) for a classifier."""
    if labels is not None and len(labels) != len(texts):
        raise ValueError(f"There are {len(texts)} texts but {len(labels)} labels; give one label per text.")
    if not len(texts):
        return []
    parts = [list(texts)] if isinstance(texts[0], str) else [list(part) for part in zip(*texts, strict=True)]
    encoded = tokenizer(*parts, truncation=True, max_length=max_length)
    examples = [{name: list(encoded[name][i]) for name in encoded} for i in range(len(texts))]
    for example, label in zip(examples, labels if labels is not None else [], strict=labels is not None):
        example["labels"] = int(label)
    return examples


@torch.no_grad()
def predict(model: Any, tokenizer: Any, examples: Sequence[Example], batch_size: int = 64) -> np.ndarray | list:
    """The model's logits, in the order of ``examples``: (examples, classes), or, where each token has logits
    of its own, a list with (tokens, classes) for each example."""
    order = sorted(range(len(examples)), key=lambda row: len(examples[row]["input_ids"]))
    answers: list[Any] = [None] * len(examples)
    was_training = model.training
    model.eval()
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        unlabelled = [{k: v for k, v in examples[row].items() if k != "labels"} for row in rows]
        logits = model(**pad(unlabelled, tokenizer, model.device)).logits.float().cpu().numpy()
        for row, logit in zip(rows, logits, strict=True):
            answers[row] = logit[: len(examples[row]["input_ids"])] if logit.ndim == 2 else logit
    model.train(was_training)
    return np.stack(answers) if answers and answers[0].ndim == 1 else answers


@torch.no_grad()
def mean_loss(model: Any, tokenizer: Any, examples: Sequence[Example], batch_size: int = 64) -> float:
    """The model's mean loss per scored label, in nats, without dropout."""
    was_training = model.training
    model.eval()
    total = count = 0.0
    order = sorted(range(len(examples)), key=lambda row: len(examples[row]["input_ids"]))  # so that little is padded
    for start in range(0, len(order), batch_size):
        batch = pad([examples[row] for row in order[start : start + batch_size]], tokenizer, model.device)
        scored = int((batch["labels"] != IGNORED).sum())
        if scored:
            total += model(**batch).loss.item() * scored
            count += scored
    model.train(was_training)
    if not count:
        raise ValueError(f"None of the {len(examples)} examples has a label to be scored.")
    return total / count


def accuracy(predicted: Sequence[int], labels: Sequence[int], seed: int = 0) -> stats.Estimate:
    """The share of right answers, with a bootstrap interval over the examples."""
    return stats.bootstrap(np.asarray(predicted) == np.asarray(labels), seed=seed)


# ------------------------------------------------------------------------------------------ which weights


def from_scratch(model: Any, seed: int = 0) -> Any:
    """A model of the same shape with random weights: what pretraining has to be better than."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return type(model)(copy.deepcopy(model.config)).eval()


def freeze(model: Any, layers: int | None = None) -> Any:
    """Keep the embeddings and the lowest ``layers`` layers as they are (None: the whole encoder); the rest learns."""
    encoder = model.base_model
    frozen = [encoder] if layers is None else [encoder.embeddings, *encoder.encoder.layer[:layers]]
    for part in frozen:
        part.requires_grad_(False)
    return model


def lora(model: Any, rank: int = 8, scale: float = 2.0, targets: Sequence[str] = ("query", "value"),
         seed: int = 0) -> Any:
    """The model with all weights frozen, but a low-rank update ``scale`` · BA beside each target matrix and a
    trainable head (Hu et al. 2022, section 4.1). rank: columns of B. Needs the package peft."""
    import peft  # takes seconds to load, and most notebooks do without

    heads = [name for name, part in model.named_children()
             if part is not model.base_model and len(list(part.parameters()))]
    config = peft.LoraConfig(r=rank, lora_alpha=scale * rank, target_modules=list(targets), modules_to_save=heads,
                             lora_dropout=0.0)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft 0.21 asks transformers 5.23 by a name of old
        torch.manual_seed(seed)
        return peft.get_peft_model(model, config)


def load_adapter(model: Any, folder: Any) -> Any:
    """A saved adapter on its base model: the other half of `lora(…).save_pretrained(folder)`. Needs peft."""
    import peft

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # as above
        return peft.PeftModel.from_pretrained(model, folder).eval()
