from typing import Any

import pytest
from repository_writing import Shelf

from hunique_models.bundle import Bundle
from hunique_models.errors import EngineUnavailableError
from hunique_server.config import ServerConfig
from hunique_server.proven_model import prove_all


def test_all_are_proved_or_none(shelf: Shelf, obedient: Any) -> None:
    """Where a later one fails, the engines of those before it are closed again."""
    bad = shelf.add("bad", "1.0.0", b"no graph")
    config = ServerConfig(bundles=(bad.path,))
    with pytest.raises(EngineUnavailableError, match="could not open bad"):
        prove_all([shelf.tiny, bad], config, obedient)
    assert obedient.closed


def test_identity_says_what_ran(tiny_bundle: Bundle) -> None:
    """Name, version, digest, engine, and the software that took part."""
    (proven,) = prove_all([tiny_bundle], ServerConfig(bundles=(tiny_bundle.path,)))
    identity = proven.identity
    assert (identity.name, identity.version) == ("tiny", "1.2.3")
    assert (identity.sha256, identity.engine) == (tiny_bundle.sha256, "onnxruntime:cpu")
    assert set(identity.runtime_versions) == {
        "hunique", "onnxruntime", "numpy", "opencv", "pillow", "libheif", "grpcio", "python",
    }  # fmt: skip  # as hand_features.proto lists them
    proven.engines.close()
