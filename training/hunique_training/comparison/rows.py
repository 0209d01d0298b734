"""What the rows of a comparison are: changes of one configuration.

`without_` takes a part of CoSA out, `with_` puts one in that the preset leaves out. A change
that changes nothing, because the preset has the part already or never had it, makes no row.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from hunique_training.config import TrainConfig

Change = Callable[[TrainConfig], TrainConfig]
"""A row, given what all rows start from."""

BASE = "cosa"
"""The row that is the preset as it stands."""


def _set(**values: Any) -> Change:
    return lambda config: dataclasses.replace(config, **values)


def _weigh(**values: float) -> Change:
    return lambda config: dataclasses.replace(
        config, weights=dataclasses.replace(config.weights, **values)
    )


ROWS: dict[str, Change] = {
    "cam": _set(method="cam"),
    "hide_and_seek": _set(method="hide_and_seek"),
    "adversarial_erasing": _set(method="adversarial_erasing"),
    "equivariant_cam": _set(method="equivariant_cam"),
    BASE: _set(),
    "without_guided_cam": _set(guide_cam=False),
    # no slow copy: the online network assigns to itself
    "without_swapped_assignments": _set(assignment_momentum=0.0, assignment_catches_up=False),
    "without_reliability_weights": _set(weighting="none"),
    "without_dynamic_threshold": _set(threshold="fixed"),
    "without_contrastive_separation": _weigh(contrastive_separation=0.0),
    "without_auxiliary_cam": _set(
        auxiliary_share=0.0, guide_auxiliary_cam=False, mixed_cam_shares=()
    ),
    "without_regulariser": _weigh(regulariser=0.0),
    "without_size_prior": _weigh(size_prior=0.0),
    "with_reliability_weights": _set(weighting="reliability"),
    "with_dynamic_threshold": _set(threshold="dynamic"),
    "with_contrastive_separation": _weigh(contrastive_separation=0.1),
    "with_regulariser": _weigh(regulariser=0.05),
    "with_ignored_consistency": _weigh(ignored_consistency=0.1),
}
"""By name, in the order in which they are run."""


def rows_of(base: TrainConfig, names: tuple[str, ...]) -> dict[str, TrainConfig]:
    """The configuration of each row that is one.

    Args:
        base: what all rows start from.
        names: of `ROWS`.

    Raises:
        ValueError: no such row.
    """
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise ValueError(f"expected rows of {', '.join(ROWS)}; found {', '.join(unknown)}")
    changed = {name: ROWS[name](base) for name in ROWS if name in names}
    return {name: one for name, one in changed.items() if name == BASE or one != base}


def at_length(config: TrainConfig, steps: int) -> TrainConfig:
    """The configuration with so many steps, all warm-ups and the start of guidance in proportion.

    Without the last a short run would end before its CAM is guided.
    """
    share = steps / config.total_steps
    names = ("loss_warm_up_steps", "rate_warm_up_steps", "guidance_start_step")
    lengths: dict[str, Any] = {name: round(getattr(config, name) * share) for name in names}
    return dataclasses.replace(config, total_steps=steps, **lengths)
