"""Named configurations of a run: `hunique`, `release`, `paper`; `voc` and `coco`.

The preset `hunique` is `TrainConfig` as it stands.
"""

import dataclasses

from hunique_training.config import LossWeights, TrainConfig
from hunique_training.data.class_names import COCO_CLASSES, VOC_CLASSES
from hunique_training.data.views import ViewConfig
from hunique_training.network.cosa import NetworkConfig
from hunique_training.pseudo_labels.cam_labels import CamThresholds


def release() -> TrainConfig:
    """CoSA as released (COSA sections 1 to 4), for a ViT-B/16 and VOC-like data.

    With the release's oddities: an auxiliary CAM of the last scale, an assignment network
    with heads of its own, ReLU before the guided CAM. Thresholds are those of the authors'
    VOC log. Scales, blur and colours of crops are the release's; what still differs from it is
    said in docs/training.md: which pictures make a batch, above all.

    `hunique-train fit --preset release`; 32,000 steps take 8 h 39 min on two RTX 3090
    (the authors' log). Not run to the end here.
    """
    return TrainConfig(
        preset="release",
        network=NetworkConfig(
            encoder="vit_base_16", decoder="large_fov", cam_head="final", pooling_top_share=0.0
        ),
        pretrained=None,
        views=ViewConfig(
            size_px=448,
            scale_low=0.5,
            scale_high=2.0,
            scale_of_picture=True,
            quarter_turn_probability=0,
            blur_probability=0.5,
            largest_blur_px=2.0,
        ),
        total_steps=32_000,
        frozen_stages=0,
        loss_warm_up_steps=6_000,
        rate_warm_up_steps=1_500,
        batch_size=4,
        learning_rate=6e-5,
        assignment_momentum=0.9994,
        assignment_catches_up=False,
        assignment_own_heads=True,
        assignment_scales=(1.0, 0.5, 1.5),
        auxiliary_cam_of_last_scale=True,
        thresholds=CamThresholds(high=0.7, low=0.2),
        auxiliary_thresholds=CamThresholds(high=0.7, low=0.25),
        label_stride_px=1,
        label_downscale=2,
        auxiliary_share=0.5,
        mixed_cam_shares=(),
        cam_exponents=(),
        largest_shares=(),
        guide_auxiliary_cam=False,
        refine_dilations=(),
        lost_feature_score=0.0,
        guidance_start_step=6_000,
        guide_silent_classes=True,
        rectify_guided_cam=True,
        mean_over_pixels=False,
        weights=LossWeights(regulariser=0.05),
    )


def paper() -> TrainConfig:
    """CoSA as the paper describes it (COSA sections 3 and 8), where the release does not.

    Reliability-based weights, a dynamic threshold and contrastive separation, a guided CAM
    without ReLU, an auxiliary CAM over all scales, an assignment network that starts as a
    copy, no regulariser. Labels of the auxiliary CAM are a term of their own beside that of the
    main one, 0.1 each: 0.2 times the mean of both. `hunique-train fit --preset paper`; not run to the end here. What
    the paper took for the temperature of the contrast could not be verified.
    """
    return dataclasses.replace(
        release(),
        preset="paper",
        assignment_own_heads=False,
        auxiliary_cam_of_last_scale=False,
        threshold="dynamic",
        weighting="reliability",
        label_downscale=1,
        rectify_guided_cam=False,
        mean_over_pixels=True,
        weights=LossWeights(cam_to_segmentation=0.2, contrastive_separation=0.1),
    )


def voc() -> TrainConfig:
    """PASCAL VOC 2012 with the 10,582 training pictures of train_aug: `release` on the authors' schedule.

    `hunique-train fit --preset voc --data VOC2012 --pretrained jx_vit_base_p16_224-80ecf9dd.pth
    --device cuda --out runs/voc`. Published (COSA section 5, the authors' log, val): mIoU 76.2
    with image labels, 76.4 with CRF, 73.7 label-free; CAM 70.3 to 74.0. 8 h 39 min on two RTX
    3090. Not run to the end here.
    """
    base = release()
    network = dataclasses.replace(base.network, class_names=VOC_CLASSES)
    return dataclasses.replace(base, preset="voc", network=network)


def coco() -> TrainConfig:
    """COCO 2014 with its 82,081 training pictures: `release` on the authors' schedule.

    `hunique-train fit --preset coco --data COCO --pretrained jx_vit_base_p16_224-80ecf9dd.pth
    --device cuda --out runs/coco`. Published (COSA section 5, the authors' log): mIoU 51.0 with
    image labels on val, 51.1 with CRF; label-free 48.5 and CAM 50.4 on 5,000 pictures of it. 44 h
    on two RTX 3090. Not run to the end here.
    """
    base = release()
    return dataclasses.replace(
        base,
        preset="coco",
        network=dataclasses.replace(base.network, class_names=COCO_CLASSES),
        total_steps=60_000,
        loss_warm_up_steps=10_000,
        guidance_start_step=10_000,
        batch_size=8,
        thresholds=CamThresholds(high=0.65, low=0.25),
    )


PRESETS = {"hunique": TrainConfig, "release": release, "paper": paper, "voc": voc, "coco": coco}
"""Named configurations: `PRESETS[name]()`."""
