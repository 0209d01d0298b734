"""How much of full supervision each row reaches, by the row of full supervision of its network.

A ratio is that of one seed; without the other row's run of that seed there is none.
"""

import math
from collections.abc import Mapping

from hunique_training.comparison.rows import Plan, bound_of

Figures = Mapping[str, float]
"""Figures of one run by name."""
Runs = Mapping[str, Mapping[int, Figures]]
"""Row to seed to figures."""

RATIOS = {
    "weak_by_full": "segmentation_label_free",
    "served_weak_by_full": "served_label_free",
}
"""Names of ratios, and what they are the ratio of."""


def with_ratios(runs: Runs, plans: Mapping[str, Plan]) -> dict[str, dict[int, dict[str, float]]]:
    """The same runs with `RATIOS` among their figures, NaN where there is none.

    Args:
        runs: what is finished.
        plans: how each row came to its model.
    """
    return {
        row: {
            seed: {**figures, **_ratios(figures, _bound(runs, plans, row, seed))}
            for seed, figures in seeds.items()
        }
        for row, seeds in runs.items()
    }


def _bound(runs: Runs, plans: Mapping[str, Plan], row: str, seed: int) -> Figures:
    bound = bound_of(row, plans)
    return {} if bound is None else runs.get(bound, {}).get(seed, {})


def _ratios(weak: Figures, full: Figures) -> dict[str, float]:
    return {
        name: _divided(weak.get(of, math.nan), full.get(of, math.nan))
        for name, of in RATIOS.items()
    }


def _divided(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.nan
