"""Drawings and cells of the report: a wrong mark misleads more than a wrong word."""

import math
import re

import numpy as np
import pytest

from hunique_training.evaluation.class_scores import Figure
from hunique_training.line_chart import line_chart
from hunique_training.page import page, pairs
from hunique_training.validation_report.calibration import Calibration
from hunique_training.validation_report.charts import BAR_WIDTH_PX, interval_bar, reliability_chart
from hunique_training.validation_report.class_figures import NOT_MEASURED, TOO_FEW, Measured
from hunique_training.validation_report.figure_tables import cell, small_cell
from hunique_training.validation_report.variants import AS_IT_IS, STRESSES

RED = "#e63c3c"


def test_the_bar_shows_value_and_interval() -> None:
    """The mark is where the value is, and the band from low to high."""
    drawn = interval_bar(Figure(value=0.5, low=0.25, high=1.0), RED)
    assert f'd="M{BAR_WIDTH_PX / 2:.1f} 0V' in drawn
    assert f'<rect x="{BAR_WIDTH_PX / 4:.1f}" y="2" width="{BAR_WIDTH_PX * 0.75:.1f}"' in drawn
    assert "<rect" not in interval_bar(Figure(value=0.5), RED)


def test_points_of_few_pictures_are_pale() -> None:
    """A tenth with nine pictures is pale, one with ten is not, an empty one is not drawn."""
    bins = np.zeros((10, 4))
    bins[0], bins[9] = (10, 0, 0.5, 0), (9, 9, 8.5, 0)
    none = Figure(value=math.nan)
    chart = reliability_chart(
        Calibration(name="ring", pictures=19, bins=bins, ece=none, brier=none), RED
    )
    assert re.findall(r'<circle[^>]*opacity="([\d.]+)"', chart) == ["1", "0.35"]
    heights = [float(cy) for cy in re.findall(r'<circle cx="[\d.]+" cy="([\d.]+)"', chart)]
    assert heights[0] > heights[1] == 0


def test_what_is_missing_is_said_in_place_of_a_figure() -> None:
    """Never a number, never nan."""
    few = Measured(figure=Figure(value=math.nan), pictures=4, missing=TOO_FEW)
    none = Measured(figure=Figure(value=math.nan), pictures=0, missing=NOT_MEASURED)
    assert "n = 4" in small_cell(few, RED)
    assert TOO_FEW in cell(few, RED)
    assert NOT_MEASURED in cell(none, RED)
    for shown in (small_cell(few, RED), cell(few, RED), small_cell(none, RED), cell(none, RED)):
        assert "nan" not in shown
        assert "<svg" not in shown


def test_a_figure_without_interval_stands_alone() -> None:
    """One group: a value and no brackets of nan."""
    alone = Measured(figure=Figure(value=0.61), pictures=12)
    assert "0.610" in cell(alone, RED)
    assert "nan" not in cell(alone, RED) + small_cell(alone, RED)


def test_a_chart_spans_what_it_shows() -> None:
    """Curves along 0 to 0.4 reach from the left edge to the right one, in their own colours."""
    chart = line_chart({"ring": [(0.0, 1.0), (0.4, 0.5)]}, "IoU", "blur", [RED])
    left, right = (
        re.search(rf'stroke="{RED}" d="M([\d.]+) [\d.]+L([\d.]+) ', chart) or pytest.fail(chart)
    ).groups()
    grid = re.search(r'class="grid" d="M(\d+) [\d.]+H(\d+)"', chart)
    assert grid is not None
    assert (float(left), float(right)) == (float(grid[1]), float(grid[2]))
    assert ">blur</text>" in chart


def test_variants_are_told_to_people() -> None:
    """With their quality or their blur in percent."""
    told = [one.told for one in (AS_IT_IS, *STRESSES["jpeg"][:1], *STRESSES["blur"][:1])]
    assert told == ["as it is", "JPEG quality 90", "blur 0.1 %"]


def test_pages_escape_what_files_say() -> None:
    """A source or a title of the label file cannot put markup into a page."""
    shown = page("<b>x</b>", [pairs({"<i>": "<script>", "left out": None})])
    assert "<script>" not in shown
    assert "<b>x" not in shown
    assert "&lt;script&gt;" in shown
    assert "left out" not in shown
