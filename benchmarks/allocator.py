"""What keeping freed memory does for a training step: time, system time and page faults.

Two processes in turn, one with the system's allocator as it comes and one that keeps what
is freed, as `hunique-train` does. Look at the ratios.
"""

import json
import resource
import subprocess
import sys
import time

import click

STEPS = 8


def measure(keep: bool) -> dict[str, float]:
    """Seconds and page faults of some steps of a small network, in this process."""
    import torch

    from hunique_training.allocator import keep_freed_memory

    if keep:
        keep_freed_memory()
    convolutions = [torch.nn.Conv2d(3 if n == 0 else 64, 64, 3, padding=1) for n in range(6)]
    network = torch.nn.Sequential(*(m for c in convolutions for m in (c, torch.nn.ReLU())))
    pictures = torch.rand(8, 3, 160, 160)
    for _ in range(2):
        network(pictures).mean().backward()
    before, started_s = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    for _ in range(STEPS):
        network(pictures).mean().backward()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "wall_s": time.monotonic() - started_s,
        "user_s": after.ru_utime - before.ru_utime,
        "system_s": after.ru_stime - before.ru_stime,
        "page_faults": float(after.ru_minflt - before.ru_minflt),
    }


def _in_a_process(how: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--alone", how]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ourselves
    values: dict[str, float] = json.loads(ran.stdout)
    return values


@click.command()
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--alone", type=click.Choice(["leave", "keep"]), hidden=True)
def main(rounds: int, alone: str | None) -> None:
    """Measure both ways in turn and print each round and its ratios."""
    if alone is not None:
        click.echo(json.dumps(measure(alone == "keep")))
        return
    click.echo("round  way    wall s  user s  system s  page faults")
    for number in range(1, rounds + 1):
        found = {how: _in_a_process(how) for how in ("leave", "keep")}
        for how, one in found.items():
            click.echo(
                f"{number:5}  {how:5}  {one['wall_s']:6.2f}  {one['user_s']:6.2f}  "
                f"{one['system_s']:8.2f}  {one['page_faults']:11.0f}"
            )
        ratio = found["keep"]["wall_s"] / found["leave"]["wall_s"]
        click.echo(f"{number:5}  ratio  {ratio:6.2f}")


if __name__ == "__main__":
    main()
