"""Drawn hands as further pictures with image-level labels: `--data drawn:N`.

Every close-up comes in a pair, drawn twice from one seed with and without its feature, so
that nothing but the feature tells the two apart. The masks that the renderer knows are
not written: training sees labels alone, as with photographs.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import cv2

from hunique_models.drawn import CLASS_NAMES, DrawnHand, draw_hand

SIZE_PX = (480, 640)
_CLOSE_UP_FEATURES: tuple[tuple[str, ...], ...] = (("lunule",), ("polished_nail",))


def write_drawn_pictures(folder: Path, count: int, *, seed: int = 0) -> Path:
    """Draw `count` pictures into `folder` unless they are there already.

    Returns:
        The label file; its rows are of the split `train`.
    """
    csv_path = folder / f"drawn-{seed}-{count}.csv"
    if csv_path.exists():
        return csv_path
    folder.mkdir(parents=True, exist_ok=True)
    rows = [_write_one(folder, number, seed) for number in range(count)]
    partial = csv_path.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    partial.rename(csv_path)
    return csv_path


def _write_one(folder: Path, number: int, seed: int) -> dict[str, str]:
    """Draw picture `number`: hands and pairs of close-ups in turn, two of each."""
    pair, second = divmod(number, 2)
    picture_seed = seed * 1_000_003 + pair
    if pair % 2:
        features: Sequence[str] = () if second else _CLOSE_UP_FEATURES[0 if pair % 8 < 6 else 1]
        hand = draw_hand(picture_seed, size_px=SIZE_PX, features=features, view="close-up")
    else:
        hand = draw_hand(picture_seed * 2 + second, size_px=SIZE_PX, view="hand")
    name = f"drawn-{seed}-{number:05d}.jpg"
    cv2.imwrite(
        str(folder / name), cv2.cvtColor(hand.pixels, cv2.COLOR_RGB2BGR),
        [cv2.IMWRITE_JPEG_QUALITY, 92],
    )  # fmt: skip
    return {"file": name, "split": "train", "group": f"drawn-{seed}-{pair}", "source": "drawn"} | {
        label: _label(hand, label) for label in CLASS_NAMES
    }


def _label(hand: DrawnHand, name: str) -> str:
    if name == "lunule" and hand.view == "hand" and hand.labels[name]:
        return ""  # a few pixels: neither clearly there nor absent
    return "1" if hand.labels[name] else "0"
