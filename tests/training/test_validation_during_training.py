"""Validation while training: what is looked at, when training stops, which network is kept."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from hunique_models.manifest import Manifest
from hunique_models.pipeline import Pipeline
from hunique_training import validating
from hunique_training.checkpoint import load_model
from hunique_training.cli import main
from hunique_training.config import TrainConfig
from hunique_training.curves import append_row, forget_after, read_curve
from hunique_training.data.batches import BatchMaker
from hunique_training.data.labels import DataError, LabelledPicture, read_labels
from hunique_training.data.picture_cache import PictureCache
from hunique_training.data.sampling import BalancedSampler
from hunique_training.data.views import ViewConfig
from hunique_training.early_stop import BestSoFar, ValidationConfig
from hunique_training.evaluation.evidence import PictureEvidence
from hunique_training.evaluation.operating_point import choose_presence
from hunique_training.evaluation.run import PictureScores, count_pixels
from hunique_training.evaluation.truth import TruthPicture
from hunique_training.fitting import FitRequest, fit
from hunique_training.network.cosa import CosaNetwork
from hunique_training.trainer import Trainer, Watch
from hunique_training.validating import RunValidator, balanced_part


def _config(steps: int = 6, **validation: object) -> TrainConfig:
    return TrainConfig(
        views=ViewConfig(size_px=64), total_steps=steps, loss_warm_up_steps=2,
        rate_warm_up_steps=1, batch_size=2, cache_side_px=96, guidance_start_step=2,
        lost_feature_score=0.0,
        validation=ValidationConfig(**validation),  # type: ignore[arg-type]
    )  # fmt: skip


def _batches(config: TrainConfig, folder: Path) -> BatchMaker:
    pictures = [p for p in read_labels(folder / "labels.csv", config.network.class_names)
                if p.split == "train"]  # fmt: skip
    sampler = BalancedSampler(pictures, config.step_pictures, config.seed)
    return BatchMaker(pictures, PictureCache(96), sampler, config.views, config.seed)


def _truth(name: str, labels: tuple[bool, ...], group: str) -> TruthPicture:
    picture = LabelledPicture(path=Path(name), labels=labels, split="val", group=group)
    return TruthPicture(
        picture=picture, masks=tuple(Path(f"{name}-{c}") if x else None
                                     for c, x in enumerate(labels)),
    )  # fmt: skip


def _many() -> list[TruthPicture]:
    """Ninety pictures of one person with class 0, and some of others with class 1."""
    common = [_truth(f"common-{n}", (True, False), "one") for n in range(90)]
    return common + [_truth(f"rare-{n}", (False, True), f"other-{n}") for n in range(6)]


def test_the_part_is_balanced_by_class_and_group() -> None:
    """Rare classes and other people are in it, however many pictures one person has."""
    part = balanced_part(_many(), 12)
    names = [truth.picture.path.name for truth in part]
    assert len(set(names)) == 12
    assert sum(name.startswith("rare") for name in names) == 6
    assert len({truth.picture.group for truth in part}) == 7
    assert balanced_part(_many(), 12) == part
    assert len(balanced_part(_many(), 1000)) == 96


def test_people_are_in_the_part_equally_often() -> None:
    """Of one class, as many pictures of someone with few as of someone with many."""
    labels = (True, True)
    many = [_truth(f"a-{n}", labels, "many") for n in range(20)]
    few = [_truth(f"b-{n}", labels, "few") for n in range(3)]
    part = balanced_part(many + few, 6)
    assert sorted(truth.picture.group for truth in part) == ["few"] * 3 + ["many"] * 3


def test_pictures_that_cannot_be_scored_are_left_out() -> None:
    """A picture whose labels are unknown, or present without masks, tells nothing."""
    blind = LabelledPicture(path=Path("a"), labels=(None, True), split="val")
    assert balanced_part([TruthPicture(picture=blind, masks=(None, None))], 5) == []


def test_figures_are_those_of_evaluation(tmp_path: Path, labelled_folder: Path) -> None:
    """On the whole of val, the last row is what is said of the finished model."""
    config = _config(4, every_steps=2)
    request = FitRequest(
        config=config, data=(str(labelled_folder),), run_folder=tmp_path, input_size_px=64
    )
    fit(request)
    rows = read_curve(tmp_path / "validation.csv")
    assert [row["step"] for row in rows] == [2, 4]
    scores = json.loads((tmp_path / "validation.json").read_text())
    expected = {f"iou_{one['name']}": one["label-free"]["iou"] for one in scores}
    for name, value in expected.items():
        assert rows[-1][name] == pytest.approx(value, abs=1e-5), name
    assert rows[-1]["mean_iou"] == pytest.approx(sum(expected.values()) / 4, abs=1e-5)


def test_looking_changes_nothing(tmp_path: Path, labelled_folder: Path) -> None:
    """A run that validates after every step trains the same networks, to the last bit."""
    states = []
    for name, every_steps in (("blind", 0), ("watched", 1)):
        config = _config(4, every_steps=every_steps)
        request = FitRequest(
            config=config, data=(str(labelled_folder),), run_folder=tmp_path / name,
            input_size_px=64,
        )  # fmt: skip
        fit(request)
        states.append(torch.load(tmp_path / name / "last.pt", weights_only=True))
    for part in ("online", "assignment"):
        for key, value in states[0][part].items():
            assert torch.equal(value, states[1][part][key]), key


def test_the_network_stays_in_its_mode(labelled_folder: Path) -> None:
    """Scoring needs evaluation mode; training goes on in the mode it was in."""
    network = CosaNetwork(TrainConfig().network).train()
    names = network.config.class_names
    figures = RunValidator([labelled_folder / "labels.csv"], names, 1, 64)(network)
    assert network.training
    assert set(figures) == {"mean_iou", *(f"iou_{name}" for name in names)}


def test_masks_are_those_that_would_be_served(
    labelled_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which looks have a say in a mask rests on presence, which is chosen first, as it is served."""
    counted: list[tuple[Manifest, PictureScores]] = []

    def watched(pipeline: Pipeline, truth: TruthPicture, *args: Any) -> PictureEvidence:
        evidence = count_pixels(pipeline, truth, *args)
        scores = PictureScores(labels=evidence.labels, raw_scores=evidence.raw_scores)
        counted.append((pipeline.manifest, scores))
        return evidence

    monkeypatch.setattr(validating, "count_pixels", watched)
    network = CosaNetwork(TrainConfig().network)
    names = network.config.class_names
    RunValidator([labelled_folder / "labels.csv"], names, 8, 64)(network)
    assert len(counted) == 2
    for c, name in enumerate(names):
        chosen = choose_presence([scores for _, scores in counted], c)
        for manifest, _ in counted:
            assert manifest.classes[c].name == name
            assert manifest.classes[c].presence_threshold == chosen.presence_threshold
            assert manifest.classes[c].calibration.scale == chosen.calibration_scale != 1


def test_val_without_masks_is_refused(tmp_path: Path, labelled_folder: Path) -> None:
    """Told before the first step, with what to leave out."""
    labels = (labelled_folder / "labels.csv").read_text().replace("truth", "said")
    (tmp_path / "labels.csv").write_text(labels)
    with pytest.raises(DataError, match="--validate-every-steps"):
        RunValidator([tmp_path / "labels.csv"], TrainConfig().network.class_names, 8, 64)


def _scripted(scores: list[float]) -> Callable[[CosaNetwork], dict[str, float]]:
    """A validation that gives these figures, one after another."""
    return lambda _network: {"mean_iou": scores.pop(0)}


def _run(
    config: TrainConfig, run: Path, folder: Path, scores: list[float]
) -> tuple[Trainer, list[int]]:
    """The trainer at the end, and the steps at which a network was the best so far."""
    trainer = Trainer(config, run)
    trainer.resume()
    best: list[int] = []
    watch = Watch(validate=_scripted(scores), on_best=lambda step, _network: best.append(step))
    trainer.fit(_batches(config, folder), watch)
    return trainer, best


def test_training_stops_when_patience_ends(tmp_path: Path, labelled_folder: Path) -> None:
    """Two validations in a row that are not better than the best end it; one does not."""
    config = _config(12, every_steps=1, patience=2)
    scores = [0.9, 0.9, 0.2, 0.1, 0.3, 0.3, 0.25, 0.8]
    trainer, best = _run(config, tmp_path, labelled_folder, scores)
    assert best == [3, 5]
    assert trainer.steps_done == 7
    assert scores == [0.8]
    assert trainer.best.state() == {"mean_iou": 0.3, "step": 5, "worse_since": 2}
    again, more = _run(config, tmp_path, labelled_folder, [1.0])
    assert (again.steps_done, more) == (7, [])


def test_the_warm_up_does_not_count(tmp_path: Path, labelled_folder: Path) -> None:
    """Before pseudo-labels begin nothing teaches the segmentation: no best, no patience."""
    config = _config(4, every_steps=1, patience=1)
    trainer, best = _run(config, tmp_path, labelled_folder, [0.9, 0.5, 0.1, 0.2])
    assert best == [3, 4]
    assert trainer.steps_done == 4


def test_a_stopped_run_goes_on_validating_exactly(tmp_path: Path, labelled_folder: Path) -> None:
    """Killed between checkpoints and begun again: rows, best and patience as in one go."""
    config = _config(8, every_steps=2, patience=3)
    scores = [0.1, 0.5, 0.4, 0.3]
    whole, _ = _run(config, tmp_path / "whole", labelled_folder, list(scores))
    parts = Trainer(config, tmp_path / "parts")

    class KilledError(Exception):
        pass

    def kill(_network: CosaNetwork) -> dict[str, float]:
        if parts.steps_done == 6:
            raise KilledError
        return {"mean_iou": scores[parts.steps_done // 2 - 1]}

    with pytest.raises(KilledError):
        parts.fit(_batches(config, labelled_folder), Watch(validate=kill))
    append_row(tmp_path / "parts" / "validation.csv", {"step": 6, "mean_iou": 0.7})
    resumed, _ = _run(config, tmp_path / "parts", labelled_folder, scores[2:])
    assert resumed.best.state() == whole.best.state()
    for name in ("validation.csv", "metrics.csv"):
        first, second = (read_curve(tmp_path / run / name) for run in ("whole", "parts"))
        assert [{k: v for k, v in row.items() if k != "step_s"} for row in first] == [
            {k: v for k, v in row.items() if k != "step_s"} for row in second
        ]
    for key, value in whole.assignment.state_dict().items():
        assert torch.equal(value, resumed.assignment.state_dict()[key]), key


@pytest.mark.parametrize(("keep", "patience"), [("best", 0), ("last", 2), ("last", 0)])
def test_the_network_that_was_asked_for_is_kept(
    tmp_path: Path,
    labelled_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    keep: str,
    patience: int,
) -> None:
    """`best` and patience make model.pt of best.pt; `last` of the last step."""
    scores = [0.1, 0.5, 0.4, 0.3]
    monkeypatch.setattr(RunValidator, "__call__", lambda _self, network: _scripted(scores)(network))
    config = _config(4, every_steps=1, keep=keep, patience=patience)
    request = FitRequest(
        config=config, data=(str(labelled_folder),), run_folder=tmp_path, input_size_px=64
    )
    kept = load_model(fit(request))
    best = load_model(tmp_path / "best.pt").network.state_dict()
    last = torch.load(tmp_path / "last.pt", weights_only=True)["assignment"]
    wants_best = keep == "best" or patience > 0
    assert kept.training["model_step"] == (3 if wants_best else 4)
    for key, value in kept.network.state_dict().items():
        assert torch.equal(value, (best if wants_best else last)[key]), key
    assert kept.operating_point


def test_keeping_the_best_needs_validation(tmp_path: Path) -> None:
    """`--patience` alone is a mistake that is told, not a run that never stops."""
    command = ["fit", "--data", "drawn:4", "--out", str(tmp_path), "--patience", "3"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert "--validate-every-steps" in result.output


def test_a_figure_as_good_as_the_best_is_none() -> None:
    """Patience counts validations without improvement, equal ones too."""
    best = BestSoFar(2)
    assert [best.take(step, 0.5) for step in range(3)] == [True, False, False]
    assert best.exhausted
    restored = BestSoFar(2)
    restored.restore(best.state())
    assert restored.exhausted
    assert restored.step == 0


def test_rows_of_lost_steps_are_forgotten(tmp_path: Path) -> None:
    """What a run that goes on will write again is dropped first; NaN stays undefined."""
    path = tmp_path / "curve.csv"
    for step in (10, 20, 30):
        append_row(path, {"step": step, "iou": float("nan") if step == 20 else 0.5})
    forget_after(path, 20)
    rows = read_curve(path)
    assert [row["step"] for row in rows] == [10, 20]
    assert str(rows[1]["iou"]) == "nan"
    assert path.read_text().splitlines()[2] == "20,"
    assert read_curve(tmp_path / "none.csv") == []
