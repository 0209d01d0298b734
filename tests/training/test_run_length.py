"""How long a run is: a short one goes through all of its phases."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hunique_training.cli import main
from hunique_training.config import TrainConfig
from hunique_training.run_length import IN_PROPORTION, at_length


def test_everything_that_waits_for_a_step_waits_in_proportion() -> None:
    """Without that a short run would end before its CAM is guided."""
    short, long = at_length(TrainConfig(), 100), TrainConfig()
    assert short.total_steps == 100
    assert set(IN_PROPORTION) == {
        "loss_warm_up_steps", "guidance_start_step", "rate_warm_up_steps"
    }  # fmt: skip
    for name in IN_PROPORTION:
        share = getattr(long, name) / long.total_steps
        assert getattr(short, name) == pytest.approx(100 * share, abs=0.5)
    assert at_length(long, long.total_steps) == long


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--steps", "10"], (10, 6, 8)),
        (["--steps", "10", "--guidance-start-step", "7"], (10, 6, 7)),
        (["--steps", "10", "--loss-warm-up-steps", "0"], (10, 0, 8)),
    ],
)
def test_fit_and_compare_take_the_same_words(
    tmp_path: Path, words: list[str], expected: tuple[int, int, int]
) -> None:
    """Both write the lengths that were asked for before they look at the data."""
    names = ("total_steps", "loss_warm_up_steps", "guidance_start_step")
    small = ["--pretrained", "none", "--batch-size", "1", "--crop-size-px", "32"]
    common = ["--data", "drawn:2", *small, "--input-size-px", "64", *words]
    compared = tmp_path / "compared"
    CliRunner().invoke(main, ["compare", *common, "--out", str(compared)])
    base = json.loads((compared / "comparison.json").read_text())["base"]
    assert tuple(base[name] for name in names) == expected
    fitted = tmp_path / "fitted"
    done = CliRunner().invoke(main, ["--threads", "1", "fit", *common, "--out", str(fitted)])
    assert done.exit_code == 0, done.output
    config = json.loads((fitted / "config.json").read_text())
    assert tuple(config[name] for name in names) == expected
