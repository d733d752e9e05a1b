"""Attention weights of a BERT: read them, follow them through the layers, and take heads away.

    weight = attention.weights(model, batch)               # (layers, batch, heads, sequence, sequence)
    attention.rollout(weight)                              # (batch, sequence, sequence)
    with attention.remove_heads(model, [(0, 2)]):          # layer 0, head 2 contributes nothing in here
        model(**batch)

Heads are taken away by hooks, because transformers 5 accepts `head_mask=` and then ignores it. A hook sits before
`attention.output.dense`, whose input holds the heads' outputs side by side: head h owns the columns
h * head_size to (h + 1) * head_size. Nothing here explains a prediction; whether such numbers do is measured with
`utils.evidence`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow
from torch import Tensor, nn

from utils.forward import word_logits

Head = tuple[int, int]  # (layer, head), both from 0
CAPACITY = 1_000_000  # maximum_flow counts in whole numbers


def layers_of(model: nn.Module) -> nn.ModuleList:
    """The layers of the encoder inside `model`. Raises ValueError for a model that is not built like BERT."""
    encoder = getattr(model.base_model, "encoder", None)
    if encoder is None or not hasattr(encoder, "layer"):
        raise ValueError(f"{type(model).__name__} has no encoder.layer; these functions read BERT and RoBERTa.")
    return encoder.layer


@torch.no_grad()
def weights(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Attention weights (layers, batch, heads, sequence, sequence); entry [l, b, h, i, j] is how much i reads j.

    Each row sums to 1. In a padded batch the columns of padding are 0 in every row; the rows of padding mean nothing.
    Raises ValueError where the model runs with an attention that does not keep its weights (sdpa).
    """
    found = model(**batch, output_attentions=True).attentions
    if not found or found[0] is None:
        raise ValueError(
            f"the model runs with {model.config._attn_implementation!r} attention, which does not keep its weights; "
            "load it with attn_implementation='eager', or call model.set_attn_implementation('eager')."
        )
    return torch.stack(found)


def rollout(weight: Tensor, residual: float = 0.5) -> Tensor:
    """Attention rollout (Abnar and Zuidema 2020, section 3): (batch, sequence, sequence), rows sum to 1.

    weight: (layers, batch, heads, sequence, sequence). Heads are averaged, mixed with the residual connection,
    A = (1 - residual) W + residual I, and multiplied through the layers, the first layer on the right.
    """
    mixed = _mixed(weight, residual)
    product = mixed[0]
    for layer in mixed[1:]:
        product = layer @ product
    return product


def flow(weight: Tensor, residual: float = 0.5, rows: Iterable[int] | None = None) -> Tensor:
    """Attention flow of one text (Abnar and Zuidema 2020, section 3): (sequence, sequence), rows in [0, 1].

    weight: (layers, heads, sequence, sequence). The mixed weights are the widths of pipes from the last layer's
    positions down to the input; entry [i, j] is the largest stream that can run from i at the top to j at the
    bottom. rows: compute only these i (the others stay 0); each entry is a maximum-flow problem, so keep to short
    texts. Each pair is a problem of its own and finds all pipes free, so a row sums to 1 or more: rollout's shares are
    one stream that fits the pipes, and no entry is smaller than rollout's.
    """
    mixed = _mixed(weight[:, None], residual)[:, 0].double().numpy()
    count, length, _ = mixed.shape
    pipes = np.zeros(((count + 1) * length,) * 2, dtype=np.int32)
    for layer, block in enumerate(mixed):
        top, bottom = (layer + 1) * length, layer * length
        pipes[top : top + length, bottom : bottom + length] = np.rint(block * CAPACITY)
    graph, result = csr_array(pipes), torch.zeros(length, length)
    for i in range(length) if rows is None else rows:
        for j in range(length):
            result[i, j] = maximum_flow(graph, count * length + i, j).flow_value / CAPACITY
    return result


def _mixed(weight: Tensor, residual: float) -> Tensor:
    """Head means mixed with the identity: (layers, batch, sequence, sequence)."""
    if weight.ndim != 5 or weight.shape[-1] != weight.shape[-2]:
        shape = tuple(weight.shape)
        raise ValueError(f"weights have the shape (layers, batch, heads, sequence, sequence), not {shape}.")
    if not 0 <= residual < 1:
        raise ValueError(f"the share of the residual connection lies in [0, 1); it is {residual}.")
    return (1 - residual) * weight.mean(2) + residual * torch.eye(weight.shape[-1])


# ------------------------------------------------------------------------------------- what a head hands on


@torch.no_grad()
def head_outputs(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """What each head hands on, the weighted mean of its values: (layers, batch, sequence, heads, head size)."""
    layers, found = layers_of(model), {}

    def keep(layer: int) -> Callable:
        def hook(module: nn.Module, inputs: tuple[Tensor]) -> None:
            found[layer] = inputs[0].detach().unflatten(-1, (model.config.num_attention_heads, -1))

        return hook

    with _hooks(layer.attention.output.dense.register_forward_pre_hook(keep(i)) for i, layer in enumerate(layers)):
        model(**batch)
    return torch.stack([found[i] for i in range(len(layers))])


def mean_outputs(model: nn.Module, batches: Iterable[dict[str, Tensor]]) -> Tensor:
    """The mean of `head_outputs` over every position that is not padding: (layers, heads, head size)."""
    total, count = 0.0, 0
    for batch in batches:
        real = batch.get("attention_mask", torch.ones_like(batch["input_ids"])).bool()
        total = total + head_outputs(model, batch)[:, real].sum(1)
        count += int(real.sum())
    if not count:
        raise ValueError("a mean needs at least one batch with a token in it.")
    return total / count


@torch.no_grad()
def passed_on(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """How much j adds to i: the length of the vector, heads summed. (layers, batch, sequence, sequence).

    Entry [l, b, i, j] is || sum over heads h of weight[h, i, j] * W_O value[h, j] || (Kobayashi et al. 2020):
    a large weight on a token whose value is short passes on little.
    """
    layers, states = layers_of(model), {}

    def keep(layer: int) -> Callable:
        def hook(module: nn.Module, inputs: tuple) -> None:
            states[layer] = inputs[0]

        return hook

    with _hooks(layer.attention.self.register_forward_pre_hook(keep(i)) for i, layer in enumerate(layers)):
        weight = weights(model, batch)
    lengths = []
    for i, layer in enumerate(layers):
        inner, heads = layer.attention.self, model.config.num_attention_heads
        value = inner.value(states[i]).unflatten(-1, (heads, -1))  # (batch, sequence, heads, head size)
        columns = layer.attention.output.dense.weight.unflatten(-1, (heads, -1))  # (width, heads, head size)
        vectors = torch.einsum("bjhd,ohd->bhjo", value, columns)
        lengths.append(torch.einsum("bhij,bhjo->bijo", weight[i], vectors).norm(dim=-1))
    return torch.stack(lengths)


@contextmanager
def remove_heads(model: nn.Module, heads: Iterable[Head], instead: Tensor | None = None) -> Iterator[nn.Module]:
    """Within the block, the `heads` hand on nothing (zero-ablation), or their constant row of `instead`.

    instead: (layers, heads, head size), for instance `mean_outputs(...)` (mean-ablation). The weights are not
    touched, and the hooks are gone after the block even when it raises.
    Raises ValueError for a head that the model does not have.
    """
    layers, per_layer = layers_of(model), model.config.num_attention_heads
    gone: dict[int, list[int]] = {}
    for layer, head in heads:
        if not (0 <= layer < len(layers) and 0 <= head < per_layer):
            raise ValueError(f"there is no head ({layer}, {head}): {len(layers)} layers of {per_layer} heads, from 0.")
        gone.setdefault(layer, []).append(head)

    def take_out(layer: int) -> Callable:
        def hook(module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
            outputs = inputs[0].unflatten(-1, (per_layer, -1)).clone()
            outputs[..., gone[layer], :] = 0.0 if instead is None else instead[layer, gone[layer]].to(outputs)
            return (outputs.flatten(-2),)

        return hook

    with _hooks(layers[i].attention.output.dense.register_forward_pre_hook(take_out(i)) for i in gone):
        yield model


@torch.no_grad()
def head_effects(model: nn.Module, batch: dict[str, Tensor], place: Tensor) -> Tensor:
    """What each head is worth to the answer at `place`: KL(q || q without the head) in nats, (batch, layers, heads).

    place: (batch,), the column of each text's [MASK]; the model needs a masked-word head.
    """
    rows = torch.arange(len(place))

    def answer() -> Tensor:
        return word_logits(model(**batch))[rows, place].double().log_softmax(-1)

    log_q, shape = answer(), (len(layers_of(model)), model.config.num_attention_heads)
    effects = torch.zeros(len(place), *shape)
    for layer in range(shape[0]):
        for head in range(shape[1]):
            with remove_heads(model, [(layer, head)]):
                effects[:, layer, head] = (log_q.exp() * (log_q - answer())).sum(-1)
    return effects


@contextmanager
def edit_weights(model: nn.Module, edit: Callable[[int, Tensor], Tensor]) -> Iterator[nn.Module]:
    """Within the block, every layer reads with `edit(layer, weight)` in place of its own attention weights.

    weight, and what edit returns: (batch, heads, sequence, sequence). Values are recomputed from the layer's input,
    so an edit in one layer changes what the next layers see. Needs eager attention.
    """

    def reread(layer: int) -> Callable:
        def hook(module: nn.Module, inputs: tuple, output: tuple[Tensor, Tensor | None]) -> tuple[Tensor, Tensor]:
            if output[1] is None:
                raise ValueError("edit_weights needs eager attention: model.set_attn_implementation('eager').")
            value = module.value(inputs[0]).unflatten(-1, (module.num_attention_heads, -1)).transpose(1, 2)
            weight = edit(layer, output[1])
            return (weight @ value).transpose(1, 2).flatten(-2), weight

        return hook

    layers = layers_of(model)
    with _hooks(layer.attention.self.register_forward_hook(reread(i)) for i, layer in enumerate(layers)):
        yield model


def uniform(layer: int, weight: Tensor) -> Tensor:
    """An edit: every token that may be read is read alike. Padding, whose weight is 0, stays unread."""
    open_ = (weight > 0).any(-2, keepdim=True).expand_as(weight).to(weight)
    return open_ / open_.sum(-1, keepdim=True)


def permuted(generator: torch.Generator) -> Callable[[int, Tensor], Tensor]:
    """An edit: each row deals its weights anew to the same tokens. Padding must stand on the right and stays unread."""

    def edit(layer: int, weight: Tensor) -> Tensor:
        closed = ~(weight > 0).any(-2, keepdim=True)
        order = torch.rand(weight.shape, generator=generator).masked_fill(closed, 2.0).argsort(-1)
        return weight.gather(-1, order)

    return edit


@contextmanager
def _hooks(handles: Iterable) -> Iterator[None]:
    kept = list(handles)
    try:
        yield
    finally:
        for handle in kept:
            handle.remove()
