"""The table of a comparison: every run as CSV, every row as Markdown."""

import csv
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hunique_training.comparison.ratios import Figures, Runs

COLUMNS = {
    "cam": "CAM mIoU",
    "auxiliary_cam": "aux CAM mIoU",
    "label_cam": "CAM mIoU as labels are made",
    "segmentation_label_free": "segmentation mIoU, label-free",
    "segmentation_label_filtered": "segmentation mIoU, label-filtered",
    "weak_by_full": "weak/full",
    "served_label_free": "served IoU, label-free",
    "served_label_filtered": "served IoU, label-filtered",
    "served_weak_by_full": "served weak/full",
}
"""Figures in per cent, and what they are called."""

EXPLANATION = (
    "In per cent, means over seeds ± their standard deviation. mIoU: background and classes, "
    "as published; CAMs are label-filtered, above 0.5. CAM and aux CAM are the "
    "network's own maps; as labels are made, the CAM is mixed and raised to a power by class where "
    "the configuration says so. Smooth grad is a map of the row cam's classifier, one scale. Served "
    "IoU: mean over classes of the masks that would be served, thresholds chosen on the same val. "
    "Weak/full: label-free, by the same figure of full supervision of the same network and seed: "
    "full supervision for second stages, full supervision frozen, where there is that row, for "
    "the others. Steps: of each training, first that of the row whose model makes the labels. "
    "Minutes: in steps of all of a row's trainings, and in labelling; without scoring. ms a picture: "
    "the fastest pass; for smooth grad of one class."
)
"""Stands below the table."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """What a table says of one data set."""

    heading: str
    """What all rows share, a sentence."""
    runs: Runs
    """Finished runs, ratios among their figures; rows without a run are left out."""
    notes: tuple[str, ...] = ()
    """What is to be said of single rows."""
    data: str = ""
    """The data set, where a table has several."""


def write_tables(out: Path, sections: Sequence[Section]) -> None:
    """Write `table.csv` and `table.md` into a folder."""
    every = [one for s in sections for seeds in s.runs.values() for one in seeds.values()]
    names = list(dict.fromkeys(name for one in every for name in one))
    named = any(section.data for section in sections)
    with (out / "table.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([*(["data"] if named else []), "row", "seed", *names])
        for section in sections:
            for row, seeds in section.runs.items():
                for seed, figures in seeds.items():
                    cells = [figures.get(name, math.nan) for name in names]
                    values = ["" if math.isnan(value) else value for value in cells]
                    first = [section.data] if named else []
                    writer.writerow([*first, row, seed, *values])
    (out / "table.md").write_text(as_markdown(sections), encoding="utf-8")


def as_markdown(sections: Sequence[Section]) -> str:
    """A line for each row and data set: means over seeds, ± their deviation from two on."""
    named = any(section.data for section in sections)
    titles = ["row", *(["data"] if named else []), "seeds", "steps", *COLUMNS.values()]
    titles += ["ms a picture", "minutes of training"]
    lines = [text for section in sections for text in (section.heading, "")]
    lines += [_line(titles), _line(["---"] * len(titles))]
    for row in dict.fromkeys(row for section in sections for row in section.runs):
        for section in sections:
            each = list(section.runs.get(row, {}).values())
            if each:
                first = [row.replace("_", " "), *([section.data] if named else [])]
                lines.append(_line([*first, *_cells(each)]))
    notes = [text for section in sections for note in section.notes for text in ("", note)]
    return "\n".join([*lines, *notes, "", EXPLANATION]) + "\n"


def _cells(each: Sequence[Figures]) -> list[str]:
    return [
        str(len(each)),
        "; ".join(dict.fromkeys(steps_text(one) for one in each)),
        *(_percent([one.get(name, math.nan) for one in each]) for name in COLUMNS),
        _mean(each, "picture_s", 1000),
        _mean(each, "trained_s", 1 / 60),
    ]


def steps_text(figures: Figures) -> str:
    """Steps of a run's trainings in their order, `400` or `400 + 400`."""
    steps = (figures.get(name, math.nan) for name in ("teacher_steps", "steps"))
    return " + ".join(f"{value:.0f}" for value in steps if not math.isnan(value)) or "-"


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
