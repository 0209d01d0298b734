"""Virtual environments of the peers: one each, made when it is first needed."""

import hashlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DEFAULT_FOLDER = ROOT / ".bench-venvs"


class EnvironmentFailedError(Exception):
    """An environment could not be made; the message ends with the last lines of pip."""


def environment(folder: Path, name: str) -> Path:
    """The environment of a peer, made anew where its requirements changed.

    Raises:
        EnvironmentFailedError: packages are not to be had, or do not fit this Python.
    """
    requirements, venv = HERE / f"requirements-{name}.txt", folder / name
    stamp, wanted = venv / ".installed", hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return venv
    print(f"{name}: setting up {venv.name} (once)", flush=True)
    _run(name, [sys.executable, "-m", "venv", "--clear", str(venv)])
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
    _run(name, [*pip, "--requirement", str(requirements)])
    stamp.write_text(wanted)
    return venv


def _run(name: str, command: list[str]) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if ran.returncode:
        last = "\n".join((ran.stdout + ran.stderr).splitlines()[-8:])
        raise EnvironmentFailedError(f"no environment for {name}:\n{last}")


def pinned(name: str, distribution: str) -> str:
    """A distribution and its version, as the requirements of a peer pin it."""
    lines = (HERE / f"requirements-{name}.txt").read_text().splitlines()
    return next(line.replace("==", " ") for line in lines if line.startswith(f"{distribution}=="))
