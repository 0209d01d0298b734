"""From a bundle to engines that proved themselves. Takes a second: in a thread, not on the loop.

digests hold -> engine opens -> warms up -> self-test -> measured
"""

import platform
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version

import cv2
import grpc
import numpy as np
import PIL

from hunique_models.bundle import Bundle
from hunique_models.engine import Engine, EngineInfo
from hunique_models.image import DECODER_VERSIONS
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_server.config import ServerConfig
from hunique_server.engines import EngineLayout, Engines


@dataclass(frozen=True, kw_only=True, eq=False)
class ProvenModel:
    """A model that could be served."""

    bundle: Bundle
    """What was opened."""
    engines: Engines
    """What runs it; to be closed by whoever has this."""
    layout: EngineLayout
    """How they share the cores."""
    identity: pb.ModelIdentity
    """What answers say of it."""


def prove_all(
    bundles: Iterable[Bundle], config: ServerConfig, engine: Engine | None = None
) -> list[ProvenModel]:
    """Open and prove several, all of them or none.

    Args:
        bundles: may be opened one by one, as they are asked for.
        config: device, threads, workers, largest batch.
        engine: runs the first bundle; None opens what the configuration names.

    Raises:
        BundleError: a bundle does not open.
        EngineError: an engine is not there or fails its self-test.
    """
    proven: list[ProvenModel] = []
    with ExitStack() as opened:
        for bundle in bundles:
            engines = Engines(bundle, config, None if proven else engine)
            opened.callback(engines.close)
            layout, identity = engines.prove(), _identity(bundle, engines.describe())
            proven.append(
                ProvenModel(bundle=bundle, engines=engines, layout=layout, identity=identity)
            )
        opened.pop_all()
    return proven


def _identity(bundle: Bundle, info: EngineInfo) -> pb.ModelIdentity:
    return pb.ModelIdentity(
        name=bundle.manifest.name,
        version=bundle.manifest.version,
        sha256=bundle.sha256,
        engine=info.name,
        runtime_versions={
            "hunique": version("hunique"),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "pillow": PIL.__version__,
            **DECODER_VERSIONS,
            "grpcio": grpc.__version__,
            **info.runtime_versions,
        },
    )
