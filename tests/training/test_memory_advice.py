"""When memory runs out: advice that works, and a checkpoint that is whole."""

import dataclasses
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from hunique_training.cli import main
from hunique_training.config import TrainConfig
from hunique_training.data.batch import Batch
from hunique_training.memory_advice import MemoryAdvice, memory_advice
from hunique_training.step import Losses
from hunique_training.trainer import Trainer


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        MemoryError("Unable to allocate 9 GiB"),
    ],
)
@pytest.mark.parametrize(
    ("batch_size", "accumulate", "told"),
    [
        (8, 1, "--batch-size 4 --accumulate 2"),
        (4, 3, "--batch-size 2 --accumulate 6"),
        (3, 2, "--batch-size 1 --accumulate 6"),
        (1, 8, "--precision"),
    ],
)
def test_advice_keeps_the_pictures_of_a_step(
    error: Exception, batch_size: int, accumulate: int, told: str
) -> None:
    """Whatever ran out of memory, less at once and as much in all is proposed."""
    config = dataclasses.replace(TrainConfig(), batch_size=batch_size, accumulate=accumulate)
    with pytest.raises(MemoryAdvice, match=told), memory_advice(config):
        raise error


def test_other_errors_stay_what_they_are() -> None:
    """A fault of the code is not taken for a lack of memory."""
    with pytest.raises(RuntimeError, match="sizes do not fit"), memory_advice(TrainConfig()):
        raise RuntimeError("sizes do not fit")


def test_a_run_without_memory_ends_with_advice_that_goes_on(
    tmp_path: Path,
    labelled_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Exit code 1, a sentence, the checkpoint as it was; the command it names goes on from it."""
    monkeypatch.setattr("hunique_training.trainer.CHECKPOINT_EVERY_STEPS", 1)
    train_step = Trainer.train_step

    def starved(trainer: Trainer, batch: Batch) -> Losses:
        if trainer.steps_done == 1 and trainer.config.batch_size > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return train_step(trainer, batch)

    monkeypatch.setattr(Trainer, "train_step", starved)
    run = tmp_path / "run"
    command = ["fit", "--pretrained", "none", "--data", str(labelled_folder), "--steps", "2"]
    command += ["--input-size-px", "64", "--crop-size-px", "64", "--out", str(run)]
    result = CliRunner().invoke(main, [*command, "--batch-size", "2"])
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert "--batch-size 1 --accumulate 2" in result.output
    assert torch.load(run / "last.pt", weights_only=True)["steps_done"] == 1
    assert not list(run.glob("*.partial"))
    with caplog.at_level("INFO"):
        again = CliRunner().invoke(main, [*command, "--batch-size", "1", "--accumulate", "2"])
    assert again.exit_code == 0, again.output
    assert "going on from step 1" in caplog.text
