"""One training on several processes: each takes its part of the batch, and the gradients are added up.

Every process builds the whole batch (that is cheap) and keeps its own rows, so it knows without asking how
many scored words there are in all. The sum of the parts' gradients, each weighted by its share of the scored
words, is then the gradient of the whole batch, as if one process had computed it.
"""

from __future__ import annotations

import atexit
import os
from functools import cache

import torch
from torch import Tensor, distributed


class Group:
    """The processes that train together; by default one alone. rank: this one's number; size: how many."""

    def __init__(self, rank: int = 0, size: int = 1, device: torch.device | None = None) -> None:
        self.rank, self.size = rank, size
        self.device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def part_of(self, batch: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """This process's rows of each tensor (rows are dealt out in turn), and the same batch whole."""
        return {name: tensor[self.rank :: self.size] for name, tensor in batch.items()}, batch

    def add_up_gradients(self, model: torch.nn.Module) -> None:
        """Replace each gradient by its sum over all processes."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        together = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(together)
        for gradient, summed in zip(gradients, together.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(summed.view_as(gradient))

    def add_up(self, values: dict[str, float]) -> dict[str, float]:
        """The sum of each value over all processes."""
        if self.size == 1:
            return values
        together = torch.tensor(list(values.values()), dtype=torch.float64, device=self.device)
        distributed.all_reduce(together)
        return dict(zip(values, together.tolist(), strict=True))

    def agree(self, flag: bool) -> bool:
        """True everywhere as soon as it is True in one process."""
        return bool(self.add_up({"flag": float(flag)})["flag"]) if self.size > 1 else flag

    def wait(self) -> None:
        """Go on when every process has come here."""
        if self.size > 1:
            distributed.barrier()


@cache
def group() -> Group:
    """The group that ``accelerate launch --multi_gpu`` or ``torchrun`` started this process in.

    Both say who belongs to it by environment variables. With GPUs each process has one, without they share the
    processor's cores.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Group()
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    atexit.register(distributed.destroy_process_group)
    return Group(distributed.get_rank(), size)
