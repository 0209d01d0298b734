"""`hunique-client segment`: from inputs to tables, documents, folders and an exit code."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hunique_client.client import HuniqueClient
from hunique_client.documents import document, error_document
from hunique_client.errors import HuniqueClientError, InvalidRequestError
from hunique_client.result_folder import ResultFolder
from hunique_client.results import Outcome, Output
from hunique_client.table import print_result

EXIT_NOT_ASSESSABLE = 3
EXIT_UNREADABLE = 4
EXIT_SOME_FAILED = 5
STANDARD_INPUT = "-"
SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".mpo")
)
"""What of a folder is taken for a picture; a file that is named is always sent."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What the command was asked to do."""

    inputs: tuple[str, ...]
    """Files, folders, or `-`."""
    out: Path | None
    """Where results are written."""
    overwrite: bool
    """Whether results that are there may go."""
    json_lines: bool
    """Documents instead of tables."""
    detail: str | None
    """How closely to look."""
    classes: tuple[str, ...]
    """Classes to assess; empty: all."""
    recursive: bool
    """Whether sub-folders are taken too."""


@dataclass(kw_only=True)
class _Tally:
    done: int = 0
    failed: int = 0
    unreadable: int = 0
    assessable: int = 0

    def exit_code(self) -> int:
        if self.failed:
            alone = self.done + self.failed == 1
            return EXIT_UNREADABLE if alone and self.unreadable else EXIT_SOME_FAILED
        return 0 if self.assessable else EXIT_NOT_ASSESSABLE


def run_job(job: Job, open_client: Callable[[], HuniqueClient]) -> int:
    """Do the job; returns the exit code.

    Raises:
        HuniqueClientError: no server.
    """
    sources = list(_expand(job))
    folder = ResultFolder(job.out, overwrite=job.overwrite) if job.out else None
    tally = _Tally()
    with open_client() as client, _progress(len(sources)) as progress:
        task = progress.add_task("pictures", total=len(sources), failed=0)
        for outcome in client.segment_many(
            (_open(source) for source in sources),
            classes=job.classes,
            outputs=_outputs(job),
            detail=job.detail,
        ):
            _report(job, sources, outcome, folder, tally)
            progress.update(task, advance=1, failed=tally.failed)
    if len(sources) > 1:
        print(f"{tally.done} done, {tally.failed} failed", file=sys.stderr)
    return tally.exit_code()


def _expand(job: Job) -> Iterator[str]:
    for name in job.inputs:
        path = Path(name)
        if name == STANDARD_INPUT or not path.is_dir():
            yield name
            continue
        found = path.rglob("*") if job.recursive else path.iterdir()
        pictures = sorted(p for p in found if p.suffix.lower() in SUFFIXES and p.is_file())
        if not pictures:
            raise InvalidRequestError(
                f"{name}: expected a folder with pictures, found none"
                + ("" if job.recursive else " (--recursive takes sub-folders too)")
            )
        yield from map(str, pictures)


def _open(source: str) -> Path | bytes:
    return sys.stdin.buffer.read() if source == STANDARD_INPUT else Path(source)


def _outputs(job: Job) -> Iterable[Output]:
    if job.out:
        return (Output.MASK_PNG, Output.POLYGON, Output.OVERLAY)
    return (Output.POLYGON, Output.MASK_RLE) if job.json_lines else (Output.SCORES_ONLY,)


def _report(
    job: Job, sources: list[str], outcome: Outcome, folder: ResultFolder | None, tally: _Tally
) -> None:
    name = "stdin" if isinstance(outcome.source, bytes) else str(outcome.source)
    error = outcome.error
    if outcome.result is not None:
        try:
            if folder is not None:
                folder.write(name, outcome.result)
        except (HuniqueClientError, OSError) as failure:
            error = failure if isinstance(failure, HuniqueClientError) else _disk_error(failure)
        else:
            tally.done += 1
            tally.assessable += outcome.result.assessable
            if job.json_lines:
                print(document(name, outcome.result), flush=True)
            elif folder is None or len(sources) == 1:
                print_result(Console(), name, outcome.result)
            return
    tally.failed += 1
    tally.unreadable += isinstance(error, InvalidRequestError)
    if job.json_lines:
        print(error_document(name, str(error)), flush=True)
    print(f"hunique-client: {name}: {error}", file=sys.stderr)


def _disk_error(error: OSError) -> HuniqueClientError:
    return HuniqueClientError(f"the result could not be written: {error.strerror}")


def _progress(count: int) -> Progress:
    """A bar on standard error, for several pictures on a terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed"),
        TimeRemainingColumn(),
        console=console,
        disable=count < 2 or not console.is_terminal,
    )
