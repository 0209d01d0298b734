"""What names mean at one moment. Nothing in it changes: what is served changes by another one.

"" -> "default" -> (alias) -> a name -> its versions, the newest first -> a model
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hunique_server.errors import ChangeRefusedError, ModelNotServedError
from hunique_server.loaded_model import LoadedModel
from hunique_server.model_reference import ModelReference
from hunique_server.version_order import newest_first

DEFAULT = "default"
"""What whoever names no model gets."""
_MOST_SHOWN = 64


@dataclass(frozen=True)
class Catalogue:
    """The models that are served, and how they are called."""

    by_name: Mapping[str, tuple[LoadedModel, ...]] = field(default_factory=dict)
    """The versions of each name, the newest first: that is the one that the name means."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Further names of names."""

    @property
    def models(self) -> tuple[LoadedModel, ...]:
        """All of them."""
        return tuple(model for models in self.by_name.values() for model in models)

    def name_of(self, name: str) -> str:
        """The name that an alias stands for; anything else as it is."""
        return name if name in self.by_name else self.aliases.get(name, name)

    def find(self, name: str = "", version: str = "") -> LoadedModel:
        """The model that is meant.

        Args:
            name: NAME, NAME:VERSION, an alias, or nothing.
            version: its version; empty: the one that the name means.

        Raises:
            ModelNotServedError: there is none.
        """
        bare, _, own_version = name.partition(":")
        models = self.by_name.get(self.name_of(bare or DEFAULT), ())
        wanted = {version, own_version} - {""}
        for model in models:
            if wanted <= {model.identity.version}:
                return model
        if not models:
            raise ModelNotServedError(
                f"expected the model {_listed(self.by_name)} or no name, found "
                f"{name[:_MOST_SHOWN]!r}"
            )
        versions = _listed(model.identity.version for model in models)
        raise ModelNotServedError(
            f"expected version {versions} of {models[0].identity.name!r} or none, found "
            f"{':'.join(sorted(wanted))[:_MOST_SHOWN]!r}"
        )

    def find_all(self, name: str = "", version: str = "") -> tuple[LoadedModel, ...]:
        """All models, all versions of a name, or the one that is meant by name and version.

        Args:
            name: NAME, NAME:VERSION, an alias; nothing without a version: all models.
            version: its version; empty: all of them.

        Raises:
            ModelNotServedError: there is none.
        """
        if not name and not version:
            return self.models
        model = self.find(name, version)
        return (model,) if version or ":" in name else self.by_name[model.identity.name]

    def with_models(
        self, name: str, models: Iterable[LoadedModel], aliases: Iterable[str] = ()
    ) -> "Catalogue":
        """Another catalogue, in which a name has these versions, and further names.

        Raises:
            ChangeRefusedError: see `check_names`.
        """
        aliases = tuple(aliases)
        self.check_names(name, aliases)
        by_version = {model.identity.version: model for model in models}
        ordered = tuple(by_version[version] for version in newest_first(by_version))
        return Catalogue(
            {**self.by_name, name: ordered}, {**self.aliases, **dict.fromkeys(aliases, name)}
        )

    def check_names(self, name: str, aliases: Iterable[str]) -> None:
        """See whether a name and further ones can be told from all others.

        Raises:
            ChangeRefusedError: naming the one that cannot.
        """
        if name not in self.by_name and self.aliases.get(name, name) != name:
            raise ChangeRefusedError(
                f"'{name}' is an alias of '{self.aliases[name]}' and cannot be a model as well."
            )
        for alias in aliases:
            if alias != name and alias in self.by_name:
                raise ChangeRefusedError(
                    f"'{alias}' is the name of a model and cannot be an alias of '{name}' as well."
                )

    def without(self, reference: ModelReference) -> "Catalogue":
        """Another catalogue, without a name and its aliases, or without one version of it.

        Raises:
            ModelNotServedError: there is no such model.
            ChangeRefusedError: whoever names no model would get none.
        """
        name = reference.name
        if name not in self.by_name and name in self.aliases:
            raise ChangeRefusedError(
                f"'{name}' is an alias of '{self.aliases[name]}': unload that, or load another "
                f"model as '{name}'."
            )
        gone = self.find(name, reference.version)
        left = tuple(m for m in self.by_name[name] if reference.version and m is not gone)
        if left:
            return Catalogue({**self.by_name, name: left}, self.aliases)
        if self.name_of(DEFAULT) == name:
            raise ChangeRefusedError(
                f"'{name}' is what '{DEFAULT}' means, and is not unloaded. Load another model "
                f"as '{DEFAULT}' before."
            )
        by_name = {other: models for other, models in self.by_name.items() if other != name}
        aliases = {alias: other for alias, other in self.aliases.items() if other != name}
        return Catalogue(by_name, aliases)


def _listed(words: Iterable[str]) -> str:
    return " or ".join(repr(word) for word in words)
