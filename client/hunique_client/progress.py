"""How far a run over many pictures is: a bar on a terminal, now and then a line elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY_S = 30.0
"""Pause between lines where no terminal shows a bar."""

Advance = Callable[[int], None]
"""Called after each picture with the number of failures so far."""


@contextlib.contextmanager
def shown_progress(count: int) -> Iterator[Advance]:
    """Show progress on standard error while the block runs.

    Args:
        count: pictures; of a single one nothing is shown.
    """
    console = Console(stderr=True)
    if count < 2:
        yield lambda _failed: None
    elif not console.is_terminal:
        yield ProgressLines(count, sys.stderr).advance
    else:
        with _bar(console) as bar:
            task = bar.add_task("pictures", total=count, failed=0)
            yield lambda failed: bar.update(task, advance=1, failed=failed)


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
        self._begun_s = self._shown_s = now_s()
        self._done = 0

    def advance(self, failed: int) -> None:
        """One more picture is done with."""
        self._done += 1
        now_s = self._now_s()
        if now_s - self._shown_s < LINE_EVERY_S or self._done == self._count:
            return
        self._shown_s = now_s
        left_s = (now_s - self._begun_s) / self._done * (self._count - self._done)
        print(
            f"{self._done} of {self._count} pictures, {failed} failed, "
            f"about {max(1, round(left_s / 60))} min left",
            file=self._stream,
            flush=True,
        )
