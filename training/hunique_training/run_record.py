"""What another person needs to repeat a run, and what differs when it is repeated.

    request.json   what was asked, where, with which versions, and digests of all data
    config.json    the resolved configuration, beside it

Both are written before the first step, so that a run that broke off can be repeated too.
"""

import dataclasses
import hashlib
import json
import logging
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from hunique_training.checkpoint import CheckpointError
from hunique_training.data.duplicates import content_digests
from hunique_training.data.labels import LabelledPicture
from hunique_training.ranks import rank_count

logger = logging.getLogger(__name__)

RECORD = "request.json"
FORMAT = "hunique-run-1"
DATA_DIGESTS = {"labels": "labels_sha256", "pictures": "pictures_sha256"}
"""What a run learns from, and its digests of `data_digests` that know it wherever it stands."""


@dataclass(frozen=True, kw_only=True)
class RunData:
    """What the sources of a run hold."""

    pictures: list[LabelledPicture]
    """Of every split."""
    label_files: list[Path]
    """One a source."""
    digests: dict[str, Any]
    """See `data_digests`."""


def environment(device: str) -> dict[str, Any]:
    """Where a run takes place: device, threads, processes, versions; plain values."""
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.machine()
    return {
        "device": f"{torch.device(device).type} ({name})",
        "threads": torch.get_num_threads(),
        "processes": rank_count(),
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "hunique": _installed("hunique"),
            "hunique_commit": source_commit(),
        },
    }


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def source_commit() -> str | None:
    """The commit that this code stands at, `+` behind it after changes; None outside git."""
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain", ".")
    return f"{commit}+" if commit and changes else commit


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - asks git of our own source
            ["git", *arguments],  # noqa: S607 - the user's own git
            cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def data_digests(
    pictures: Sequence[LabelledPicture],
    label_files: Sequence[Path],
    digests: Mapping[Path, str],
    pretrained: str | None,
) -> dict[str, Any]:
    """Digests of everything that a run learns from; plain values.

    Args:
        pictures: all of them, of any split.
        label_files: one a source.
        digests: SHA-256 by path of a picture.
        pretrained: `TrainConfig.pretrained`.

    Returns:
        `label_file_sha256` of the files as they are; `labels_sha256` of what they say of which
        content, wherever it stands; `pictures_sha256` over the sorted digests of all pictures
        and hand mattes; `pretrained_sha256` of a file of weights, None without one.
    """
    mattes = content_digests(p.matte for p in pictures if p.matte is not None)
    known = [json.dumps(_described(p, digests[p.path])) for p in pictures]
    weights = Path(pretrained) if pretrained else None
    return {
        "pictures": len(pictures),
        "label_file_sha256": [_file_digest(path) for path in label_files],
        "labels_sha256": _joint_digest(known),
        "pictures_sha256": _joint_digest([*(digests[p.path] for p in pictures), *mattes.values()]),
        "pretrained_sha256": _file_digest(weights) if weights and weights.is_file() else None,
    }


def _described(picture: LabelledPicture, digest: str) -> list[Any]:
    marks = [dataclasses.asdict(mark) for mark in picture.marks]
    known = [digest, picture.labels, picture.split, picture.group, picture.source, picture.kind]
    return [*known, marks] if marks else known


def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _joint_digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()


def keep_record(run_folder: Path, record: Mapping[str, Any], earlier: Path | None) -> None:
    """Write `request.json`, and tell what is not as it was before; a run goes on with its own data.

    Args:
        run_folder: of the run. Where it goes on from itself, its record stays the first one.
        record: of the run as it starts now.
        earlier: folder of the run that it repeats or goes on from.

    Raises:
        CheckpointError: the record of `earlier` cannot be read, or the run was begun with other
            labels or pictures.
    """
    going_on = earlier == run_folder
    if earlier is not None and (not going_on or (run_folder / RECORD).is_file()):
        before = read_record(earlier)
        if going_on:
            _refuse_other_data(run_folder, before, record)
        told = differences(before, record)
        for difference in told:
            logger.warning("not as in %s: %s", earlier, difference)
        if not told:
            logger.info("data, versions and device are those of %s", earlier)
    if not going_on or not (run_folder / RECORD).is_file():
        _write_record(run_folder, record)


def _refuse_other_data(run_folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """A split that is drawn anew would put pictures of `train` into `val`."""
    old, new = before.get("digests", {}), now["digests"]
    changed = [
        what for what, name in DATA_DIGESTS.items() if old.get(name) not in (None, new[name])
    ]
    if changed:
        raise CheckpointError(
            f"{run_folder} was begun with other {' and '.join(changed)}, or another split of them. "
            "Restore them and repeat the options of the first run, or choose another --out folder. "
            "To choose thresholds anew, there is hunique-train calibrate."
        )


def _write_record(run_folder: Path, record: Mapping[str, Any]) -> None:
    text = json.dumps({"format": FORMAT} | dict(record), indent=2) + "\n"
    (run_folder / RECORD).write_text(text, encoding="utf-8")


def read_record(run_folder: Path) -> dict[str, Any]:
    """Read `request.json` of a run folder.

    Raises:
        CheckpointError: there is none, or it is of another format.
    """
    path = run_folder / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: expected the record of a run, found none that can be read. Runs of earlier "
            "versions have none: repeat their options."
        ) from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise CheckpointError(f"{path}: expected a record of format {FORMAT}")
    return record


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What of data and surroundings is not as it was, a sentence for each."""
    told = []
    for part in ("digests", "environment"):
        old, new = dict(_flat(before.get(part, {}))), dict(_flat(now.get(part, {})))
        told += [
            f"{name}: {old.get(name)} then, {new.get(name)} now"
            for name in dict.fromkeys([*old, *new])
            if old.get(name) != new.get(name)
        ]
    return told


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        else:
            yield name, value
