"""What an engine must do before anybody is served: outputs of the right form, the known answer.

A bundle without a known answer still has to show that its graph fits its manifest.
"""

import numpy as np
from numpy.typing import NDArray

from hunique_models.engine import Engine, EngineOutput
from hunique_models.errors import EngineRunError
from hunique_models.known_answer import check_known_answer
from hunique_models.manifest import Manifest


def check_engine(manifest: Manifest, engine: Engine) -> None:
    """Run a fixed look, then the drawn hand of the known answer, if there is one.

    Raises:
        EngineRunError: a run fails, or gives something else than the manifest says.
    """
    _check_form(manifest, engine.run(_coloured_look(manifest.geometry.input_size_px)))
    check_known_answer(manifest, engine)


def _coloured_look(size_px: int) -> NDArray[np.uint8]:
    """(1, S, S, 3): red grows to the right, green downwards, blue with both."""
    ramp = np.linspace(0, 255, size_px)
    red, green = np.meshgrid(ramp, ramp)
    return np.stack([red, green, (red + green) / 2], axis=-1).astype(np.uint8)[None]


def _check_form(manifest: Manifest, output: EngineOutput) -> None:
    side = manifest.geometry.input_size_px // manifest.geometry.output_stride_px
    count = len(manifest.classes)
    forms = (
        ("probability", output.probability, (1, manifest.plane_count, side, side), np.uint8),
        ("score", output.score, (1, count), np.float32),
    )
    for name, values, shape, kind in forms:
        if values.shape != shape or values.dtype != kind:
            raise EngineRunError(
                f"Self-test failed on {name}: expected {np.dtype(kind)} of shape {shape}, found "
                f"{values.dtype} of shape {values.shape}. The graph is not that of the manifest."
            )
    if not np.isfinite(output.score).all():
        raise EngineRunError(
            "Self-test failed on score: expected finite numbers, found "
            f"{', '.join(map(str, output.score[0]))}"
        )
