"""What looks at a run while it trains: panels, validation, and the best network.

Everything is written into the run folder, by the first of several processes.
"""

from pathlib import Path

from hunique_training.checkpoint import ModelCheckpoint, save_model
from hunique_training.config import TrainConfig
from hunique_training.data.labels import LabelledPicture
from hunique_training.data.picture_cache import PictureCache
from hunique_training.network.cosa import CosaNetwork
from hunique_training.panels import PanelRequest, choose_panel_pictures, write_panels
from hunique_training.ranks import is_first
from hunique_training.run_record import RunData
from hunique_training.trainer import Watch
from hunique_training.validating import RunValidator

PANELS_PER_CLASS = 4
BEST = "best.pt"
"""The best assignment network of a run that validates; a model without thresholds."""


def watch_run(
    run_folder: Path, config: TrainConfig, input_size_px: int, data: RunData, cache: PictureCache
) -> Watch:
    """Panels, validation and the best network of a run.

    Args:
        run_folder: where they are written.
        config: the run.
        input_size_px: side of the square input that the model will be served with.
        data: what the run learns from.
        cache: where its pictures are kept.

    Raises:
        DataError: validation is asked for, and `val` has no masks.
    """
    panels = PanelRequest(
        pictures=_panel_pictures(data, config, cache) if is_first() else (),
        cache=cache,
        input_size_px=input_size_px,
        mixed_cam_shares=config.mixed_cam_shares,
        cam_exponents=config.cam_exponents,
    )

    def draw(step: int, network: CosaNetwork) -> None:
        write_panels(run_folder / "panels" / f"step-{step:06d}.png", network, panels)

    def keep(step: int, network: CosaNetwork) -> None:
        facts = {"step": step}
        best = ModelCheckpoint(network=network, input_size_px=input_size_px, training=facts)
        save_model(run_folder / BEST, best)

    validator = None
    if config.validation.every_steps:
        names, count = config.network.class_names, config.validation.pictures
        validator = RunValidator(data.label_files, names, count, input_size_px)
    return Watch(on_checkpoint=draw, validate=validator, on_best=keep)


def _panel_pictures(
    data: RunData, config: TrainConfig, cache: PictureCache
) -> list[tuple[LabelledPicture, int]]:
    """Pictures for panels: of `val`, or of `train` where there is no `val`."""
    class_count = len(config.network.class_names)
    side = [p for p in data.pictures if p.split == "val"] or data.pictures
    chosen = choose_panel_pictures(side, class_count, PANELS_PER_CLASS)
    readable = cache.keep_readable(list(dict.fromkeys(picture for picture, _ in chosen)))
    return choose_panel_pictures(readable, class_count, PANELS_PER_CLASS)
