"""The heads on the encoder give what CoSA's release gives."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hunique_training.network.cam_head import CamHead
from hunique_training.network.cosa import CosaNetwork, NetworkConfig
from hunique_training.network.decoder import LargeFieldOfView
from hunique_training.network.encoder import EncoderFeatures
from hunique_training.network.registry import decoder_for


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
    config = NetworkConfig(encoder=encoder, decoder=decoder_for(encoder))
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
        CosaNetwork(NetworkConfig(encoder="vit_tiny_16", decoder="fine"))
