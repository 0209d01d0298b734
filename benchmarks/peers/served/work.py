"""What every peer does for a picture: the work of the ceilings, and an answer of bytes.

The answer is a line of JSON, then the masks as PNG, one behind the other. How a peer is to
work stands in the variables `PEER_BUNDLE`, `PEER_DETAIL`, `PEER_WORKERS` and `PEER_THREADS`.
"""

import json
import os
from pathlib import Path

import cv2

from hunique_models.bundle import Bundle
from hunique_models.engine import open_engine
from hunique_models.geometry import Detail
from hunique_models.mask import encode_png, outlines
from hunique_models.pipeline import Pipeline


def workers() -> int:
    """How many processes or instances are to work side by side."""
    return int(os.environ["PEER_WORKERS"])


class Work:
    """A model that answers pictures, with an engine of its own.

    Args:
        threads: threads of a run; by default those of the variable.
    """

    def __init__(self, threads: int | None = None) -> None:
        bundle = Bundle.open(Path(os.environ["PEER_BUNDLE"]))
        self._threads = threads or int(os.environ["PEER_THREADS"])
        cv2.setNumThreads(self._threads)
        self._pipeline = Pipeline(bundle.manifest)
        self._engine = open_engine(bundle, "cpu", threads=self._threads)
        self._detail = Detail(os.environ["PEER_DETAIL"])

    def answer(self, picture: bytes) -> bytes:
        """Segment an encoded image.

        Raises:
            InputError: the image cannot be served.
        """
        features, masks = [], []
        for finding in self._pipeline.segment(picture, self._engine, self._detail).findings:
            instances = []
            for instance in finding.instances:
                masks.append(encode_png(instance.mask.full()))
                lines = [line.points.tolist() for line in outlines(instance.mask)]
                instances.append({"png_bytes": len(masks[-1]), "outlines": lines})
            features.append({"name": finding.name, "score": finding.score, "found": instances})
        return b"".join([json.dumps(features).encode(), b"\n", *masks])
