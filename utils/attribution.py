"""Attributions: one number per word that says how much the word did for a classifier's answer.

    reading = attribution.read(tokenizer, "the soup was cold .")
    target = attribution.predicted(model, reading)
    attribution.integrated_gradients(model, reading, target)          # (words,), nats
    attribution.shapley(model, reading, target, permutations=12, seed=0)

What is explained is always the log-odds of one class, F = log p / (1 - p), in nats. A word that is *taken away* is
replaced by a blank, [MASK] by default, in all its pieces; [CLS] and [SEP] always stay. So integrated gradients and
Shapley values share out the same amount, F(text) - F(all words blank). Nothing here says whether an attribution is
right: that is measured in `utils.faithfulness`, on texts whose answer is known (`utils.planted`).

Occlusion, Shapley values and the metrics need only a *game*: a function that takes (subsets, players) booleans, True
for a word that is shown, and gives what each subset is worth, (subsets,).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations as orders_of
from typing import Any

import numpy as np
import torch
from torch import Tensor

from utils import attention

Game = Callable[[np.ndarray], np.ndarray]
Text = str | tuple[str, str]
MAX_LENGTH = 128  # tokens; longer texts are cut, and words cut off have no pieces
TEXTS_AT_A_TIME = 256
LARGEST_ENUMERATION = 16  # players; 2 ** 16 subsets
MEASURES = ("log-odds", "probability")


@dataclass(frozen=True)
class Reading:
    """A text as a model reads it.

    words: as they stand between spaces; columns: for each word the columns of the input that hold its pieces (none for
    a word that was cut off); inputs: what the model is called with, each (1, sequence); blank: the token that stands
    for a piece of a word taken away.
    """

    words: tuple[str, ...]
    columns: tuple[tuple[int, ...], ...]
    inputs: dict[str, Tensor]
    blank: int

    def blanked(self, shown: np.ndarray) -> Tensor:
        """input_ids with every word blank that is not shown: (variants, sequence) for shown (variants, words)."""
        shown = np.atleast_2d(np.asarray(shown, dtype=bool))
        if shown.shape[1] != len(self.words):
            raise ValueError(f"the text has {len(self.words)} words, but each variant speaks of {shown.shape[1]}.")
        ids = self.inputs["input_ids"].repeat(len(shown), 1)
        for word, columns in enumerate(self.columns):
            for column in columns:
                ids[torch.from_numpy(~shown[:, word]), column] = self.blank
        return ids


def read(tokenizer: Any, text: Text, blank: str = "[MASK]", max_length: int = MAX_LENGTH) -> Reading:
    """Split a text, or a pair of texts, into words and find the pieces of each.

    blank: "[MASK]", "[PAD]" or any other token. Raises ValueError for a text without words or an unknown token.
    """
    parts = [text] if isinstance(text, str) else list(text)
    encoding = tokenizer(*parts, return_offsets_mapping=True, truncation=True, max_length=max_length)
    token, unknown = tokenizer.convert_tokens_to_ids(blank), tokenizer.unk_token_id
    if token is None or (token == unknown and blank != tokenizer.unk_token):
        raise ValueError(f"{blank!r} is no token of this tokenizer; use one of its own, such as '[MASK]'.")
    words, columns = [], []
    for number, part in enumerate(parts):
        place_of, position = {}, 0  # character -> word
        for word in part.split():
            position = part.index(word, position)
            place_of.update(dict.fromkeys(range(position, position + len(word)), len(words)))
            words.append(word)
            columns.append([])
            position += len(word)
        for column, (owner, (start, end)) in enumerate(
            zip(encoding.sequence_ids(0), encoding["offset_mapping"], strict=True)
        ):
            if owner == number and end > start:
                columns[place_of[start]].append(column)
    if not any(columns):
        raise ValueError(f"{text!r} has no word that the model could read.")
    inputs = {name: torch.tensor([encoding[name]]) for name in encoding if name != "offset_mapping"}
    return Reading(tuple(words), tuple(map(tuple, columns)), inputs, token)


# ------------------------------------------------------------------------------------------ what is explained


def log_odds(logits: Tensor, target: int) -> Tensor:
    """log p / (1 - p) of class `target` from logits (..., classes), in nats; with two classes their difference."""
    if not -logits.shape[-1] <= target < logits.shape[-1] or logits.shape[-1] < 2:
        raise ValueError(f"class {target} cannot be held against others: there are {logits.shape[-1]} classes.")
    others = [k for k in range(logits.shape[-1]) if k != target % logits.shape[-1]]
    return logits[..., target] - logits[..., others].logsumexp(-1)


@torch.no_grad()
def predicted(model: Any, reading: Reading) -> int:
    """The class that the model names for the whole text."""
    return int(model(**reading.inputs).logits[0].argmax())


def game(model: Any, reading: Reading, target: int, *, measure: str = "log-odds", remove: str = "blank") -> Game:
    """The game of a text: what class `target` gets when only some words are shown.

    measure: "log-odds" (nats) or "probability". remove: "blank" puts blanks in place of the words taken away,
    "delete" leaves them out, so that the others move together.
    """
    if measure not in MEASURES or remove not in ("blank", "delete"):
        raise ValueError(f"measure={measure!r} and remove={remove!r}: use {MEASURES} and ('blank', 'delete').")

    @torch.no_grad()
    def worth(shown: np.ndarray) -> np.ndarray:
        shown, values = np.atleast_2d(np.asarray(shown, dtype=bool)), []
        for start in range(0, len(shown), TEXTS_AT_A_TIME):
            part = shown[start : start + TEXTS_AT_A_TIME]
            batch = _blank_batch(reading, part) if remove == "blank" else _shorter_batch(reading, part)
            values.append(log_odds(model(**batch).logits.double(), target))
        odds = torch.cat(values)
        return (odds if measure == "log-odds" else odds.sigmoid()).numpy()

    return worth


def _blank_batch(reading: Reading, shown: np.ndarray) -> dict[str, Tensor]:
    batch = {name: tensor.expand(len(shown), -1) for name, tensor in reading.inputs.items()}
    return {**batch, "input_ids": reading.blanked(shown)}


def _shorter_batch(reading: Reading, shown: np.ndarray) -> dict[str, Tensor]:
    """Texts without the words that are not shown, padded on the right; padding is not read."""
    length = reading.inputs["input_ids"].shape[1]
    kept = np.ones((len(shown), length), dtype=bool)
    for word, columns in enumerate(reading.columns):
        kept[:, list(columns)] = shown[:, [word]]
    longest = int(kept.sum(1).max())
    batch = {name: torch.zeros(len(shown), longest, dtype=torch.long) for name in reading.inputs}
    batch["attention_mask"] = torch.zeros(len(shown), longest, dtype=torch.long)
    own = {"attention_mask": torch.ones(1, length, dtype=torch.long), **reading.inputs}
    for row, columns in enumerate(kept):
        for name in batch:
            batch[name][row, : columns.sum()] = own[name][0, torch.from_numpy(columns)]
    return batch


# ------------------------------------------------------------------------------------------ from gradients


def gradients(model: Any, reading: Reading, target: int, vectors: Tensor | None = None) -> Tensor:
    """dF/de at `vectors` (variants, sequence, width), by default the text's own token embeddings: same shape.

    Only the token embeddings change; positions and segments stay. The model's weights get no gradient.
    """
    vectors = (embedded(model, reading.inputs["input_ids"]) if vectors is None else vectors).detach()
    vectors.requires_grad_()
    others = {name: tensor.expand(len(vectors), -1) for name, tensor in reading.inputs.items() if name != "input_ids"}
    total = log_odds(model(inputs_embeds=vectors, **others).logits, target).sum()
    return torch.autograd.grad(total, vectors)[0]


@torch.no_grad()
def embedded(model: Any, input_ids: Tensor) -> Tensor:
    """The token embeddings of input_ids: (batch, sequence, width)."""
    return model.get_input_embeddings()(input_ids)


def gradient_length(model: Any, reading: Reading, target: int) -> np.ndarray:
    """The length of dF/de of each word, all its pieces together (Simonyan et al. 2013): (words,), never negative."""
    squares = gradients(model, reading, target)[0].square().sum(-1)
    return np.sqrt(by_word(reading, squares))


def gradient_times_input(model: Any, reading: Reading, target: int) -> np.ndarray:
    """e · dF/de of each word, pieces added: (words,), nats. What a straight line from the vector 0 would predict."""
    vectors = embedded(model, reading.inputs["input_ids"])
    return by_word(reading, (gradients(model, reading, target) * vectors)[0].sum(-1))


def integrated_gradients(model: Any, reading: Reading, target: int, steps: int = 32) -> np.ndarray:
    """Integrated gradients (Sundararajan et al. 2017, equation 1) from the blank text: (words,), nats.

    (e - e') · mean of dF/de over `steps` midpoints of the straight line from the blank text e' to the text e, pieces
    added. The sum over words comes near F(text) - F(blank) as steps grow (completeness); see `left_over`.
    """
    end = embedded(model, reading.inputs["input_ids"])
    start = embedded(model, reading.blanked(np.zeros((1, len(reading.words)))))
    alpha = (torch.arange(steps) + 0.5) / steps
    path = start + alpha[:, None, None] * (end - start)
    slope = torch.cat([gradients(model, reading, target, part) for part in path.split(TEXTS_AT_A_TIME)]).mean(0)
    return by_word(reading, ((end - start)[0] * slope).sum(-1))


def left_over(model: Any, reading: Reading, target: int, scores: np.ndarray) -> float:
    """By how much an attribution misses completeness: sum of the scores - (F(text) - F(blank)), nats."""
    blank, whole = game(model, reading, target)(np.array([[False], [True]]).repeat(len(reading.words), 1))
    return float(np.sum(scores) - (whole - blank))


def by_word(reading: Reading, values: Tensor) -> np.ndarray:
    """Values of tokens (sequence,) added up over the pieces of each word: (words,)."""
    values = values.detach().double().numpy()
    return np.array([values[list(columns)].sum() for columns in reading.columns])


# ------------------------------------------------------------------------------------------ from taking words away


def occlude(worth: Game, players: int) -> np.ndarray:
    """What each player's absence costs: worth(all) - worth(all without i), (players,)."""
    values = worth(np.vstack([np.ones((1, players)), 1 - np.eye(players)]).astype(bool))
    return values[0] - values[1:]


def exact_shapley(worth: Game, players: int) -> np.ndarray:
    """Shapley values (Shapley 1953) from all 2 ** players subsets: (players,). They sum to worth(all) - worth(none)."""
    if not 1 <= players <= LARGEST_ENUMERATION:
        raise ValueError(f"{players} players cannot be enumerated (1 to {LARGEST_ENUMERATION}); use permutations.")
    numbers = np.arange(2**players)
    values = worth((numbers[:, None] >> np.arange(players)) % 2 == 1)
    size = np.array([number.bit_count() for number in numbers.tolist()])
    weight = np.array([math.factorial(s) * math.factorial(players - s - 1) for s in range(players)])
    result = np.empty(players)
    for i in range(players):
        without = numbers[(numbers >> i) % 2 == 0]
        gain = values[without + 2**i] - values[without]
        result[i] = (weight[size[without]] * gain).sum() / math.factorial(players)
    return result


def marginal_contributions(worth: Game, players: int, orders: np.ndarray) -> np.ndarray:
    """What each player adds when the players come in one by one: (orders, players) for orders (orders, players)."""
    orders = np.atleast_2d(orders)
    place = np.argsort(orders, axis=1)  # of each player in each order
    shown = place[:, None, :] < np.arange(players + 1)[None, :, None]  # (orders, players + 1, players)
    values = worth(shown.reshape(-1, players)).reshape(len(orders), players + 1)
    return np.take_along_axis(np.diff(values, axis=1), place, axis=1)


def random_orders(players: int, count: int, seed: int | Sequence[int]) -> np.ndarray:
    """`count` random orders, (count, players), in pairs of an order and its reverse, which cancels some noise."""
    rng = np.random.default_rng(seed)
    half = rng.permuted(np.tile(np.arange(players), (-(-count // 2), 1)), axis=1)
    return np.stack([half, half[:, ::-1]], axis=1).reshape(-1, players)[:count]


def all_orders(players: int) -> np.ndarray:
    """Every order of a few players: (players!, players)."""
    return np.array(list(orders_of(range(players))))


def occlusion(model: Any, reading: Reading, target: int) -> np.ndarray:
    """What F loses when each word is blank (Zeiler and Fergus 2014): (words,), nats."""
    return occlude(game(model, reading, target), len(reading.words))


def shapley(model: Any, reading: Reading, target: int, permutations: int = 12,
            seed: int | Sequence[int] = 0) -> np.ndarray:
    """Shapley values of the words, from random orders (Štrumbelj and Kononenko 2010): (words,), nats.

    Costs permutations * (words + 1) texts. The sum over words is F(text) - F(blank) exactly, whatever the number of
    permutations; the single values have noise.
    """
    players = len(reading.words)
    orders = random_orders(players, permutations, seed)
    return marginal_contributions(game(model, reading, target), players, orders).mean(0)


# ------------------------------------------------------------------------------------------ from attention


def attention_of_cls(model: Any, reading: Reading, rolled: bool = False) -> np.ndarray:
    """What [CLS] reads of each word: last layer, mean of heads, or (rolled) the rollout through all layers: (words,).

    It depends on neither the class nor the classification head.
    """
    weight = attention.weights(model, reading.inputs)
    row = attention.rollout(weight)[0, 0] if rolled else weight[-1, 0].mean(0)[0]
    return by_word(reading, row)


METHODS: dict[str, Callable[[Any, Reading, int, Any], np.ndarray]] = {
    "random": lambda model, reading, target, seed: np.random.default_rng(seed).random(len(reading.words)),
    "attention, last layer": lambda model, reading, target, seed: attention_of_cls(model, reading),
    "attention rollout": lambda model, reading, target, seed: attention_of_cls(model, reading, rolled=True),
    "gradient length": lambda model, reading, target, seed: gradient_length(model, reading, target),
    "gradient × input": lambda model, reading, target, seed: gradient_times_input(model, reading, target),
    "integrated gradients": lambda model, reading, target, seed: integrated_gradients(model, reading, target),
    "occlusion": lambda model, reading, target, seed: occlusion(model, reading, target),
    "Shapley values": lambda model, reading, target, seed: shapley(model, reading, target, seed=seed),
}


def by_every_method(model: Any, readings: Sequence[Reading], targets: Sequence[int],
                    seed: int = 0) -> dict[str, list[np.ndarray]]:
    """Each method's scores of each text: name -> [(words,), …]."""
    return {name: [method(model, reading, target, [seed, k]) for k, (reading, target)
                   in enumerate(zip(readings, targets, strict=True))] for name, method in METHODS.items()}
