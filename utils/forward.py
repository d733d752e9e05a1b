"""The forward pass of a BERT or RoBERTa, computing only what the losses read, and the losses.

The parameters are those of transformers' model; the numbers are its numbers to 1e-5 (tests/test_forward.py).
What differs is the work:

* query, key and value come from one matrix product instead of three;
* batches of equal lengths need no attention mask;
* after the last layer's attention only the scored words and [CLS] go on. Nothing reads the other positions
  any more, so the rest of the layer, three quarters of its work, is never computed for them;
* the vocabulary's logits are computed at the scored words only.

There is no dropout: train models whose config sets it to 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from utils.corpus import IGNORED
from utils.objectives import causal_loss, mlm_loss, nsp_loss

# Chance decides how many words a batch scores, and for every new size of a product oneDNN first builds a kernel,
# which takes longer than the product. So there are few sizes: the scored words are filled up to a multiple of this.
ROWS = 64


class Scored(NamedTuple):
    """Logits where a loss reads them, with the labels they are held against."""

    word_logits: Tensor  # (scored, vocabulary)
    word_labels: Tensor  # (scored,)
    pair_logits: Tensor | None  # (batch, 2), for models with a next-sentence head


def scored_logits(model: Any, batch: dict[str, Tensor]) -> Scored:
    """Logits of BertForPreTraining, BertForMaskedLM or RobertaForMaskedLM at the words with a label.

    batch: input_ids, labels (batch, sequence), and token_type_ids and attention_mask where they matter.
    """
    batch_size, length = batch["input_ids"].shape
    labels = batch["labels"].reshape(-1)
    scored = (labels != IGNORED).nonzero().squeeze(-1)
    first = torch.arange(0, batch_size * length, length, device=labels.device)  # the rows of [CLS]
    encoder = model.base_model
    hidden = embed(encoder.embeddings, batch, model.config).view(batch_size * length, -1)
    mask = None
    if "attention_mask" in batch:
        mask = torch.zeros(batch_size, 1, 1, length, device=hidden.device, dtype=hidden.dtype)
        mask = mask.masked_fill(batch["attention_mask"][:, None, None, :] == 0, float("-inf"))
    *layers, last = encoder.encoder.layer
    for layer in layers:
        hidden = layer_output(layer, hidden, attend(layer.attention.self, hidden, batch_size, mask))
    rows = torch.cat([first, F.pad(scored, (0, -len(scored) % ROWS))])
    context = attend(last.attention.self, hidden, batch_size, mask)
    hidden = layer_output(last, hidden.index_select(0, rows), context.index_select(0, rows))
    first_hidden, word_hidden = hidden[:batch_size], hidden[batch_size:]
    if not hasattr(model, "cls"):
        return Scored(model.lm_head(word_hidden)[: len(scored)], labels[scored], None)  # RoBERTa
    pairs = None
    if hasattr(model.cls, "seq_relationship"):
        pairs = model.cls.seq_relationship(torch.tanh(encoder.pooler.dense(first_hidden)))
    return Scored(model.cls.predictions(word_hidden)[: len(scored)], labels[scored], pairs)


def word_logits(output: Any) -> Tensor:
    """The word logits of a model's output, (batch, sequence, vocabulary), with or without a next-sentence head."""
    return output["prediction_logits"] if "prediction_logits" in output else output["logits"]


def embed(embeddings: nn.Module, batch: dict[str, Tensor], config: Any) -> Tensor:
    """Sum of word, position and segment embeddings, normalised: (batch, sequence, hidden)."""
    length = batch["input_ids"].shape[1]
    start = config.pad_token_id + 1 if config.model_type == "roberta" else 0  # RoBERTa keeps a row for padding
    hidden = F.embedding(batch["input_ids"], embeddings.word_embeddings.weight)
    hidden = hidden + embeddings.position_embeddings.weight[start : start + length]
    segments = embeddings.token_type_embeddings.weight
    kinds = batch.get("token_type_ids") if len(segments) > 1 else None
    hidden = hidden + (segments[0] if kinds is None else F.embedding(kinds, segments))
    return embeddings.LayerNorm(hidden)


def attend(attention: nn.Module, hidden: Tensor, batch_size: int, mask: Tensor | None) -> Tensor:
    """Self-attention without its output layer: (batch * sequence, hidden) to the same shape."""
    weight = torch.cat([attention.query.weight, attention.key.weight, attention.value.weight])
    bias = torch.cat([attention.query.bias, attention.key.bias, attention.value.bias])
    rows, width = hidden.shape
    heads = attention.num_attention_heads
    mixed = F.linear(hidden, weight, bias).view(batch_size, rows // batch_size, 3, heads, width // heads)
    query, key, value = mixed.permute(2, 0, 3, 1, 4).contiguous().unbind(0)  # (batch, heads, sequence, head size)
    scores = (query * (width // heads) ** -0.5) @ key.transpose(-1, -2)
    if mask is not None:
        scores = scores + mask
    context = scores.softmax(dim=-1) @ value
    return context.transpose(1, 2).reshape(rows, width)


def layer_output(layer: nn.Module, hidden: Tensor, context: Tensor) -> Tensor:
    """The rest of a layer: attention's output layer, then the feed-forward part. (rows, hidden) to the same."""
    attended = layer.attention.output
    hidden = attended.LayerNorm(attended.dense(context) + hidden)
    feed_forward = F.gelu(layer.intermediate.dense(hidden))
    return layer.output.LayerNorm(layer.output.dense(feed_forward) + hidden)


def losses(model: Any, batch: dict[str, Tensor], objective: str) -> dict[str, Tensor]:
    """The losses that are added up and minimised, each a scalar in nats."""
    if objective == "gpt2":
        logits = model(batch["input_ids"], attention_mask=batch.get("attention_mask")).logits
        separators, words = separate(batch["labels"], model.config.eos_token_id)
        return {"causal_loss": causal_loss(logits, words), "separator_loss": causal_loss(logits, separators)}
    words, labels, pairs = scored_logits(model, batch)
    if objective == "roberta":
        return {"mlm_loss": mlm_loss(words, labels)}
    return {"mlm_loss": mlm_loss(words, labels), "nsp_loss": nsp_loss(pairs, batch["next_sentence_label"])}


def separate(labels: Tensor, separator_id: int) -> tuple[Tensor, Tensor]:
    """Labels of the separators and labels of the words. A floor counts words, so they have a loss of their own."""
    is_separator = labels == separator_id
    return labels.where(is_separator, IGNORED), labels.where(~is_separator, IGNORED)
