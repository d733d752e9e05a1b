"""Optimisers and the learning-rate schedule of pretraining.

Two kinds of parameters, two rules. The matrices inside the encoder take Muon's step: the averaged gradient is
replaced by the nearest matrix whose singular values are all 1, so that rare directions (the link between a
baker and an oven) move as far as common ones. Everything else, embeddings, biases, norms and output heads,
takes AdamW's step, which scales each number by its own recent size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # a polynomial that pushes singular values towards 1 (Jordan 2024)
NEWTON_SCHULZ_STEPS = 5


def orthogonalize(matrices: Tensor, steps: int = NEWTON_SCHULZ_STEPS) -> Tensor:
    """Push all singular values of each matrix towards 1 (into about 0.7 to 1.2), keeping its directions.

    matrices: (count, rows, columns) with rows <= columns. Newton-Schulz iteration: X <- PX with
    P = a + bG + cGG and G = XX^T. Source: Jordan et al. 2024, Muon (kellerjordan.github.io/posts/muon).
    In float32, wide matrices are spared: G and the product of the P are updated instead of X (G <- PGP, as all
    of them are polynomials of the first G), the same numbers from smaller products. In bfloat16 rounding errors
    grow along that way and training diverges, so X itself is updated.
    """
    a, b, c = NEWTON_SCHULZ
    rows, columns = matrices.shape[-2:]
    x = matrices / (matrices.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    if 2 * rows > columns or x.dtype != torch.float32:
        for _ in range(steps):
            gram = x @ x.mT
            x = a * x + torch.baddbmm(gram, gram, gram, beta=b, alpha=c) @ x
        return x
    gram, factor, product = x @ x.mT, None, None
    for _ in range(steps):
        if factor is not None:
            gram = factor @ gram @ factor
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=-2, dim2=-1).add_(a)
        product = factor if product is None else factor @ product
    return product @ x


class Muon(torch.optim.Optimizer):
    """Momentum, then :func:`orthogonalize`, for matrices; the rule of torch.optim.Muon without weight decay.

    torch's version treats one matrix at a time and always in bfloat16, which is slow on processors without it.
    This one stacks matrices of one shape and computes in ``dtype``.
    """

    def __init__(self, parameters: list[nn.Parameter], lr: float, momentum: float = 0.95,
                 dtype: torch.dtype = torch.float32) -> None:
        if any(parameter.ndim != 2 for parameter in parameters):
            raise ValueError("Muon is for matrices only; give vectors and scalars to AdamW.")
        super().__init__(parameters, {"lr": lr, "momentum": momentum})
        self.dtype = dtype

    @torch.no_grad()
    def step(self) -> None:
        """Change every matrix that has a gradient; matrices of one shape go together."""
        for group in self.param_groups:
            by_shape: dict[tuple[int, int], list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape.setdefault(tuple(sorted(parameter.shape)), []).append(parameter)
            for parameters in by_shape.values():
                self._step_of_one_shape(parameters, group["lr"], group["momentum"])

    def _step_of_one_shape(self, parameters: list[nn.Parameter], lr: float, momentum: float) -> None:
        directions = []
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
            average = state["momentum_buffer"]
            average.lerp_(parameter.grad, 1 - momentum)
            direction = parameter.grad.lerp(average, momentum)  # Nesterov: look ahead along the average
            directions.append(direction if direction.shape[0] <= direction.shape[1] else direction.mT)
        updates = orthogonalize(torch.stack(directions).to(self.dtype)).float()
        for parameter, update in zip(parameters, updates, strict=True):
            rows, columns = parameter.shape
            scale = max(1.0, rows / columns) ** 0.5  # so that outputs, not inputs, move by lr
            parameter.add_(update if rows <= columns else update.mT, alpha=-lr * scale)


def build_optimizers(model: nn.Module, muon_lr: float, adamw_lr: float, dtype: torch.dtype,
                     betas: tuple[float, float] = (0.9, 0.98)) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the encoder's layers (none if ``muon_lr`` is 0), AdamW for the rest."""
    inside, rest = [], []
    for name, parameter in model.named_parameters():
        is_inside = parameter.ndim == 2 and (".layer." in name or ".h." in name)  # BERT and RoBERTa; GPT-2
        (inside if is_inside and muon_lr else rest).append(parameter)
    adamw = torch.optim.AdamW(rest, lr=adamw_lr, betas=betas, weight_decay=0.0, fused=True)
    optimizers = [adamw, *([Muon(inside, lr=muon_lr, dtype=dtype)] if inside else [])]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


def schedule(step: int, steps: int, warmup: float) -> float:
    """The factor of the learning rate at ``step`` (from 0): up in a line over the share ``warmup`` of all
    steps, then down in a line, reaching 0 just after the last step."""
    rising = (step + 1) / max(1.0, warmup * steps)
    falling = (steps - step) / max(1.0, steps - warmup * steps)
    return min(1.0, rising, falling)


def set_learning_rate(optimizers: list[torch.optim.Optimizer], factor: float) -> None:
    """Set every learning rate to `factor` times its peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor
