"""What the rows of a comparison are: how each comes to a model, given what all start from.

    Trained    `fit` from image labels: a method, or a change of the preset
    Saliency   the map of another row's classifier, trained no further
    Taught     a network of its own on another row's labels of pixels
    Supervised the same on truth masks, the upper bound

`without_` takes a part of CoSA out, `with_` puts one in that the preset leaves out. A row that
would be another one again, because the preset has the part already or never had it, is none.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hunique_training.config import TrainConfig
from hunique_training.run_length import at_length
from hunique_training.second_stage.config import SecondStageConfig, second_stage
from hunique_training.second_stage.labelling_config import LabellingConfig

BASE = "cosa"
"""The row that is the preset as it stands."""
FULL = "full_supervision"
"""The row that masks of `train` teach, by the schedule of the second stages."""
FULL_FROZEN = "full_supervision_frozen"
"""The same with as much of the encoder frozen as the single-stage rows have."""

CLASSIFIERS = ("cam", "hide_and_seek", "adversarial_erasing", "equivariant_cam")
"""Methods without a segmentation."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Learned by `fit` from image-level labels."""

    config: TrainConfig
    """The run, without its seed."""


@dataclass(frozen=True, kw_only=True)
class Saliency:
    """SmoothGrad of a classifier that another row trains."""

    of: str
    """That row."""


@dataclass(frozen=True, kw_only=True)
class Taught:
    """A segmentation network taught by what another row's model says of pixels."""

    config: SecondStageConfig
    """The run, without its seed."""
    by: str
    """That row."""
    labelling: LabellingConfig
    """How its model labels."""


@dataclass(frozen=True, kw_only=True)
class Supervised:
    """A segmentation network taught by truth masks of `train`."""

    config: SecondStageConfig
    """The run, without its seed."""


Plan = Trained | Saliency | Taught | Supervised
"""How a row comes to its model."""
Row = Callable[[TrainConfig], Plan]
"""A row, given what all rows start from."""


def _set(**values: Any) -> Row:
    return lambda base: Trained(config=dataclasses.replace(base, **values))


def _weigh(**values: float) -> Row:
    return lambda base: Trained(config=_weighed(base, values))


def _weighed(config: TrainConfig, values: dict[str, float]) -> TrainConfig:
    return dataclasses.replace(config, weights=dataclasses.replace(config.weights, **values))


def _without_prior(method: str) -> Row:
    """A method without the size prior; where the run has none, the method as it is."""

    def row(base: TrainConfig) -> Trained:
        config = base if method == BASE else dataclasses.replace(base, method=method)
        if config.largest_shares:
            config = _weighed(config, {"size_prior": 0.0})
        return Trained(config=config)

    return row


def _taught(by: str, labelling: LabellingConfig) -> Row:
    """The labels are made at the scales at which the first stage makes its own."""

    def row(base: TrainConfig) -> Taught:
        scaled = dataclasses.replace(labelling, scales=base.assignment_scales)
        return Taught(config=second_stage_of(base), by=by, labelling=scaled)

    return row


def _full(base: TrainConfig) -> Supervised:
    return Supervised(config=second_stage_of(base))


def _full_frozen(base: TrainConfig) -> Supervised:
    config = dataclasses.replace(second_stage_of(base), frozen_stages=base.frozen_stages)
    return Supervised(config=config)


OF_SEGMENTATION = LabellingConfig(source="segmentation", high=0.6, low=0.4)
"""Pseudo-labels of CoSA for the second stage. The thresholds are told: those that a model has
were chosen on masks of `val`, which no weakly supervised row may learn from."""

ROWS: dict[str, Row] = {
    **{method: _set(method=method) for method in CLASSIFIERS},
    **{f"{method}_without_size_prior": _without_prior(method) for method in CLASSIFIERS},
    "smooth_grad": lambda _: Saliency(of="cam"),
    BASE: _set(),
    "pipeline": _taught("cam", LabellingConfig(source="cam", refine="par")),
    "second_stage": _taught(BASE, OF_SEGMENTATION),
    FULL: _full,
    FULL_FROZEN: _full_frozen,
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
    "without_size_prior": _without_prior(BASE),
    "without_cam_exponents": _set(cam_exponents=()),
    "with_reliability_weights": _set(weighting="reliability"),
    "with_dynamic_threshold": _set(threshold="dynamic"),
    "with_contrastive_separation": _weigh(contrastive_separation=0.1),
    "with_regulariser": _weigh(regulariser=0.05),
    "with_ignored_consistency": _weigh(ignored_consistency=0.1),
}
"""By name, in the order in which they are run."""


def plans_of(base: TrainConfig, row_steps: Mapping[str, int] | None = None) -> dict[str, Plan]:
    """How each row that is one comes to its model.

    Args:
        base: what all rows start from.
        row_steps: steps of rows that are trained for longer or shorter than the others.

    Raises:
        ValueError: steps of no such row, or of one that is not trained.
    """
    row_steps = row_steps or {}
    refuse_unknown(row_steps)
    first = ROWS[BASE](base)
    plans: dict[str, Plan] = {}
    for name, row in ROWS.items():
        plan = row(base)
        if name == BASE or plan not in (first, *plans.values()):
            plans[name] = plan
    untrained = [name for name in row_steps if isinstance(plans.get(name), Saliency)]
    if untrained:
        raise ValueError(f"no steps can be given for {untrained[0]}, which is not trained")
    return {
        name: _as_long(plan, row_steps[name]) if name in row_steps else plan
        for name, plan in plans.items()
    }


def refuse_unknown(names: Mapping[str, int] | tuple[str, ...]) -> None:
    """Check that all are rows.

    Raises:
        ValueError: some are not.
    """
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise ValueError(f"expected rows of {', '.join(ROWS)}; found {', '.join(unknown)}")


def _as_long(plan: Plan, steps: int) -> Plan:
    if isinstance(plan, Saliency):
        return plan
    if isinstance(plan, Trained):
        return Trained(config=at_length(plan.config, steps))
    warm_up = round(plan.config.rate_warm_up_steps * steps / plan.config.total_steps)
    config = dataclasses.replace(plan.config, total_steps=steps, rate_warm_up_steps=warm_up)
    return dataclasses.replace(plan, config=config)


def second_stage_of(base: TrainConfig) -> SecondStageConfig:
    """A second stage with encoder, weights, crops, rates and as many steps as the first."""
    network = base.network
    return dataclasses.replace(
        second_stage(network.encoder, network.class_names),
        pretrained=base.pretrained,
        views=base.views,
        total_steps=base.total_steps,
        rate_warm_up_steps=base.rate_warm_up_steps,
        batch_size=base.step_pictures,
        learning_rate=base.learning_rate,
        head_rate_factor=base.head_rate_factor,
        weight_decay=base.weight_decay,
        cache_side_px=base.cache_side_px,
    )


def bound_of(row: str, plans: Mapping[str, Plan]) -> str | None:
    """The row of full supervision that a row is measured against: that of its own network.

    None for the bounds themselves and for rows that train no network.
    """
    plan = plans.get(row)
    if isinstance(plan, Trained):
        return FULL_FROZEN if FULL_FROZEN in plans else FULL
    return FULL if isinstance(plan, Taught) else None


def with_all_parts(base: TrainConfig) -> TrainConfig:
    """With the parts of the paper and the release that a preset leaves out, to take each out."""
    weights = dataclasses.replace(base.weights, contrastive_separation=0.1, regulariser=0.05)
    return dataclasses.replace(
        base, weighting="reliability", threshold="dynamic", auxiliary_share=0.5, weights=weights
    )
