"""Label Studio's JSON export: choices and labels of a task, and some labels as marks.

A name that is used anywhere in the export and not in a submitted annotation is absent from
its picture. A choice `yes` or `no` speaks of the control it belongs to (`from_name`). Where
annotators differ, a name is unknown. Tasks without an annotation are left out. Key points and
upright rectangles are marks, which count if they are asked for; outlines are never read.
"""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from hunique_training.data.formats.document import head_of, read_json
from hunique_training.data.formats.picture_paths import SUFFIXES, find_by_end
from hunique_training.data.labels import DataError, LabelledPicture
from hunique_training.data.marks import NamedMark, marks_in_pixels
from hunique_training.data.reading import NamedPicture, Reading, absent_unless, label_pictures

logger = logging.getLogger(__name__)

Said = dict[str, bool | None]
_ANSWERS = {
    "yes": True, "present": True, "true": True, "1": True,
    "no": False, "absent": False, "false": False, "0": False,
    "unknown": None, "unsure": None,
}  # fmt: skip
_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")


def _file_of(path: Path) -> Path | None:
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    fitting = (f for f in files if f.suffix.lower() == ".json" and head_of(f).startswith("["))
    return next(fitting, None)


def fits_label_studio(path: Path) -> bool:
    """Whether the source is a JSON list, or a folder with one."""
    return _file_of(path) is not None


def read_label_studio(path: Path, reading: Reading) -> list[LabelledPicture]:
    """All annotated tasks.

    Raises:
        DataError: the file is another JSON than Label Studio's full export.
    """
    file = _file_of(path) or path
    tasks = read_json(file)
    if not all(isinstance(task, dict) and isinstance(task.get("data"), dict) for task in tasks):
        raise DataError(
            f"{file}: expected tasks with data and annotations, found others. "
            "Export from Label Studio as JSON (not JSON-MIN)."
        )
    said = [_said_by_annotators(task) for task in tasks]
    looked_for = _looked_for([answers for one in said for answers in one])
    pictures = [
        NamedPicture(
            path=_picture(task, file),
            said=_agreed(answers, looked_for),
            marks=tuple(_marks(task)),
            annotated_size=_size(task),
        )
        for task, answers in zip(tasks, said, strict=True)
        if answers
    ]
    if len(pictures) < len(tasks):
        logger.info("%s: %d tasks without annotation left out", file, len(tasks) - len(pictures))
    return label_pictures(pictures, reading, file.parent.resolve().name)


def _looked_for(said: list[Said]) -> set[str]:
    """Names that were marked; not those that are answered, for these no answer is none."""
    marked = {name for answers in said for name, value in answers.items() if value}
    return marked - {name for answers in said for name, value in answers.items() if not value}


def _said_by_annotators(task: dict[str, Any]) -> list[Said]:
    """What each submitted annotation says; the ground truth alone where one is marked."""
    return [dict(_answers(a.get("result") or [])) for a in _submitted(task)]


def _submitted(task: dict[str, Any]) -> list[dict[str, Any]]:
    submitted = [a for a in task.get("annotations") or [] if not a.get("was_cancelled")]
    return [a for a in submitted if a.get("ground_truth")] or submitted


def _results(task: dict[str, Any]) -> list[dict[str, Any]]:
    return [result for a in _submitted(task) for result in a.get("result") or []]


def _size(task: dict[str, Any]) -> tuple[float, float]:
    """(width, height) that results state; zeros where none does, or they differ."""
    found = {
        (float(result["original_width"]), float(result["original_height"]))
        for result in _results(task)
        if result.get("original_width") and result.get("original_height")
    }
    return found.pop() if len(found) == 1 else (0.0, 0.0)


def _marks(task: dict[str, Any]) -> Iterator[NamedMark]:
    """Key points, and rectangles unless one is turned, of all annotators together."""
    values = [result.get("value") or {} for result in _results(task)]
    turned = any(value.get("rotation") for value in values if "rectanglelabels" in value)
    percent = (100.0, 100.0)
    for value in values:
        x, y = (float(value.get(side, 0)) for side in ("x", "y"))
        for name in value.get("keypointlabels") or []:
            yield from marks_in_pixels(str(name), "point", [(x, y)], percent)
        end = (x + float(value.get("width", 0)), y + float(value.get("height", 0)))
        for name in [] if turned else value.get("rectanglelabels") or []:
            yield from marks_in_pixels(str(name), "box", [(x, y), end], percent)


def _answers(results: list[dict[str, Any]]) -> Iterator[tuple[str, bool | None]]:
    for result in results:
        for kind, names in (result.get("value") or {}).items():
            if isinstance(names, list) and (kind == "choices" or kind.endswith("labels")):
                for name in map(str, names):
                    if kind == "choices" and name.lower() in _ANSWERS:
                        yield str(result.get("from_name")), _ANSWERS[name.lower()]
                    else:
                        yield name, True


def _agreed(answers: list[Said], looked_for: set[str]) -> Said:
    full = [absent_unless(looked_for, ()) | one for one in answers]
    names = {name for one in full for name in one}
    said = {name: {one.get(name) for one in full} for name in names}
    return {name: values.pop() if len(values) == 1 else None for name, values in said.items()}


def _picture(task: dict[str, Any], file: Path) -> Path:
    """The file of a task: of local storage, uploaded, or named in some other way."""
    texts = [value for value in task["data"].values() if isinstance(value, str)]
    names = list(map(_local_name, texts))
    pictures = [name for name in names if Path(name).suffix.lower() in SUFFIXES]
    if not pictures:
        raise DataError(f"{file}: expected the path of a picture in the data of each task, "
                        f"found {', '.join(map(repr, texts)) or 'none'}")  # fmt: skip
    name = pictures[0]
    folders = [file.parent, file.parent / "images", Path("/")]
    path = find_by_end(name, folders)
    original = _UPLOAD_PREFIX.sub("", Path(name).name)
    return path if path.is_file() else find_by_end(original, folders[:2])


def _local_name(text: str) -> str:
    """`/data/local-files/?d=a/b.jpg`, `/data/upload/1/0a1b2c3d-b.jpg` or a URL, as a path."""
    if "://" not in text and not text.startswith("/data/"):
        return text
    parts = urlsplit(text)
    return parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
