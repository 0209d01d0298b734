"""What a table says in words: the schedule and data that all rows share, and which rows differ."""

from collections.abc import Mapping, Sequence

from hunique_training.comparison.ratios import Runs
from hunique_training.comparison.request import CompareRequest, Scoring
from hunique_training.comparison.table import steps_text


def heading(request: CompareRequest, seeds: Sequence[int], data: Mapping[str, str | int]) -> str:
    """What all rows share.

    Args:
        request: what they start from, and how they are scored.
        seeds: those that there are runs of.
        data: `name`, and pictures of `train` and `val` and those of val with `masks`.
    """
    base = request.base
    scales = "five scales" if request.scoring is Scoring.PUBLISHED else "one scale"
    numbers = ", ".join(map(str, seeds)) or "none yet"
    return (
        f"{data['name']}: {data['train']} pictures of train, {data['val']} of val, {data['masks']} "
        f"of these with masks. Preset {base.preset}, {base.network.encoder}, {base.total_steps} "
        f"steps of {base.step_pictures} crops of {base.views.size_px} px, pseudo-labels from step "
        f"{base.loss_warm_up_steps}, guided CAMs from step {base.guidance_start_step}, models look "
        f"at {request.input_size_px} px, scored over {scales}, mirrored. Seeds: {numbers}."
    )


def notes(runs: Runs, total_steps: int, failures: Mapping[str, str], data: str) -> tuple[str, ...]:
    """Rows that had another schedule than the heading says, and those that failed.

    Args:
        runs: what is finished.
        total_steps: what the heading says.
        failures: row and seed to what was told.
        data: the data set, where a table has several.
    """
    others = [
        f"{row.replace('_', ' ')} ({steps_text(figures)} steps, seed {seed})"
        for row, seeds in runs.items()
        for seed, figures in seeds.items()
        if steps_text(figures) != str(total_steps)
    ]
    failed = [f"{name} ({told})" for name, told in failures.items()]
    prefix = f"{data}. " if data else ""
    said = []
    if others:
        said.append(f"{prefix}Another schedule: {', '.join(others)}.")
    if failed:
        said.append(f"{prefix}Failed, to be run again by the same command: {'; '.join(failed)}.")
    return tuple(said)
