"""How a model is named: NAME, or NAME:VERSION. A leaf module.

Names and versions are those that a manifest may have, so that none of them leads out of a folder.
"""

import re
from dataclasses import dataclass
from typing import Self

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+([-+.][0-9A-Za-z.-]{1,64})?")
_MOST_SHOWN = 64


class ModelNameError(ValueError):
    """A name that no model can have; the message says what was expected and found."""


@dataclass(frozen=True, order=True)
class ModelReference:
    """A model as callers name it."""

    name: str
    """Its name, or an alias."""
    version: str = ""
    """Its version; empty: the one that is served by its name."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read NAME or NAME:VERSION.

        Raises:
            ModelNameError: it is neither.
        """
        name, colon, version = text.partition(":")
        if not is_model_name(name) or (colon and not is_model_version(version)):
            raise ModelNameError(
                "expected a model as NAME or NAME:VERSION, the name of small letters, digits, "
                f"dots, dashes and underscores, the version as 1.2.3; found {text[:_MOST_SHOWN]!r}"
            )
        return cls(name, version)

    def __str__(self) -> str:
        return f"{self.name}:{self.version}" if self.version else self.name


def is_model_name(text: str) -> bool:
    """Whether a model or an alias may have this name."""
    return _NAME.fullmatch(text) is not None


def is_model_version(text: str) -> bool:
    """Whether a model may have this version."""
    return _VERSION.fullmatch(text) is not None
