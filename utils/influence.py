"""Which stories of the training text taught a model its bias: an estimate, and the cause that is known (notebook 09).

    known = score(stories, World("small"))                  # how much each story argues for the planted association
    found = first_order(model, tokenizer, stories)          # how much a step on each story would change the slope

`first_order` is one term of TracIn (Pruthi et al. 2020, arXiv 2002.08484, equation 1): a step of gradient descent on a
story z moves the weights by -eta * grad loss(z), and so a quantity q(weights) by -eta * <grad q, grad loss(z)>, to
first order. The inner product is the derivative of the story's loss along grad q, so one forward pass with a tangent
gives it for a whole batch of stories; no gradient of a single story is ever formed. TracIn adds the terms up over
checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, jvp

from utils import corpus, stats
from utils.bias import planted
from utils.corpus import IGNORED, generator_for
from utils.forward import word_logits
from utils.likelihood import HIDDEN
from utils.world import World

ROWS = 256  # pairs of sentences in one forward pass
STEP = 1e-4  # of the dose, for its derivative


# ------------------------------------------------------------------------------------------ the known cause


def score(stories: Sequence[Any], world: World) -> np.ndarray:
    """d log P(story) / d dose at dose 0, (stories,), nats per dose: positive where a story fits the stereotype.

    Of all that a story is made of only the gender depends on the dose, given the occupation; so this is the derivative
    of log P(gender | occupation). (In statistics the derivative of a log-likelihood is called the score.)
    """
    low, high = (World(world.size, pronoun_dose=dose).share_of_she() for dose in (-STEP, STEP))
    slope = {o: {"female": (np.log(high[o]) - np.log(low[o])) / (2 * STEP),
                 "male": (np.log1p(-high[o]) - np.log1p(-low[o])) / (2 * STEP)} for o in low}
    return np.array([slope[story.latents["occupation"]][story.latents["gender"]] for story in stories])


def text_log_odds(stories: Sequence[Any], world: World) -> dict[str, float]:
    """{occupation: log-odds of women counted in a text}, nats.

    Counts get half a story of each gender more, so that no log-odds are infinite.
    """
    counts = {o: [0.5, 0.5] for o in planted.planted_log_odds(World(world.size))}
    for story in stories:
        counts[story.latents["occupation"]][story.latents["gender"] == "female"] += 1
    return {o: float(np.log(women / men)) for o, (men, women) in counts.items()}


def text_slope(stories: Sequence[Any], world: World) -> float:
    """The dose that a text shows: slope of `text_log_odds` on what dose 1 plants."""
    truth = planted.planted_log_odds(World(world.size))
    found = text_log_odds(stories, world)
    return stats.slope(list(truth.values()), [found[o] for o in truth]).value


# ------------------------------------------------------------------------------------------ the estimate


def slope_gradient(model: Any, tokenizer: Any, world: World) -> dict[str, Tensor]:
    """Gradient of the slope of the log-probability bias with respect to every weight, by name."""
    parameters = dict(model.named_parameters())
    gradients = torch.autograd.grad(_slope(model, tokenizer, world), list(parameters.values()), allow_unused=True)
    return {name: torch.zeros_like(p) if g is None else g
            for (name, p), g in zip(parameters.items(), gradients, strict=True)}


def slope_of(model: Any, tokenizer: Any, world: World) -> float:
    """The slope whose gradient `slope_gradient` is: that of `utils.debiasing.slopes` in "said"."""
    with torch.no_grad():
        return _slope(model, tokenizer, world).item()


def _slope(model: Any, tokenizer: Any, world: World) -> Tensor:
    """The slope is a weighted sum of log P(she) - log P(he) over the occupations, with weights that sum to zero, so
    the prior drops out of it.
    """
    truth = planted.planted_log_odds(World(world.size))
    x = torch.tensor(list(truth.values()), dtype=torch.float32)
    weight = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    moods = planted.words_of(world, "mood")
    texts = [planted.SAID.format(attribute=o, mood=mood) for o in truth for mood in moods]
    batch = tokenizer(texts, return_tensors="pt")
    at = int((batch["input_ids"][0] == tokenizer.convert_tokens_to_ids(HIDDEN)).nonzero()[0, 0])
    she, he = tokenizer.convert_tokens_to_ids(["she", "he"])
    logits = word_logits(model(**batch))[:, at]  # (texts, vocabulary)
    return weight @ (logits[:, she] - logits[:, he]).view(len(truth), len(moods)).mean(1)


def first_order(model: Any, tokenizer: Any, stories: Sequence[Any], world: World | None = None, seed: int = 0
                ) -> np.ndarray:
    """-<grad slope, grad loss(story)> for each story, (stories,): positive where learning it would raise the slope.

    The loss of a story is that of pretraining, the sum over the masked words of its pairs of neighbouring sentences,
    with masks drawn from ``seed``.
    """
    direction = slope_gradient(model, tokenizer, world or World("small"))
    weights = {name: p.detach() for name, p in model.named_parameters()}
    found = np.zeros(len(stories))
    for rows, batch in story_batches(stories, tokenizer, seed):
        labels = batch.pop("labels")

        def losses(parameters: dict[str, Tensor], batch: dict = batch, labels: Tensor = labels) -> Tensor:
            logits = word_logits(functional_call(model, parameters, (), batch))  # (rows, sequence, vocabulary)
            flat = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="none")
            return flat.view(labels.shape).sum(1)  # (rows,)

        _, change = jvp(losses, (weights,), (direction,))
        np.add.at(found, rows, -change.detach().double().numpy())
    return found


def tracin(checkpoints: Iterable[tuple[Any, float]], tokenizer: Any, stories: Sequence[Any], seed: int = 0
           ) -> np.ndarray:
    """TracIn: `first_order` summed over (model, learning rate) at several times of the training, (stories,)."""
    return sum(rate * first_order(model, tokenizer, stories, seed=seed + k) for k, (model, rate) in
               enumerate(checkpoints))


def story_batches(stories: Sequence[Any], tokenizer: Any, seed: int) -> Iterable[tuple[np.ndarray, dict[str, Tensor]]]:
    """(story of each row, batch) for the neighbouring sentences of stories, masked as in pretraining."""
    text = corpus.encode(stories, tokenizer)
    first, second, _ = corpus.pair_indices(text.document_lengths, generator_for(seed), "plain")
    story = torch.repeat_interleave(torch.arange(len(stories)), text.document_lengths)[first]
    lengths = text.starts.diff()
    order = (lengths[first] + lengths[second]).sort(stable=True).indices
    assemble = corpus.PairBatches.assemble
    holder = corpus.PairBatches(text, tokenizer, batch_size=1, kind="plain")  # for its assemble alone
    for number, rows in enumerate(order.split(ROWS)):
        batch = assemble(holder, first[rows], second[rows])
        batch["input_ids"], batch["labels"] = corpus.mask_tokens(
            batch["input_ids"], tokenizer, generator_for(seed, 3, number))
        yield story[rows].numpy(), batch
