"""What a step of CoSA costs beside the bare passes of its networks.

    step:  labels, losses and update on drawn hands, late in a run, when all losses are active
    bare:  the online network forward and backward, the assignment network forward, on noise of
           the same shapes as the step gave them, and nothing else

Both take turns on the same threads; the median of the ratios of neighbours counts.
"""

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import click
import torch
from rows import MeasuredRow, append_rows

from hunique_training.allocator import keep_freed_memory
from hunique_training.config import TrainConfig
from hunique_training.data.batch import Batch
from hunique_training.data.batches import BatchMaker
from hunique_training.data.drawn import write_drawn_pictures
from hunique_training.data.labels import read_labels
from hunique_training.data.picture_cache import PictureCache
from hunique_training.data.sampling import BalancedSampler
from hunique_training.network.cosa import CosaNetwork, CosaOutput
from hunique_training.presets import PRESETS
from hunique_training.trainer import Trainer

ROWS = Path(__file__).parent / "step_cost_rows.csv"
LATE_SHARE = 0.9
"""The step that is timed, as a share of the run: warm-up and guidance have begun."""


@dataclass(frozen=True, kw_only=True)
class Row(MeasuredRow):
    """One line of step_cost_rows.csv."""

    preset: str
    encoder: str
    crop_size_px: int
    batch_size: int
    threads: int
    step_ms: float
    bare_ms: float
    step_of_bare: float
    peak_mb: int


@dataclass
class Passes:
    """What went through a network in a step."""

    shapes: list[torch.Size] = field(default_factory=list)

    def watch(self, network: CosaNetwork) -> Callable[[], None]:
        """Note what goes through; returns what ends that."""
        handle = network.register_forward_pre_hook(
            lambda _, given: self.shapes.append(given[0].shape)
        )
        return handle.remove


def _trainer_and_batch(config: TrainConfig, folder: Path) -> tuple[Trainer, Batch]:
    labels = write_drawn_pictures(folder / "drawn", 2 * config.batch_size)
    pictures = read_labels(labels, config.network.class_names)
    cache = PictureCache(config.cache_side_px)
    sampler = BalancedSampler(pictures, config.step_pictures, config.seed)
    batch = BatchMaker(pictures, cache, sampler, config.views, config.seed).batch(0)
    trainer = Trainer(config, folder / "run")
    trainer.steps_done = round(LATE_SHARE * config.total_steps)
    return trainer, batch


def bare_passes(trainer: Trainer, online: Passes, assignment: Passes) -> None:
    """The networks' passes on noise; gradients are made and left unused."""
    for shape in assignment.shapes:
        with torch.no_grad():
            trainer.assignment(_noise(shape))
    for shape in online.shapes:
        trainer.optimiser.zero_grad(set_to_none=True)
        output: CosaOutput = trainer.online(_noise(shape))
        torch.stack([part.float().mean() for part in output if part is not None]).sum().backward()  # type: ignore[no-untyped-call]


def _noise(shape: torch.Size) -> torch.Tensor:
    return torch.rand(shape).contiguous(memory_format=torch.channels_last)


def _timed_s(work: Callable[[], object]) -> float:
    started_s = time.monotonic()
    work()
    return time.monotonic() - started_s


def _peak_mb() -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) // 1024


def measure(config: TrainConfig, rounds: int) -> Row:
    """Time steps and bare passes of a configuration in turn."""
    with tempfile.TemporaryDirectory() as folder:
        trainer, batch = _trainer_and_batch(config, Path(folder))
        online, assignment = Passes(), Passes()
        ends = [online.watch(trainer.online), assignment.watch(trainer.assignment)]
        trainer.train_step(batch)
        for end in ends:
            end()
        steps_s, bare_s = [], []
        bare_passes(trainer, online, assignment)
        for _ in range(rounds):
            steps_s.append(_timed_s(lambda: trainer.train_step(batch)))
            bare_s.append(_timed_s(lambda: bare_passes(trainer, online, assignment)))
    return Row(
        preset=config.preset,
        encoder=config.network.encoder,
        crop_size_px=config.views.size_px,
        batch_size=config.batch_size,
        threads=torch.get_num_threads(),
        step_ms=round(1000 * statistics.median(steps_s)),
        bare_ms=round(1000 * statistics.median(bare_s)),
        step_of_bare=round(
            statistics.median(s / b for s, b in zip(steps_s, bare_s, strict=True)), 3
        ),
        peak_mb=_peak_mb(),
    )


@click.command()
@click.option("--preset", type=click.Choice(list(PRESETS)), default="hunique", show_default=True)
@click.option("--crop-size-px", type=click.IntRange(min=32), help="Default: the preset's.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Default: the preset's.")
@click.option("--rounds", type=click.IntRange(min=1), default=7, show_default=True)
@click.option("--record", is_flag=True, help="Append the result to step_cost_rows.csv.")
def main(
    preset: str, crop_size_px: int | None, batch_size: int | None, rounds: int, record: bool
) -> None:
    """Compare a step of a preset with the bare passes of its networks; weights are random."""
    keep_freed_memory()
    config = dataclasses.replace(PRESETS[preset](), pretrained=None)
    if crop_size_px is not None:
        config = dataclasses.replace(
            config, views=dataclasses.replace(config.views, size_px=crop_size_px)
        )
    if batch_size is not None:
        config = dataclasses.replace(config, batch_size=batch_size)
    row = measure(config, rounds)
    click.echo(
        f"{row.preset}, {row.encoder}: {row.batch_size} crops of {row.crop_size_px} px, "
        f"{row.step_ms} ms a step, {row.bare_ms} ms of bare passes, {row.step_of_bare} of them "
        f"(target: at most 1.20), peak {row.peak_mb} MB"
    )
    if record:
        append_rows(ROWS, [row])
        click.echo(f"recorded in {ROWS.name}")


if __name__ == "__main__":
    main()
