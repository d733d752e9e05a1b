"""Ask a reader how likely a word is at a place: what every likelihood metric of bias is made of.

    reader = reader_of(model, tokenizer)          # a masked language model
    reader = reader_of(world)                     # the artificial language itself: exact answers
    question = Question(tuple("the nurse said that she was happy .".split()), position=4, words=("she", "he"))
    reader.hidden([question])[0]                  # log P(she), log P(he) where "she" is hidden, in nats

The metrics of `utils.bias` ask only through a reader, so each runs on a network and on the oracle unchanged: the
first has the error of metric and model together, the second the metric's alone. Tokens are a sentence's own, without
[CLS] and [SEP], which a model's reader adds.

Scores of a sentence need one question per token, each with another token hidden. Here all of them, of many
sentences, stand in batches of one length each, so nothing is padded; the last layer and the vocabulary are computed
at the hidden token only (`utils.forward`). The answers equal one pass per token to 1e-4 (tests/test_likelihood.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from utils.corpus import IGNORED
from utils.finetune import from_scratch
from utils.forward import scored_logits, word_logits
from utils.world import Corruption, World, exams
from utils.world.oracle import MASK, Channel

HIDDEN = "[MASK]"
ROWS_AT_A_TIME = 128  # rows of one batch: a multiple of utils.forward.ROWS, so that nothing is filled up


class Question(NamedTuple):
    """What are the log-probabilities of `words` at `position` of `tokens`, when the token there is hidden?

    Other tokens may be "[MASK]" too. `words` are tokens of the reader's vocabulary.
    """

    tokens: tuple[str, ...]
    position: int
    words: tuple[str, ...]


class Reader(Protocol):
    """Who answers: a masked language model or the oracle. Log-probabilities are natural."""

    vocabulary: list[str]

    def tokens(self, text: str) -> tuple[str, ...]:
        """A text's tokens; "[MASK]" stays one token."""

    def hidden(self, questions: Sequence[Question]) -> list[np.ndarray]:
        """Log-probabilities of each question's words, (words,) each."""

    def distributions(self, questions: Sequence[Question]) -> np.ndarray:
        """Log-probabilities of the whole vocabulary at each question's position, (questions, vocabulary)."""

    def shown(self, sentences: Sequence[tuple[str, ...]]) -> list[np.ndarray]:
        """Log-probability of each token of each sentence with nothing hidden, (tokens,) each."""

    def attention(self, sentences: Sequence[tuple[str, ...]]) -> list[np.ndarray]:
        """Attention that each token receives, mean over layers, heads and queries, (tokens,) each."""


def reader_of(model: Any, tokenizer: Any = None) -> Reader:
    """A reader of a model with its tokenizer, of a `World`, or `model` itself where it already is one."""
    if isinstance(model, World):
        return OracleReader(model)
    return model if tokenizer is None else ModelReader(model, tokenizer)


random_weights = from_scratch  # what a metric says where nothing was learned


class ModelReader:
    """Reads with a masked language model: one with a head for words (BERT, RoBERTa, DistilBERT, …)."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        if tokenizer.mask_token_id is None:
            raise ValueError("this tokenizer has no [MASK]: likelihood metrics need a masked language model.")
        self.model, self.tokenizer = model, tokenizer
        ids = tokenizer.get_vocab()
        self.vocabulary = sorted(ids, key=ids.get)

    def tokens(self, text: str) -> tuple[str, ...]:
        return tuple(self.tokenizer.tokenize(text.replace(HIDDEN, self.tokenizer.mask_token)))

    def hidden(self, questions: Sequence[Question]) -> list[np.ndarray]:
        answers: list[np.ndarray] = [np.empty(0)] * len(questions)
        words = [self._ids(question.words) for question in questions]

        def keep(rows: list[int], log_p: Tensor) -> None:
            for row, each in zip(rows, log_p, strict=True):
                answers[row] = each[words[row]].double().cpu().numpy()

        self._ask(questions, keep)
        return answers

    def distributions(self, questions: Sequence[Question]) -> np.ndarray:
        answers = np.empty((len(questions), len(self.vocabulary)))

        def keep(rows: list[int], log_p: Tensor) -> None:
            answers[rows] = log_p[:, : len(self.vocabulary)].double().cpu().numpy()

        self._ask(questions, keep)
        return answers

    @torch.inference_mode()
    def shown(self, sentences: Sequence[tuple[str, ...]]) -> list[np.ndarray]:
        answers: list[np.ndarray] = [np.empty(0)] * len(sentences)
        for rows, ids in self._batches(sentences):
            log_p = word_logits(self.model(input_ids=ids)).log_softmax(-1)
            own = log_p.gather(-1, ids[..., None])[..., 0].double().cpu().numpy()
            for row, each in zip(rows, own, strict=True):
                answers[row] = each[1:-1]
        return answers

    @torch.inference_mode()
    def attention(self, sentences: Sequence[tuple[str, ...]]) -> list[np.ndarray]:
        answers: list[np.ndarray] = [np.empty(0)] * len(sentences)
        for rows, ids in self._batches(sentences):
            layers = self.model(input_ids=ids, output_attentions=True).attentions
            if not layers:
                raise ValueError("the model returned no attention: load it with attn_implementation='eager'.")
            received = torch.stack(layers).mean(dim=(0, 2, 3)).double().cpu().numpy()  # layers, heads, queries
            for row, each in zip(rows, received, strict=True):
                answers[row] = each[1:-1]  # [CLS] and [SEP] take their part of the mean, and are left out of it here
        return answers

    @torch.inference_mode()
    def _ask(self, questions: Sequence[Question], keep: Callable[[list[int], Tensor], None]) -> None:
        """Call keep(rows, log-probabilities (rows, vocabulary)) for batches of questions of one length each."""
        for rows, ids in self._batches([question.tokens for question in questions]):
            place = torch.tensor([questions[row].position + 1 for row in rows], device=ids.device)
            hidden = ids.scatter(1, place[:, None], self.tokenizer.mask_token_id)
            keep(rows, self._logits_at(hidden, place).float().log_softmax(-1))

    def _logits_at(self, ids: Tensor, place: Tensor) -> Tensor:
        """Logits at one place of each row, (rows, vocabulary)."""
        config = self.model.config
        known = getattr(config, "model_type", "") in ("bert", "roberta") and config.hidden_act == "gelu"
        if known and (hasattr(self.model, "cls") or hasattr(self.model, "lm_head")) and not self.model.training:
            labels = torch.full_like(ids, IGNORED).scatter(1, place[:, None], 0)
            return scored_logits(self.model, {"input_ids": ids, "labels": labels}).word_logits
        logits = word_logits(self.model(input_ids=ids))
        return logits[torch.arange(len(place), device=place.device), place]

    def _batches(self, sentences: Sequence[tuple[str, ...]]) -> Iterator[tuple[list[int], Tensor]]:
        """Rows of equally long sentences and their ids with [CLS] and [SEP], (rows, tokens + 2)."""
        device = next(self.model.parameters()).device
        first, last = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        for rows in _rows_of_one_length(sentences):
            ids = [[first, *self._ids(sentences[row]), last] for row in rows]
            yield rows, torch.tensor(ids, device=device)

    def _ids(self, tokens: Sequence[str]) -> list[int]:
        own = [self.tokenizer.mask_token if token == HIDDEN else token for token in tokens]
        return self.tokenizer.convert_tokens_to_ids(own)


class OracleReader:
    """Reads with the exact probabilities of the artificial language.

    hidden: exact for uncorrupted sentences, `World.masked_distribution`. shown: with nothing hidden a word that is
    read is certain, so there the sentence is taken for BERT's corrupted input in which a token may have been kept or
    put in at random: log P(the word shown was written | the sentence, this place was selected).
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.vocabulary = list(world.vocabulary)

    def tokens(self, text: str) -> tuple[str, ...]:
        tokens = tuple(HIDDEN if word == "[mask]" else word for word in text.lower().split())
        for word in tokens:
            self._id(word)
        return tokens

    def hidden(self, questions: Sequence[Question]) -> list[np.ndarray]:
        log_p = self.distributions(questions)
        words = [[self._id(word) for word in question.words] for question in questions]
        return [row[own] for row, own in zip(log_p, words, strict=True)]

    def distributions(self, questions: Sequence[Question]) -> np.ndarray:
        shown = [[self._id(t) if i != q.position else MASK for i, t in enumerate(q.tokens)] for q in questions]
        asked = [[i == question.position for i in range(len(question.tokens))] for question in questions]
        answers = np.empty((len(questions), len(self.vocabulary)))
        for rows, joint, _ in self._solve(shown, asked, Channel()):
            total = joint.sum(1, keepdims=True)
            if not (total > 0).all():
                wrong = questions[rows[int(np.argmin(total[:, 0]))]]
                raise ValueError(f"No text of {self.world!r} reads {' '.join(wrong.tokens)!r} with a word hidden.")
            with np.errstate(divide="ignore"):
                answers[rows] = np.log(joint / total)
        return answers

    def shown(self, sentences: Sequence[tuple[str, ...]]) -> list[np.ndarray]:
        scheme = Corruption()
        ids = [[self._id(token) for token in tokens] for tokens in sentences]
        asked = [[True] * len(tokens) for tokens in sentences]
        answers: list[np.ndarray] = [np.empty(0)] * len(sentences)
        for rows, joint, shown in self._solve(ids, asked, Channel.of(scheme, len(self.vocabulary))):
            own = np.full_like(joint, scheme.random / len(self.vocabulary))
            own[np.arange(len(own)), shown.ravel()] += scheme.keep
            joint = joint * own
            log_p = np.log(joint[np.arange(len(own)), shown.ravel()] / joint.sum(1)).reshape(shown.shape)
            for row, each in zip(rows, log_p, strict=True):
                answers[row] = each
        return answers

    def attention(self, sentences: Sequence[tuple[str, ...]]) -> list[np.ndarray]:
        raise ValueError("The oracle has no attention: AULA is for models only.")

    def _solve(self, shown: list[list[int]], asked: list[list[bool]], channel: Channel) -> Iterator[tuple]:
        """(rows, P(shown elsewhere, word) per asked place, the words shown) for batches of one length each."""
        for rows in _rows_of_one_length(shown):
            words, query = np.array([shown[row] for row in rows]), np.array([asked[row] for row in rows])
            solution = exams.solve(self.world.oracle, words, None, query, None, channel, next_share=0.5)
            yield rows, solution.words[0], words

    def _id(self, word: str) -> int:
        if word == HIDDEN:
            return MASK
        if word not in self.world.word_ids:
            raise ValueError(f"{word!r} is not a word of {self.world!r}; world.vocabulary lists its words.")
        return self.world.word_ids[word]


def _rows_of_one_length(sentences: Sequence[Sequence[Any]]) -> Iterator[list[int]]:
    """Rows of equally long sentences, at most ROWS_AT_A_TIME together, the shortest first."""
    by_length: dict[int, list[int]] = {}
    for row, tokens in enumerate(sentences):
        by_length.setdefault(len(tokens), []).append(row)
    for _, members in sorted(by_length.items()):
        for start in range(0, len(members), ROWS_AT_A_TIME):
            yield members[start : start + ROWS_AT_A_TIME]
