"""Which of two versions is the newer one. A leaf module.

Numbers count as numbers, so 1.10.0 is newer than 1.9.0. What follows a dash comes before the
release (1.0.0-rc.1 < 1.0.0), what follows a plus or a further dot after it.
"""

import re
from collections.abc import Iterable

_PARTS = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:([-+.])(.*))?", re.DOTALL)
_BEFORE, _RELEASE, _AFTER = range(3)
_Key = tuple[tuple[int, ...], int, tuple[tuple[int, int, str], ...]]


def newest_first(versions: Iterable[str]) -> list[str]:
    """Versions MAJOR.MINOR.PATCH with or without more behind, the newest first."""
    return sorted(versions, key=_key, reverse=True)


def _key(version: str) -> _Key:
    found = _PARTS.fullmatch(version)
    if found is None:
        raise ValueError(f"expected a version as 1.2.3, found {version!r}")
    *numbers, mark, rest = found.groups()
    place = _RELEASE if mark is None else _BEFORE if mark == "-" else _AFTER
    words = (rest or "").replace("-", ".").split(".") if mark else []
    return tuple(map(int, numbers)), place, tuple(map(_word_key, words))


def _word_key(word: str) -> tuple[int, int, str]:
    return (0, int(word), "") if word.isdecimal() else (1, 0, word)
