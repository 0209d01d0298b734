"""The table of a comparison: every run as CSV, every row as Markdown."""

import csv
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

Figures = Mapping[str, float]
"""Figures of one run by name."""

COLUMNS = {
    "cam": "CAM mIoU",
    "auxiliary_cam": "aux CAM mIoU",
    "segmentation_label_free": "segmentation mIoU, label-free",
    "segmentation_label_filtered": "segmentation mIoU, label-filtered",
    "served_label_free": "served IoU, label-free",
    "served_label_filtered": "served IoU, label-filtered",
}
"""Figures in per cent, and what they are called."""

EXPLANATION = (
    "In per cent. mIoU: background and classes, five scales, mirrored, as published; CAMs are "
    "label-filtered, above 0.5. Served IoU: mean over classes of the masks that would be served, "
    "thresholds chosen on the same val."
)
"""Stands below the table."""


def write_tables(out: Path, runs: Mapping[str, Mapping[int, Figures]], heading: str) -> None:
    """Write `table.csv` and `table.md`.

    Args:
        out: where to.
        runs: row to seed to figures; rows without a run are left out.
        heading: what all rows share, a sentence above the Markdown table.
    """
    names = list(dict.fromkeys(n for seeds in runs.values() for one in seeds.values() for n in one))
    with (out / "table.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["row", "seed", *names])
        for row, seeds in runs.items():
            for seed, figures in seeds.items():
                cells = [figures.get(name, math.nan) for name in names]
                writer.writerow([row, seed, *("" if math.isnan(v) else v for v in cells)])
    (out / "table.md").write_text(as_markdown(runs, heading), encoding="utf-8")


def as_markdown(runs: Mapping[str, Mapping[int, Figures]], heading: str) -> str:
    """A line for each row: means over its seeds, ± their standard deviation from two on."""
    titles = ["row", "seeds", *COLUMNS.values(), "ms a picture", "minutes of training"]
    lines = [heading, "", _line(titles), _line(["---"] * len(titles))]
    for row, seeds in runs.items():
        if seeds:
            each = list(seeds.values())
            cells = [_percent([one.get(name, math.nan) for one in each]) for name in COLUMNS]
            times = [_mean(each, "picture_s", 1000), _mean(each, "trained_s", 1 / 60)]
            lines.append(_line([row.replace("_", " "), str(len(each)), *cells, *times]))
    return "\n".join([*lines, "", EXPLANATION]) + "\n"


def _percent(values: Sequence[float]) -> str:
    known = [100 * value for value in values if not math.isnan(value)]
    if not known:
        return "-"
    spread = f" ± {statistics.stdev(known):.1f}" if len(known) > 1 else ""
    return f"{statistics.mean(known):.1f}{spread}"


def _mean(each: Sequence[Figures], name: str, factor: float) -> str:
    known = [one[name] for one in each if name in one and not math.isnan(one[name])]
    return f"{factor * statistics.mean(known):.1f}" if known else "-"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
