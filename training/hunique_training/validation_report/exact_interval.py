"""The interval of a share that needs no resampling (Clopper and Pearson, 1934)."""

from scipy.special import betaincinv


def exact_interval(hits: int, trials: int) -> tuple[float, float]:
    """The exact 95 % interval of a share of independent trials; (0, 1) without any."""
    low = float(betaincinv(hits, trials - hits + 1, 0.025)) if hits else 0.0
    high = float(betaincinv(hits + 1, trials - hits, 0.975)) if hits < trials else 1.0
    return low, high
