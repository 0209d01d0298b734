"""Rows of a comparison: each differs from the preset in one thing, and all share the schedule."""

import dataclasses

import pytest

from hunique_training.comparison.rows import (
    BASE,
    CLASSIFIERS,
    FULL,
    FULL_FROZEN,
    ROWS,
    Saliency,
    Supervised,
    Taught,
    Trained,
    bound_of,
    plans_of,
    second_stage_of,
    with_all_parts,
)
from hunique_training.config import METHODS, TrainConfig
from hunique_training.fit_options import with_classes
from hunique_training.network.registry import ENCODERS
from hunique_training.presets import PRESETS
from hunique_training.run_length import at_length


def _configs(base: TrainConfig) -> dict[str, TrainConfig]:
    return {name: one.config for name, one in plans_of(base).items() if isinstance(one, Trained)}


@pytest.mark.parametrize("preset", ["hunique", "paper", "release"])
def test_each_row_differs_from_the_preset_in_something(preset: str) -> None:
    """What the preset has or lacks already makes no row; every method is one."""
    base = PRESETS[preset]()
    rows = _configs(base)
    assert {one.method for one in rows.values()} == set(METHODS)
    assert rows[BASE] == base
    assert len({one.to_json() for one in rows.values()}) == len(rows)
    assert ("with_dynamic_threshold" in rows) == (base.threshold == "fixed")
    assert ("without_dynamic_threshold" in rows) == (base.threshold == "dynamic")
    assert ("without_regulariser" in rows) == (base.weights.regulariser > 0)


def test_every_method_has_the_size_prior_and_a_row_without() -> None:
    """Where the run has one; without, no row is run twice."""
    rows = _configs(TrainConfig())
    for method in CLASSIFIERS:
        assert rows[method].largest_shares == TrainConfig().largest_shares
        assert rows[method].weights == TrainConfig().weights
        bare = rows[f"{method}_without_size_prior"]
        assert (bare.method, bare.weights.size_prior) == (method, 0)
    assert rows["without_size_prior"].weights.size_prior == 0
    others = _configs(with_classes(TrainConfig(), ("cat", "dog")))
    assert not [name for name in others if "size_prior" in name]


def test_all_parts_can_be_taken_out() -> None:
    """From the preset with everything in, each part of CoSA makes a row of its own."""
    base = with_all_parts(TrainConfig())
    rows = _configs(base)
    changed = {
        "without_guided_cam": ("guide_cam", False),
        "without_swapped_assignments": ("assignment_momentum", 0.0),
        "without_reliability_weights": ("weighting", "none"),
        "without_dynamic_threshold": ("threshold", "fixed"),
        "without_auxiliary_cam": ("auxiliary_share", 0.0),
    }
    for row, (name, value) in changed.items():
        assert getattr(base, name) != value == getattr(rows[row], name)
    for part in ("contrastive_separation", "regulariser"):
        assert getattr(base.weights, part) > 0
        assert getattr(rows[f"without_{part}"].weights, part) == 0
    assert [name for name in rows if name.startswith("with_")] == ["with_ignored_consistency"]


@pytest.mark.parametrize("encoder", [name for name in ENCODERS if name != "vit_base_16"])
def test_second_stages_and_bounds_have_the_schedule_of_the_first(encoder: str) -> None:
    """Encoder, weights, crops, rates and steps; the whole joint batch in one pass."""
    network = dataclasses.replace(PRESETS["paper"]().network, encoder=encoder)
    base = dataclasses.replace(
        PRESETS["paper"](), network=network, pretrained="a.pth", accumulate=3, batch_size=2
    )
    config = second_stage_of(at_length(base, 500))
    assert config.network.encoder == encoder
    assert config.network.class_names == base.network.class_names
    assert (config.pretrained, config.views, config.total_steps) == ("a.pth", base.views, 500)
    assert (config.batch_size, config.learning_rate) == (6, base.learning_rate)
    assert config.rate_warm_up_steps == round(base.rate_warm_up_steps * 500 / base.total_steps)


def test_labels_of_a_second_stage_rest_on_no_mask() -> None:
    """Its thresholds are told, or those of the maps: never what was chosen on masks of val."""
    plans = plans_of(dataclasses.replace(TrainConfig(), assignment_scales=(1.0, 0.5)))
    second, pipeline = plans["second_stage"], plans["pipeline"]
    assert isinstance(second, Taught)
    assert isinstance(pipeline, Taught)
    assert (second.labelling.high, second.labelling.low) == (0.6, 0.4)
    assert (second.by, pipeline.by) == (BASE, "cam")
    assert (pipeline.labelling.source, pipeline.labelling.refine) == ("cam", "par")
    assert second.labelling.scales == pipeline.labelling.scales == (1.0, 0.5)


def test_bounds_are_those_of_the_own_network() -> None:
    """Where both would be the same network there is one."""
    plans = plans_of(TrainConfig())
    assert isinstance(plans[FULL], Supervised)
    assert isinstance(plans["smooth_grad"], Saliency)
    bounds = {name: bound_of(name, plans) for name in (BASE, "pipeline", FULL, "smooth_grad")}
    assert bounds == {BASE: FULL_FROZEN, "pipeline": FULL, FULL: None, "smooth_grad": None}
    thawed = plans_of(dataclasses.replace(TrainConfig(), frozen_stages=2))
    assert FULL_FROZEN not in thawed
    assert bound_of(BASE, thawed) == FULL


def test_rows_can_be_longer_or_shorter() -> None:
    """A first stage with all of its warm-ups, a second with that of its rate."""
    plans = plans_of(TrainConfig(), {BASE: 1000, FULL: 100})
    first, full = plans[BASE], plans[FULL]
    assert isinstance(first, Trained)
    assert isinstance(full, Supervised)
    assert first.config == at_length(TrainConfig(), 1000)
    expected = round(TrainConfig().rate_warm_up_steps * 100 / TrainConfig().total_steps)
    assert (full.config.total_steps, full.config.rate_warm_up_steps) == (100, expected)
    assert plans["cam"] == plans_of(TrainConfig())["cam"]
    with pytest.raises(ValueError, match="expected rows of cam"):
        plans_of(TrainConfig(), {"camera": 3})
    assert list(plans) == [name for name in ROWS if name in plans]
