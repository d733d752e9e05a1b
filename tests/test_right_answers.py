"""Right answers that are written differently from the folded solution pass as well."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from utils.exercises import notebook_00, notebook_01, notebook_03, notebook_04


def step_with(loss_of):
    def training_step(model, batch, optimizer):
        model.train()
        optimizer.zero_grad()
        loss = loss_of(model(**{name: tensor.to(model.device) for name, tensor in batch.items()}))
        loss.backward()
        optimizer.step()
        return loss.item()

    return training_step


def log_likelihood(words):
    counts: dict[str, int] = {}
    for pieces, times in words.items():
        for piece in pieces:
            counts[piece] = counts.get(piece, 0) + times
    c = torch.tensor(list(counts.values())).float()
    return (c * (c / c.sum()).log()).sum()  # in float32


def pieces_per_name(names, tokenizer):
    return torch.tensor([len(tokenizer.tokenize(name)) for name in names]).float().mean()


def nearer(anchor, same, other):
    pairs = zip(F.cosine_similarity(anchor, same).tolist(), F.cosine_similarity(anchor, other).tolist(), strict=True)
    return [0.5 if math.isclose(a, b, abs_tol=1e-6) else float(a > b) for a, b in pairs]  # a list


def area(positive, negative):
    difference = torch.tensor(positive).float()[:, None] - torch.tensor(negative).float()
    return ((difference > 0).float() + (difference == 0).float() / 2).mean()


RIGHT = {
    "0.1 by name": (notebook_00.training_step, step_with(lambda output: output["loss"])),
    "0.1 by place": (notebook_00.training_step, step_with(lambda output: output[0])),
    "1.1 in float32": (notebook_01.log_likelihood, log_likelihood),
    "1.2 in float32": (notebook_01.pieces_per_name, pieces_per_name),
    "1.5 as a list": (notebook_01.nearer, nearer),
    "3.3 in float32": (notebook_03.posterior, lambda a, b: torch.sigmoid(torch.tensor(a) - torch.tensor(b))),
    "3.4 in float32": (notebook_03.area_under_curve, area),
    "4.4 in float32": (notebook_04.training_flops,
                       lambda layers, width, tokens: torch.tensor(72.0) * layers * width**2 * tokens),
}


@pytest.mark.parametrize("name", RIGHT)
def test_another_right_answer_passes(name):
    check, answer = RIGHT[name]
    verdict = check(answer)
    assert verdict, verdict.message
