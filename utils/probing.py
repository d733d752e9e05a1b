"""Probes: can a hidden fact be read off a model's states, by how much more than anything could, and is it used?

    words = word_states(model, tokenizer, texts)              # vectors of every word, one array per layer
    probe = fit_probe(words.states[2][train], labels[train])
    probe.accuracy(words.states[2][test], labels[test])
    control = control_labels(words.words, labels, seed=0)     # what could be memorised word by word

A probe is scikit-learn's logistic regression. A control task (Hewitt and Liang 2019, arXiv 1909.03368, section 2) gives
every word type one label at random, so nothing but the word's identity can be read off; selectivity is the accuracy on
the task minus the accuracy on its control.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from utils.corpus import generator_for
from utils.interventions import hidden_states

TEXTS_AT_A_TIME = 128
STRENGTH = 1.0  # scikit-learn's C, the inverse of the penalty on the weights
ITERATIONS = 300


@dataclass
class WordStates:
    """states: one array (words, width) per layer, the embeddings first. text, place: (words,) which text and which of
    its words, counted through both sentences of a pair. words: the words as written."""

    states: list[np.ndarray]
    text: np.ndarray
    place: np.ndarray
    words: np.ndarray

    def take(self, rows: np.ndarray) -> WordStates:
        """Only these words."""
        return WordStates([layer[rows] for layer in self.states], self.text[rows], self.place[rows], self.words[rows])


@torch.no_grad()
def word_states(model: Any, tokenizer: Any, texts: Sequence[str | tuple[str, str]]) -> WordStates:
    """The hidden states of every word of texts, or of pairs of texts, whose words are separated by spaces.

    A word cut into pieces is read at its first piece.
    """
    parts: dict[str, list] = {"text": [], "place": [], "words": []}
    layers: list[list[np.ndarray]] = []
    whole = [[s.split() for s in ([text] if isinstance(text, str) else text)] for text in texts]
    by_length = sorted(range(len(texts)), key=lambda i: sum(map(len, whole[i])))  # little padding
    for start in range(0, len(texts), TEXTS_AT_A_TIME):
        numbers = by_length[start : start + TEXTS_AT_A_TIME]
        split = [whole[number] for number in numbers]
        encoding = tokenizer(*map(list, zip(*split, strict=True)), is_split_into_words=True, padding=True,
                             return_tensors="pt")
        rows, columns = [], []
        for i, sentences in enumerate(split):
            for column, place in _first_pieces(encoding, i, sentences):
                rows.append(i)
                columns.append(column)
                parts["text"].append(numbers[i])
                parts["place"].append(place)
                parts["words"].append([word for sentence in sentences for word in sentence][place])
        found = hidden_states(model, encoding.to(next(model.parameters()).device))
        layers.append([state[rows, columns].float().cpu().numpy() for state in found])
    states = [np.concatenate(layer) for layer in zip(*layers, strict=True)]
    words = WordStates(states, *(np.array(parts[name]) for name in ("text", "place", "words")))
    return words.take(np.lexsort((words.place, words.text)))


def some_words(words: WordStates, per_text: int, seed: int) -> WordStates:
    """A random choice of words, equally many from each text (all of a text that has fewer), in order."""
    draw, rows = np.random.default_rng(seed), []
    for text in np.unique(words.text):
        own = np.flatnonzero(words.text == text)
        rows.append(np.sort(draw.choice(own, min(per_text, len(own)), replace=False)))
    return words.take(np.concatenate(rows))


def _first_pieces(encoding: Any, row: int, sentences: Sequence[Sequence[str]]) -> list[tuple[int, int]]:
    """(column, place of the word in the text) of the first piece of every word."""
    found, seen = [], set()
    for column, (word, sentence) in enumerate(zip(encoding.word_ids(row), encoding.sequence_ids(row), strict=True)):
        if word is None or (sentence, word) in seen:
            continue
        seen.add((sentence, word))
        found.append((column, word + sum(len(s) for s in sentences[:sentence])))
    return found


@dataclass
class Probe:
    """A fitted probe: states are centred and scaled as the training states were, then classified."""

    centre: np.ndarray
    scale: np.ndarray
    regression: LogisticRegression

    def predict(self, states: np.ndarray) -> np.ndarray:
        """The most probable label of each state (states, width): (states,)."""
        return self.regression.predict((states - self.centre) / self.scale)

    def log_odds(self, states: np.ndarray) -> np.ndarray:
        """The log-odds of the second of two classes, (states,)."""
        return self.regression.decision_function((states - self.centre) / self.scale)

    def accuracy(self, states: np.ndarray, labels: np.ndarray) -> float:
        """The share of the states whose label is predicted rightly."""
        return float((self.predict(states) == labels).mean())

    def directions(self) -> np.ndarray:
        """The directions in the space of the states that the probe reads, (1 or classes, width)."""
        return self.regression.coef_ / self.scale


def fit_probe(states: np.ndarray, labels: np.ndarray, strength: float = STRENGTH) -> Probe:
    """Logistic regression from states (words, width) to labels (words,)."""
    states = np.asarray(states, dtype=np.float64)
    centre, scale = states.mean(0), states.std(0) + 1e-6
    regression = LogisticRegression(C=strength, max_iter=ITERATIONS, tol=1e-3)
    return Probe(centre, scale, regression.fit((states - centre) / scale, labels))


def control_labels(words: Sequence[str], labels: Sequence, seed: int) -> np.ndarray:
    """One label for each word type, drawn from the distribution of ``labels`` over the words; (words,).

    The same type always gets the same label, whatever the text, the split or the order (Hewitt and Liang 2019,
    section 2.1). Give it the words of all splits at once, or the same type may be drawn twice.
    """
    values, counts = np.unique(np.asarray(labels), return_counts=True)
    types = sorted(set(words))
    drawn = np.random.default_rng(seed).choice(values, size=len(types), p=counts / counts.sum())
    label_of = dict(zip(types, drawn, strict=True))
    return np.array([label_of[word] for word in words])


def best_by_word(words: Sequence[str], labels: Sequence, asked: Sequence[str]) -> np.ndarray:
    """The commonest label of each asked word among ``words``: what can be said without any context; (asked,)."""
    by_word: dict[str, Counter] = {}
    for word, label in zip(words, labels, strict=True):
        by_word.setdefault(word, Counter())[label] += 1
    overall = Counter(labels).most_common(1)[0][0]
    return np.array([by_word[w].most_common(1)[0][0] if w in by_word else overall for w in asked])


def removable_directions(states: np.ndarray, labels: np.ndarray, rounds: int) -> np.ndarray:
    """Directions without which a linear probe finds less and less (INLP; Ravfogel et al. 2020, algorithm 1).

    Each round fits a probe on what is left and takes its directions away. Returns (directions, width), orthonormal.
    """
    basis = np.empty((0, states.shape[1]))
    for _ in range(rounds):
        left = states - (states @ basis.T) @ basis
        found = fit_probe(left, labels).directions()
        found = found - (found @ basis.T) @ basis
        if len(found) > 1:
            found = found[:-1] - found[-1]  # of k classes only k - 1 differences count
        q, r = np.linalg.qr(found.T)
        basis = np.vstack([basis, q.T[np.abs(np.diag(r)) > 1e-10]])
    return basis


def random_directions(count: int, width: int, seed: int) -> np.ndarray:
    """Orthonormal directions that mean nothing, the baseline of a removal; (count, width)."""
    drawn = torch.randn(width, count, generator=generator_for(seed), dtype=torch.float64)
    return np.linalg.qr(drawn.numpy())[0].T


# ------------------------------------------------------------------------------------------ reading with the head


@torch.no_grad()
def lens(model: Any, states: np.ndarray | torch.Tensor) -> np.ndarray:
    """The model's own masked-word head applied to any hidden states (…, width): log-probabilities (…, vocabulary)."""
    head = model.cls.predictions if hasattr(model.cls, "predictions") else model.cls
    return torch.log_softmax(head(torch.as_tensor(states, dtype=torch.float32)).double(), -1).numpy()


def translator(states: np.ndarray, last: np.ndarray, penalty: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """The linear map from a layer's states to the last layer's, by ridge regression: (width, width), (width,).

    states @ matrix + offset estimates ``last``. A simple form of the tuned lens (Belrose et al. 2023, arXiv 2303.08112,
    who train it on the KL divergence of the predictions).
    """
    x, y = np.asarray(states, dtype=np.float64), np.asarray(last, dtype=np.float64)
    centre_x, centre_y = x.mean(0), y.mean(0)
    x, y = x - centre_x, y - centre_y
    matrix = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)
    return matrix, centre_y - centre_x @ matrix
