import random

import pytest

from hunique_server.model_reference import ModelNameError, ModelReference
from hunique_server.version_order import newest_first

ORDERED = [
    "10.0.0", "2.0.1", "2.0.0.post2", "2.0.0+7", "2.0.0", "2.0.0-rc.10", "2.0.0-rc.9", "2.0.0-rc",
    "2.0.0-beta", "2.0.0-1", "1.10.0", "1.9.10", "1.9.9", "0.0.0",
]  # fmt: skip


def test_newest_is_the_highest_by_number() -> None:
    """Numbers are numbers, what comes before a release is older and what comes after it newer."""
    for seed in range(20):
        mixed = random.Random(seed).sample(ORDERED, len(ORDERED))
        assert newest_first(mixed) == ORDERED


@pytest.mark.parametrize("text", ["hands", "hands:1.0.0", "h.a-n_d5:1.0.0-rc.1", "0:0.0.0+a"])
def test_reference_is_read_and_written_alike(text: str) -> None:
    """NAME and NAME:VERSION, as manifests have them."""
    assert str(ModelReference.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["a:1.0.0:2.0.0", "a:v1.0.0", "a:1.0.0/..", "a b", "-a", "a:1.0.0-"]
)
def test_what_no_manifest_can_have_is_no_reference(text: str) -> None:
    """The sentence shows what was expected."""
    with pytest.raises(ModelNameError, match="NAME or NAME:VERSION"):
        ModelReference.parse(text)
