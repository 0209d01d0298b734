"""From a bundle and a label file to report.html and report.json."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hunique_models.bundle import Bundle
from hunique_models.engine import Engine
from hunique_models.geometry import Detail
from hunique_training.data.labels import DataError
from hunique_training.evaluation.bootstrap import DEFAULT_RESAMPLES
from hunique_training.evaluation.borders import DEFAULT_TOLERANCE_SHARE
from hunique_training.validation_report.basis import basis_of
from hunique_training.validation_report.case_pictures import draw_cases
from hunique_training.validation_report.cases import Case, read_cases
from hunique_training.validation_report.contents import Contents, Setting, work_out
from hunique_training.validation_report.document import as_document
from hunique_training.validation_report.examining import (
    Examiner,
    Unreadable,
    examine_all,
    open_examiner_engine,
)
from hunique_training.validation_report.report_page import as_page
from hunique_training.validation_report.tally_file import TALLIES, TallyFile
from hunique_training.validation_report.variants import AS_IT_IS, STRESSES, Variant

PAGE = "report.html"
DOCUMENT = "report.json"


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
    """What `hunique-train validate` is asked to do."""

    bundle: Path
    """A folder that `hunique-export` wrote."""
    label_file: Path
    """A CSV, masks in `truth/` beside it where there are any."""
    out: Path
    """Folder of the report and of what is kept to go on from."""
    split: str = "val"
    """Rows of the label file; `all` for every one."""
    pool_from: tuple[str, ...] = ()
    """Splits whose pictures without hands count as false alarms too."""
    stress: tuple[str, ...] = ()
    """Keys of `variants.STRESSES`: send every picture again, worse."""
    detail: Detail = Detail.STANDARD
    """How closely to look."""
    device: str = "cpu"
    """What runs the network."""
    threads: int = 1
    """Threads of one run on the CPU."""
    resamples: int = DEFAULT_RESAMPLES
    """How often groups are drawn for the intervals; 0 leaves them out."""
    tolerance_share: float = DEFAULT_TOLERANCE_SHARE
    """Share of the diagonal within which borders match."""
    with_pictures: bool = False
    """Whether the worst cases are shown."""
    restart: bool = False
    """Whether tallies of another run in `out` may go."""

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Ways to send every picture."""
        return (AS_IT_IS, *(variant for name in STRESSES if name in self.stress
                            for variant in STRESSES[name]))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Made:
    """A report that was written."""

    page: Path
    """The page for people."""
    document: Path
    """The same for programs."""
    contents: Contents
    """What they say."""


def make_report(request: ReportRequest) -> Made:
    """Examine what has not been examined yet, and write the report.

    Raises:
        DataError: the label file or a mask cannot be used, no picture can be read, or `out`
            holds tallies of another run.
        BundleError, EngineError: the bundle cannot be served here.
        OSError: `out` cannot be written.
    """
    bundle = Bundle.open(request.bundle)
    cases = read_cases(
        request.label_file, bundle.manifest.class_names, request.split, request.pool_from
    )
    engine = open_examiner_engine(bundle, request.device, request.threads)
    try:
        return _make(request, bundle, engine, cases)
    finally:
        engine.close()


def _make(request: ReportRequest, bundle: Bundle, engine: Engine, cases: Sequence[Case]) -> Made:
    basis = basis_of(bundle, engine, request.label_file, request.detail, request.tolerance_share)
    tallies = TallyFile(request.out / TALLIES, basis, restart=request.restart)
    examiner = Examiner(bundle, engine, request.detail, request.tolerance_share)
    unreadable = examine_all(examiner, cases, request.variants, tallies)
    readable = _readable(cases, unreadable)
    setting = _setting(request, bundle, basis)
    contents = work_out(setting, readable, tallies.tallies, request.variants, unreadable)
    manifest = bundle.manifest
    pictures = (
        draw_cases(contents.worst, readable, examiner, manifest) if request.with_pictures else ()
    )
    page, document = request.out / PAGE, request.out / DOCUMENT
    page.write_text(as_page(contents, pictures), encoding="utf-8")
    text = json.dumps(as_document(contents), indent=2, allow_nan=False)
    document.write_text(text + "\n", encoding="utf-8")
    return Made(page=page, document=document, contents=contents)


def _readable(cases: Sequence[Case], unreadable: Sequence[Unreadable]) -> list[Case]:
    rows = {one.row for one in unreadable}
    readable = [case for case in cases if case.row not in rows]
    if all(case.pooled for case in readable):
        raise DataError(
            f"expected pictures that can be read, found none of {len(cases)}; the first: "
            f"{unreadable[0].reason}. Paths in the label file are relative to its folder."
        )
    return readable


def _setting(request: ReportRequest, bundle: Bundle, basis: Mapping[str, str]) -> Setting:
    return Setting(
        bundle=bundle,
        engine=basis["engine"],
        detail=str(request.detail),
        split=request.split,
        label_file_sha256=basis["label file"],
        pool_from=request.pool_from,
        resamples=request.resamples,
        tolerance_share=request.tolerance_share,
    )
