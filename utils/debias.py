"""Methods that take a bias out of a language model: in its text, in its vectors, or in its answers.

    partners = gender_partners(world)                        # {"she": "he", "mary": "john", …}
    counterfactual(["the nurse said that she was happy ."], partners)      # text:    swap the words, train on
    directions = inlp(states, labels, rounds=8)              # vectors: what a linear classifier reads, again and again
    directions = sentence_debias(of_women, of_men)           # vectors: how a sentence and its counterfactual differ
    fold(model, directions)                                  # a masked model that no longer sees these directions
    self_debias(p, p_told)                                   # answers: take back what a biased prompt makes likelier

Counterfactual data augmentation: Zhao et al. 2018 (arXiv 1804.06876), Zmigrod et al. 2019 (1906.04571), Webster et al.
2020 (2010.06032). Dropout: Webster et al. 2020. INLP: Ravfogel et al. 2020 (2004.07667). SentenceDebias: Liang et al.
2020 (2007.08100). Self-Debias: Schick et al. 2021 (2103.00453). Meade et al. 2022 (2110.08527) compare them all.
What each leaves behind is measured in `utils.debiasing`. Gender is binary here, as in these papers and in the world.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from utils.bias import planted
from utils.likelihood import HIDDEN, ModelReader, Question, Reader
from utils.probing import removable_directions
from utils.world import World

PRONOUNS = {"she": "he", "he": "she", "his": "her", "him": "her"}  # "her" is decided by what follows it
AFTER_OBJECT = (".", "a")  # "called her a brave person", "thanked her .": elsewhere her is his, not him
DROPOUT, ATTENTION_DROPOUT = 0.20, 0.15  # Webster et al. 2020, as in bias-bench
DECAY, FLOOR = 50.0, 0.01  # Schick et al. 2021: the decay constant λ, and the smallest factor (their program)

# ------------------------------------------------------------------------------------------ in the text


def gender_partners(world: World, names: bool = True) -> dict[str, str]:
    """Each gendered word's counterpart: pronouns and, with ``names``, women's and men's names, one for one.

    The map of names is its own inverse. "her" has two counterparts and is not in it: see `counterfactual`.
    """
    pairs = zip(planted.names_of(world, "female"), planted.names_of(world, "male"), strict=True) if names else ()
    both = [(a, b) for pair in pairs for a, b in (pair, pair[::-1])]
    return PRONOUNS | dict(both)


def counterfactual(sentences: Sequence[str], partners: Mapping[str, str], *, her: str = "") -> list[str]:
    """The same sentences about a person of the other gender. Sentences are words separated by spaces.

    All words are exchanged at once. "her" becomes "him" before a full stop or "a", else "his"; with ``her`` it always
    becomes that word, as a plain list of pairs does it. Applied twice it gives the sentences back (not with ``her``).
    """

    def swapped(word: str, following: str) -> str:
        if word == "her":
            return her or ("him" if following in AFTER_OBJECT else "his")
        return partners.get(word, word)

    texts = (sentence.split() for sentence in sentences)
    return [" ".join(map(swapped, words, [*words[1:], "."])) for words in texts]


def augmented(stories: Sequence[Any], partners: Mapping[str, str] | None, *, her: str = "") -> list[list[str]]:
    """Every story and its counterfactual, as lists of sentences; without ``partners`` every story twice.

    The second is the control: the same blocks in the same order, not swapped. (bias-bench drops blocks without a listed
    word; a model trained on the rest differs from the old one for that reason too.)
    """
    own = [list(getattr(story, "sentences", story)) for story in stories]
    return own + ([counterfactual(story, partners, her=her) for story in own] if partners else own)


# ------------------------------------------------------------------------------------------ in training


def with_dropout(model: nn.Module, hidden: float = DROPOUT, attention: float = ATTENTION_DROPOUT) -> nn.Module:
    """The same model, which in training drops hidden numbers and attention weights with these probabilities."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Dropout):
            module.p = attention if name.endswith("attention.self.dropout") else hidden
    return model


# ------------------------------------------------------------------------------------------ in the vectors


def inlp(states: np.ndarray, labels: np.ndarray, rounds: int) -> np.ndarray:
    """Iterative null-space projection (Ravfogel et al. 2020, algorithm 1): (directions, width), orthonormal.

    Round i fits a linear classifier w_i to the states x P_{i-1} and takes its direction away too:
    P_i = I - Q_i^T Q_i, where the rows of Q_i span w_1 … w_i. states: (n, width); labels: (n,). With two classes the
    first k rows are what k rounds find. The classifier here is logistic regression (`utils.probing.fit_probe`).
    """
    return removable_directions(np.asarray(states, dtype=np.float64), np.asarray(labels), rounds)


def sentence_debias(first: np.ndarray, second: np.ndarray, components: int = 1) -> np.ndarray:
    """The directions in which sentences differ from their counterfactuals (Liang et al. 2020): (components, width).

    first, second: (pairs, width), vectors of the same sentences about the one and the other group. With the mean of
    each pair taken away, (x - y) / 2 and (y - x) / 2 are left, and the principal components of these are wanted: the
    right singular vectors of x - y. Raises ValueError for other shapes or more components than there are.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(f"first and second need one row per pair of sentences; got {first.shape} and {second.shape}.")
    if not 1 <= components <= min(first.shape):
        raise ValueError(f"{first.shape[0]} pairs of width {first.shape[1]} do not have {components} components.")
    return np.linalg.svd(first - second, full_matrices=False)[2][:components]


def without(states: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """x P = x - (x Q^T) Q for each row: (n, width). directions: Q, (k, width), orthonormal rows."""
    return states - (states @ directions.T) @ directions


@torch.no_grad()
def fold(model: Any, directions: np.ndarray) -> Any:
    """A copy of a BERT whose heads do not see some directions of the last hidden state.

    Only linear layers read the last hidden state x: the first of the word head and the pooler. Since
    W (P x) = (W P) x, projecting x is the same as exchanging W for W P, so no hook is needed
    (tests/test_debias.py holds the two equal). The hidden states that the copy shows are not projected: for these see
    `without`. directions: (k, width), orthonormal rows. Raises ValueError for directions of another width.
    """
    edited = copy.deepcopy(model)
    q = torch.as_tensor(np.asarray(directions), dtype=torch.float64)
    if q.ndim != 2 or q.shape[1] != model.config.hidden_size:
        raise ValueError(f"directions should be (k, {model.config.hidden_size}); they are {tuple(q.shape)}.")
    readers = [edited.cls.predictions.transform.dense] if hasattr(edited, "cls") else []
    pooler = getattr(edited.base_model, "pooler", None)
    for layer in [*readers, *([pooler.dense] if pooler is not None else [])]:
        weight = layer.weight.double()
        layer.weight.copy_((weight - (weight @ q.T) @ q).to(layer.weight.dtype))
    return edited


# ------------------------------------------------------------------------------------------ in the answers


def self_debias(p: np.ndarray, p_told: np.ndarray, decay: float = DECAY, floor: float = FLOOR) -> np.ndarray:
    """Self-Debias (Schick et al. 2021, section 3.2): words that a biased prompt makes likelier are held back.

    p: probabilities of the words, (…, vocabulary); p_told: the same after a prompt that asks for the bias.
    Δ = p - p_told; the factor is 1 where Δ >= 0 and exp(decay · Δ) elsewhere, but at least ``floor``; the products
    factor · p are scaled to sum to 1 again.

    >>> self_debias(np.array([0.6, 0.4]), np.array([0.7, 0.3]), decay=10.0).round(3)
    array([0.356, 0.644])
    """
    p, p_told = np.asarray(p, dtype=np.float64), np.asarray(p_told, dtype=np.float64)
    factor = np.maximum(np.exp(decay * np.minimum(p - p_told, 0.0)), floor)
    return factor * p / (factor * p).sum(-1, keepdims=True)


class SelfDebiased:
    """A reader that answers with Self-Debias: what ``reader`` says, less what ``told`` says more often.

    told answers the same questions after the prompt: a `Told` model, or for the oracle a world with more of the bias.
    It has no answers where nothing is hidden (AUL), because the method is defined for a hidden word.
    """

    def __init__(self, reader: Reader, told: Reader, decay: float = DECAY, floor: float = FLOOR) -> None:
        self.reader, self.told, self.decay, self.floor = reader, told, decay, floor
        self.vocabulary = reader.vocabulary
        self._ids = {word: i for i, word in enumerate(self.vocabulary)}

    def tokens(self, text: str) -> tuple[str, ...]:
        return self.reader.tokens(text)

    def distributions(self, questions: Sequence[Question]) -> np.ndarray:
        p, told = (np.exp(each.distributions(questions)) for each in (self.reader, self.told))
        with np.errstate(divide="ignore"):
            return np.log(self_debias(p, told, self.decay, self.floor))

    def hidden(self, questions: Sequence[Question]) -> list[np.ndarray]:
        log_p = self.distributions(questions)
        return [row[[self._ids[word] for word in q.words]] for row, q in zip(log_p, questions, strict=True)]

    def shown(self, sentences: Sequence[tuple[str, ...]]) -> list[np.ndarray]:
        raise ValueError("Self-Debias changes the answer for a hidden word; here nothing is hidden.")

    def attention(self, sentences: Sequence[tuple[str, ...]]) -> list[np.ndarray]:
        raise ValueError("Self-Debias changes answers, not attention.")


class Told(ModelReader):
    """A model that reads a prompt, as a first sentence of its own, before every question.

    prompt: a function of the question's tokens that gives the prompt's text, or "" for none.
    """

    def __init__(self, model: Any, tokenizer: Any, prompt: Callable[[Sequence[str]], str]) -> None:
        super().__init__(model, tokenizer)
        self.prompt = prompt

    @torch.inference_mode()
    def distributions(self, questions: Sequence[Question]) -> np.ndarray:
        answers = np.empty((len(questions), len(self.vocabulary)))
        prompts = [tuple(self.prompt(question.tokens).split()) for question in questions]
        shapes: dict[tuple[int, int], list[int]] = {}
        for row, (prompt, question) in enumerate(zip(prompts, questions, strict=True)):
            shapes.setdefault((len(prompt), len(question.tokens)), []).append(row)
        for (before, _), rows in shapes.items():
            if not before:
                answers[rows] = super().distributions([questions[row] for row in rows])
                continue
            logits, place = self._with_prompt([(prompts[row], questions[row]) for row in rows])
            answers[rows] = logits[torch.arange(len(rows)), place].double().log_softmax(-1).numpy()
        return answers

    def _with_prompt(self, asked: Sequence[tuple[tuple[str, ...], Question]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (rows, sequence, vocabulary) of [CLS] prompt [SEP] question [SEP], and the hidden word's place."""
        rows, place = [], []
        for prompt, question in asked:
            words = [HIDDEN if i == question.position else token for i, token in enumerate(question.tokens)]
            rows.append(["[CLS]", *prompt, "[SEP]", *words, "[SEP]"])
            place.append(len(prompt) + 2 + question.position)
        ids = torch.tensor([self.tokenizer.convert_tokens_to_ids(row) for row in rows])
        kinds = torch.zeros_like(ids)
        kinds[:, len(asked[0][0]) + 2 :] = 1
        output = self.model(input_ids=ids, token_type_ids=kinds)
        return output["prediction_logits" if "prediction_logits" in output else "logits"], torch.tensor(place)
