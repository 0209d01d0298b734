"""A step on given maps: what is assigned, and what the losses and their gradients then are."""

import dataclasses
import math
from collections.abc import Callable
from typing import cast

import pytest
import torch

from hunique_training.config import LossWeights, TrainConfig
from hunique_training.data.batch import Batch
from hunique_training.losses.cam_to_segmentation import IGNORE
from hunique_training.losses.classification import classification_loss
from hunique_training.network.cosa import CosaNetwork, CosaOutput, NetworkConfig
from hunique_training.presets import paper, release
from hunique_training.pseudo_labels.assigner import Assigner, Assignment
from hunique_training.pseudo_labels.cam_labels import CamThresholds
from hunique_training.pseudo_labels.multi_scale import AssignedMaps
from hunique_training.step import guidance_of

Vectors = Callable[[str], dict[str, torch.Tensor]]
IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
NO_NETWORK = cast(CosaNetwork, None)
"""Where maps are given, nothing asks the assignment network."""


def _batch(images: torch.Tensor, labels: torch.Tensor, boxes: torch.Tensor) -> Batch:
    known = torch.ones_like(labels, dtype=torch.bool)
    return Batch(weak=images, strong=images, labels=labels, known=known, boxes=boxes)


def test_a_step_equals_that_of_the_release(vectors: Vectors) -> None:
    """Masks, every loss, and the gradients for the four outputs of the online network."""
    z = vectors("train_step")
    config = dataclasses.replace(
        release(),
        network=NetworkConfig(class_names=("a", "b", "c")),
        thresholds=CamThresholds(high=0.7, low=0.25),
        energy=dataclasses.replace(release().energy, stride_px=2),
    )
    leaves = [z[f"ON_{name}"].requires_grad_(True) for name in ("cls", "cls_aux", "cam", "seg")]
    output = CosaOutput(leaves[0], leaves[1], leaves[2], leaves[2], leaves[3])
    batch = _batch(z["simg"] * IMAGENET_STD + IMAGENET_MEAN, z["cls_label"], z["img_box"])
    maps = AssignedMaps(z["AN_cam_ps"], z["AN_cam_aux_ps"], z["AN_seg_ps"], z["ON_cls"])
    assignment = Assigner(NO_NETWORK, config).label(maps, batch, (4, 4))
    assert assignment.auxiliary is not None
    for found, name in ((assignment.main, "mask"), (assignment.auxiliary, "mask_aux")):
        assert (found.labels != z[name].long()).float().mean() <= 0.002
    losses = guidance_of(output, assignment, batch, config)
    close = lambda a, b: torch.testing.assert_close(a, b.float(), rtol=1e-4, atol=1e-6)
    close(losses.cam_to_segmentation, z["loss_seg"])
    close(losses.segmentation_to_cam, z["loss_cam"])
    assert float(losses.regulariser.detach()) == pytest.approx(float(z["loss_reg"]), rel=0.15)
    total = sum(
        getattr(config.weights, name) * loss for name, loss in losses._asdict().items()
    ) + sum(classification_loss(logits, batch.labels, batch.known) for logits in leaves[:2])
    close(total, z["loss_total"][0])
    total.backward()
    for leaf, name in zip(leaves, ("g_cls", "g_cls_aux", "g_cam", "g_seg"), strict=True):
        torch.testing.assert_close(leaf.grad, z[name], rtol=1e-3, atol=1e-5)


def _maps(seed: int = 0) -> AssignedMaps:
    generator = torch.Generator().manual_seed(seed)
    cams = [torch.rand(2, 4, 64, 64, generator=generator) ** 3 * 0.999 for _ in range(2)]
    segmentation = torch.randn(2, 5, 64, 64, generator=generator)
    return AssignedMaps(*cams, segmentation, torch.full((2, 4), 3.0))


def _pictures() -> Batch:
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 0]])
    return _batch(images, labels, torch.tensor([[0, 64, 0, 48], [16, 64, 0, 64]]))


def _assigned(config: TrainConfig) -> Assignment:
    return Assigner(NO_NETWORK, config).label(_maps(), _pictures(), (4, 4))


def test_paper_labels_split_at_one_threshold() -> None:
    """Inside the box every pixel is decided; the nearer to xi, the less it weighs."""
    assigner = Assigner(NO_NETWORK, paper())
    maps, batch = _maps(), _pictures()
    labels, weights = assigner.label(maps, batch, (4, 4)).main
    xi = assigner.main.middle
    strength = (maps.cam * batch.labels[:, :, None, None]).amax(1)
    inside = batch.inside((64, 64))
    assert weights is not None
    assert not weights[~inside].any()
    assert (labels[~inside] == IGNORE).all()
    assert torch.equal(labels[inside] > 0, strength[inside] > xi)
    assert float(weights[inside].mean()) == pytest.approx(1, rel=1e-5)
    above = strength[inside] > xi
    order = strength[inside][above].argsort()
    assert (weights[inside][above][order].diff() >= 0).all()


def test_sure_places_lie_inside_the_picture_and_far_from_the_threshold() -> None:
    """Contrast compares places whose perplexity is within the limit."""
    assigner = Assigner(NO_NETWORK, paper())
    assignment = assigner.label(_maps(), _pictures(), (64, 64))
    assert assignment.sure is not None
    kept = assignment.sure.kept
    assert not kept[~_pictures().inside((64, 64))].any()
    strength = (_maps().auxiliary_cam * _pictures().labels[:, :, None, None]).amax(1)
    xi = assigner.auxiliary.middle
    distance = math.exp(-1) / 0.8
    far = (strength >= xi + distance * (1 - xi)) | (strength <= xi - distance * xi)
    assert torch.equal(kept, far & _pictures().inside((64, 64)))


def test_what_a_preset_leaves_out_is_not_computed() -> None:
    """No weights, no auxiliary labels and no contrast in the preset `hunique`."""
    assignment = _assigned(TrainConfig())
    assert assignment.main.weights is None
    assert assignment.auxiliary is None
    assert assignment.sure is None


def test_switches_switch_losses_off() -> None:
    """Without guided CAM, contrast and regulariser their losses are zero."""
    config = dataclasses.replace(release(), guide_cam=False, weights=LossWeights())
    generator = torch.Generator().manual_seed(2)
    cam = torch.randn(2, 4, 4, 4, generator=generator)
    logits = torch.randn(2, 5, 4, 4, generator=generator)
    output = CosaOutput(torch.zeros(2, 4), torch.zeros(2, 4), cam, cam, logits)
    losses = guidance_of(output, _assigned(config), _pictures(), config)
    assert losses.cam_to_segmentation > 0
    assert [float(value) for value in losses[1:]] == [0.0] * 7


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"threshold": "adaptive"}, "'fixed' or 'dynamic'"),
        ({"weighting": "raw"}, "'none' or 'reliability'"),
        ({"class_balanced": True}, "choose one"),
    ],
)
def test_unknown_switches_are_refused(values: dict[str, object], told: str) -> None:
    """A setting that does not exist is told with those that do."""
    with pytest.raises(ValueError, match=told):
        dataclasses.replace(TrainConfig(), **values)


def test_a_crop_that_lost_its_feature_teaches_nothing_of_it() -> None:
    """Where the assignment network's score is low, no pixel is labelled and no CAM is guided."""
    batch, maps = _pictures(), _maps()
    logits = maps.class_logits.clone()
    logits[0, 2] = -3.0
    assignment = Assigner(NO_NETWORK, TrainConfig()).label(
        maps._replace(class_logits=logits), batch, (4, 4)
    )
    assert (assignment.main.labels[0] == 1).any()
    assert not (assignment.main.labels[0] == 3).any()
    assert assignment.guided.tolist() == [[True, True, False, True], [True] * 4]


def test_a_silent_segmentation_does_not_press_down_its_cam() -> None:
    """A segmentation that sees nothing of a present class guides that class only if told to."""
    maps = _maps()
    logits = maps.segmentation_logits.clone()
    logits[0, 1] = -50.0
    for told in (False, True):
        config = dataclasses.replace(TrainConfig(), guide_silent_classes=told)
        blind = maps._replace(segmentation_logits=logits)
        assignment = Assigner(NO_NETWORK, config).label(blind, _pictures(), (4, 4))
        assert bool(assignment.guided[0, 0]) is told
        assert assignment.guided[1].all()


def test_exponents_trim_or_lift_the_cam_of_a_class() -> None:
    """Above 1 a class keeps less around its peak, below 1 more; 1 is the CAM as it is."""

    def pixels_of_first(exponent: float) -> int:
        config = dataclasses.replace(TrainConfig(), cam_exponents=(exponent, 1.0, 1.0, 1.0))
        return int((_assigned(config).main.labels == 1).sum())

    assert pixels_of_first(3.0) < pixels_of_first(1.0) < pixels_of_first(0.3)
    plain = dataclasses.replace(TrainConfig(), cam_exponents=())
    assert pixels_of_first(1.0) == int((_assigned(plain).main.labels == 1).sum())
