"""When memory runs out: what to change, said in one sentence; the last checkpoint stays whole."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from hunique_training.config import TrainConfig

_ALLOCATOR_SAYS = ("not enough memory", "can't allocate memory", "out of memory")
"""Of the CPU's allocator on Windows and elsewhere, and of CUDA's libraries."""


class MemoryAdvice(Exception):  # noqa: N818 - it is advice
    """Memory ran out; the message says which options need less."""


@contextmanager
def memory_advice(config: TrainConfig) -> Iterator[None]:
    """Turn a lack of memory in the block into advice for this configuration.

    Raises:
        MemoryAdvice: instead of what torch or numpy raised.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_lack_of_memory(error):
            raise
        raise MemoryAdvice(_advice(config)) from error


def is_lack_of_memory(error: Exception) -> bool:
    """Whether an error means that no memory was left, on whichever device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(x in str(error) for x in _ALLOCATOR_SAYS)


def _advice(config: TrainConfig) -> str:
    smaller = (
        f"or train on crops smaller than {config.views.size_px} px (--crop-size-px) in another "
        "--out folder"
    )
    if config.batch_size == 1:
        return f"memory ran out at --batch-size 1: use mixed precision (--precision), {smaller}."
    if config.batch_size % 2:
        parts = f"--batch-size 1 --accumulate {config.step_pictures}"
    else:
        parts = f"--batch-size {config.batch_size // 2} --accumulate {config.accumulate * 2}"
    return (
        f"memory ran out at --batch-size {config.batch_size}. Repeat the command with {parts}: it "
        f"learns the same and goes on from the last checkpoint; {smaller}."
    )
