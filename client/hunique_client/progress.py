"""How far a run over many pictures is: a bar on a terminal, now and then a line elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY_S = 30.0
"""Pause between lines where no terminal shows a bar."""


class Advance(Protocol):
    """Called after each picture."""

    def __call__(self, failed: int, *, examined: bool = True) -> None:
        """One more is done with.

        Args:
            failed: number of failures so far.
            examined: whether it had to be; others tell nothing of the time that is left.
        """


@contextlib.contextmanager
def shown_progress(count: int) -> Iterator[Advance]:
    """Show progress on standard error while the block runs.

    Args:
        count: pictures; of a single one nothing is shown.
    """
    console = Console(stderr=True)
    if count < 2:
        yield _say_nothing
    elif not console.is_terminal:
        yield ProgressLines(count, sys.stderr).advance
    else:
        with _bar(console) as bar:
            yield _advance_of(bar, count)


def _say_nothing(failed: int, *, examined: bool = True) -> None:
    """For a single picture."""


def _advance_of(bar: Progress, count: int) -> Advance:
    number = bar.add_task("pictures", total=count, failed=0)
    (task,) = bar.tasks

    def advance(failed: int, *, examined: bool = True) -> None:
        if not examined:
            task.completed += 1  # which, unlike an update, does not count for the time left
        bar.update(number, advance=int(examined), failed=failed)

    return advance


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed"),
        TimeRemainingColumn(),
        console=console,
        # results go where standard output goes; only on the same terminal above the bar
        redirect_stdout=sys.stdout.isatty(),
    )


class ProgressLines:
    """Writes a line now and then.

    Args:
        count: pictures.
        stream: where to.
        now_s: a monotonic clock.
    """

    def __init__(
        self, count: int, stream: TextIO, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._count = count
        self._stream = stream
        self._now_s = now_s
        self._before_s = self._shown_s = now_s()
        self._done = self._examined = 0
        self._examined_s = 0.0

    def advance(self, failed: int, *, examined: bool = True) -> None:
        """One more picture is done with; see `Advance`."""
        self._done += 1
        now_s = self._now_s()
        if examined:
            self._examined += 1
            self._examined_s += now_s - self._before_s
        self._before_s = now_s
        if now_s - self._shown_s < LINE_EVERY_S or self._done == self._count:
            return
        self._shown_s = now_s
        print(
            f"{self._done} of {self._count} pictures, {failed} failed{self._left()}",
            file=self._stream,
            flush=True,
        )

    def _left(self) -> str:
        if not self._examined:
            return ""
        left_s = self._examined_s / self._examined * (self._count - self._done)
        return f", about {max(1, round(left_s / 60))} min left"
