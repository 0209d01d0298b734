"""Learning rate by step: linear warm-up, then polynomial decay (COSA section 4).

step < warm-up:  lr0 (1 - (1 - step / warm-up) (1 - 1e-6))
after:           lr0 (1 - step / total) ^ 0.9
"""


def learning_rate_factor(step: int, *, warm_up_steps: int, total_steps: int) -> float:
    """What to multiply the base learning rate by at `step`, counted from 0."""
    if step < warm_up_steps:
        return 1 - (1 - step / warm_up_steps) * (1 - 1e-6)
    return float((1 - min(step, total_steps - 1) / total_steps) ** 0.9)
