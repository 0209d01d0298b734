"""TensorRT engines: where they cannot be built, the reason is named; on a GPU they are."""

import importlib.util
from pathlib import Path

import pytest
from click.testing import CliRunner

from hunique_export.cli import main
from hunique_models.bundle import Bundle

RTX_PRESENT = any(importlib.util.find_spec(n) for n in ("tensorrt_rtx", "tensorrt_rtx_bindings"))


def _build(bundle: Bundle, out: Path, *flags: str) -> tuple[int, str]:
    ran = CliRunner().invoke(main, ["tensorrt", str(bundle.path), "--out", str(out), *flags])
    return ran.exit_code, ran.output


def test_without_a_driver_nothing_is_built(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """No NVIDIA driver: an error that says so, and no bundle."""
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("there is an NVIDIA driver here")
    code, output = _build(tiny_bundle, tmp_path / "out")
    assert code == 1
    assert "driver" in output
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(RTX_PRESENT, reason="TensorRT for RTX is installed")
def test_missing_rtx_names_the_packages(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """Ahead of time without the library: what to install."""
    code, output = _build(tiny_bundle, tmp_path / "out", "--ahead-of-time")
    assert code == 1
    assert "tensorrt-rtx" in output


@pytest.mark.skipif(not RTX_PRESENT, reason="TensorRT for RTX is not installed")
def test_ahead_of_time_engine_joins_the_bundle(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """Without a GPU an engine for RTX is built and pinned by a digest."""
    code, output = _build(tiny_bundle, tmp_path / "out", "--ahead-of-time")
    assert code == 0, output
    files = Bundle.open(tmp_path / "out").manifest.files
    assert files["model.rtx.engine"].size_bytes > 1000


@pytest.mark.gpu
def test_engine_is_built_and_answers(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """On a GPU the built engine repeats the bundle's known answer."""
    from hunique_models.engine import open_engine
    from hunique_models.known_answer import check_known_answer

    code, output = _build(tiny_bundle, tmp_path / "out")
    assert code == 0, output
    bundle = Bundle.open(tmp_path / "out")
    engine = open_engine(bundle, "native-tensorrt")
    check_known_answer(bundle.manifest, engine)
    engine.close()
