"""`hunique-train fit --repeat RUN --out NEW`: the same run again."""

import json
from pathlib import Path
from typing import Any

from hunique_training.checkpoint import CheckpointError
from hunique_training.config import TrainConfig
from hunique_training.data.reading import ReadingOptions
from hunique_training.data.splitting import SplitRule
from hunique_training.fitting import FitRequest
from hunique_training.run_record import read_record


def request_to_repeat(run_folder: Path, out: Path, device: str | None = None) -> FitRequest:
    """What a run was asked to do, to be done into another folder.

    Args:
        run_folder: of the run; its `request.json` and `config.json` are read.
        out: run folder of the repetition.
        device: another torch device; None takes that of the run.

    Raises:
        CheckpointError: the folder holds no record of a run, or is `out` itself.
    """
    if run_folder.resolve() == out.resolve():
        raise CheckpointError(f"a run is repeated into another folder than its own, found {out}")
    record = read_record(run_folder)
    path = run_folder / "config.json"
    if not path.is_file():
        raise CheckpointError(f"expected the configuration of the run at {path}, found none")
    return FitRequest(
        config=TrainConfig.from_dict(json.loads(path.read_text(encoding="utf-8"))),
        data=tuple(record["data"]),
        run_folder=out,
        input_size_px=record["input_size_px"],
        device=device or record["device"],
        reading=_reading(record["reading"]),
        split=SplitRule(**record["split"]),
        repeats=run_folder,
    )


def _reading(values: dict[str, Any]) -> ReadingOptions:
    aliases = tuple((found, meant) for found, meant in values["aliases"])
    marks = tuple(values.get("marks", ()))
    return ReadingOptions(**(values | {"aliases": aliases, "marks": marks}))
