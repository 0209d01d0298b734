"""What a comparison is asked for, and where its files stand.

OUT/comparison.json             what all rows share
OUT/<row>/seed-<n>/             the run folder of a row with a seed
OUT/<row>/seed-<n>/figures.json when it is finished; failure.txt when it failed
OUT/table.csv, OUT/table.md     written anew after each run
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hunique_training.comparison.rows import Plan, plans_of
from hunique_training.config import TrainConfig
from hunique_training.data.reading import ReadingOptions
from hunique_training.data.splitting import SplitRule
from hunique_training.second_stage.label_source import LabelSource

TruthOpener = Callable[[Sequence[Path], Sequence[str]], LabelSource]
"""Opens truth masks of training pictures, given label files and class names."""

FIGURES = "figures.json"
FAILURE = "failure.txt"


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

    def folder(self, row: str, seed: int) -> Path:
        """The run folder of a row."""
        return self.out / row / f"seed-{seed}"
