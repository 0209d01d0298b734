"""`hunique-train fit-hand-map`: a finished model learns to say where hands are.

model.pt + pictures with hands and without -> its features, frozen -> one plane more
         -> another model.pt

What the model says of features does not change, and so its thresholds stay.
"""

import dataclasses
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from hunique_training.checkpoint import ModelCheckpoint, load_model, save_model
from hunique_training.data.labels import DataError, LabelledPicture
from hunique_training.data.picture_cache import PictureCache
from hunique_training.data.reading import ReadingOptions
from hunique_training.data.splitting import SplitRule
from hunique_training.fitting import FitRequest, read_sources
from hunique_training.hand_map.composing import Pixels, compose
from hunique_training.hand_map.loss import hand_map_loss
from hunique_training.network.cosa import CosaNetwork
from hunique_training.second_stage.config import config_to_read_with

logger = logging.getLogger(__name__)

CACHE_SIDE_PX = 640
"""Pictures are kept in memory at most this large."""
BATCH_SIZE = 8
LEARNING_RATE = 3e-3
"""AdamW's first rate, for features of deviation 1; it falls to 0."""
WEIGHT_DECAY = 0.05
FIRST_BIAS = -2.0
"""Most places show no hand."""
MIN_OTHERS = 8
"""Pictures without hands that are needed: with fewer, what they show is learned by heart."""


class TooFewOthersError(DataError):
    """Too few pictures to learn from; the message counts them."""


@dataclass(frozen=True, kw_only=True)
class HandMapRequest:
    """What `fit-hand-map` is asked to do."""

    model: Path
    """The `model.pt` that learns it; a copy does, this one stays as it is."""
    data: tuple[str, ...]
    """Sources, as for `fit`."""
    run_folder: Path
    """Where the new `model.pt` is written."""
    steps: int = 400
    """Optimiser steps."""
    seed: int = 0
    """Everything random follows from it."""
    if_possible: bool = False
    """Whether the model may stay without where too few pictures show no hand."""
    device: str = "cpu"
    """torch device."""
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    """What sources do not say themselves."""
    split: SplitRule = field(default_factory=SplitRule)
    """How sources without a split are split."""


def fit_hand_map(request: HandMapRequest) -> Path:
    """Teach a copy of a model where hands are; returns its `model.pt`.

    Raises:
        DataError: the pictures cannot be used, too few show no hand, or the folder is the model's.
        CheckpointError: the model cannot be read.
    """
    path = request.run_folder / "model.pt"
    if path.resolve() == request.model.resolve():
        raise DataError(
            f"expected another --out folder than that of {request.model}, which stays as it is"
        )
    model = load_model(request.model)
    sources = FitRequest(
        config=config_to_read_with(model.network.config, request.seed),
        data=request.data,
        run_folder=request.run_folder,
        reading=request.reading,
        split=request.split,
    )
    pictures, _ = read_sources(sources)
    request.run_folder.mkdir(parents=True, exist_ok=True)
    try:
        hands, others = _kinds([one for one in pictures if one.split == "train"])
    except TooFewOthersError as error:
        if not request.if_possible:
            raise
        logger.warning("the model stays without a hand map: %s", error)
        save_model(path, model)
    else:
        save_model(path, _taught(model, hands, others, request))
    return path


def _taught(
    model: ModelCheckpoint,
    hands: Sequence[Sequence[Pixels]],
    others: Sequence[Pixels],
    request: HandMapRequest,
) -> ModelCheckpoint:
    started_s = time.monotonic()
    torch.manual_seed(request.seed)
    network = with_hand_map(model.network)
    _train(network, hands, others, model.input_size_px, request)
    facts = {
        "steps": request.steps,
        "seed": request.seed,
        "pictures_with_hands": sum(map(len, hands)),
        "pictures_without": len(others),
        "duration_s": round(time.monotonic() - started_s),
    }
    training = model.training | {"hand_map": facts}
    return dataclasses.replace(model, network=network.cpu().eval(), training=training)


def with_hand_map(network: CosaNetwork) -> CosaNetwork:
    """A copy of a network that has a hand map as well, which shows nothing yet."""
    config = dataclasses.replace(network.config, hand_map=True)
    copy = CosaNetwork(config)
    own = {k: v for k, v in network.state_dict().items() if not k.startswith("hand_map.")}
    copy.load_state_dict(own, strict=False)
    head = copy.hand_map_head()
    nn.init.zeros_(head.weight)
    nn.init.constant_(head.bias, FIRST_BIAS)  # type: ignore[arg-type]
    return copy


def _kinds(pictures: Sequence[LabelledPicture]) -> tuple[list[list[Pixels]], list[Pixels]]:
    """Pixels of readable pictures that show hands, kind by kind, and of those that do not."""
    cache = PictureCache(CACHE_SIDE_PX)
    hands: dict[str, list[Pixels]] = {}
    others: list[Pixels] = []
    for one in cache.keep_readable(list(pictures)):
        kind = others if one.is_background else hands.setdefault(one.kind, [])
        kind.append(cache.pixels(one.path))
    if not hands or len(others) < MIN_OTHERS:
        raise TooFewOthersError(
            f"expected training pictures with hands and at least {MIN_OTHERS} without (kind "
            f"background in the label file), found {sum(map(len, hands.values()))} and "
            f"{len(others)}"
        )
    return list(hands.values()), others


def _train(
    network: CosaNetwork,
    hands: Sequence[Sequence[Pixels]],
    others: Sequence[Pixels],
    side_px: int,
    request: HandMapRequest,
) -> None:
    """Train the head alone, on features of one deviation, which its weights take up at the end."""
    network.to(request.device).eval()
    head = network.hand_map_head()
    optimiser = torch.optim.AdamW(head.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    rate = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, request.steps)
    deviation: torch.Tensor | None = None
    with tqdm(range(request.steps), unit="step", smoothing=0.05, desc="hand map") as progress:
        for step in progress:
            rngs = (np.random.default_rng((request.seed, step, i)) for i in range(BATCH_SIZE))
            squares = [compose(hands, others, side_px, rng) for rng in rngs]
            features = _features(network, np.stack([one.pixels for one in squares]))
            if deviation is None:
                deviation = features.std((0, 2, 3), keepdim=True) + 1e-3
            loss = hand_map_loss(head(features / deviation)[:, 0], squares)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            rate.step()
            if step % 20 == 0:
                progress.set_postfix(loss=f"{float(loss.detach()):.3f}")
    if deviation is not None:
        take_up(head, deviation)


@torch.no_grad()
def take_up(head: nn.Conv2d, deviation: torch.Tensor) -> None:
    """Have a head say of features what it said of them divided by `deviation` (1, D, 1, 1)."""
    head.weight /= deviation


@torch.no_grad()
def _features(network: CosaNetwork, pixels: Pixels) -> torch.Tensor:
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    device = next(network.parameters()).device
    return network.encoder(images.to(device)).final
