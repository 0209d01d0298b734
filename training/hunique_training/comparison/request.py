"""What a comparison is asked for, and where its files stand.

OUT/comparison.json             what all rows share
OUT/<row>/seed-<n>/             the run folder of a row with a seed
OUT/<row>/seed-<n>/figures.json when it is finished; failure.txt when it failed
OUT/table.csv, OUT/table.md     written anew after each run
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from hunique_training.comparison.rows import Plan, plans_of
from hunique_training.config import TrainConfig
from hunique_training.data.reading import ReadingOptions
from hunique_training.data.splitting import SplitRule
from hunique_training.evaluation.map_run import SCALES
from hunique_training.second_stage.label_source import LabelSource

TruthOpener = Callable[[Sequence[Path], Sequence[str]], LabelSource]
"""Opens truth masks of training pictures, given label files and class names."""

FIGURES = "figures.json"
FAILURE = "failure.txt"


class Scoring(StrEnum):
    """How a trained row is scored, which takes longer than training where the rows are short."""

    PUBLISHED = "published"
    """Maps over five scales, each mirrored, and the masks that would be served."""
    ONE_SCALE = "one-scale"
    """Maps at the input size, mirrored; no served masks, so no thresholds either."""


@dataclass(frozen=True, kw_only=True)
class CompareRequest:
    """What `compare` is asked to do."""

    base: TrainConfig
    """What all rows start from; its seed is not used."""
    rows: tuple[str, ...]
    """Names of `rows.ROWS`."""
    seeds: tuple[int, ...]
    """Every row is run with each."""
    data: tuple[str, ...]
    """Sources, as for `fit`; `val` needs truth masks."""
    out: Path
    """Where everything is written."""
    open_truth: TruthOpener | None = None
    """Truth masks of `train`, for the upper bounds; None: those rows fail."""
    row_steps: Mapping[str, int] = field(default_factory=dict)
    """Steps of rows that are trained for longer or shorter than the others."""
    input_size_px: int = 448
    """Side of the square input that models look with."""
    scoring: Scoring = Scoring.PUBLISHED
    """How all rows are scored."""
    device: str = "cpu"
    """torch device."""
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    """What sources do not say themselves."""
    split: SplitRule = field(default_factory=SplitRule)
    """How sources without a split are split."""

    @property
    def plans(self) -> dict[str, Plan]:
        """Every row there is, asked for or not, in the order in which rows are run."""
        return plans_of(self.base, self.row_steps)

    @property
    def scales(self) -> tuple[float, ...]:
        """Scales at which maps are scored, each plain and mirrored."""
        return SCALES if self.scoring is Scoring.PUBLISHED else (1.0,)

    def folder(self, row: str, seed: int) -> Path:
        """The run folder of a row."""
        return self.out / row / f"seed-{seed}"
