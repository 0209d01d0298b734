"""Which class of the model a name in somebody's annotations means.

Case, spaces and hyphens do not count: `Polished Nail` is `polished_nail`. Other names are
given as aliases; what is then still not known is counted, to be reported once.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from hunique_training.data.labels import DataError

NOTHING_NAMES = frozenset({"none", "background", "negative"})
"""Names that say: no class of the model is on the picture."""


def normalise_name(name: str) -> str:
    """Lower case, with underscores for spaces and hyphens."""
    return "_".join(name.lower().replace("-", " ").replace("_", " ").split())


class ClassVocabulary:
    """The model's classes, their aliases, and the names met that are neither."""

    def __init__(self, class_names: Sequence[str], aliases: Iterable[tuple[str, str]] = ()) -> None:
        """Raises DataError where an alias points at no class."""
        self.class_names = tuple(class_names)
        """In the order of the labels."""
        self.unmatched: Counter[str] = Counter()
        """Names that mean no class, and on how many pictures they stood."""
        self._index = {normalise_name(name): i for i, name in enumerate(class_names)}
        self._nothing = set(NOTHING_NAMES - set(self._index))
        for found, meant in aliases:
            self._add_alias(normalise_name(found), normalise_name(meant))

    def _add_alias(self, found: str, meant: str) -> None:
        if meant in self._index:
            self._index[found] = self._index[meant]
        elif meant in self._nothing:
            self._nothing.add(found)
        else:
            raise DataError(
                f"expected an alias FOUND=CLASS with a class of the model "
                f"({', '.join(self.class_names)}) or none; found {found}={meant}"
            )

    def class_index(self, name: str) -> int | None:
        """The class that a name means, if any."""
        return self._index.get(normalise_name(name))

    def means_nothing(self, name: str) -> bool:
        """Whether the name says that no class is on the picture."""
        return normalise_name(name) in self._nothing

    def knows(self, name: str) -> bool:
        """Whether the name means a class, or that there is none."""
        return self.class_index(name) is not None or self.means_nothing(name)
