"""Running a bundle over the cases, as the server runs it, and keeping a tally of each."""

import logging
import os
import platform
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from hunique_models.bundle import Bundle
from hunique_models.engine import Engine, open_engine
from hunique_models.errors import InputError
from hunique_models.geometry import Detail
from hunique_models.known_answer import check_known_answer
from hunique_models.pipeline import PictureFindings, Pipeline
from hunique_training.evaluation.borders import DEFAULT_TOLERANCE_SHARE
from hunique_training.validation_report.cases import Case
from hunique_training.validation_report.picture_tally import PictureTally, count_classes, stamp_of
from hunique_training.validation_report.picture_traits import traits_of
from hunique_training.validation_report.tally_file import TallyFile
from hunique_training.validation_report.variants import AS_IT_IS, Variant

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A picture that was left out."""

    row: int
    """Line of the label file."""
    reason: str
    """Why, without the name of the file."""


class Examiner:
    """A served bundle and how closely it looks.

    Args:
        bundle: the model.
        engine: what runs it.
        detail: how closely to look.
        tolerance_share: share of the diagonal within which borders match.
    """

    def __init__(
        self,
        bundle: Bundle,
        engine: Engine,
        detail: Detail = Detail.STANDARD,
        tolerance_share: float = DEFAULT_TOLERANCE_SHARE,
    ) -> None:
        self._pipeline = Pipeline(bundle.manifest)
        self._engine = engine
        self._detail = detail
        self._tolerance_share = tolerance_share
        self._hardware = f"{processor()}; {engine.describe().name}, {_threads(engine)}"

    def look(self, data: bytes) -> PictureFindings:
        """What the model says of an encoded picture.

        Raises:
            InputError: it cannot be served.
            EngineRunError: the network failed.
        """
        return self._pipeline.segment(data, self._engine, self._detail)

    def examine(self, case: Case, variant: Variant = AS_IT_IS) -> PictureTally:
        """Look at one picture and count.

        Raises:
            InputError, OSError: the picture cannot be read.
            DataError: a mask cannot be used.
            EngineRunError: the network failed.
        """
        stamp = stamp_of(case.truth)
        data = variant.apply(case.truth.picture.path.read_bytes())
        started_ns = time.monotonic_ns()
        found = self.look(data)
        duration_ms = (time.monotonic_ns() - started_ns) / 1e6
        return PictureTally(
            row=case.row,
            variant=variant.name,
            stamp=stamp,
            classes=count_classes(case.truth, found, self._tolerance_share),
            traits=traits_of(data, found.picture.pixels),
            duration_ms=round(duration_ms, 2),
            look_count=found.look_count,
            hardware=self._hardware,
        )


def open_examiner_engine(bundle: Bundle, device: str, threads: int) -> Engine:
    """The engine of a bundle, warm and self-tested, as when a server starts.

    Raises:
        EngineError: the device is not there, or does not compute what the bundle was proved with.
    """
    engine = open_engine(bundle, device, threads)
    engine.warm_up()
    check_known_answer(bundle.manifest, engine)
    return engine


def examine_all(
    examiner: Examiner, cases: Sequence[Case], variants: Sequence[Variant], tallies: TallyFile
) -> list[Unreadable]:
    """Examine every case in every variant, but those whose tallies are there.

    Args:
        examiner: looks and counts.
        cases: the pictures; those pooled are examined as they are alone.
        variants: ways to send them.
        tallies: where results are kept.

    Returns:
        The pictures that cannot be read; named in the log.

    Raises:
        DataError: a mask cannot be used.
        EngineRunError: the network failed.
    """
    jobs = [(c, v) for v in variants for c in cases if v is AS_IT_IS or not c.pooled]
    waiting = [(case, variant) for case, variant in jobs if not _is_done(case, variant, tallies)]
    unreadable: dict[int, Unreadable] = {}
    progress = tqdm(
        waiting, total=len(jobs), initial=len(jobs) - len(waiting), unit="picture",
        desc="examining", smoothing=0.05,
    )  # fmt: skip
    for case, variant in progress:
        if case.row in unreadable:
            continue
        try:
            tallies.add(examiner.examine(case, variant))
        except (InputError, OSError) as error:
            unreadable[case.row] = Unreadable(row=case.row, reason=_reason(error))
            logger.warning("left out line %d, %s: %s", case.row, case.truth.picture.path, error)
    return list(unreadable.values())


def _is_done(case: Case, variant: Variant, tallies: TallyFile) -> bool:
    try:
        return tallies.get((case.row, variant.name), stamp_of(case.truth)) is not None
    except OSError:
        return False  # named when it is tried


def _reason(error: Exception) -> str:
    """Without the path, which an operating system's error ends with."""
    return (error.strerror or "cannot be read") if isinstance(error, OSError) else str(error)


def processor() -> str:
    """The processor's name and how many cores this process may use."""
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        name = models[0] if models else name
    return f"{name}, {os.cpu_count()} cores"


def _threads(engine: Engine) -> str:
    count = engine.describe().threads
    return f"{count} thread" if count == 1 else f"{count} threads"
