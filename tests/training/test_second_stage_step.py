"""A step of the second stage: crops with their labels, open classes, losses by hand."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from hunique_training.config import TrainConfig
from hunique_training.data.views import ViewConfig
from hunique_training.network.cosa import CosaNetwork, CosaOutput, NetworkConfig
from hunique_training.network.registry import ENCODERS
from hunique_training.second_stage.batches import LabelledBatch, cropped_away
from hunique_training.second_stage.config import SecondStageConfig, second_stage
from hunique_training.second_stage.step import (
    SecondStageLosses,
    coarser,
    merge_open,
    second_stage_losses,
)
from hunique_training.second_stage.views import labelled_crop

NAMES = ("a", "b", "c")
CONFIG = SecondStageConfig(network=NetworkConfig(class_names=NAMES), classification_weight=0.25)


@pytest.mark.parametrize("seed", range(8))
def test_labels_stay_on_their_pixels(seed: int) -> None:
    """Turned, mirrored, scaled and cut, labels are where their colours are; padding is ignored."""
    labels = np.zeros((40, 60), np.uint8)
    labels[:20, :25], labels[25:, 10:50] = 1, 2
    colours = np.array([[0, 0, 0], [200, 0, 0], [0, 200, 0]], np.uint8)
    config = ViewConfig(size_px=64, scale_low=0.6, scale_high=1.8, pad_value=(0, 0, 200))
    crop = labelled_crop(colours[labels], labels, config, np.random.default_rng(seed))
    assert crop.weak.shape == crop.strong.shape == (64, 64, 3)
    red, green, blue = (crop.weak[..., k].astype(int) for k in range(3))
    seen = np.select([blue > 100, red > 100, green > 100], [255, 1, 2], 0)
    assert (seen != crop.labels).mean() < 0.06  # borders are soft
    y0, y1, x0, x1 = crop.box
    inside = np.zeros((64, 64), bool)
    inside[y0:y1, x0:x1] = True
    assert (crop.labels[~inside] == 255).all()
    assert (crop.labels[inside] != 255).all()


def test_crops_differ_by_seed_in_every_way() -> None:
    """Sides, mirrors, scales and places all occur."""
    labels = np.arange(1, 201, dtype=np.uint8).reshape(10, 20)
    pixels = np.repeat(labels[..., None], 3, axis=2)
    config = ViewConfig(size_px=16, scale_low=1.0, scale_high=1.0001)
    found = set()
    for seed in range(60):
        cut = labelled_crop(pixels, labels, config, np.random.default_rng(seed)).labels
        rows, columns = np.nonzero(cut != 255)
        patch = cut[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].astype(int)
        found.add((patch.shape, *np.sign([patch[0, -1] - patch[0, 0], patch[-1, 0] - patch[0, 0]])))
    assert {shape for shape, *_ in found} == {(8, 16), (16, 8)}
    assert len(found) == 8


def test_open_classes_are_added_to_the_background() -> None:
    """Probabilities by hand: the background takes theirs, all others stay."""
    logits = torch.randn(2, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    open_classes = torch.tensor([[False, True, True], [False, False, False]])
    merged = merge_open(logits, open_classes).softmax(dim=1)
    plain = logits.softmax(dim=1)
    torch.testing.assert_close(merged[1], plain[1])
    torch.testing.assert_close(merged[0, 0], plain[0, 0] + plain[0, 2] + plain[0, 3])
    torch.testing.assert_close(merged[0, 1], plain[0, 1])
    assert not merged[0, 2:].any()


def _batch() -> LabelledBatch:
    generator = torch.Generator().manual_seed(1)
    labels = torch.tensor([[1.0, 1, 0], [0, 0, 1]])
    pixels = torch.zeros(2, 8, 8, dtype=torch.int64)
    pixels[0, :4, :6], pixels[0, 4:6], pixels[1, :2] = 1, 255, 3
    images = torch.rand(2, 3, 8, 8, generator=generator)
    return LabelledBatch(
        weak=images,
        strong=images,
        labels=labels,
        known=torch.tensor([[True, True, True], [False, True, True]]),
        boxes=torch.tensor([[0, 8, 0, 8]] * 2),
        pixel_labels=pixels,
        open_classes=torch.tensor([[False, True, False], [False, False, False]]),
    )


class Given(torch.nn.Module):
    """A network that gives what it was made with, at half the size of pictures."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(2)
        self.segmentation = torch.nn.Parameter(torch.randn(2, 4, 4, 4, generator=generator))
        self.logits = torch.nn.Parameter(torch.randn(2, 2, 3, generator=generator))

    def forward(self, images: torch.Tensor) -> CosaOutput:
        """The same whatever it is shown."""
        return CosaOutput(*self.logits, images, images, self.segmentation)


def _entropies(network: Given, batch: LabelledBatch) -> list[tuple[int, float]]:
    """(label, -log probability) of every pixel that counts, by scalar loops."""
    found = []
    for picture in range(2):
        for y in range(4):
            for x in range(4):
                label = int(batch.pixel_labels[picture, 2 * y + 1, 2 * x + 1])
                each = [math.exp(float(v)) for v in network.segmentation.detach()[picture, :, y, x]]
                wanted = [label]
                if label == 0:
                    wanted += [c + 1 for c in range(3) if batch.open_classes[picture, c]]
                if label != 255:
                    found.append((label, -math.log(sum(each[w] for w in wanted) / sum(each))))
    return found


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize("balanced", [True, False])
def test_losses_by_hand(balanced: bool) -> None:
    """Balanced: background and the mean over classes half each; else all pixels alike."""
    network, batch = Given(), _batch()
    config = dataclasses.replace(CONFIG, class_balanced=balanced)
    losses = SecondStageLosses(
        *(value.detach() for value in second_stage_losses(network, batch, config))  # type: ignore[arg-type]
    )
    each = _entropies(network, batch)
    by_label = {c: _mean([v for label, v in each if label == c]) for c in (0, 1, 3)}
    expected = _mean([v for _, v in each])
    if balanced:
        expected = (by_label[0] + (by_label[1] + by_label[3]) / 2) / 2
    assert float(losses.segmentation) == pytest.approx(expected, rel=1e-5)
    margins = []
    for head in range(2):
        values = [
            math.log1p(math.exp(-float(network.logits.detach()[head, b, c]) * (1 if batch.labels[b, c] else -1)))
            for b in range(2) for c in range(3) if batch.known[b, c]
        ]  # fmt: skip
        margins.append(_mean(values))
    assert float(losses.classification) == pytest.approx(margins[0], rel=1e-5)
    assert float(losses.auxiliary_classification) == pytest.approx(margins[1], rel=1e-5)
    assert float(losses.total) == pytest.approx(expected + 0.25 * sum(margins), rel=1e-5)


def test_an_open_class_is_not_held_down() -> None:
    """Background pixels do not push down a class that they may be; where it is closed they do."""
    network, batch = Given(), _batch()
    second_stage_losses(network, batch, CONFIG).segmentation.backward()  # type: ignore[arg-type]
    gradient = network.segmentation.grad
    assert gradient is not None
    assert (gradient[0, 2, 0, 3] < 0).all()
    assert (gradient[1, 2, 3, 3] > 0).all()


def test_the_grid_of_labels_takes_the_middle_of_cells() -> None:
    """Every second pixel from the first on, or all."""
    labels = torch.arange(36).reshape(1, 6, 6)
    assert coarser(labels, 2).tolist() == [[[7, 9, 11], [19, 21, 23], [31, 33, 35]]]
    assert coarser(labels, 3).tolist() == [[[7, 10], [25, 28]]]
    assert torch.equal(coarser(labels, 1), labels)


def test_a_crop_that_lost_its_feature_teaches_no_presence() -> None:
    """Present, not open, and not a pixel of it: unknown. Open ones cannot be missed."""
    batch = _batch()
    pixels = batch.pixel_labels.clone()
    pixels[1] = 0
    lost = cropped_away(dataclasses.replace(batch, pixel_labels=pixels))
    assert lost.tolist() == [[False, False, False], [False, False, True]]
    assert not cropped_away(batch).any()


@pytest.mark.parametrize("encoder", ["efficientnet_lite0", "vit_tiny_16", "vit_small_14"])
def test_every_network_fits_its_crops(encoder: str) -> None:
    """The decoder suits the encoder and crops divide, by patch and by the labels' grid."""
    assert encoder in ENCODERS
    config = second_stage(encoder, NAMES)
    network = CosaNetwork(config.network)
    for stride in (network.encoder.stride_px, config.label_stride_px):
        assert config.views.size_px % stride == 0
    assert abs(config.views.size_px - 384) <= 14
    assert config.network.class_names == NAMES


def test_configurations_survive_being_written() -> None:
    """What a run folder holds builds the same configuration again."""
    config = second_stage("vit_small_14", NAMES)
    assert SecondStageConfig.from_dict(dataclasses.asdict(config)) == config
    with pytest.raises(ValueError, match="batch_size must be above 0"):
        dataclasses.replace(config, batch_size=0)


def test_the_configuration_says_that_views_keep_their_pixels() -> None:
    """Whatever crops it is given; what an earlier run wrote is the same configuration."""
    config = SecondStageConfig()
    assert config.views.degrade_probability == 0
    of_first_stage = dataclasses.replace(config, views=TrainConfig().views)
    assert of_first_stage.views == dataclasses.replace(TrainConfig().views, degrade_probability=0)
    earlier = dataclasses.asdict(config)
    earlier["views"]["degrade_probability"] = 0.5
    assert SecondStageConfig.from_dict(earlier) == config


def test_features_of_hands_are_served_as_the_first_stage_serves_them() -> None:
    """What was found out for a class holds for whichever network draws it; other classes: nothing."""
    hands = TrainConfig().network
    network = second_stage("efficientnet_lite0", hands.class_names).network
    for name in ("classes_in_overview", "mask_colour_weights", "mask_pale_weights"):
        assert getattr(network, name) == getattr(hands, name) != ()
        assert getattr(second_stage("efficientnet_lite0", NAMES).network, name) == ()
    assert network.cam_mask_shares == ()
