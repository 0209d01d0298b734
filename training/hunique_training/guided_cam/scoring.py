"""CAM mIoU of a network on a fixed part of `val`, as the experiment follows it.

One scale, mirrored too; the label-filtered CAM above 0.5 is its class, as published (COSA
section 5). Both CAMs are scored; the main one is guided.
"""

import logging
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from hunique_models.errors import InputError
from hunique_training.data.batches import to_tensor
from hunique_training.data.picture_cache import PictureCache
from hunique_training.evaluation.map_run import PictureMaps
from hunique_training.evaluation.map_scores import score_maps
from hunique_training.evaluation.truth import TruthPicture
from hunique_training.network.cosa import CosaNetwork
from hunique_training.pseudo_labels.multi_scale import multi_scale_maps

logger = logging.getLogger(__name__)

FULL_SIDE_PX = 2**16
"""Pictures are kept at their own size, which is that of their masks."""


class CamScorer:
    """Scores networks on the same pictures each time.

    Args:
        pictures: with masks.
        input_size_px: longer side that the network sees, in about so many pixels.
    """

    def __init__(self, pictures: Sequence[TruthPicture], input_size_px: int) -> None:
        self._pictures = pictures
        self._input_size_px = input_size_px
        self._cache = PictureCache(FULL_SIDE_PX)

    def __call__(self, network: CosaNetwork) -> dict[str, float]:
        """`cam_miou` and `auxiliary_cam_miou` over background and classes, `cam_iou_<label>`.

        From 0 to 1, NaN where undefined. The network's mode is left as it was.
        """
        training = network.training
        network.eval()
        names = network.config.class_names
        scores = score_maps(self._look(network), len(names)).confusion
        network.train(training)
        ious = zip(("background", *names), scores["cam"].iou.tolist(), strict=True)
        return {
            "cam_miou": round(scores["cam"].mean_iou, 5),
            "auxiliary_cam_miou": round(scores["auxiliary_cam"].mean_iou, 5),
        } | {f"cam_iou_{name}": round(value, 5) for name, value in ious}

    def _look(self, network: CosaNetwork) -> Iterator[tuple[TruthPicture, PictureMaps]]:
        for truth in self._pictures:
            try:
                pixels = self._cache.pixels(truth.picture.path)
            except (InputError, OSError) as error:
                logger.warning("left out %s: %s", truth.picture.path, error)
                continue
            yield truth, self._maps(network, pixels, truth)

    def _maps(
        self, network: CosaNetwork, pixels: NDArray[np.uint8], truth: TruthPicture
    ) -> PictureMaps:
        multiple_px = network.encoder.stride_px
        scale = self._input_size_px / max(pixels.shape[:2])
        height, width = (
            max(1, round(side * scale / multiple_px)) * multiple_px for side in pixels.shape[:2]
        )
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        sized = np.asarray(cv2.resize(pixels, (width, height), interpolation=method), np.uint8)
        image = to_tensor([sized]).to(next(network.parameters()).device)
        maps = multi_scale_maps(
            network, image, scales=(1.0,), size=(height, width), multiple_px=multiple_px
        )
        present = torch.tensor([label is True for label in truth.picture.labels])[:, None, None]
        activation = {}
        for kind, cam in (("cam", maps.cam), ("auxiliary_cam", maps.auxiliary_cam)):
            whole = interpolate(cam.cpu(), size=list(pixels.shape[:2]), mode="bilinear")[0]
            activation[kind] = (whole * present).numpy()
        return PictureMaps(activation=activation, segmentation={})
