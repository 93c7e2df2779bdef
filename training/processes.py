"""Training by several processes, as torchrun starts them; each takes its share of every batch.

All of them draw the same random numbers and keep the same weights: gradients are averaged, and what
a codebook learns from is gathered. So they train as one process does with the same batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor


def start(device: str) -> None:
    """Joins the processes that torchrun started, if it did."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")


def count() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """This process is the one that writes files."""
    return not dist.is_initialized() or dist.get_rank() == 0


def wait() -> None:
    """Until all processes have come here."""
    if count() > 1:
        dist.barrier()


def own(rows: Tensor) -> Tensor:
    """This process's share of a batch's rows (n,): every k-th of them."""
    return rows[dist.get_rank() :: count()] if count() > 1 else rows


def gathered(values: Tensor) -> Tensor:
    """Rows (n, ...) of the whole batch in their order, from each process's share."""
    if count() == 1:
        return values
    parts = [torch.empty_like(values) for _ in range(count())]
    dist.all_gather(parts, values.contiguous())
    return torch.stack(parts, dim=1).flatten(0, 1)


def averaged(value: Tensor) -> Tensor:
    """The mean of all processes' values, without gradient."""
    if count() == 1:
        return value.detach()
    value = value.detach().clone()
    dist.all_reduce(value)
    return value / count()


@torch.no_grad()
def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Gives every process the gradients of the whole batch."""
    if count() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = averaged(torch.cat([gradient.flatten() for gradient in gradients]))
    parts = flat.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))
