"""What a server begins with, and which of it is the default."""

from pathlib import Path

import pytest
from repository_writing import Shelf

from hunique_server.config import ConfigError, ServerConfig
from hunique_server.first_bundles import first_bundles


def _begins_with(config: ServerConfig) -> list[str]:
    return [f"{b.manifest.name}:{b.manifest.version}" for b in first_bundles(config)]


def test_bundles_come_before_the_repository(shelf: Shelf) -> None:
    """Each as it was given; of the repository what was asked for, in its newest version if any."""
    paths = [shelf.add(name, "1.0.0").path for name in ("a", "b")]
    shelf.add("b", "2.0.0")
    shelf.add("c", "1.0.0")
    bundles = tuple(reversed(paths))
    assert _begins_with(ServerConfig(bundles=bundles)) == ["b:1.0.0", "a:1.0.0"]
    with_repository = ServerConfig(bundles=bundles, model_repository=shelf.path)
    assert _begins_with(with_repository) == ["b:1.0.0", "a:1.0.0"]
    load = ("c", "b", "a:1.0.0")
    loaded = ServerConfig(model_repository=shelf.path, load=load)
    assert _begins_with(loaded) == ["c:1.0.0", "b:2.0.0", "a:1.0.0"]


def test_repository_of_one_name_needs_no_flag(shelf: Shelf) -> None:
    """What is half copied, or no bundle, does not count."""
    for version in ("1.0.0", "2.0.0"):
        shelf.add("a", version)
    (shelf.path / "a" / ".3.0.0.partial").mkdir()
    (shelf.path / "a" / "3.0.0").mkdir()
    (shelf.path / "notes").mkdir()
    (shelf.path / "README").write_text("x", encoding="utf-8")
    assert _begins_with(ServerConfig(model_repository=shelf.path)) == ["a:2.0.0"]


def test_what_leaves_the_default_open_is_refused(shelf: Shelf) -> None:
    """No model, one of several, the same twice, or a second one that is named like the alias."""

    def refused(config: ServerConfig) -> str:
        with pytest.raises(ConfigError) as error:
            _begins_with(config)
        return str(error.value)

    assert "found none" in refused(ServerConfig(model_repository=shelf.path))
    one, other = shelf.add("a", "1.0.0").path, shelf.add("default", "1.0.0").path
    said = refused(ServerConfig(model_repository=shelf.path))
    assert "holds a, default: say with --load" in said
    assert "found two" in refused(ServerConfig(bundles=(one, one)))
    assert "'default' means 'a'" in refused(ServerConfig(bundles=(one, other)))
    assert _begins_with(ServerConfig(bundles=(other, one))) == ["default:1.0.0", "a:1.0.0"]
    absent = ServerConfig(model_repository=shelf.path, load=("a:9.0.0",))
    assert "no 'a:9.0.0'" in refused(absent)


def test_choices_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    """Found out before anything is opened."""
    for choices, said in (
        ({}, "a bundle or a model repository, found neither"),
        ({"bundles": (tmp_path,), "load": ("a",)}, "give --model-repository"),
        ({"model_repository": tmp_path / "none"}, "expected a folder of bundles"),
        ({"model_repository": tmp_path, "load": ("../a",)}, "--load: expected a model as NAME"),
    ):
        with pytest.raises(ConfigError, match=said):
            ServerConfig(**choices)  # type: ignore[arg-type]
