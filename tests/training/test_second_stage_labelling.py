"""One picture's pseudo-labels: thresholds, bands, what image labels forbid, refinement."""

import dataclasses

import numpy as np
import pytest
import torch

from hunique_training.checkpoint import ClassOperatingPoint, ModelCheckpoint
from hunique_training.data.labels import DataError
from hunique_training.network.cosa import CosaNetwork, CosaOutput, NetworkConfig
from hunique_training.pseudo_labels.cam_labels import CamThresholds
from hunique_training.second_stage.labelling import Labeller, decide, relative_strength
from hunique_training.second_stage.labelling_config import LabellingConfig
from hunique_training.second_stage.strength import SOURCES, thresholds_of

ONE_LOOK = LabellingConfig(scales=(1.0,))


class Coloured(CosaNetwork):
    """A network for which red is class 1 and green class 2, at every fourth pixel.

    Maps are the colours themselves; segmentation logits are 8 times them, background 4.
    """

    def __init__(self) -> None:
        super().__init__(NetworkConfig(class_names=("red", "green")))

    def forward(self, images: torch.Tensor) -> CosaOutput:
        """Colours of cells."""
        cam = torch.nn.functional.avg_pool2d(images, 4)[:, :2]
        background = torch.full_like(cam[:, :1], 4.0)
        logits = torch.cat([background, 8 * cam], dim=1)
        return CosaOutput(cam.amax(dim=(2, 3)), cam.amax(dim=(2, 3)), cam, cam.flip(1), logits)


@pytest.fixture(scope="module")
def model() -> ModelCheckpoint:
    """The network of colours, served at 64 px."""
    return ModelCheckpoint(network=Coloured().eval(), input_size_px=64)


def _picture() -> np.ndarray:
    """(64, 64, 3): left red, right green, a dark band of 16 rows below, 16 half red columns.

    Half red is 140 of 255: a logit of 4.39 against 4 of the background, probability 0.60.
    """
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:48, :32, 0] = 255
    pixels[:48, 32:, 1] = 255
    pixels[:48, :16, 0] = 140
    return pixels


def test_relative_strength_is_a_quarter_at_low_and_three_quarters_at_high() -> None:
    """By scalar arithmetic for every piece, and with both thresholds the same."""
    thresholds = [CamThresholds(high=0.7, low=0.2), CamThresholds(high=0.5, low=0.5)]
    values = (0.0, 0.1, 0.2, 0.45, 0.5, 0.7, 0.85, 1.0)
    strength = torch.tensor(values).expand(1, 2, 1, 8)
    found = relative_strength(strength, thresholds)[0, :, 0]
    for c, (low, high) in enumerate(((0.2, 0.7), (0.5, 0.5))):
        for i, v in enumerate(values):
            if v < low:
                expected = 0.25 * v / low
            elif v < high:
                expected = 0.25 + 0.5 * (v - low) / (high - low)
            else:
                expected = 0.75 + 0.25 * (v - high) / (1 - high)
            assert float(found[c, i]) == pytest.approx(expected, abs=1e-6)


def test_decisions_by_the_strongest_class() -> None:
    """Above 3/4 a class, below 1/4 background, between them and where unknown ignored."""
    relative = torch.tensor([[[0.8, 0.1, 0.5, 0.3, 0.75]], [[0.2, 0.24, 0.4, 0.9, 0.74]]])
    assert decide(relative, torch.tensor([False, False])).tolist() == [[1, 0, 255, 2, 1]]
    assert decide(relative, torch.tensor([False, True])).tolist() == [[1, 0, 255, 255, 1]]
    assert decide(relative, torch.tensor([True, False])).tolist() == [[255, 0, 255, 2, 255]]


def test_segmentation_labels_are_those_of_its_threshold(model: ModelCheckpoint) -> None:
    """Both colours found, the dark band background, half red undecided."""
    labels = Labeller(model, ONE_LOOK).label(_picture(), (True, True))
    assert labels.shape == (64, 64)
    assert (labels[4:44, 20:30] == 1).all()
    assert (labels[4:44, 36:60] == 2).all()
    assert (labels[52:, :] == 0).all()
    assert (labels[4:44, 4:12] == 255).all()


def test_absent_classes_are_nowhere_and_unknown_ones_claim_nothing(model: ModelCheckpoint) -> None:
    """Green becomes background where it is absent, and is ignored where nobody looked."""
    labeller = Labeller(model, ONE_LOOK)
    assert (labeller.label(_picture(), (True, False))[4:44, 36:60] == 0).all()
    unknown = labeller.label(_picture(), (True, None))
    assert (unknown[4:44, 36:60] == 255).all()
    assert (unknown[4:44, 20:30] == 1).all()
    assert set(np.unique(labeller.label(_picture(), (False, False)))) == {0}


@pytest.mark.parametrize("source", [name for name in SOURCES if name != "segmentation"])
def test_activation_maps_label_present_classes_alone(model: ModelCheckpoint, source: str) -> None:
    """A map that is always full-range says nothing of a class of unknown label."""
    labeller = Labeller(model, dataclasses.replace(ONE_LOOK, source=source))
    assert set(np.unique(labeller.label(_picture(), (None, False)))) == {0}
    labels = labeller.label(_picture(), (True, None))
    assert 1 in labels
    assert 2 not in labels


def test_main_auxiliary_and_mixed_maps_differ(model: ModelCheckpoint) -> None:
    """Where the auxiliary map shows the other colour: there, and halfway in the mixture."""
    at = {}
    for source in ("cam", "auxiliary_cam", "mixed_cam"):
        config = dataclasses.replace(ONE_LOOK, source=source, high=0.9, low=0.1)
        labels = Labeller(model, config).label(_picture(), (True, False))
        at[source] = (labels[20, 24], labels[20, 48])
    assert at == {"cam": (1, 0), "auxiliary_cam": (0, 1), "mixed_cam": (1, 1)}


def test_maps_are_raised_as_the_model_was_taught(model: ModelCheckpoint) -> None:
    """Half red is above 0.7 once raised to 0.5, which the auxiliary map is not."""
    config = {"thresholds": {"high": 0.7, "low": 0.3}, "cam_exponents": (0.5, 1.0),
              "auxiliary_thresholds": {"high": 0.7, "low": 0.3}}  # fmt: skip
    taught = dataclasses.replace(model, training={"config": config})
    plain = dataclasses.replace(model, training={"config": {**config, "cam_exponents": ()}})
    # half green: the auxiliary map of this network is green's where class 1 is asked for
    pixels = _picture()
    pixels[:48, 48:, 1] = 140
    at = {}
    for source in ("cam", "mixed_cam", "auxiliary_cam"):
        chosen = dataclasses.replace(ONE_LOOK, source=source)
        at[source] = tuple(
            Labeller(one, chosen).label(pixels, (True, False))[20, [8, 56]].tolist()
            for one in (plain, taught)
        )
    assert at["cam"] == ([255, 0], [1, 0])
    assert at["mixed_cam"] == ([255, 255], [1, 1])
    assert at["auxiliary_cam"] == ([0, 255], [0, 255])


def test_pictures_that_cannot_show_anything_are_background(model: ModelCheckpoint) -> None:
    """Without a look: no class is present, or for the segmentation, none is possible."""
    for source, labels in (("cam", (None, False)), ("segmentation", (False, False))):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Labeller, "_look", None)
            labeller = Labeller(model, dataclasses.replace(ONE_LOOK, source=source))
            assert not labeller.label(_picture(), labels).any()


def test_a_threshold_chosen_on_a_mask_with_cam_is_not_the_segmentations() -> None:
    """What is served of green is its CAM; 0.9 of that says nothing of the segmentation."""
    network = CosaNetwork(NetworkConfig(class_names=("red", "green"), cam_mask_shares=(0.0, 1.0)))
    point = ClassOperatingPoint(presence_threshold=0.5, pixel_threshold=0.9)
    points = {"red": point, "green": point}
    model = ModelCheckpoint(network=network, input_size_px=64, operating_point=points)
    red, green = thresholds_of(model, ONE_LOOK)
    assert (red.low, red.high) == pytest.approx((0.72, 0.92))
    assert (green.low, green.high) == pytest.approx((0.4, 0.6))


def test_thresholds_are_the_models_own_unless_told(model: ModelCheckpoint) -> None:
    """Pixel thresholds with a band, or what the CAMs taught with; a value overrides one side."""
    config = {
        "thresholds": {"high": 0.6, "low": 0.3},
        "auxiliary_thresholds": {"high": 0.5, "low": 0.2},
    }
    points = {"red": ClassOperatingPoint(presence_threshold=0.5, pixel_threshold=0.9)}
    chosen = dataclasses.replace(model, operating_point=points, training={"config": config})
    red, green = thresholds_of(chosen, ONE_LOOK)
    assert (red.low, red.high) == pytest.approx((0.72, 0.92))
    assert (green.low, green.high) == pytest.approx((0.4, 0.6))
    for source, expected in (("cam", (0.3, 0.6)), ("mixed_cam", (0.3, 0.6)),
                             ("auxiliary_cam", (0.2, 0.5))):  # fmt: skip
        each = thresholds_of(chosen, dataclasses.replace(ONE_LOOK, source=source))
        assert [(t.low, t.high) for t in each] == [expected] * 2
    told = thresholds_of(chosen, dataclasses.replace(ONE_LOOK, high=0.95))[0]
    assert (told.low, told.high) == pytest.approx((0.72, 0.95))


@pytest.mark.parametrize("refine", ["par", "crf"])
def test_refinement_moves_labels_to_colours(model: ModelCheckpoint, refine: str) -> None:
    """Refined labels still find the features, and are not those without refinement."""
    pixels = _picture()
    pixels[:48, 14:18, 0] = np.linspace(128, 255, 4)
    plain = Labeller(model, ONE_LOOK).label(pixels, (True, True))
    config = dataclasses.replace(ONE_LOOK, refine=refine)
    refined = Labeller(model, config).label(pixels, (True, True))
    assert (plain != refined).any()
    assert (refined[4:44, 24:30] == 1).mean() > 0.9
    assert (refined[56:] == 0).all()


def test_labels_have_the_pictures_size(model: ModelCheckpoint) -> None:
    """Whatever size the model looks at."""
    pixels = np.zeros((37, 90, 3), np.uint8)
    pixels[:, 45:, 0] = 255
    labels = Labeller(model, ONE_LOOK).label(pixels, (True, False))
    assert labels.shape == (37, 90)
    assert (labels[:, 52:] == 1).all()
    assert (labels[:, :38] == 0).all()


def test_a_classifier_has_no_segmentation_to_label_from(model: ModelCheckpoint) -> None:
    """The random decoder of a classifier is refused, its maps are not."""
    classifier = dataclasses.replace(model, training={"config": {"method": "cam"}})
    with pytest.raises(DataError, match="--from cam"):
        Labeller(classifier, ONE_LOOK)
    Labeller(classifier, dataclasses.replace(ONE_LOOK, source="cam"))


@pytest.mark.parametrize(
    ("values", "told"), [({"refine": "blur"}, "none, par, crf"), ({"band": 1.0}, "band")]
)
def test_settings_that_do_not_exist_are_refused(values: dict[str, object], told: str) -> None:
    """With those that do."""
    with pytest.raises(ValueError, match=told):
        dataclasses.replace(ONE_LOOK, **values)
