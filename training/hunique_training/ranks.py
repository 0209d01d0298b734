"""Several processes that train one network: a leaf module, and nothing at all for one process.

    torchrun --nproc-per-node N -m hunique_training fit ...

Every rank holds the same networks and works on its share of a step's joint batch. What a loss
divides by is counted over all ranks before the backward pass, and gradients are summed
afterwards, so that a step is that of one process with the whole batch, up to the order of
floating-point sums and to noise on features, which every rank draws for its own pictures. `DistributedDataParallel` does not fit: it takes means rather than sums,
and waits for gradients that the decoder does not get before pseudo-labels begin.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed, nn

Answer = TypeVar("Answer")

LONGEST_WAIT = timedelta(hours=2)
"""Ranks wait so long for the first one, which validates alone. One that died is not waited
for: torchrun ends the others."""
ELEMENTS_AT_ONCE = 2**23
"""Gradients are summed in pieces of about so many numbers."""


def _grouped() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def rank() -> int:
    """This process's number, from 0."""
    return distributed.get_rank() if _grouped() else 0


def rank_count() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if _grouped() else 1


def is_first() -> bool:
    """Whether this process is the one that writes, shows and chooses."""
    return rank() == 0


@contextmanager
def joined_ranks(device: str) -> Iterator[str]:
    """Join the processes that torchrun started, for as long as the block runs.

    Args:
        device: torch device; `cuda` becomes the one of this process.

    Yields:
        The device of this process; `device` itself where torchrun started none.
    """
    if _grouped() or not distributed.is_torchelastic_launched():
        yield device
        return
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
    distributed.init_process_group(backend, timeout=LONGEST_WAIT)
    if not is_first():
        logging.disable(logging.WARNING)
    yield device
    # only after success: one that failed must not wait here for ranks that still work
    distributed.destroy_process_group()


def sum_over_ranks(values: torch.Tensor) -> torch.Tensor:
    """The sum of a tensor of any shape over all ranks; the tensor itself with one process."""
    if rank_count() == 1:
        return values
    total = values.detach().clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(total)
    return total


@torch.no_grad()
def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its sum over ranks, in place; the same has one on each rank."""
    if rank_count() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    for piece in _pieces(gradients):
        flat = torch.cat([gradient.flatten() for gradient in piece])
        distributed.all_reduce(flat)
        parts = torch.split(flat, [gradient.numel() for gradient in piece])
        for gradient, part in zip(piece, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))


def _pieces(gradients: Iterable[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    piece: list[torch.Tensor] = []
    for gradient in gradients:
        piece.append(gradient)
        if sum(one.numel() for one in piece) >= ELEMENTS_AT_ONCE:
            yield piece
            piece = []
    if piece:
        yield piece


def on_first_rank(work: Callable[[], Answer]) -> Answer:
    """Let the first rank do something, and give every rank what came of it.

    Args:
        work: what returns something that can be pickled.

    Raises:
        Exception: on the first rank, what `work` raises.
        SystemExit: on the others then, without another word.
    """
    if rank_count() == 1:
        return work()
    box: list[Any] = [None, False]  # the answer, and whether there is one
    try:
        if is_first():
            box = [work(), True]
    finally:
        distributed.broadcast_object_list(box)
    if not box[1]:
        raise SystemExit(1)
    return box[0]
