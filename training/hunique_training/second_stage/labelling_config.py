"""How a trained model labels the pixels of a picture: settings, a leaf."""

from dataclasses import asdict, dataclass, fields
from typing import Any

REFINEMENTS = ("none", "par", "crf")
SERVED = "served"
"""The source that is the model as it is served, with the thresholds and refinement of that."""


@dataclass(frozen=True, kw_only=True)
class LabellingConfig:
    """From maps to labels; written into the manifest of every folder of labels."""

    source: str = "segmentation"
    """Which map: `SERVED`, for which nothing of the rest matters, or one of `strength.SOURCES`."""
    scales: tuple[float, ...] = (1.0, 0.5, 1.5)
    """Scales at which the model looks, each also mirrored; those of CoSA's assignment."""
    refine: str = "none"
    """`par`: neighbours of like colour agree (PAR). `crf`: a dense CRF, slower. Or `none`."""
    band: float = 0.2
    """Share of the way from the segmentation's threshold to 0 and to 1 that is ignored."""
    high: float | None = None
    """Strength from which a place is a class; None: as the model knows it."""
    low: float | None = None
    """Strength below which a place is background; None: as the model knows it."""
    grid_stride_px: int = 4
    """Maps are refined on a grid of so many pixels of the model's input."""
    refine_dilations: tuple[int, ...] = (1, 2)
    """Reach of PAR in cells of that grid; beyond a feature's size it wipes the feature out."""
    refine_iterations: int = 4
    """How often PAR is repeated."""

    def __post_init__(self) -> None:
        """Check limits."""
        if self.refine not in REFINEMENTS:
            raise ValueError(f"refine is one of {', '.join(REFINEMENTS)}; found {self.refine!r}")
        if self.source == SERVED:
            self._refuse_more()
        if not 0 <= self.band < 1 or not self.scales or min(self.scales) <= 0:
            raise ValueError(
                f"expected 0 <= band < 1 and scales above 0, found {self.band} and {self.scales}"
            )

    def _refuse_more(self) -> None:
        """The model brings its own looks, thresholds and refinement."""
        others = [own for own in fields(self) if own.name != "source"]
        told = [own.name for own in others if getattr(self, own.name) != own.default]
        if told:
            raise ValueError(
                "what is served has the looks, thresholds and refinement of the model; leave out "
                f"{', '.join(told)}"
            )

    def settings(self) -> dict[str, Any]:
        """What matters of it, as the manifest of a folder of labels has it."""
        return {"source": SERVED} if self.source == SERVED else asdict(self)
