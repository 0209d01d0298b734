"""Running a comparison: all rows of the first seed, then of the next, table after table."""

import dataclasses
import json
import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hunique_training.checkpoint import CheckpointError
from hunique_training.comparison.figures import with_masks
from hunique_training.comparison.making import first_stage_request, make_row
from hunique_training.comparison.ratios import with_ratios
from hunique_training.comparison.request import FAILURE, FIGURES, CompareRequest, Scoring
from hunique_training.comparison.rows import refuse_unknown
from hunique_training.comparison.statements import heading, notes
from hunique_training.comparison.table import Section, write_tables
from hunique_training.data.labels import DataError
from hunique_training.evaluation.truth import read_truth
from hunique_training.fitting import read_sources
from hunique_training.memory_advice import MemoryAdvice
from hunique_training.request_file import keep_request

logger = logging.getLogger(__name__)

DATA_FACTS = "data.json"
_TOLD = (DataError, CheckpointError, MemoryAdvice, ValueError)
"""Faults whose message says what to do; of others the traceback is logged."""


def compare(request: CompareRequest, written: Callable[[], None] | None = None) -> Path:
    """Run what is not finished; returns the Markdown table.

    A row whose run fails is named below the table and left out, and the next one is run.

    Args:
        request: rows, seeds, data.
        written: called whenever the table has been written.

    Raises:
        CheckpointError: the folder holds another comparison.
        DataError: the data cannot be used.
        ValueError: no such row.
    """
    refuse_unknown(request.rows)
    plans = request.plans
    same = [name for name in request.rows if name not in plans]
    if same:
        logger.info("the same as another row, so not run apart: %s", ", ".join(same))
    _begin(request)
    for seed in request.seeds:
        for row in (name for name in plans if name in request.rows):
            _run(request, row, seed)
            write_tables(request.out, [section_of(request)])
            if written is not None:
                written()
    return request.out / "table.md"


def compare_sets(requests: Mapping[str, CompareRequest], out: Path) -> Path:
    """Run a comparison on each data set; returns the Markdown table of all.

    Args:
        requests: name of the data set to what is asked of it.
        out: where the table of all is written.
    """

    def write_all() -> None:
        begun = {n: each for n, each in requests.items() if (each.out / DATA_FACTS).is_file()}
        write_tables(out, [section_of(each, name) for name, each in begun.items()])

    for request in requests.values():
        compare(request, write_all)
    return out / "table.md"


def _run(request: CompareRequest, row: str, seed: int) -> None:
    """Make one row with one seed and keep its figures, or why there are none."""
    folder = request.folder(row, seed)
    if (folder / FIGURES).is_file():
        return
    logger.info("%s, seed %d", row, seed)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        figures = make_row(request, row, seed)
    except Exception as error:  # whatever it is, the other rows are run
        unforeseen = not isinstance(error, _TOLD)
        logger.error("%s failed and is left out: %s", folder, error, exc_info=unforeseen)
        told = f"{type(error).__name__}: {error}".splitlines()[0]
        (folder / FAILURE).write_text(told, encoding="utf-8")
        return
    values = {name: None if math.isnan(value) else value for name, value in figures.items()}
    partial = folder / "figures.partial"
    partial.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    partial.replace(folder / FIGURES)
    (folder / FAILURE).unlink(missing_ok=True)


def section_of(request: CompareRequest, data: str = "") -> Section:
    """What is finished in the folder of a comparison, by this call or by earlier ones.

    Args:
        request: the comparison.
        data: name of the data set, where a table has several.
    """
    plans = request.plans
    found = {row: _seeds(request.out / row, FIGURES) for row in plans}
    runs = {row: {n: _read(path) for n, path in each.items()} for row, each in found.items()}
    failures = {
        f"{row.replace('_', ' ')}, seed {seed}": path.read_text(encoding="utf-8")
        for row in plans
        for seed, path in _seeds(request.out / row, FAILURE).items()
    }
    seeds = sorted({seed for each in runs.values() for seed in each})
    facts = {"name": data or ", ".join(request.data), "train": "?", "val": "?", "masks": "?"}
    if (path := request.out / DATA_FACTS).is_file():
        facts |= json.loads(path.read_text(encoding="utf-8"))
    return Section(
        heading=heading(request, seeds, facts),
        runs=with_ratios(runs, plans),
        notes=notes(runs, request.base.total_steps, failures, data),
        data=data,
    )


def _seeds(folder: Path, name: str) -> dict[int, Path]:
    """A row's files of a name by their seeds."""
    files = {int(path.parent.name[5:]): path for path in folder.glob(f"seed-[0-9]*/{name}")}
    return dict(sorted(files.items()))


def _read(path: Path) -> dict[str, float]:
    values = json.loads(path.read_text(encoding="utf-8"))
    return {name: math.nan if value is None else value for name, value in values.items()}


def _begin(request: CompareRequest) -> None:
    """Keep what all rows share, or check that it is the same again; look at the data once."""
    shared: dict[str, Any] = {
        "base": json.loads(request.base.to_json()),
        "data": list(request.data),
        "input_size_px": request.input_size_px,
    }
    # left out where it is the default, as folders of earlier versions have none of it
    if request.scoring is not Scoring.PUBLISHED:
        shared["scoring"] = request.scoring
    for name, options in (("reading", request.reading), ("split", request.split)):
        if options != type(options)():
            shared[name] = dataclasses.asdict(options)
    keep_request(
        request.out / "comparison.json",
        shared,
        what="a comparison with other options",
        way_out="repeat its options; rows and seeds may be added",
    )
    facts = json.dumps(_data_facts(request), indent=2) + "\n"
    (request.out / DATA_FACTS).write_text(facts, encoding="utf-8")


def _data_facts(request: CompareRequest) -> dict[str, int]:
    """Pictures of each split, and those that can be scored; without any nothing is trained."""
    folder = request.out / "data"
    asked = first_stage_request(request, request.base, folder, request.seeds[0])
    pictures, files = read_sources(asked)
    names = request.base.network.class_names
    truth = read_truth(with_masks(files, names), names, "val")
    return {
        "train": sum(picture.split == "train" for picture in pictures),
        "val": sum(picture.split == "val" for picture in pictures),
        "masks": sum(any(one.masks) for one in truth),
    }
