"""Running a comparison: all rows of the first seed, then of the next.

OUT/comparison.json          what all rows share
OUT/<row>/seed-<n>/          the run folder of `fit`, and figures.json when it is finished
OUT/table.csv, OUT/table.md  written anew after each run
"""

import dataclasses
import json
import logging
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hunique_training.checkpoint import CheckpointError
from hunique_training.comparison.figures import figures_of
from hunique_training.comparison.rows import rows_of
from hunique_training.comparison.table import write_tables
from hunique_training.config import TrainConfig
from hunique_training.data.reading import ReadingOptions
from hunique_training.data.splitting import SplitRule
from hunique_training.fitting import FitRequest, fit, read_sources
from hunique_training.memory_advice import MemoryAdvice
from hunique_training.request_file import keep_request

logger = logging.getLogger(__name__)

FIGURES = "figures.json"

Runs = dict[str, dict[int, dict[str, float]]]


@dataclass(frozen=True, kw_only=True)
class CompareRequest:
    """What `compare` is asked to do."""

    base: TrainConfig
    """What all rows start from; its seed is not used."""
    rows: tuple[str, ...]
    """Names of `ROWS`."""
    seeds: tuple[int, ...]
    """Every row is run with each."""
    data: tuple[str, ...]
    """Sources, as for `fit`; `val` needs truth masks."""
    out: Path
    """Where everything is written."""
    input_size_px: int = 448
    """Side of the square input that models look with."""
    device: str = "cpu"
    """torch device."""
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    """What sources do not say themselves."""
    split: SplitRule = field(default_factory=SplitRule)
    """How sources without a split are split."""


def compare(request: CompareRequest) -> Path:
    """Run what is not finished; returns the Markdown table.

    A row whose run fails is named and left out, and the next one is run.

    Raises:
        CheckpointError: the folder holds another comparison.
        DataError: the data cannot be used.
        ValueError: no such row.
    """
    configs = rows_of(request.base, request.rows)
    same = [name for name in request.rows if name not in configs]
    if same:
        logger.info("as the preset stands, so not run apart: %s", ", ".join(same))
    _begin(request)
    for seed in request.seeds:
        for row, config in configs.items():
            folder = request.out / row / f"seed-{seed}"
            if not (folder / FIGURES).is_file():
                logger.info("%s, seed %d", row, seed)
                _run(request, dataclasses.replace(config, seed=seed), folder)
            write_tables(request.out, _finished(request), _heading(request))
    return request.out / "table.md"


def _run(request: CompareRequest, config: TrainConfig, folder: Path) -> None:
    """Train one row with one seed and keep its figures."""
    asked = FitRequest(
        config=config,
        data=request.data,
        run_folder=folder,
        input_size_px=request.input_size_px,
        device=request.device,
        reading=request.reading,
        split=request.split,
    )
    try:
        model = fit(asked)
    except (CheckpointError, MemoryAdvice, ValueError) as error:
        logger.error("%s failed and is left out: %s", folder, error)
        return
    _, label_files = read_sources(asked)
    figures = figures_of(model, label_files)
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    figures |= {"trained_s": summary["duration_s"], "steps": summary["steps_done"]}
    values = {name: None if math.isnan(value) else value for name, value in figures.items()}
    (folder / FIGURES).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _finished(request: CompareRequest) -> Runs:
    """Figures of all finished runs, of this call or of earlier ones."""
    runs: Runs = {}
    for row in rows_of(request.base, request.rows):
        files = {n: request.out / row / f"seed-{n}" / FIGURES for n in request.seeds}
        runs[row] = {n: _read(file) for n, file in files.items() if file.is_file()}
    return runs


def _read(path: Path) -> dict[str, float]:
    values = json.loads(path.read_text(encoding="utf-8"))
    return {name: math.nan if value is None else value for name, value in values.items()}


def _heading(request: CompareRequest) -> str:
    base = request.base
    return (
        f"Preset {base.preset}, {base.network.encoder}, {base.total_steps} steps of "
        f"{base.step_pictures} crops of {base.views.size_px} px, on {', '.join(request.data)}."
    )


def _begin(request: CompareRequest) -> None:
    """Keep what all rows share, or check that it is the same again."""
    shared: dict[str, Any] = {
        "base": json.loads(request.base.to_json()),
        "data": list(request.data),
        "input_size_px": request.input_size_px,
    }
    path = request.out / "comparison.json"
    keep_request(
        path,
        shared,
        what="a comparison with other options",
        way_out="repeat its options; rows and seeds may be added",
    )
