"""Validation during training: how often, when to stop, and which network is kept. A leaf."""

from dataclasses import dataclass
from typing import Any

KEPT = ("last", "best")


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """How a run is validated while it trains."""

    every_steps: int = 0
    """Steps between validations; 0: never. Each takes as long as some steps of training."""
    pictures: int = 48
    """At most so many pictures of `val` are looked at, always the same ones."""
    patience: int = 0
    """Validations without a better mean IoU after which training stops; 0: it never does.
    Small validation sets are noisy: 3 or more."""
    keep: str = "last"
    """Which assignment network becomes `model.pt`: the `last`, or the `best`, which
    `patience` implies. Both count from the end of the loss warm-up. Figures on `val` of the best of many are a little too good."""

    def __post_init__(self) -> None:
        """Check limits."""
        if self.keep not in KEPT:
            raise ValueError(f"keep is one of {', '.join(KEPT)}, found {self.keep!r}")
        if self.every_steps < 0 or self.patience < 0 or self.pictures < 1:
            raise ValueError(
                "expected every_steps and patience of at least 0 and pictures of at least 1, "
                f"found {self.every_steps}, {self.patience} and {self.pictures}"
            )
        if self.keeps_best and not self.every_steps:
            raise ValueError(
                "keeping the best network needs validation: --validate-every-steps 100, say"
            )

    @property
    def keeps_best(self) -> bool:
        """Whether the best network becomes `model.pt`."""
        return self.keep == "best" or self.patience > 0


class BestSoFar:
    """The best validation of a run, and how long ago it was.

    Args:
        patience: validations without a better one after which `exhausted` is true; 0: never.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self.mean_iou: float | None = None
        """The best so far; None before the first validation."""
        self.step = 0
        """When that was."""
        self.worse_since = 0
        """Validations since then."""

    def take(self, step: int, mean_iou: float) -> bool:
        """Take in a validation; returns whether it is the best so far."""
        if self.mean_iou is None or mean_iou > self.mean_iou:
            self.mean_iou, self.step, self.worse_since = mean_iou, step, 0
            return True
        self.worse_since += 1
        return False

    @property
    def exhausted(self) -> bool:
        """Whether patience is at its end."""
        return 0 < self._patience <= self.worse_since

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps; plain values."""
        return {"mean_iou": self.mean_iou, "step": self.step, "worse_since": self.worse_since}

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`; nothing of a run of an earlier version."""
        self.mean_iou = state.get("mean_iou")
        self.step = state.get("step", 0)
        self.worse_since = state.get("worse_since", 0)
