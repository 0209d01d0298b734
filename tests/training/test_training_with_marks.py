"""A run on pictures of which some have marks: it learns from them, and says so."""

import csv
import dataclasses
import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from hunique_export.bundling import Release, with_supervision
from hunique_training.checkpoint import load_model
from hunique_training.cli import main
from hunique_training.config import TrainConfig
from hunique_training.curves import append_row, read_curve
from hunique_training.data.batches import BatchMaker
from hunique_training.data.labels import DataError, LabelledPicture, read_labels
from hunique_training.data.marks import Mark
from hunique_training.data.picture_cache import PictureCache
from hunique_training.data.sampling import BalancedSampler
from hunique_training.data.views import ViewConfig
from hunique_training.fit_options import with_classes
from hunique_training.network.cosa import NetworkConfig
from hunique_training.presets import PRESETS
from hunique_training.run_record import data_digests
from hunique_training.simulated_marks import SimulatedMarks, box_around, patches, points_within
from hunique_training.step import Losses
from hunique_training.trainer import Trainer

NAMES = NetworkConfig().class_names
RELEASE = ("name", "version", "licence", "training_data_statement", "intended_use")


def _config(**values: object) -> TrainConfig:
    settings: dict[str, object] = {
        "views": ViewConfig(size_px=64), "total_steps": 4, "loss_warm_up_steps": 2,
        "rate_warm_up_steps": 1, "batch_size": 4, "cache_side_px": 96, "guidance_start_step": 0,
        "lost_feature_score": 0.0,
        # noise would be another one for every part of a batch
        "network": dataclasses.replace(TrainConfig().network, local_noise=()),
    }  # fmt: skip
    return dataclasses.replace(TrainConfig(), **(settings | values))


def _pictures(folder: Path, *, marked: bool) -> list[LabelledPicture]:
    pictures = [p for p in read_labels(folder / "labels.csv", NAMES) if p.split == "train"]
    if not marked:
        return pictures
    drawn = SimulatedMarks(points=2, boxes=True).mark(pictures, [folder / "labels.csv"], NAMES)
    return [p if n % 3 == 0 else q for n, (p, q) in enumerate(zip(pictures, drawn, strict=True))]


def _batches(config: TrainConfig, folder: Path, *, marked: bool) -> BatchMaker:
    pictures = _pictures(folder, marked=marked)
    sampler = BalancedSampler(pictures, config.step_pictures, config.seed)
    return BatchMaker(pictures, PictureCache(96), sampler, config.views, config.seed)


def _train(config: TrainConfig, run: Path, folder: Path, *, marked: bool = True) -> list[Losses]:
    trainer = Trainer(config, run)
    batches = _batches(config, folder, marked=marked).batches(0, config.total_steps)
    return [trainer.train_step(batch) for batch in batches]


def test_marks_teach_from_the_first_step_on(tmp_path: Path, labelled_folder: Path) -> None:
    """Before pseudo-labels begin, and beside them; the total counts them by their weights."""
    for losses in _train(_config(), tmp_path, labelled_folder):
        assert losses.marked_pixels > 0
        assert losses.marked_cam > 0
    weights = TrainConfig().weights
    first = _train(_config(total_steps=1), tmp_path / "one", labelled_folder)[0]
    expected = (
        first.classification + first.auxiliary_classification
        + weights.marked_pixels * first.marked_pixels + weights.marked_cam * first.marked_cam
        + weights.size_prior * first.size_prior
    )  # fmt: skip
    torch.testing.assert_close(first.total, expected)


def test_pictures_without_marks_train_as_before(tmp_path: Path, labelled_folder: Path) -> None:
    """To the last bit, whatever the weights of marks are."""
    weights = dataclasses.replace(TrainConfig().weights, marked_pixels=9.0, marked_cam=9.0)
    one = _train(_config(), tmp_path / "a", labelled_folder, marked=False)
    other = _train(_config(weights=weights), tmp_path / "b", labelled_folder, marked=False)
    assert one == other
    assert not any(float(losses.marked_pixels) for losses in one)


def test_marks_do_not_move_what_is_drawn(labelled_folder: Path) -> None:
    """The same pictures, crops and colours with and without them."""
    plain, marked = (
        _batches(_config(), labelled_folder, marked=marked).batch(3) for marked in (False, True)
    )
    assert plain.marks is None
    assert marked.marks is not None
    assert torch.equal(plain.weak, marked.weak)
    assert torch.equal(plain.strong, marked.strong)


@pytest.mark.parametrize("seed", [1, 2])
def test_parts_of_a_marked_batch_add_up(tmp_path: Path, labelled_folder: Path, seed: int) -> None:
    """Some parts have clicks and some have none; each is counted among those of all."""
    totals = []
    for name, batch_size, accumulate in (("whole", 4, 1), ("parts", 1, 4)):
        config = _config(
            batch_size=batch_size, accumulate=accumulate, loss_warm_up_steps=0, total_steps=1,
            seed=seed,
        )  # fmt: skip
        totals.append(torch.stack(_train(config, tmp_path / name, labelled_folder)[0]))
    torch.testing.assert_close(totals[1], totals[0], rtol=1e-4, atol=1e-5)
    marks = _batches(config, labelled_folder, marked=True).batch(0).marks
    assert marks is not None
    assert int((marks.labels < 255).flatten(1).any(dim=1).sum()) >= 2


def test_clicks_are_learned(tmp_path: Path, labelled_folder: Path) -> None:
    """A few steps on the same pictures lower what the segmentation gets wrong at the marks."""
    config = _config(total_steps=30, loss_warm_up_steps=30, rate_warm_up_steps=5)
    losses = [float(x.marked_pixels) for x in _train(config, tmp_path, labelled_folder)]
    assert sum(losses[-8:]) < 0.7 * sum(losses[:8])


def test_consistency_is_felt_only_where_it_is_asked_for(
    tmp_path: Path, labelled_folder: Path
) -> None:
    """With a weight the loss is counted on ignored pixels and in the total."""
    weights = dataclasses.replace(TrainConfig().weights, ignored_consistency=0.5)
    config = _config(loss_warm_up_steps=0, weights=weights)
    plain = _train(_config(loss_warm_up_steps=0), tmp_path / "a", labelled_folder, marked=False)
    asked = _train(config, tmp_path / "b", labelled_folder, marked=False)
    assert not any(float(losses.ignored_consistency) for losses in plain)
    assert asked[0].ignored_consistency > 0
    apart = asked[0].total - plain[0].total
    torch.testing.assert_close(apart, 0.5 * asked[0].ignored_consistency, rtol=1e-3, atol=1e-5)


# --- the command


def _fit(data: Path, out: Path, *more: str) -> str:
    small = ["--steps", "2", "--batch-size", "2", "--crop-size-px", "64", "--input-size-px", "96"]
    words = ["fit", "--data", str(data), "--out", str(out), *small, *more]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_model_taught_by_marks_says_so(tmp_path: Path, labelled_folder: Path) -> None:
    """Of a column of the label file, and of marks drawn from truth; the record repeats both."""
    with (labelled_folder / "labels.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    click = json.dumps([{"class": "ring", "point": [0.5, 0.5]}])
    file = labelled_folder / "marked.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=[*rows[0], "marks"])
        writer.writeheader()
        writer.writerows(row | {"marks": click if row["ring"] == "1" else ""} for row in rows)
    expected = {
        "image": (file, []),
        "marks": (file, ["--marks", "point"]),
        "simulated_marks": (file, ["--simulate-points-from-truth", "2"]),
    }
    for supervision, (data, more) in expected.items():
        out = tmp_path / supervision
        _fit(data, out, *more)
        model = load_model(out / "model.pt")
        assert model.supervision == supervision
        assert ("marks" in model.training) == (supervision != "image")
        stated = with_supervision(Release(**dict.fromkeys(RELEASE, "x")), model)
        told = stated.training_data_statement
        assert ("masks of the training pictures" in told) == (supervision == "simulated_marks")
    again = tmp_path / "again"
    words = ["fit", "--repeat", str(tmp_path / "simulated_marks"), "--out", str(again)]
    assert CliRunner().invoke(main, words, catch_exceptions=False).exit_code == 0
    first, second = (
        load_model(folder / "model.pt") for folder in (tmp_path / "simulated_marks", again)
    )
    assert second.training["marks"] == first.training["marks"]
    assert second.training["labels_sha256"] == first.training["labels_sha256"]


def test_other_classes_have_what_suits_classes_that_nothing_is_known_of() -> None:
    """A preset for four features trains somebody else's: they are not small, nor served by CAM."""
    config = with_classes(TrainConfig(), ("cat", "dog"))
    assert config.network.class_names == ("cat", "dog")
    assert (config.cam_exponents, config.mixed_cam_shares) == ((0.4, 0.4), ())
    assert config.largest_shares == ()
    assert config.network.local_top_shares == (0.3, 0.3)
    assert not any(config.network.cam_mask_shares + config.network.mask_colour_weights)
    plain = PRESETS["release"]()
    assert with_classes(plain, ("cat",)).cam_exponents == ()
    assert with_classes(plain, ("cat",)).network.local_top_shares == ()


def test_classes_of_the_preset_keep_what_was_chosen_for_them() -> None:
    """Whatever they are trained together with."""
    whole = TrainConfig()
    ring, scar = whole.network.class_names.index("ring"), 1
    config = with_classes(whole, ("ring", "scar"))
    for name in ("cam_exponents", "largest_shares"):
        assert getattr(config, name)[0] == getattr(whole, name)[ring]
    for name in ("cam_mask_shares", "mask_colour_weights", "local_top_shares", "local_noise"):
        assert getattr(config.network, name)[0] == getattr(whole.network, name)[ring], name
    assert config.largest_shares[scar] == 0
    assert config.network.mask_colour_weights[scar] == 0
    assert with_classes(TrainConfig(), NAMES) == with_classes(TrainConfig(), ()) == TrainConfig()


# --- marks drawn from truth


def test_simulated_points_lie_on_their_class_and_off_all_others(labelled_folder: Path) -> None:
    """Where the masks say so; boxes hold their patches; val has none."""
    pictures = read_labels(labelled_folder / "labels.csv", NAMES)
    simulation = SimulatedMarks(points=3, boxes=True)
    drawn = simulation.mark(pictures, [labelled_folder / "labels.csv"], NAMES)
    kinds = set()
    for picture in drawn:
        assert bool(picture.marks) == (picture.split == "train")
        for mark in picture.marks:
            kinds.add((mark.kind, mark.label > 0))
            masks = {
                c: cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
                for c, name in enumerate(NAMES, 1)
                for file in labelled_folder.glob(f"truth/{picture.path.stem}__{name}.png")
            }
            if mark.kind == "point":
                (x, y) = mark.places[0]
                hit = {c for c, m in masks.items() if m[int(y * m.shape[0]), int(x * m.shape[1])]}
                assert mark.label in hit if mark.label else not hit
                if not mark.label:
                    near = np.maximum.reduce(list(masks.values()))
                    rows, columns = np.nonzero(near)
                    away_px = np.hypot(rows - y * near.shape[0], columns - x * near.shape[1]).min()
                    assert away_px > 0.015 * np.hypot(*near.shape)
        counts = Counter(mark.kind for mark in picture.marks if mark.label)
        assert counts["point"] == 3 * counts["box"]
        boxes = {mark.label for mark in picture.marks if mark.kind == "box"}
        assert NAMES.index("polished_nail") + 1 not in boxes or counts["box"] > len(boxes)
    assert kinds == {("point", True), ("point", False), ("box", True)}
    assert drawn == simulation.mark(pictures, [labelled_folder / "labels.csv"], NAMES)


def test_each_patch_of_a_mask_is_marked() -> None:
    """Two rings are two boxes with a click each; a speck is neither."""
    mask = np.zeros((400, 500), np.uint8)
    mask[10:30, 20:40] = mask[100:200, 100:300] = mask[350, 350] = 1
    found = patches(mask)
    assert [int(patch.sum()) for patch in found] == [400, 20_000]
    assert box_around(found[1]) == ((0.2, 0.25), (0.6, 0.5))
    rng = np.random.default_rng(0)
    for x, y in points_within(found[1], 50, rng):
        assert 0.2 < x < 0.6
        assert 0.25 < y < 0.5
        assert min(y * 400 - 100, 200 - y * 400) >= 24  # away from the border


def test_no_masks_to_draw_from_is_an_error(tmp_path: Path, labelled_folder: Path) -> None:
    """Told with what is missing."""
    text = "file,ring\n" + f"{labelled_folder / 'hand-0.png'},1\n"
    (tmp_path / "labels.csv").write_text(text)
    pictures = read_labels(tmp_path / "labels.csv", NAMES)
    with pytest.raises(DataError, match="truth masks of training pictures"):
        SimulatedMarks(points=1).mark(pictures, [tmp_path / "labels.csv"], NAMES)


def test_a_curve_that_began_with_fewer_columns_keeps_them(tmp_path: Path) -> None:
    """A run of an earlier version goes on, and its file stays a table."""
    path = tmp_path / "metrics.csv"
    append_row(path, {"step": 1, "total": 0.5, "gone": 1})
    append_row(path, {"step": 2, "total": 0.25, "marked_pixels": 3.0})
    rows = read_curve(path)
    assert [row["total"] for row in rows] == [0.5, 0.25]
    assert set(rows[1]) == {"step", "total", "gone"}
    assert rows[1]["gone"] != rows[1]["gone"]


def test_marks_of_a_picture_are_part_of_its_digest(labelled_folder: Path) -> None:
    """Two runs that differ in a click are not the same; without clicks nothing changed."""
    plain = _pictures(labelled_folder, marked=False)[0]
    clicked = dataclasses.replace(plain, marks=(Mark(kind="point", label=1, places=((0, 0),)),))
    assert clicked != plain
    digests = {plain.path: "0" * 64}
    first, second = (
        data_digests([picture], [], digests, None)["labels_sha256"] for picture in (plain, clicked)
    )
    assert first != second
