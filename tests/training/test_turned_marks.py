"""Marks on pictures that a camera stored turned: they lie where the object is upright."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hunique_models.image import DecodeLimits, decode
from hunique_training.data.marks import NamedMark
from hunique_training.data.reading import ReadingOptions
from hunique_training.data.sources import Source, read_source
from hunique_training.data.turned_marks import turned

UPRIGHT_BOX = ((0.5, 0.0), (1.0, 0.25))
"""Of the red block of `_turned_picture`: upper right on 60 x 100 pixels."""


def _read(path: Path) -> Source:
    return read_source(path, ("tattoo", "ring", "polished_nail"), ReadingOptions(marks=("box",)))


def _turned_picture(folder: Path, orientation: int, size: tuple[int, int] = (100, 60)) -> Path:
    """Stored with a red block so that, upright, it fills `UPRIGHT_BOX`, and with its EXIF tag."""
    folder.mkdir(parents=True, exist_ok=True)
    upright = np.full((max(size), min(size), 3), 200, np.uint8)
    (left, upper), (right, lower) = UPRIGHT_BOX
    height, width = upright.shape[:2]
    rows = slice(round(upper * height), round(lower * height))
    upright[rows, round(left * width) : round(right * width)] = (255, 0, 0)
    back = {6: 1, 8: -1, 3: 2, 1: 0}[orientation]
    stored = Image.fromarray(np.rot90(upright, back).copy())
    exif = stored.getexif()
    exif[0x0112] = orientation
    stored.save(folder / "a.jpg", exif=exif, quality=95)
    pixels = decode((folder / "a.jpg").read_bytes(), DecodeLimits()).pixels
    red = (pixels[..., 0] > 200) & (pixels[..., 1] < 80)
    assert red[:20, 35:].all()
    assert not red[30:].any()
    return folder / "a.jpg"


def _coco(folder: Path, box: list[int], size: tuple[int, int]) -> None:
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": size[0], "height": size[1]}],
        "categories": [{"id": 7, "name": "ring"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 7, "bbox": box}],
    }
    (folder / "boxes.json").write_text(json.dumps(document))


def _voc(folder: Path, box: list[int], size: tuple[int, int]) -> None:
    (folder / "Annotations").mkdir(exist_ok=True)
    (folder / "images").rename(folder / "JPEGImages")
    x, y, width, height = box
    (folder / "Annotations/a.xml").write_text(
        f"<annotation><size><width>{size[0]}</width><height>{size[1]}</height></size><object>"
        f"<name>ring</name><bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin><xmax>{x + width}"
        f"</xmax><ymax>{y + height}</ymax></bndbox></object></annotation>"
    )


def _cvat(folder: Path, box: list[int], size: tuple[int, int]) -> None:
    x, y, width, height = box
    (folder / "annotations.xml").write_text(
        f'<annotations><image name="a.jpg" width="{size[0]}" height="{size[1]}"><box label="ring" '
        f'xtl="{x}" ytl="{y}" xbr="{x + width}" ybr="{y + height}"/></image></annotations>'
    )


def _label_studio(folder: Path, box: list[int], size: tuple[int, int]) -> None:
    shares = [100 * side / of for side, of in zip(box, (*size, *size), strict=True)]
    value = dict(zip(("x", "y", "width", "height"), shares, strict=True))
    stated = {"original_width": size[0], "original_height": size[1]}
    results = [
        {"value": {"choices": ["ring"]}},
        {"value": {**value, "rectanglelabels": ["ring"]}, **stated},
    ]
    task = {"data": {"image": "a.jpg"}, "annotations": [{"result": results}]}
    (folder / "export.json").write_text(json.dumps([task]))


@pytest.mark.parametrize("write", [_coco, _voc, _cvat, _label_studio])
@pytest.mark.parametrize(
    ("orientation", "box", "size"),
    [
        (6, [0, 0, 25, 30], (100, 60)),  # as stored
        (6, [30, 0, 30, 25], (60, 100)),  # upright
        (8, [75, 30, 25, 30], (200, 120)),  # as stored, on a picture made larger
        (1, [30, 0, 30, 25], (60, 100)),
    ],
)
def test_marks_lie_where_they_do_upright(
    tmp_path: Path,
    write: Callable[..., None],
    orientation: int,
    box: list[int],
    size: tuple[int, int],
) -> None:
    """Whether the tool showed the picture as stored or upright: the size it states tells."""
    _turned_picture(tmp_path / "images", orientation)
    times = max(size) // 100
    write(tmp_path, [times * side for side in box], size)
    ((mark,),) = (picture.marks for picture in _read(tmp_path).pictures)
    np.testing.assert_allclose(mark.places, UPRIGHT_BOX, atol=1e-6)


@pytest.mark.parametrize(
    ("orientation", "size"), [(3, (60, 100)), (6, (80, 80)), (6, (0, 0)), (6, (100, 100))]
)
def test_marks_of_turned_pictures_that_may_lie_anywhere_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, orientation: int, size: tuple[int, int]
) -> None:
    """What is upside down, or annotated as a square, states a size that tells nothing."""
    _turned_picture(tmp_path / "images", orientation)
    shares = {"x": 0, "y": 0, "width": 50, "height": 25, "rectanglelabels": ["ring"]}
    result = {"value": shares, "original_width": size[0], "original_height": size[1]}
    task = {"data": {"image": "a.jpg"}, "annotations": [{"result": [result]}]}
    (tmp_path / "export.json").write_text(json.dumps([task]))
    (picture,) = _read(tmp_path).pictures
    assert (picture.labels[1], picture.marks) == (True, ())
    (told,) = caplog.messages
    assert "marks of 1 pictures are left out" in told


def test_every_turn_that_a_camera_states_carries_marks() -> None:
    """As the decoder turns pixels, for all orientations that change width for height."""
    for orientation in (5, 6, 7, 8):
        stored = Image.new("L", (100, 60))
        stored.paste(255, (10, 20, 20, 30))
        exif = stored.getexif()
        exif[0x0112] = orientation
        stream = io.BytesIO()
        stored.save(stream, "PNG", exif=exif)
        rows, columns = np.nonzero(decode(stream.getvalue(), DecodeLimits()).pixels[..., 0] > 128)
        moved = turned(NamedMark("ring", "box", ((0.1, 1 / 3), (0.2, 0.5))), orientation).places
        assert np.allclose(moved[0], (columns.min() / 60, rows.min() / 100))
        assert np.allclose(moved[1], ((columns.max() + 1) / 60, (rows.max() + 1) / 100))
