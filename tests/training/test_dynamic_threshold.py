"""The dynamic threshold: the mixture is EM's, the boundary the formula's, the state exact."""

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hunique_training.pseudo_labels.dynamic_threshold import (
    DynamicThreshold,
    DynamicThresholdConfig,
    best_split,
    split_of_histogram,
)
from hunique_training.pseudo_labels.mixture import Mixture, fit_mixture, log_densities

Vectors = Callable[[str], dict[str, torch.Tensor]]
Floats = NDArray[np.float64]
BINS = 256


def _exact_em(samples: Floats, rounds: int = 3000) -> tuple[Floats, Floats, Floats]:
    """Two components by textbook EM on every sample, run until nothing moves."""
    shares, variances = np.full(2, 0.5), np.full(2, 0.01)
    means = np.array([samples.min(), samples.max()])
    for _ in range(rounds):
        density = shares * np.exp(-((samples[:, None] - means) ** 2) / 2 / variances)
        density /= np.sqrt(2 * np.pi * variances)
        owned = density / density.sum(1, keepdims=True)
        sizes = owned.sum(0)
        shares, before = sizes / sizes.sum(), means
        means = (owned * samples[:, None]).sum(0) / sizes
        variances = (owned * (samples[:, None] - means) ** 2).sum(0) / sizes
        if np.abs(means - before).max() < 1e-12:
            break
    return shares, means, variances


def _exact_split(samples: Floats, shares: Floats, means: Floats, variances: Floats) -> float:
    """The printed objective, tried at every sample; any xi of the best gap is as good."""
    samples = np.sort(samples)
    logs = np.log(shares) - 0.5 * np.log(2 * np.pi * variances)
    logs = logs - (samples[:, None] - means) ** 2 / 2 / variances
    scores = [logs[:i, 0].sum() + logs[i:, 1].sum() for i in range(len(samples))]
    best = int(np.argmax(scores))
    return float(samples[best - 1] + samples[best]) / 2


def _two_modes(share: float, seed: int = 0) -> Floats:
    rng = np.random.default_rng(seed)
    low = rng.normal(0.2, 0.06, round(4096 * (1 - share)))
    high = rng.normal(0.75, 0.1, 4096 - len(low))
    return np.clip(np.concatenate([low, high]), 0.06, 0.999)


def _counts(samples: Floats) -> torch.Tensor:
    return torch.from_numpy(np.histogram(samples, BINS, (0, 1))[0].astype(np.float64))


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
def test_histogram_gives_what_exact_em_gives(share: float) -> None:
    """The boundary of the histogram is that of every sample: one in 1000 changes sides."""
    samples = _two_modes(share)
    low, high = sorted(
        (
            _exact_split(samples, *_exact_em(samples)),
            split_of_histogram(_counts(samples)) or 0.0,
        )
    )
    assert ((samples > low) & (samples <= high)).mean() <= 0.001
    assert high - low < 0.05


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
def test_mixture_of_a_histogram_is_that_of_its_samples(share: float) -> None:
    """Shares, means and deviations, within what bins and an early stop cost."""
    samples = _two_modes(share)
    counts = _counts(samples)
    centres = (torch.arange(BINS, dtype=torch.float64) + 0.5) / BINS
    start = Mixture(
        *(torch.tensor(v, dtype=torch.float64) for v in ([0.5] * 2, [0, 1], [0.01] * 2))
    )
    found = fit_mixture(centres, counts, start)
    shares, means, variances = _exact_em(samples)
    np.testing.assert_allclose(found.shares.numpy(), shares, atol=0.005)
    np.testing.assert_allclose(found.means.numpy(), means, atol=0.005)
    np.testing.assert_allclose(found.variances.sqrt().numpy(), np.sqrt(variances), atol=0.005)


def _released_fit(values: torch.Tensor, means: list[torch.Tensor]) -> Mixture:
    """EM from the release's wide start."""
    count = len(means)
    equal = torch.full((count,), 1 / count, dtype=torch.float64)
    start = Mixture(equal, torch.stack(means), torch.ones(count, dtype=torch.float64))
    return fit_mixture(values, torch.ones_like(values), start, tolerance=1e-3)


def _assert_mixture(found: Mixture, z: dict[str, torch.Tensor], name: str) -> None:
    for part, key in zip(found, ("weights", "means", "vars"), strict=True):
        torch.testing.assert_close(part, z[f"{name}_{key}"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["trimodal", "unimodal"])
def test_two_modes_equal_the_release_and_the_formula(vectors: Vectors, name: str) -> None:
    """The released 2-mode fit, its xi, and the printed objective's xi on that fit."""
    z = vectors("gmm_threshold")
    values = z[f"queue_{name}"].flatten().sort().values
    values = values[values > 0.05]
    found = _released_fit(values, [values[0], values[-1]])
    _assert_mixture(found, z, f"{name}_gmm2")
    below = log_densities(found, values).argmax(0) == 0
    assert float(values[below].max()) == float(z[f"{name}_modal2_xi"])
    edge = best_split(values, torch.ones_like(values), found)
    assert float(values[edge]) == float(z[f"{name}_FORMULA_xi_star"])


@pytest.mark.parametrize("name", ["trimodal", "unimodal"])
def test_three_modes_equal_the_release(vectors: Vectors, name: str) -> None:
    """The released 3-mode fit and its two thresholds, on values one by one."""
    z = vectors("gmm_threshold")
    values = z[f"queue_{name}"].flatten()
    values = values[values > 0.05]
    middle = torch.quantile(values, 0.5)
    found = _released_fit(values, [values.min(), middle, values.max()])
    _assert_mixture(found, z, f"{name}_gmm3")
    owner = log_densities(found, values).argmax(0)
    thresholds = torch.stack([values[owner == 0].max(), values[owner == 2].min()])
    torch.testing.assert_close(thresholds, z[f"{name}_modal3_low_high"], rtol=1e-9, atol=0)


def test_the_real_fit_parts_the_reference_queue(vectors: Vectors) -> None:
    """On the queue with clear modes the boundary lies at that of EM run to its end."""
    samples = vectors("gmm_threshold")["queue_trimodal"].flatten().numpy()
    samples = samples[samples > 0.05]
    expected = _exact_split(samples, *_exact_em(samples))
    assert split_of_histogram(_counts(samples)) == pytest.approx(expected, abs=2 / BINS)


@pytest.mark.parametrize(
    "samples",
    [[], [0.3] * 500, [0.3, 0.9], np.random.default_rng(0).normal(0.5, 0.05, 5000)],
    ids=["empty", "constant", "two values", "one mode"],
)
def test_what_does_not_part_keeps_the_threshold(samples: list[float]) -> None:
    """Queues without two modes leave the threshold where it is, and never NaN."""
    threshold = DynamicThreshold(DynamicThresholdConfig(start=0.4, decay=0.5))
    values = torch.as_tensor(np.asarray(samples), dtype=torch.float32).view(-1, 1, 1)
    inside = torch.ones_like(values, dtype=torch.bool)
    for _ in range(3):
        threshold.observe(values, inside)
    if len(samples) != 2:
        assert threshold.value == pytest.approx(0.4, abs=1e-12)
    else:
        assert 0.3 < threshold.value < 0.9


def _maps(step: int, share: float = 0.3) -> torch.Tensor:
    return torch.from_numpy(_two_modes(share, seed=step)).float().view(1, 64, 64)


def test_threshold_moves_smoothly_to_the_boundary() -> None:
    """Each step keeps `decay` of the old value; in the end it is the boundary."""
    inside = torch.ones(1, 64, 64, dtype=torch.bool)
    threshold = DynamicThreshold(DynamicThresholdConfig(start=0.5, decay=0.9))
    threshold.observe(_maps(0), inside)
    boundary = split_of_histogram(threshold.histograms.sum(0))
    assert boundary is not None
    assert threshold.value == pytest.approx(0.9 * 0.5 + 0.1 * boundary)
    for step in range(1, 80):
        threshold.observe(_maps(step), inside)
    assert threshold.value == pytest.approx(boundary, abs=3 / BINS)


def test_pixels_outside_the_picture_do_not_count() -> None:
    """Only the box is looked at, and only values above the floor."""
    maps, inside = _maps(0), torch.zeros(1, 64, 64, dtype=torch.bool)
    inside[:, :10, :10] = True
    maps[:, 0, :5] = 0.05
    threshold = DynamicThreshold(DynamicThresholdConfig())
    threshold.observe(maps, inside)
    assert float(threshold.histograms.sum()) == 95


def test_old_steps_leave_the_ring() -> None:
    """After `queue_steps` further steps nothing of a step is left."""
    config = DynamicThresholdConfig(queue_steps=3)
    longer, fresh = DynamicThreshold(config), DynamicThreshold(config)
    inside = torch.ones(1, 64, 64, dtype=torch.bool)
    for step in (7, 8):
        longer.observe(_maps(step, share=0.9), inside)
    for step in range(3):
        longer.observe(_maps(step), inside)
        fresh.observe(_maps(step), inside)
    assert torch.equal(longer.histograms.sum(0), fresh.histograms.sum(0))


def test_state_goes_on_bit_for_bit() -> None:
    """Saved and loaded in the middle, the threshold takes the same way."""
    inside = torch.ones(1, 64, 64, dtype=torch.bool)
    config = DynamicThresholdConfig(queue_steps=4)
    whole, part = DynamicThreshold(config), DynamicThreshold(config)
    for step in range(6):
        whole.observe(_maps(step), inside)
        part.observe(_maps(step), inside)
        if step == 2:
            state = part.state_dict()
            part = DynamicThreshold(config)
            part.load_state_dict(state)
    assert whole.value == part.value
    assert torch.equal(whole.histograms, part.histograms)


def test_a_step_is_cheap() -> None:
    """Histogram and fit for eight maps take less than 5 ms, best of several tries."""
    threshold = DynamicThreshold(DynamicThresholdConfig())
    maps = torch.cat([_maps(step) for step in range(8)])
    inside = torch.ones_like(maps, dtype=torch.bool)
    durations_s = []
    for _ in range(20):
        started_s = time.perf_counter()
        threshold.observe(maps, inside)
        durations_s.append(time.perf_counter() - started_s)
    assert min(durations_s) < 0.005


def test_impossible_settings_are_refused() -> None:
    """A start outside (0, 1) or a ring of no step."""
    with pytest.raises(ValueError, match="start < 1"):
        DynamicThresholdConfig(start=1.0)
    with pytest.raises(ValueError, match="queue_steps"):
        DynamicThresholdConfig(queue_steps=0)
