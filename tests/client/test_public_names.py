"""The names that callers may use."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import hunique_client
import hunique_client.aio


def test_all_is_exactly_what_is_there() -> None:
    """`__all__` is sorted, is what `dir` shows, and each name is a class of this package."""
    names = hunique_client.__all__
    assert names == sorted(names) == sorted(set(names)) == dir(hunique_client)
    for name in names:
        found = getattr(hunique_client, name)
        assert found.__name__ == name
        assert found.__module__.startswith("hunique_client.")
    assert hunique_client.aio.__all__ == ["HuniqueClient"]


def test_type_checkers_see_the_same_names() -> None:
    """What is imported for type checkers is what is imported when asked for."""
    tree = ast.parse(Path(hunique_client.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = [alias.name for node in block.body for alias in node.names]
    assert sorted(seen) == hunique_client.__all__


def test_every_public_name_is_documented() -> None:
    """`help` says something of each class and of each of its public methods."""
    for name in hunique_client.__all__:
        kind = getattr(hunique_client, name)
        assert kind.__doc__, name
        for method_name, method in vars(kind).items():
            if inspect.isfunction(method) and not method_name.startswith("_"):
                assert method.__doc__, f"{name}.{method_name}"


def test_library_needs_neither_the_model_nor_the_command() -> None:
    """To use a server elsewhere neither ONNX Runtime nor the server nor rich is imported."""
    program = (
        "import sys\nfrom hunique_client import *\nimport hunique_client.aio\n"
        "unwanted = {'onnxruntime', 'cv2', 'numpy', 'rich', 'hunique_server', 'hunique_models'}\n"
        "print(*(unwanted & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.strip() == ""


def test_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as in any module."""
    assert not hasattr(hunique_client, "HuniqueKlient")
