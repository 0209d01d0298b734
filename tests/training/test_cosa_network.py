"""The heads on the encoder give what CoSA's release gives."""

import dataclasses
from math import exp
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from hunique_models.colour_refinement import ColourRefinement
from hunique_models.geometry import LevelMean
from hunique_training.checkpoint import ModelCheckpoint
from hunique_training.manifest import manifest_of
from hunique_training.network.cam_head import CamHead, ProjectedCamHead
from hunique_training.network.cosa import CosaNetwork, NetworkConfig
from hunique_training.network.decoder import LargeFieldOfView
from hunique_training.network.encoder import EncoderFeatures
from hunique_training.network.registry import cam_head_for, decoder_for
from hunique_training.network.served import ServedNetwork, smooth


def _formula(shape: tuple[int, ...], offset: int, scale: float) -> torch.Tensor:
    """Head weights as the reference vectors define them: s sin(0.7318 i + k)."""
    index = np.arange(np.prod(shape), dtype=np.float64)
    weight = scale * np.sin(0.7318 * index + offset)
    return torch.from_numpy(weight.astype(np.float32).reshape(shape))


@pytest.fixture(scope="module")
def heads(shared: Path) -> dict[str, torch.Tensor]:
    """The reference arrays."""
    with np.load(shared / "method/vectors/network_heads.npz") as vectors:
        wanted = ("feat", "cls", "cam", "seg", "classifier_w")
        return {name: torch.from_numpy(vectors[name]) for name in wanted}


def test_cam_head_equals_the_release(heads: dict[str, torch.Tensor]) -> None:
    """Class logits pool features first; the same weights draw the activation map."""
    head = CamHead(16, 4)
    head.weight.data = _formula((4, 16, 1, 1), 1, 0.5)
    torch.testing.assert_close(head.weight.data, heads["classifier_w"])
    logits, cam = head(heads["feat"])
    torch.testing.assert_close(logits, heads["cls"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(cam, heads["cam"], rtol=1e-4, atol=1e-5)


def test_large_field_of_view_equals_the_release(heads: dict[str, torch.Tensor]) -> None:
    """The segmentation decoder as published."""
    decoder = LargeFieldOfView(16, 4)
    decoder.first.weight.data = _formula((512, 16, 3, 3), 3, 0.4)
    decoder.second.weight.data = _formula((512, 512, 3, 3), 4, 0.4)
    decoder.logits.weight.data = _formula((5, 512, 1, 1), 5, 0.4)
    features = EncoderFeatures(heads["feat"], heads["feat"], None, None)
    with torch.no_grad():
        found = decoder(features)
    torch.testing.assert_close(found, heads["seg"], rtol=1e-3, atol=1e-3)


def test_mean_of_strongest_places_is_the_logit() -> None:
    """With a top share the logit is the mean of that share of the activation map."""
    head = CamHead(8, 2, top_share=0.25)
    logits, cam = head(torch.rand(3, 8, 4, 4))
    strongest = cam.flatten(2).sort(dim=2, descending=True).values[:, :, :4]
    torch.testing.assert_close(logits, strongest.mean(dim=2))


@pytest.mark.parametrize(
    ("encoder", "stride_px"),
    [("efficientnet_lite0", 4), ("vit_tiny_16", 16), ("vit_small_14", 14)],
)
def test_every_encoder_carries_its_decoder(encoder: str, stride_px: int) -> None:
    """Each encoder builds a whole network whose maps have the decoder's stride."""
    config = NetworkConfig(
        encoder=encoder, decoder=decoder_for(encoder), cam_head=cam_head_for(encoder)
    )
    network = CosaNetwork(config).eval()
    side = 3 * network.encoder.stride_px
    with torch.no_grad():
        output = network(torch.rand(1, 3, side, side))
    assert output.cam.shape == output.auxiliary_cam.shape == (1, 4, 3, 3)
    assert output.class_logits.shape == output.auxiliary_class_logits.shape == (1, 4)
    assert output.segmentation_logits.shape == (1, 5, side // stride_px, side // stride_px)


def test_fine_decoder_asks_for_fine_features() -> None:
    """A transformer with the decoder for fine features is refused with the way out."""
    with pytest.raises(ValueError, match="large_fov"):
        CosaNetwork(NetworkConfig(encoder="vit_tiny_16", decoder="fine", cam_head="final"))


def test_local_cam_head_weighs_blocks_alike() -> None:
    """After measuring, a block of a hundredfold magnitude speaks no louder than another."""
    features = torch.randn(4, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    loud = features.clone()
    loud[:, 4:] = loud[:, 4:] * 100 + 7
    torch.manual_seed(0)
    head = ProjectedCamHead(8, top_shares=(0.25, 0.25))
    found = []
    for seen in (features, loud):
        head.measure(seen.split(1))
        found.append(head(seen)[1])
    torch.testing.assert_close(found[0], found[1], rtol=1e-2, atol=1e-2)


def test_local_cam_head_classifies_what_it_draws() -> None:
    """The logit is the mean of the strongest places of the map, through any hidden layer."""
    head = ProjectedCamHead(8, top_shares=(0.25, 0.25))
    logits, cam = head(torch.randn(3, 8, 4, 4))
    strongest = cam.flatten(2).sort(dim=2, descending=True).values[:, :, :4]
    torch.testing.assert_close(logits, strongest.mean(dim=2))


def test_local_cam_head_pools_each_class_by_its_own_share() -> None:
    """A large feature is told by many places, a small one by its strongest."""
    head = ProjectedCamHead(8, top_shares=(1.0, 0.0625))
    logits, cam = head(torch.randn(3, 8, 4, 4))
    torch.testing.assert_close(logits[:, 0], cam[:, 0].mean(dim=(1, 2)))
    torch.testing.assert_close(logits[:, 1], cam[:, 1].amax(dim=(1, 2)))


def test_local_cam_head_leaves_features_out_in_training_alone() -> None:
    """Two looks at the same features differ while it trains, and never when it serves."""
    head = ProjectedCamHead(8, top_shares=(0.25,), dropout=0.5)
    features = torch.randn(1, 8, 4, 4)
    torch.manual_seed(0)
    assert not torch.equal(head(features)[1], head(features)[1])
    head.eval()
    assert torch.equal(head(features)[1], head(features)[1])


def _of_two_levels() -> ProjectedCamHead:
    """Three classes, the middle one spared the noise of the others."""
    torch.manual_seed(0)
    return ProjectedCamHead(8, top_shares=(0.25, 0.25, 1.0), hidden=4, noise=(0.5, 0.0, 0.5))


def test_noise_reaches_the_classes_that_ask_for_it_in_training_alone() -> None:
    """Two looks at the same features differ in those classes, and in none when it serves."""
    head, features = _of_two_levels(), torch.randn(2, 8, 4, 4)
    (first, cam), (second, again) = head(features), head(features)
    assert torch.equal(cam[:, 1], again[:, 1])
    for noisy in (0, 2):
        assert (first[:, noisy] != second[:, noisy]).all()
    head.eval()
    assert torch.equal(head(features)[1], head(features)[1])


def test_noise_on_features_is_what_the_hidden_layer_would_have_seen() -> None:
    """One number a channel and picture, in deviations of the channel, through the weights."""
    head, features = _of_two_levels(), torch.randn(2, 8, 4, 4)
    head.measure([torch.randn(4, 8, 4, 4) * 3 + 1])
    torch.manual_seed(1)
    cam = head(features)[1]
    torch.manual_seed(1)
    quiet, loud = torch.randn(2, 8) * 0.0, torch.randn(2, 8) * 0.5
    head.eval()
    for classes, noise in (([1], quiet), ([0, 2], loud)):
        seen = features + noise[:, :, None, None] * head.deviation
        torch.testing.assert_close(cam[:, classes], head(seen)[1][:, classes])


def test_every_layer_is_taught_every_class_and_draws_its_own() -> None:
    """Losses see both layers; what is drawn of a class is what its layer was taught."""
    head, features = _of_two_levels().eval(), torch.randn(2, 8, 4, 4)
    logits, cam = head(features)
    lessons = head.lessons(features)
    assert lessons.by_layer.shape == (2, 2, 3)
    assert torch.equal(lessons.logits, logits)
    assert torch.equal(lessons.activation, cam)
    layer_of_class = [1, 0, 1]  # by rising noise
    for c, layer in enumerate(layer_of_class):
        assert torch.equal(lessons.by_layer[:, layer, c], logits[:, c])
        assert not torch.equal(lessons.by_layer[:, 1 - layer, c], logits[:, c])


def test_network_teaches_all_layers_while_it_trains() -> None:
    """In training the logits of all layers are handed to the losses, and never when it serves."""
    network = CosaNetwork(NetworkConfig(local_noise=(1.0, 1.0, 0.0, 1.0)))
    images = torch.rand(1, 3, 64, 64)
    assert network(images).taught_logits.shape == (1, 2, 4)
    output = network.eval()(images)
    assert output.taught_logits is output.class_logits


@pytest.mark.parametrize(
    "name", ["local_top_shares", "cam_mask_shares", "cam_mask_smoothing", "mask_pale_weights"]
)
def test_what_goes_by_class_needs_one_value_a_class(name: str) -> None:
    """The message says how many there must be."""
    with pytest.raises(ValueError, match=f"{name} needs 4 values, one a class; found 2"):
        NetworkConfig(**{name: (0.1, 0.2)})


def test_a_transformer_has_no_local_features() -> None:
    """The CAM head over middle blocks is refused where there are none, with the way out."""
    with pytest.raises(ValueError, match="choose the CAM head 'final'"):
        CosaNetwork(NetworkConfig(encoder="vit_tiny_16", decoder="large_fov"))


def test_served_masks_mix_the_cam_by_class() -> None:
    """A share of 1 serves the CAM alone, 0 the segmentation alone, each in its own class."""
    torch.manual_seed(0)
    network = CosaNetwork(NetworkConfig(cam_mask_shares=(0.0, 1.0, 0.5, 0.0))).eval()
    pixels = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        output = network(pixels.permute(0, 3, 1, 2) / 255)
        probability, _ = ServedNetwork(network)(pixels)
    segmentation = output.segmentation_logits.softmax(1)[:, 1:]
    cam = interpolate(output.cam, size=(16, 16), mode="bilinear", align_corners=False).sigmoid()
    wanted = torch.stack(
        [segmentation[:, 0], cam[:, 1], (segmentation[:, 2] + cam[:, 2]) / 2, segmentation[:, 3]], 1
    )
    assert (probability / 255 - wanted).abs().max() < 0.003


def test_served_cam_is_smoothed_in_the_classes_that_ask_for_it() -> None:
    """A Gaussian of one cell over probabilities for one class; the other is as drawn."""
    torch.manual_seed(0)
    plain = NetworkConfig(class_names=("a", "b"), cam_mask_shares=(1.0, 1.0))
    network = CosaNetwork(plain).eval()
    pixels = torch.randint(0, 256, (1, 96, 96, 3), dtype=torch.uint8)
    network.classifier.register_forward_hook(lambda _, __, out: (out[0], out[1] + cam_on_grid))
    cam_on_grid = 4 * torch.randn(1, 2, 6, 6)
    with torch.no_grad():
        drawn, _ = ServedNetwork(network)(pixels)
        cam = network(pixels.permute(0, 3, 1, 2) / 255).cam.sigmoid()[0, 1]
        network.config = dataclasses.replace(plain, cam_mask_smoothing=(0.0, 1.0))
        probability, _ = ServedNetwork(network)(pixels)
    assert torch.equal(probability[:, 0], drawn[:, 0])
    weights = [[exp(-((r - 2) ** 2 + (c - 3) ** 2) / 2) for c in range(6)] for r in range(6)]
    near = torch.tensor(weights).where(_within_three_cells(2, 3), torch.tensor(0.0))
    cell = float((near * cam).sum() / near.sum())
    corners = probability[0, 1, 9:11, 13:15].double().mean() / 255  # of the cell in row 2, column 3
    assert corners == pytest.approx(cell, abs=0.01)
    assert not torch.equal(probability[:, 1], drawn[:, 1])


def _within_three_cells(row: int, column: int) -> torch.Tensor:
    """Which cells of a grid of 6 x 6 are at most three rows and three columns away."""
    rows, columns = torch.arange(6)[:, None], torch.arange(6)[None, :]
    return ((rows - row).abs() <= 3) & ((columns - column).abs() <= 3)


def test_smoothing_keeps_what_is_even() -> None:
    """Constant maps stay constant up to the border; a class without smoothing keeps its bits."""
    maps = torch.full((2, 3, 7, 5), 0.25)
    maps[:, 2] = torch.rand(2, 7, 5)
    smoothed = smooth(maps, (2.0, 0.5, 0.0))
    assert smoothed[:, :2].sub(0.25).abs().max() < 1e-6
    assert smoothed[:, 2].sub(maps[:, 2]).abs().max() < 1e-6


def test_shares_of_the_cam_need_one_a_class() -> None:
    """A list of the wrong length is refused with both numbers."""
    with pytest.raises(ValueError, match="needs 4 values, one a class; found 1"):
        NetworkConfig(cam_mask_shares=(0.5,))


@pytest.mark.parametrize("seen", [(False, True), (False, False), ()])
def test_manifest_says_at_which_sizes_the_model_looks(seen: tuple[bool, ...]) -> None:
    """An overview only where a class wants it; small pictures enlarged; log odds averaged."""
    config = NetworkConfig(class_names=("ring", "lunule"), classes_in_overview=seen)
    model = ModelCheckpoint(
        network=CosaNetwork(config), operating_point={}, input_size_px=64, training={}
    )
    manifest = manifest_of(model)
    assert [spec.in_overview for spec in manifest.classes] == (list(seen) or [False, False])
    assert manifest.geometry.overview_zoom == (5 / 7 if any(seen) else 0)
    assert manifest.geometry.max_tile_zoom == 2
    assert manifest.geometry.level_mean is LevelMean.LOG_ODDS
    assert manifest.geometry.sight_share == 0.5


def test_manifest_says_how_borders_are_refined() -> None:
    """By class where the network has weights; a network without any is served as it draws."""
    config = NetworkConfig(
        class_names=("ring", "lunule"),
        mask_colour_weights=(0.25, 0.0),
        mask_pale_weights=(0.0, 1.0),
    )
    found = [
        [spec.refinement for spec in manifest_of(ModelCheckpoint(network=CosaNetwork(one))).classes]
        for one in (config, dataclasses.replace(config, mask_pale_weights=()))
    ]
    ring = ColourRefinement(colour_weight=0.25)
    assert found == [[ring, ColourRefinement(pale_weight=1.0)], [ring, ColourRefinement()]]
    plain = CosaNetwork(config.serving_segmentation_alone())
    assert [s.refinement for s in manifest_of(ModelCheckpoint(network=plain)).classes] == [None] * 2
