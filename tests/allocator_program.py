"""Runs programs that say what the allocator did, with its settings and without."""

import subprocess
import sys

import pytest


def numbers_of(program: str, how: str) -> list[int]:
    """The numbers that a program prints in a process of its own, told `keep` or `leave`.

    The test is skipped where the program says that the allocator is not glibc's.
    """
    command = [sys.executable, "-c", program, how]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if "not glibc" in ran.stderr:
        pytest.skip("this allocator is not glibc's")
    assert ran.returncode == 0, ran.stderr
    return [int(number) for number in ran.stdout.split()]
