"""`hunique-client segment`: from inputs to tables, documents, folders and an exit code."""

import contextlib
import io
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import click
from rich.console import Console

from hunique_client.client import HuniqueClient
from hunique_client.documents import document, error_document, picture_and_model
from hunique_client.earlier_results import is_assessable, refuse_other_result, sha256
from hunique_client.errors import HuniqueClientError, InvalidRequestError
from hunique_client.folder_lock import locked
from hunique_client.inputs import STANDARD_INPUT, Listing, list_pictures
from hunique_client.progress import Advance, shown_progress
from hunique_client.result_folder import FolderNotWritableError, ResultFolder
from hunique_client.results import ModelDescription, Outcome, Output, SegmentResult
from hunique_client.table import print_result, printable

EXIT_NOT_ASSESSABLE = 3
EXIT_SOME_FAILED = 5


class InputUnreadError(HuniqueClientError):
    """A folder cannot be searched for pictures."""

    exit_code = EXIT_SOME_FAILED


@dataclass(frozen=True, kw_only=True)
class Job:
    """What the command was asked to do."""

    inputs: tuple[str, ...]
    """Files, folders, or `-`."""
    out: Path | None
    """Where results are written."""
    overwrite: bool
    """Whether results that are there may go."""
    resume: bool
    """Whether pictures whose results are there are left out."""
    json_lines: bool
    """Documents instead of tables."""
    detail: str | None
    """How closely to look."""
    classes: tuple[str, ...]
    """Classes to assess; empty: all."""
    recursive: bool
    """Whether sub-folders are taken too."""
    model: str = ""
    """Model to ask; empty: the server's default."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            click.UsageError: says what is missing.
        """
        if self.out is None and (self.resume or self.overwrite):
            wish = "--resume" if self.resume else "--overwrite"
            raise click.UsageError(f"{wish} is about results in a folder: name it with --out")

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What is needed of the server."""
        if self.out:
            return (Output.MASK_PNG, Output.POLYGON, Output.OVERLAY)
        return (Output.POLYGON, Output.MASK_RLE) if self.json_lines else (Output.SCORES_ONLY,)


@dataclass(kw_only=True)
class _Tally:
    count: int
    done: int = 0
    there_before: int = 0
    failed: int = 0
    assessable: int = 0
    failure_code: int = EXIT_SOME_FAILED

    def exit_code(self) -> int:
        if self.failed:
            return self.failure_code if self.count == 1 else EXIT_SOME_FAILED
        return 0 if self.assessable else EXIT_NOT_ASSESSABLE

    def __str__(self) -> str:
        before = f" ({self.there_before} of them before)" if self.there_before else ""
        left = self.count - self.done - self.failed
        rest = f", {left} not examined" if left else ""
        return f"{self.done} done{before}, {self.failed} failed{rest}"


def run_job(job: Job, open_client: Callable[[], HuniqueClient]) -> int:
    """Do the job; returns the exit code.

    Raises:
        click.UsageError: an input, a model or a class that is not there.
        HuniqueClientError: no server, or it went away; the folder for results takes none.
    """
    listing = list_pictures(job.inputs, job.out, recursive=job.recursive)
    names = listing.names
    _say_what_is_left_out(listing)
    folder = ResultFolder(job.out, overwrite=job.overwrite) if job.out else None
    tally = _Tally(count=len(names) + len(listing.unread))
    with locked(job.out) if job.out else contextlib.nullcontext(), open_client() as client:
        model = describe_model(client, job.model)
        _check_classes(job.classes, model)
        try:
            with shown_progress(tally.count) as advance:
                run = _Run(job, folder, model.sha256, tally, advance)
                run.fail_unread(listing)
                # closed here, whatever happens: an error that is on its way out would keep it
                outcomes = client.segment_many(
                    run.sources(names),
                    classes=job.classes,
                    outputs=job.outputs,
                    detail=job.detail,
                    model=job.model,
                )
                with contextlib.closing(outcomes):
                    for outcome in outcomes:
                        run.report(outcome)
        finally:
            if tally.count > 1:
                print(tally, file=sys.stderr)
    return tally.exit_code()


def _say_what_is_left_out(listing: Listing) -> None:
    if left_out := listing.left_out():
        print(f"hunique-client: {left_out}", file=sys.stderr)


class _Run:
    """One pass over the pictures.

    Args:
        job: what was asked for.
        folder: where results go.
        model_sha256: of the model that is asked.
        tally: what is counted.
        advance: shows progress.
    """

    def __init__(
        self,
        job: Job,
        folder: ResultFolder | None,
        model_sha256: str,
        tally: _Tally,
        advance: Advance,
    ) -> None:
        self._job = job
        self._folder = folder
        self._model_sha256 = model_sha256
        self._tally = tally
        self._advance = advance
        self._stems: dict[str, str] = {}  # of pictures under way
        self._namesakes: Counter[str] = Counter()

    def fail_unread(self, listing: Listing) -> None:
        """Count and say what could not even be searched for pictures."""
        for name, reason in sorted(listing.unread.items()):
            self._fail(name, InputUnreadError(reason), examined=False)

    def sources(self, names: Sequence[str]) -> Iterator[str | bytes]:
        """Pictures to be examined; deals with those that need not or must not be."""
        self._namesakes.update(map(_file_name, names))
        for name in names:
            try:
                source = _read_standard_input() if name == STANDARD_INPUT else name
            except OSError as error:
                self._fail(name, InvalidRequestError(f"cannot be read: {error.strerror}"))
                continue
            if self._folder is None or self._is_wanted(name, source, self._folder):
                yield source

    def _is_wanted(self, name: str, source: str | bytes, folder: ResultFolder) -> bool:
        digest = sha256(source) if self._job.resume else ""
        stem = self._stem_of(name, digest, folder)
        earlier = folder.earlier(stem) if self._job.resume else None
        same = picture_and_model(earlier) == (digest, self._model_sha256)
        if earlier and same and folder.holds(earlier):
            self._count_done(is_assessable(earlier), examined=False)
            return False
        try:
            refuse_other_result(stem, earlier, overwrite=self._job.overwrite, incomplete=same)
            folder.check_free(stem)
        except HuniqueClientError as error:
            self._fail(name, error, examined=False)
            return False
        self._stems[name] = stem
        return True

    def _stem_of(self, name: str, digest: str, folder: ResultFolder) -> str:
        if not self._job.resume:
            return folder.stems.reserve(_spoken(name))
        alone = self._namesakes[_file_name(name)] == 1
        return folder.stems.find(_spoken(name), digest, alone=alone)

    def report(self, outcome: Outcome) -> None:
        """Write and print what became of a picture, and count it.

        Raises:
            FolderNotWritableError: no other result could be written either.
        """
        name = outcome.source if isinstance(outcome.source, str) else STANDARD_INPUT
        stem = self._stems.pop(name, "")
        if outcome.result is None:
            self._fail(name, outcome.error or HuniqueClientError("no answer"))
            return
        try:
            if self._folder is not None:
                self._folder.write(stem, _spoken(name), outcome.result)
        except FolderNotWritableError:
            raise
        except HuniqueClientError as error:
            self._fail(name, error)
            return
        self._print(name, outcome.result)
        self._count_done(outcome.result.assessable)

    def _print(self, name: str, result: SegmentResult) -> None:
        if self._job.json_lines:
            print(document(_spoken(name), result), flush=True)
        elif self._folder is None or self._tally.count == 1:
            print_result(Console(), _spoken(name), result)

    def _count_done(self, assessable: bool, *, examined: bool = True) -> None:
        self._tally.done += 1
        self._tally.there_before += not examined
        self._tally.assessable += assessable
        self._advance(self._tally.failed, examined=examined)

    def _fail(self, name: str, error: HuniqueClientError, *, examined: bool = True) -> None:
        self._tally.failed += 1
        self._tally.failure_code = error.exit_code
        if self._job.json_lines:
            print(error_document(_spoken(name), str(error)), flush=True)
        print(f"hunique-client: {printable(f'{_spoken(name)}: {error}')}", file=sys.stderr)
        self._advance(self._tally.failed, examined=examined)


def _file_name(name: str) -> str:
    return Path(name).name.casefold()


def _spoken(name: str) -> str:
    return "stdin" if name == STANDARD_INPUT else name


def _read_standard_input() -> bytes:
    """In pieces, because a single read notices a signal only while it waits."""
    stream = cast("io.BufferedReader", sys.stdin.buffer)
    return b"".join(iter(lambda: stream.read1(65536), b""))


def describe_model(client: HuniqueClient, model: str) -> ModelDescription:
    """What the model is that a command names.

    Raises:
        click.UsageError: the server has no such model.
        HuniqueClientError: no server, or it went away.
    """
    try:
        return client.describe_model(model)
    except InvalidRequestError as error:
        raise click.UsageError(str(error)) from error


def _check_classes(classes: Iterable[str], model: ModelDescription) -> None:
    known = [str(one["name"]) for one in model.classes]
    unknown = [name for name in classes if name not in known]
    if unknown:
        raise click.UsageError(f"expected classes of {', '.join(known)}; found {unknown[0]!r}")
