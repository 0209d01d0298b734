"""The allocator keeps what training frees."""

from tests.allocator_program import numbers_of

PROGRAM = """
import resource, sys
import torch
from hunique_training.allocator import keep_freed_memory

torch.set_num_threads(1)
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit("not glibc")
for step in range(20):
    if step == 8:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16, 1024, 1024).mul_(2)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _page_faults(how: str) -> int:
    (faults,) = numbers_of(PROGRAM, how)
    return faults


def test_freed_tensors_are_not_mapped_anew() -> None:
    """After a few rounds, tensors of 64 MiB cost the kernel hardly a page; they cost 16,000 each."""
    assert _page_faults("keep") * 20 < _page_faults("leave")
