"""The committed gRPC stubs follow from the committed .proto files."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement


def test_stubs_are_fresh(root: Path, tmp_path: Path) -> None:
    """Writing the stubs anew gives the same bytes."""
    protos = sorted((root / "proto").rglob("*.proto"))
    assert protos
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(root / "proto")]
    subprocess.run([*command, *outputs, *map(str, protos)], check=True, timeout=60)
    written = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert len(written) == 3 * len(protos)
    for stub in written:
        committed = root / "proto" / stub.relative_to(tmp_path)
        assert committed.read_bytes() == stub.read_bytes(), f"{committed.name}: run 'make proto'"


def test_lower_bounds_are_those_of_the_generator(pyproject: dict[str, Any]) -> None:
    """An install never resolves to a runtime older than the stubs demand."""
    dependencies = pyproject["project"]["dependencies"]
    bounds = {Requirement(text).name: str(Requirement(text).specifier) for text in dependencies}
    assert f">={version('grpcio-tools').rsplit('.', 1)[0]}" == bounds["grpcio"]
    stub = (Path(__file__).parents[2] / "proto/hunique_proto/v1/hand_features_pb2.py").read_text()
    assert f"# Protobuf Python Version: {bounds['protobuf'].removeprefix('>=')}\n" in stub
