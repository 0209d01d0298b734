"""Options of `hunique-train fit`, and the configuration that they make of a preset."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hunique_training.config import METHODS, TrainConfig
from hunique_training.early_stop import KEPT, ValidationConfig
from hunique_training.network.registry import ENCODERS, cam_head_for, decoder_for
from hunique_training.precision import PRECISIONS
from hunique_training.presets import PRESETS
from hunique_training.run_length import take_length, takes_length_options
from hunique_training.source_options import SOURCES_HELP

_RUN = (
    click.option("--data", multiple=True, show_envvar=True, metavar="SOURCE",
                 help=f"{SOURCES_HELP} drawn:N draws N hands. Repeat it to mix sources; look at "
                 "them with inspect first."),
    click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True,
                 show_envvar=True,
                 help="Run folder. Where one is there already, the run goes on from its last "
                 "checkpoint."),
    click.option("--repeat", type=click.Path(exists=True, file_okay=False, path_type=Path),
                 show_envvar=True, metavar="RUN",
                 help="Do the run of this folder again, into --out, and say which pictures, labels "
                 "or versions differ. Of other options only --device can be given."),
    click.option("--preset", type=click.Choice(sorted(PRESETS)), default="hunique",
                 show_envvar=True,
                 help="hunique: small network, for one evening on two cores. release, paper: CoSA "
                 "as its code and as its paper have it, for a GPU; voc, coco: the former for "
                 "these data sets."),
    click.option("--simulate-points-from-truth", type=click.IntRange(min=0), default=0,
                 show_envvar=True, metavar="N",
                 help="An experiment: N clicks in every patch of truth masks of train, and N on "
                 "the background, stand for those that nobody made. The model says so."),
    click.option("--simulate-boxes-from-truth", is_flag=True, show_envvar=True,
                 help="The same, with a box around every patch."),
    click.option("--input-size-px", type=click.IntRange(min=64), default=448, show_envvar=True,
                 help="Side of the square input the model is served with; divides by the "
                 "encoder's stride."),
    click.option("--device", default="cpu", show_envvar=True,
                 help="torch device: cpu, cuda, cuda:1. With torchrun, cuda gives each process a "
                 "GPU of its own."),
    click.option("--tensorboard", is_flag=True, show_envvar=True,
                 help="Also write curves, panels and histograms for TensorBoard into the run "
                 "folder; needs pip install tensorboard."),
)  # fmt: skip

_CONFIG = (
    click.option("--method", type=click.Choice(METHODS), show_envvar=True,
                 help="cosa trains a segmentation. The others train a classifier alone, to compare "
                 "with and to make pseudo-labels of."),
    click.option("--class", "class_names", multiple=True, show_envvar=True, metavar="NAME",
                 help="Classes of the model, in place of the preset's. Repeatable. Those that the "
                 "preset has keep what it sets for them."),
    click.option("--batch-size", type=click.IntRange(min=1), show_envvar=True,
                 help="Pictures that pass the networks together. Where memory runs out, halve it "
                 "and double --accumulate."),
    click.option("--accumulate", type=click.IntRange(min=1), show_envvar=True,
                 help="Batches to a step. Learns what one batch as large as all of them would, in "
                 "the memory of one."),
    click.option("--precision", type=click.Choice(PRECISIONS), show_envvar=True,
                 help="bfloat16 on GPUs that have it: half the memory, faster. float16 on older "
                 "ones. float32 on a CPU, where the others are slower."),
    click.option("--crop-size-px", type=click.IntRange(min=32), show_envvar=True,
                 help="Side of the crops that are learned from; divides by the encoder's stride. "
                 "Smaller ones need less memory and see less around a feature."),
    click.option("--encoder", type=click.Choice(list(ENCODERS)), show_envvar=True,
                 help="Feature network. efficientnet_lite0 is small and fast on a CPU; the vision "
                 "transformers want a GPU and, but for vit_small_14, weights of one's own."),
    click.option("--pretrained", show_envvar=True, metavar="WEIGHTS",
                 help="Encoder weights: package, none, or a checkpoint file of timm, jx_vit, DINOv2 "
                 "or the encoder's package. Default: the preset's."),
    click.option("--seed", type=click.IntRange(min=0), show_envvar=True,
                 help="Everything random follows from it."),
    click.option("--validate-every-steps", type=click.IntRange(min=0), default=0, show_envvar=True,
                 help="Score up to 48 pictures of val after so many steps, into validation.csv; 0 "
                 "never does. 100 shows a curve and costs a few minutes an hour."),
    click.option("--patience", type=click.IntRange(min=0), default=0, show_envvar=True,
                 help="Stop after so many validations without a better mean IoU, and keep the "
                 "best network; 0 trains to the end. Below 3, chance decides."),
    click.option("--keep", type=click.Choice(KEPT), default="last", show_envvar=True,
                 help="Which network becomes model.pt. --patience keeps the best anyway."),
)  # fmt: skip


def takes_fit_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options; `take_config` takes those of the configuration out again."""
    command = takes_length_options(command)
    for option in reversed(_RUN + _CONFIG):
        command = option(command)
    return command


def take_config(options: dict[str, Any]) -> TrainConfig:
    """Take the options of the configuration out of a command's keywords.

    Raises:
        ValueError: their values do not go together.
    """
    config = PRESETS[options.pop("preset")]()
    given: dict[str, Any] = {
        name: options.pop(name)
        for name in ("method", "batch_size", "accumulate", "precision", "seed", "pretrained")
    }
    given = {name: value for name, value in given.items() if value is not None}
    if given.get("pretrained") == "none":
        given["pretrained"] = None
    config = with_encoder(config, options.pop("encoder"))
    config = with_classes(config, options.pop("class_names"))
    crop_px = options.pop("crop_size_px")
    if crop_px is not None:
        given["views"] = dataclasses.replace(config.views, size_px=crop_px)
    given["validation"] = ValidationConfig(
        every_steps=options.pop("validate_every_steps"),
        patience=options.pop("patience"),
        keep=options.pop("keep"),
    )
    return take_length(options, dataclasses.replace(config, **given))


def with_encoder(config: TrainConfig, encoder: str | None) -> TrainConfig:
    """The configuration with another encoder and the heads that suit it; None: as it is."""
    if encoder is None:
        return config
    network = dataclasses.replace(
        config.network,
        encoder=encoder,
        decoder=decoder_for(encoder),
        # a preset that draws from the last block does so with any encoder
        cam_head=cam_head_for(encoder) if config.network.cam_head == "local" else "final",
    )
    return dataclasses.replace(config, network=network)


def with_classes(config: TrainConfig, class_names: tuple[str, ...]) -> TrainConfig:
    """The configuration for other classes, see `TrainConfig.for_classes`; none: as it is."""
    return config.for_classes(class_names) if class_names else config
