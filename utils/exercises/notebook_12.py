"""Checks of notebook 12: attention by hand, a test for removing heads, rollout, and the evidence of a word."""

from __future__ import annotations

import copy
import functools
import math
import re
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import BertConfig, BertModel

from utils.exercises import Refused, as_array, call, exercise, expect_array, expect_detector, expect_items, refuse

# ------------------------------------------------------------------------------------------------ 12.1


@exercise("12.1")
def attend(answer):
    """Scaled dot-product attention of one head with a mask over the keys."""
    random = torch.Generator().manual_seed(4)
    for length, size, shut in ((5, 8, ()), (6, 4, (4, 5))):
        q, k, v = (torch.randn(2, length, size, generator=random) for _ in range(3))
        open_ = torch.ones(2, length, dtype=torch.long)
        open_[1, list(shut)] = 0
        expected = _attend_by_loops(q, k, v, open_)
        got = _named_shape_error(answer, q, k, v, open_)
        got = as_array(got[0] if isinstance(got, tuple) else got, "the output").copy()
        if got.shape == expected.shape:  # what padding itself reads is free, as long as it is a number
            padding = (open_ == 0).numpy()
            got[padding] = np.where(np.isnan(got[padding]), np.nan, expected[padding])
        expect_array(got, expected, tolerance=1e-5, name="the output", mistakes=_attention_mistakes(q, k, v, open_))
    return "equal to a sum over every token within 1e-5, with padding and without."


def _named_shape_error(answer: Callable, q: Tensor, k: Tensor, v: Tensor, open_: Tensor) -> Any:
    """Call the answer; a mask that lacks an axis stops its code, and torch's sentence does not say which."""
    try:
        return call(answer, q, k, v, open_)
    except Refused as refusal:
        if re.search(r"size of tensor .* must match .* at non-singleton dimension 1", str(refusal)):
            refuse("the shapes do not fit: scores are (batch, reading, read) and `open` is (batch, read); give it an "
                   "axis for the tokens that read, `open[:, None, :]`.")
        raise


def _attend_by_loops(q: Tensor, k: Tensor, v: Tensor, open_: Tensor) -> np.ndarray:
    """Each output written out as a sum over tokens."""
    out = np.zeros(v.shape)
    for b in range(len(q)):
        for i in range(q.shape[1]):
            pull = [math.exp(float(q[b, i] @ k[b, j]) / math.sqrt(q.shape[2])) * float(open_[b, j])
                    for j in range(q.shape[1])]
            for j, strength in enumerate(pull):
                out[b, i] += strength / sum(pull) * v[b, j].numpy()
    return out


def _attention_mistakes(q: Tensor, k: Tensor, v: Tensor, open_: Tensor) -> list:
    d, shut = q.shape[-1], open_[:, None, :] == 0
    raw = q @ k.mT

    def output(scores: Tensor, dim: int = -1) -> Tensor:
        return scores.masked_fill(shut, -1e9).softmax(dim) @ v

    padding = (open_ == 0).numpy()

    def at_words(wrong: Tensor) -> Callable[[Any], bool]:
        """Recognises `wrong` at the words of a batch that has padding."""
        return lambda value: bool(padding.any()) and np.allclose(value[~padding], wrong.numpy()[~padding], atol=1e-5)

    scaled = raw / math.sqrt(d)
    late = scaled.softmax(-1)
    return [
        ("no scale", output(raw), "the scores are not scaled; divide them by the square root of the head size."),
        ("scale d", output(raw / d), "you divide by the head size itself; divide by its square root."),
        ("times", output(raw * math.sqrt(d)), "you multiply by the square root of the head size; divide by it."),
        ("scale sequence", output(raw / math.sqrt(q.shape[1])), "you divide by the root of the number of tokens; the "
         "head size is the last dimension."),
        ("batch", output(scaled, 0), "your softmax runs over the texts of the batch; it belongs to the last "
         "dimension."),
        ("columns", output(scaled, 1), "your softmax runs over the tokens that read; each row, over the tokens being "
         "read (the last dimension), must sum to 1."),
        ("readers", lambda value: bool(np.isnan(value[padding]).any() and not np.isnan(value[~padding]).any()),
         "the rows of padding are nan, because you close whole rows too; close the tokens being read (columns), never "
         "every score of a row."),
        ("late mask", at_words((late * ~shut) @ v),
         "you mask after the softmax, so the rows no longer sum to 1; set the scores of padding to -inf before it."),
        ("no mask", at_words(late @ v),
         "padding is read like any other token; close its columns of the scores (the last dimension), using `open`."),
        ("inverted", lambda value: bool(np.isnan(value).any()), "some rows are nan: either every score in them is -inf "
         "(close the tokens where `open` is 0, not those where it is 1), or you multiplied by infinity, and 0 times "
         "infinity is nan (use `masked_fill`)."),
        ("zero scores", at_words(scaled.masked_fill(shut, 0.0).softmax(-1) @ v),
         "a score of 0 is not a weight of 0, as exp(0) = 1; the score of padding must be -inf."),
        ("zero vectors", at_words(scaled.masked_fill(shut, 0.0).softmax(-1) @ (v * open_[..., None])),
         "you set the vectors of padding to zero, but its score is then 0 and takes a share of the softmax; set the "
         "score to -inf instead."),
        ("keys as values", scaled.masked_fill(shut, -1e9).softmax(-1) @ k, "you average keys; values are what is "
         "passed on."),
        ("weights only", scaled.masked_fill(shut, -1e9).softmax(-1), "these are the weights; the output is the "
         "weighted mean of the values."),
    ]


# ------------------------------------------------------------------------------------------------ 12.2


@exercise("12.2")
def is_sound_removal(answer):
    """A test that tells whether a context manager really removes the heads it is asked to."""

    def verdict(remove: Callable) -> bool:
        model, batch = _tiny_model()
        return call(answer, remove, model, batch)

    expect_detector(
        verdict,
        correct=[
            ("a hook that silences the heads before output.dense; does your own second way do that?", _by_hook),
            ("columns of output.dense set to zero", _by_weights),
        ],
        faulty=[
            ("ignored", _ignored, "your test passes a removal that does nothing, as `head_mask=` does; ask that the "
             "output changes."),
            ("whole layer", _whole_layer, "your test passes a removal that takes out every head of the layer; compare "
             "with an output that you know to be right."),
            ("strided columns", _strided, "your test passes a removal that zeroes every h-th column; a head owns "
             "neighbouring columns, h * size to (h + 1) * size."),
            ("first layer", _always_first_layer, "your test passes a removal that always works on layer 0; try a head "
             "of another layer."),
            ("one of two", _only_last, "your test passes a removal that takes out only the last of several heads; "
             "try two heads at once."),
            ("left behind", _left_behind, "your test passes a removal that is still in place after the block; run the "
             "model again afterwards."),
        ],
    )
    return "your test passes two sound removals and catches six faulty ones."


@functools.cache
def _untouched() -> tuple[Any, dict[str, Tensor]]:
    config = BertConfig(vocab_size=30, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=32,
                        max_position_embeddings=16, initializer_range=0.5, attn_implementation="eager")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = BertModel(config).eval()
    return model, {"input_ids": torch.randint(1, 30, (2, 7), generator=torch.Generator().manual_seed(6))}


def _tiny_model() -> tuple[Any, dict[str, Tensor]]:
    model, batch = _untouched()
    return copy.deepcopy(model), {name: tensor.clone() for name, tensor in batch.items()}


def _dense(model: Any, layer: int) -> Any:
    return model.base_model.encoder.layer[layer].attention.output.dense


def _columns(model: Any, head: int, strided: bool = False) -> list[int]:
    heads = model.config.num_attention_heads
    size = model.config.hidden_size // heads
    return list(range(head, heads * size, heads)) if strided else list(range(head * size, (head + 1) * size))


@contextmanager
def _hooked(model: Any, gone: dict[int, list[int]]):
    def take_out(columns):
        def hook(module, inputs):
            changed = inputs[0].clone()
            changed[..., columns] = 0
            return (changed,)

        return hook

    handles = [_dense(model, layer).register_forward_pre_hook(take_out(columns)) for layer, columns in gone.items()]
    try:
        yield model
    finally:
        for handle in handles:
            handle.remove()


def _gone(model: Any, heads: Any, strided: bool = False) -> dict[int, list[int]]:
    gone: dict[int, list[int]] = {}
    for layer, head in heads:
        gone.setdefault(layer, []).extend(_columns(model, head, strided))
    return gone


def _by_hook(model, heads):
    return _hooked(model, _gone(model, heads))


@contextmanager
def _by_weights(model, heads):
    kept = {layer: _dense(model, layer).weight.detach().clone() for layer, _ in heads}
    with torch.no_grad():
        for layer, columns in _gone(model, heads).items():
            _dense(model, layer).weight[:, columns] = 0
    try:
        yield model
    finally:
        with torch.no_grad():
            for layer, weight in kept.items():
                _dense(model, layer).weight.copy_(weight)


@contextmanager
def _ignored(model, heads):
    yield model


def _whole_layer(model, heads):
    return _hooked(model, {layer: list(range(model.config.hidden_size)) for layer, _ in heads})


def _strided(model, heads):
    return _hooked(model, _gone(model, heads, strided=True))


def _always_first_layer(model, heads):
    return _hooked(model, _gone(model, [(0, head) for _, head in heads]))


def _only_last(model, heads):
    return _hooked(model, _gone(model, list(heads)[-1:]))


@contextmanager
def _left_behind(model, heads):
    with torch.no_grad():
        for layer, columns in _gone(model, heads).items():
            _dense(model, layer).weight[:, columns] = 0
    yield model


# ------------------------------------------------------------------------------------------------ 12.3


@exercise("12.3")
def rollout(answer):
    """Attention rollout of one text."""
    random = torch.Generator().manual_seed(7)
    for layers, heads, length in ((2, 3, 4), (3, 2, 5)):
        weight = (2 * torch.randn(layers, heads, length, length, generator=random)).softmax(-1)
        expected = _rollout_by_paths(weight.double().numpy())
        got = call(answer, weight)
        expect_array(got, expected, tolerance=1e-5, name="the rollout", mistakes=_rollout_mistakes(weight))
    return "equal to adding up every path through 2 and 3 layers, within 1e-5."


def _rollout_by_paths(weight: np.ndarray) -> np.ndarray:
    """The share of every path from the top to the bottom, added up: no matrix product."""
    layers, _, length, _ = weight.shape
    result = np.zeros((length, length))

    def walk(layer: int, start: int, here: int, share: float) -> None:
        if layer < 0:
            result[start, here] += share
            return
        for there in range(length):
            step = 0.5 * weight[layer, :, here, there].mean() + 0.5 * (here == there)
            walk(layer - 1, start, there, share * step)

    for start in range(length):
        walk(layers - 1, start, start, 1.0)
    return result


def _rollout_mistakes(weight: Tensor) -> list:
    eye = torch.eye(weight.shape[-1])
    mixed = 0.5 * weight.mean(1) + 0.5 * eye

    def product(parts: Any) -> Tensor:
        result = parts[0]
        for part in parts[1:]:
            result = part @ result
        return result

    per_head = product(0.5 * weight + 0.5 * eye)
    return [
        ("reversed", product(mixed.flip(0)), "the product runs the wrong way: the last layer is the leftmost factor, "
         "because its rows are where the reading starts."),
        ("no residual", product(weight.mean(1)), "the residual connection is missing: each token also keeps itself."),
        ("no half", product(weight.mean(1) + eye), "your rows sum to more than 1; take half of W and half of the "
         "identity (or divide each row by its sum)."),
        ("max", product(0.5 * weight.amax(1) + 0.5 * eye), "you take the strongest head; the rollout averages heads."),
        ("sum of heads", product(0.5 * weight.sum(1) + 0.5 * eye), "you add the heads up; average them."),
        ("mean(0)", product(0.5 * weight.mean(0) + 0.5 * eye), "you average over the layers, `mean(0)`; average the "
         "heads of each layer, `mean(1)`."),
        ("first twice", product(mixed) @ mixed[0], "the first layer is in your product twice."),
        ("layers added", mixed.sum(0), "you add the layers up; multiply their matrices."),
        ("layers averaged", mixed.mean(0), "you average over layers; multiply the layers' matrices."),
        ("elementwise", mixed.prod(0), "you multiply entry by entry (`*`); the paths need a matrix product (`@`)."),
        ("transposed", product(mixed).mT, "your result is transposed: row i is what token i at the top reads."),
        ("last layer", mixed[-1], "that is the last layer alone; multiply all layers."),
        ("heads late", per_head.mean(0), "you follow each head by itself and average at the end, but a token reads "
         "with all heads of a layer; average the heads of each layer first."),
        ("residual once", 0.5 * product(weight.mean(1)) + 0.5 * eye, "you add the residual connection once, at the "
         "end; it is in every layer."),
        ("a head each", per_head, "there is one matrix per head left; average the heads of each layer (`mean(1)`)."),
        ("row sums", lambda value: value.shape == eye.shape and np.abs(value.sum(-1) - 1).max() > 1e-3,
         "the rows do not sum to 1; in each layer take half of W and half of the identity, as in the formula."),
    ]


# ------------------------------------------------------------------------------------------------ 12.4


@exercise("12.4")
def evidence_of_words(answer):
    """The exact evidence of each word about the masked one."""
    for text in ("the nurse said that [MASK] was happy .", "the [MASK] looked for the saw at the market ."):
        words = text.split()
        reference = _evidence_by_hand(words)
        got = _named_errors(answer, text)
        if isinstance(got, dict):
            refuse("a dictionary keeps one of several equal words (`the` … `the`); return a list, one value per word.")
        if hasattr(got, "__len__") and len(got) == len(words) - 1:
            expect_items([len(got)], [len(words)], name="the number of values", mistakes=[
                ("short", lambda value: True, "one value per word is asked for, and 0 for [MASK] itself.")])
        expect_array(got, reference["kl"], tolerance=1e-6, name="the evidence", context=f"in {text!r}", mistakes=[
            ("reversed", reference["reversed"], "that is KL(without || with); the full text's distribution comes "
             "first, because it is the one that would be lost."),
            ("bits", reference["kl"] / math.log(2), "these are bits; the course counts in nats (natural logarithm)."),
            ("distance", reference["distance"], "that is the sum of absolute differences; take the KL divergence."),
            ("halved", reference["distance"] / 2, "that is the total variation distance; take the KL divergence."),
            ("sign", -reference["kl"], "the sign is wrong: a KL divergence is never negative."),
            ("entropy", reference["entropy"], "that is the difference of two entropies, which says whether the answer "
             "became less certain, not how far it moved."),
            ("other mask", lambda value: bool(np.isinf(value).any()), f"some values are infinite: {OTHER_MASK}"),
        ])
    return "equal to the world's own sums within 1e-6 for two texts."


OTHER_MASK = ("with two words hidden `distribution` gives a list, one for each [MASK] in order; take the one that was "
              "asked about.")


def _named_errors(answer: Callable, text: str) -> Any:
    """Call the answer; two mistakes stop its code, and their exceptions do not say what is wrong."""
    try:
        return call(answer, _world().masked_distribution, text)
    except Refused as refusal:
        if "ZeroDivisionError" in str(refusal):
            refuse(f"you divide by a probability of 0: sum over words with p above 0 only; and {OTHER_MASK}")
        if "list indices" in str(refusal):
            refuse(f"you read a list as if it were one dictionary: {OTHER_MASK}")
        if "KeyError: 0" in str(refusal):
            refuse("you hide [MASK] itself, where nothing changes and `distribution` gives one dictionary; its "
                   "evidence is 0 by definition.")
        if "is not a word of" in str(refusal):
            refuse("the world does not know the word you put in; hide a word by writing [MASK] in its place.")
        if "No text of" in str(refusal):
            refuse("no sentence of the world reads as yours does without the word; keep the sentence, and write [MASK] "
                   "in the word's place.")
        raise


@functools.cache
def _world():
    from utils.world import World

    return World("small")


def _evidence_by_hand(words: list[str]) -> dict[str, np.ndarray]:
    world = _world()
    full = world.masked_distribution(" ".join(words))
    found: dict[str, list[float]] = {"kl": [], "reversed": [], "distance": [], "entropy": []}
    for i, word in enumerate(words):
        less = full
        if word != "[MASK]":
            hidden = [*words[:i], "[MASK]", *words[i + 1 :]]
            less = world.masked_distribution(" ".join(hidden))[int(words.index("[MASK]") > i)]
        found["kl"].append(_divergence(full, less))
        found["reversed"].append(_divergence(less, full))
        found["distance"].append(sum(abs(full[w] - less[w]) for w in full))
        found["entropy"].append(_entropy(less) - _entropy(full))
    return {name: np.array(values) for name, values in found.items()}


def _divergence(p: dict[str, float], q: dict[str, float]) -> float:
    return sum(p[w] * math.log(p[w] / q[w]) if q[w] > 0 else math.inf for w in p if p[w] > 0)


def _entropy(p: dict[str, float]) -> float:
    return -sum(share * math.log(share) for share in p.values() if share > 0)
