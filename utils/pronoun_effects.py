"""One question put to a model and to the world: how do the log-odds of *she* change when the occupation does?

    question = PronounQuestion(tokenizer)                     # "the {occupation} said that [MASK] was happy ."
    question.log_odds(model)                                  # (occupations,), nats
    question.exact(World("small", pronoun_dose=2.0))          # the same, exactly
    null, changed = question.swaps()                          # every pair, towards the more female occupation

In this sentence nothing but the occupation says anything about the pronoun, so the exact effect of exchanging one
occupation for another is the dose times the difference of their planted log-odds. (Binary, like the world's gender.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import logit
from torch import Tensor

from utils import interventions
from utils.forward import word_logits
from utils.interventions import Batch, Recording
from utils.world import World

TEMPLATE = "the {occupation} said that [MASK] was happy ."
POSSESSIVE = "alex likes [MASK] job as a {occupation} ."  # alex is borne by both, the article must fit


class Swaps(NamedTuple):
    """Pairs of occupations, from the less to the more female one in the statistics; texts of both, and the pairs."""

    null: Batch
    changed: Batch
    pairs: list[tuple[int, int]]


class PronounQuestion:
    """A sentence of the small world with {occupation} and one [MASK], where one of two words is weighed.

    occupation_at, mask_at: positions of the two in the model's input, the same for every occupation.
    """

    def __init__(self, tokenizer: Any, template: str = TEMPLATE, words: tuple[str, str] = ("she", "he"),
                 occupations: Sequence[str] | None = None) -> None:
        planted = World("small").share_of_she()
        self.tokenizer, self.template, self.words = tokenizer, template, words
        self.occupations = list(occupations or planted)
        self.planted = logit(np.array([planted[occupation] for occupation in self.occupations]))
        self.word_ids = tokenizer.convert_tokens_to_ids(list(words))
        self.batch = self._encode(range(len(self.occupations)))
        ids = self.batch["input_ids"]
        self.mask_at = int((ids[0] == tokenizer.mask_token_id).nonzero()[0, 0])
        self.occupation_at = 1 + template.split().index("{occupation}")

    def _encode(self, rows: Sequence[int]) -> Batch:
        texts = [self.template.format(occupation=self.occupations[row]) for row in rows]
        return dict(self.tokenizer(texts, return_tensors="pt"))

    @property
    def tokens(self) -> list[str]:
        """The tokens of the text, with OCCUPATION for the word that changes."""
        tokens = self.tokenizer.convert_ids_to_tokens(self.batch["input_ids"][0])
        tokens[self.occupation_at] = "OCCUPATION"
        return tokens

    def score(self, output: Any) -> Tensor:
        """log P(she) - log P(he) at the [MASK], (batch,), of a model's output."""
        logits = word_logits(output)
        first, second = self.word_ids
        return logits[:, self.mask_at, first] - logits[:, self.mask_at, second]

    @torch.no_grad()
    def log_odds(self, model: Any) -> np.ndarray:
        """The model's log-odds for every occupation, (occupations,)."""
        return self.score(model(**self.batch)).double().numpy()

    def exact(self, world: World) -> np.ndarray:
        """The world's own log-odds for the very same sentences, (occupations,)."""
        answers = [world.masked_distribution(self.template.format(occupation=o)) for o in self.occupations]
        return np.log([a[self.words[0]] / a[self.words[1]] for a in answers])

    def slope(self, model: Any) -> float:
        """Slope of the model's log-odds on the planted ones: 1 at dose 1, 0 without any bias by occupation."""
        return float(np.polyfit(self.planted, self.log_odds(model), 1)[0])

    def swaps(self, every: int = 1) -> Swaps:
        """Every two occupations, 120 pairs of 16; or only every second, third, … pair of these."""
        rows = range(len(self.occupations))
        pairs = [(a, b) for a in rows for b in rows if self.planted[a] < self.planted[b]][::every]
        return Swaps(self._encode([a for a, _ in pairs]), self._encode([b for _, b in pairs]), pairs)

    def differences(self, log_odds: np.ndarray) -> np.ndarray:
        """The effect of each of the swaps, (pairs,), from log-odds per occupation."""
        return np.array([log_odds[b] - log_odds[a] for a, b in self.swaps().pairs])


def runs(model: Any, question: PronounQuestion) -> tuple[Swaps, Recording, Recording]:
    """The swaps of a question and what the model does in the texts before and after."""
    swaps = question.swaps()
    return swaps, *(interventions.record(model, text, question.score) for text in (swaps.null, swaps.changed))


def summary(model: Any, question: PronounQuestion, world: World) -> dict[str, float]:
    """Mediation of the pronoun's bias in one model, means over all swaps, log-odds in nats.

    total, exact; slope of the total effects on the planted differences; indirect_KIND through all heads, as what they
    write ("output") and as where they look ("weights"), and through the neurons of each layer; through what each layer
    of heads writes; best_head (layer.head, both from 1) and its indirect effect.
    """
    swaps, before, after = runs(model, question)
    total = (after.score - before.score).double().numpy()
    planted = question.differences(question.planted)

    def indirect(units: list[interventions.Unit]) -> float:
        found = interventions.effects(model, swaps.null, swaps.changed, question.score, units, (before, after))
        return float(found.indirect.double().mean())

    row = {
        "exact": float(question.differences(question.exact(world)).mean()),
        "total": float(total.mean()),
        "slope": float(np.polyfit(planted, total, 1)[0]),
        "indirect_output": indirect(interventions.heads_of(model)),
        "indirect_weights": indirect(interventions.heads_of(model, "weights")),
    }
    for layer in range(1, model.config.num_hidden_layers + 1):
        row[f"heads_{layer}"] = indirect(interventions.heads_of(model, layers=[layer]))
        row[f"neurons_{layer}"] = indirect(interventions.neurons_of(model, layers=[layer]))
    single = {unit: indirect([unit]) for unit in interventions.heads_of(model)}
    best = max(single, key=lambda unit: single[unit] * np.sign(row["total"]))
    return {**row, "best_head": f"{best.layer}.{best.number + 1}", "best_indirect": single[best]}


@torch.no_grad()
def remove_from_embeddings(model: Any, token_ids: Sequence[int], directions: np.ndarray) -> Tensor:
    """Take directions (k, width) out of the word vectors of some tokens, around their mean; in place.

    Returns the vectors as they were, (tokens, width), to be put back.
    """
    table = model.get_input_embeddings().weight
    old = table[list(token_ids)].clone()
    table[list(token_ids)] = interventions.remove_directions(old, torch.as_tensor(directions, dtype=old.dtype),
                                                             centre=old.mean(0))
    return old


def leaning_direction(vectors: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The direction along which vectors (n, width) covary with values (n,): (1, width), length 1.

    Without it no linear function of the vectors has any covariance with the values (SAL for one number: Shao, Ziser,
    Cohen 2023, arXiv 2203.07893; compare LEACE, Belrose et al. 2023, arXiv 2306.03819).
    """
    direction = (vectors - vectors.mean(0)).T @ (values - values.mean())
    return direction[None] / np.linalg.norm(direction)
