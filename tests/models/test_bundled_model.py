"""The model that comes with the package finds what a drawn hand shows."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from hunique_models.bundle import Bundle, default_bundle_path
from hunique_models.drawn import draw_hand
from hunique_models.engine import open_engine
from hunique_models.findings import Status
from hunique_models.pipeline import Pipeline

DEMO_SEED = 7
FEATURES = ("tattoo", "ring", "polished_nail")


@pytest.mark.skipif(not default_bundle_path().exists(), reason="no bundled model")
def test_hand_of_the_demonstration() -> None:
    """Each feature is found where it is drawn, and the covered lunules are not called absent."""
    bundle = Bundle.open(default_bundle_path())
    hand = draw_hand(DEMO_SEED, view="hand", features=FEATURES)
    encoded = BytesIO()
    Image.fromarray(hand.pixels).save(encoded, "PNG")
    engine = open_engine(bundle)
    found = Pipeline(bundle.manifest).segment(encoded.getvalue(), engine).findings
    engine.close()
    by_name = {finding.name: finding for finding in found}
    assert by_name["lunule"].status is Status.NOT_ASSESSABLE
    for name in FEATURES:
        assert by_name[name].status is Status.PRESENT, name
        mask = np.zeros(hand.pixels.shape[:2], bool)
        for instance in by_name[name].instances:
            mask |= instance.mask.full() > 0
        truth = hand.masks[name]
        assert (mask & truth).sum() / (mask | truth).sum() > 0.2, name
