"""The losses of pretraining, written to be read: each is a cross-entropy in nats per scored position.

All three look up the log-probability of the truth and average its negative over the scored positions *only*.
Dividing by the number of all positions instead, or averaging before the mask is applied, is the classic
silent mistake: the loss still falls, and means nothing.

When nothing is scored (every label is -100) the losses return 0, still connected to the logits, so that a
small batch in which chance selected no token teaches nothing and breaks nothing. torch and transformers
return nan there. Everywhere else the values equal theirs to 1e-6 (tests/test_objectives.py).
"""

from __future__ import annotations

from torch import Tensor

IGNORED = -100  # the label of a position that is not scored, as in torch and transformers


def mlm_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Masked-language-model loss: mean over scored positions of -log p(true token | corrupted text).

    logits: (..., vocabulary); labels: (...), -100 where nothing is scored. Returns a scalar, nats per token.
    Source: Devlin et al. 2019 (arXiv 1810.04805), section 3.1, task 1.
    """
    scored = labels != IGNORED
    log_probabilities = logits.log_softmax(dim=-1)  # (..., vocabulary)
    of_truth = log_probabilities.gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)  # (...)
    return -of_truth.where(scored, 0).sum() / scored.sum().clamp(min=1)


def nsp_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Next-sentence loss: mean of -log p(label | pair). A coin that knows nothing pays log 2 = 0.693 nats.

    logits: (batch, 2), column 0 for IsNext and 1 for NotNext; labels: (batch,). A scalar, nats per pair.
    Source: Devlin et al. 2019, section 3.1, task 2.
    """
    scored = labels != IGNORED
    log_probabilities = logits.log_softmax(dim=-1)  # (batch, 2)
    of_truth = log_probabilities.gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)  # (batch,)
    return -of_truth.where(scored, 0).sum() / scored.sum().clamp(min=1)


sop_loss = nsp_loss  # sentence-order prediction: 0 in order, 1 swapped (Lan et al. 2020, arXiv 1909.11942)


def causal_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Causal (left-to-right) loss: mean of -log p(token | tokens before it).

    logits: (batch, sequence, vocabulary); labels: (batch, sequence), usually input_ids, -100 at padding. The
    logits at position t speak of the token at t + 1, so the first token is never scored. Nats per token.
    Source: Radford et al. 2019, Language Models are Unsupervised Multitask Learners, section 2.
    """
    return mlm_loss(logits[:, :-1], labels[:, 1:])  # each position is held against its successor
