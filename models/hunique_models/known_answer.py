"""The start-up self-test: what the model said of a drawn hand when it was exported.

A wrong library, a broken device or a wrong file shows here before any caller is served.
"""

from hunique_models.drawn import draw_hand
from hunique_models.engine.protocol import Engine
from hunique_models.errors import EngineRunError
from hunique_models.findings import ClassFinding, find
from hunique_models.geometry import Detail
from hunique_models.manifest import KnownAnswer, Manifest
from hunique_models.pipeline import Pipeline

SEED = 7
SIZE_PX = (384, 512)
SLACK_PX = 24
"""Areas may differ by so many pixels, however small they are."""


def record_known_answer(manifest: Manifest, engine: Engine) -> KnownAnswer:
    """What the model says now."""
    findings = _ask(manifest, engine, SEED, SIZE_PX)
    return KnownAnswer(
        seed=SEED,
        height_px=SIZE_PX[0],
        width_px=SIZE_PX[1],
        scores={finding.name: round(finding.score, 5) for finding in findings},
        areas_px={finding.name: _area_px(finding) for finding in findings},
    )


def check_known_answer(manifest: Manifest, engine: Engine) -> None:
    """Compare what the model says now with what it said; a bundle without an answer passes.

    Raises:
        EngineRunError: naming the class and both figures.
    """
    answer = manifest.known_answer
    if answer is None:
        return
    for finding in _ask(manifest, engine, answer.seed, (answer.height_px, answer.width_px)):
        score, area_px = answer.scores[finding.name], answer.areas_px[finding.name]
        area_slack_px = max(SLACK_PX, answer.area_tolerance_share * area_px)
        if (
            abs(finding.score - score) > answer.score_tolerance
            or abs(_area_px(finding) - area_px) > area_slack_px
        ):
            raise EngineRunError(
                f"Self-test failed on {finding.name}: expected score {score:.4f} and {area_px} px, "
                f"found {finding.score:.4f} and {_area_px(finding)} px. The engine does not compute "
                "what the bundle was proved with; it is not served."
            )


def _ask(
    manifest: Manifest, engine: Engine, seed: int, size_px: tuple[int, int]
) -> tuple[ClassFinding, ...]:
    pixels = draw_hand(
        seed, size_px=size_px, view="hand", features=("ring", "polished_nail")
    ).pixels
    pipeline = Pipeline(manifest)
    looks = pipeline.look_at(pixels, Detail.FAST)
    seen = pipeline.see(pixels, looks, engine)
    return find(pixels, pipeline.merge(seen, pixels), seen.scores().tolist(), manifest)


def _area_px(finding: ClassFinding) -> int:
    return sum(instance.mask.area_px for instance in finding.instances)
