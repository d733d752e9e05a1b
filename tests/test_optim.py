"""Muon against torch's own, and the schedule's shape."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from utils.optim import Muon, build_optimizers, orthogonalize, schedule


@pytest.mark.parametrize("shape", [(24, 24), (16, 64)])
def test_orthogonalize_brings_singular_values_near_one_and_keeps_directions(shape):
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(matrices))
    assert values.max() < 1.3 and (values > 0.5).float().mean() > 0.9  # the very smallest take more iterations
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    aligned = left.mT @ orthogonalize(matrices) @ right.mT  # diagonal when the directions are kept
    off_diagonal = aligned - torch.diag_embed(aligned.diagonal(dim1=-2, dim2=-1))
    assert off_diagonal.abs().max() < 1e-3


def test_the_short_way_for_wide_matrices_gives_the_same_numbers():
    """The iteration as it is written in the paper, in float64, against the products that are computed."""
    wide = torch.randn(3, 16, 64, generator=torch.Generator().manual_seed(0))
    x = wide.double() / wide.double().flatten(1).norm(dim=1)[:, None, None]
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x - 4.7750 * gram @ x + 2.0315 * gram @ gram @ x
    torch.testing.assert_close(orthogonalize(wide).double(), x, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", [(24, 24), (16, 64), (64, 16)])
def test_muon_takes_torchs_steps(shape):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(shape, generator=generator)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    optimizers = [Muon([ours], lr=0.1), torch.optim.Muon([theirs], lr=0.1, weight_decay=0.0)]
    for _ in range(4):
        gradient = torch.randn(shape, generator=generator)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    moved = (theirs - start).norm()
    assert (ours - theirs).norm() < 0.03 * moved  # torch computes in bfloat16: 3 digits
    in_bfloat16 = nn.Parameter(start.clone())
    in_bfloat16.grad = ours.grad
    Muon([in_bfloat16], lr=0.1, dtype=torch.bfloat16).step()
    assert in_bfloat16.isfinite().all() and not torch.equal(in_bfloat16, start)


def test_muon_steps_matrices_of_one_shape_as_it_steps_each_alone():
    generator = torch.Generator().manual_seed(0)
    together = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in [(8, 16), (16, 8), (8, 16)]]
    alone = [nn.Parameter(parameter.detach().clone()) for parameter in together]
    for one, other in zip(together, alone, strict=True):
        one.grad = torch.randn(one.shape, generator=generator)
        other.grad = one.grad.clone()
        Muon([other], lr=0.1).step()
    Muon(together, lr=0.1).step()
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other)


def test_muon_refuses_vectors():
    with pytest.raises(ValueError, match="matrices only"):
        Muon([nn.Parameter(torch.zeros(3))], lr=0.1)


def test_every_parameter_has_one_optimizer():
    from tests.toy import toy_documents, toy_words
    from utils import corpus
    from utils.recipe import Recipe, Text, build_model

    tokenizer = corpus.build_tokenizer(toy_words())
    text = Text(tokenizer, corpus.encode(toy_documents(20), tokenizer))
    for objective, matrices in {"bert": 12, "roberta": 12, "gpt2": 8}.items():
        model = build_model(Recipe(objective=objective, width=32, heads=2), text)
        adamw, muon = build_optimizers(model, 0.01, 0.001, torch.float32)
        held = [id(p) for optimizer in (adamw, muon) for group in optimizer.param_groups for p in group["params"]]
        assert sorted(held) == sorted(id(parameter) for parameter in model.parameters())
        assert len(muon.param_groups[0]["params"]) == matrices
        assert len(build_optimizers(model, 0.0, 0.001, torch.float32)) == 1


def test_schedule_rises_and_falls_in_lines():
    factors = [schedule(step, 100, 0.1) for step in range(100)]
    assert factors[0] == pytest.approx(0.1) and factors[9] == pytest.approx(1.0) and max(factors) <= 1
    assert factors[10] == pytest.approx(1.0) and factors[55] == pytest.approx(0.5)
    assert 0 < factors[99] == pytest.approx(1 / 90)
    assert schedule(0, 1, 0.0) == 1.0
