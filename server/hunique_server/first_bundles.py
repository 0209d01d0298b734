"""Which bundles a server begins with: those of `--bundle`, then those of `--load`.

The first of them is the default. Where neither is given, it is the one name of the repository.
"""

from collections.abc import Iterator

from hunique_models.bundle import Bundle
from hunique_server.catalogue import DEFAULT
from hunique_server.config import ConfigError, ServerConfig
from hunique_server.errors import NoSuchBundleError
from hunique_server.model_reference import ModelReference
from hunique_server.repository_folder import RepositoryFolder


def first_bundles(config: ServerConfig) -> Iterator[Bundle]:
    """Open them one by one.

    Raises:
        ConfigError: there is none, or two that could not be told from each other.
        BundleError: one does not open.
    """
    seen: list[ModelReference] = []
    for bundle in _opened(config):
        reference = ModelReference(bundle.manifest.name, bundle.manifest.version)
        if reference in seen:
            raise ConfigError(f"expected '{reference}' once, found two bundles of it")
        if reference.name == DEFAULT and seen and seen[0].name != DEFAULT:
            raise ConfigError(
                f"'{DEFAULT}' means '{seen[0].name}', which is given first; a model of that name "
                "can only be served as the first"
            )
        seen.append(reference)
        yield bundle


def _opened(config: ServerConfig) -> Iterator[Bundle]:
    for path in config.bundles:
        yield Bundle.open(path)
    if config.model_repository is None:
        return
    folder = RepositoryFolder(config.model_repository)
    wanted = config.load or (() if config.bundles else (_only_name(folder),))
    for text in wanted:
        reference = ModelReference.parse(text)
        versions = (reference.version,) if reference.version else ()
        try:
            (version,) = folder.choose(reference.name, versions)
        except NoSuchBundleError as error:
            raise ConfigError(str(error)) from error
        yield folder.open(ModelReference(reference.name, version))


def _only_name(folder: RepositoryFolder) -> str:
    names = folder.names()
    if len(names) == 1:
        return names[0]
    if names:
        raise ConfigError(
            f"{folder.path} holds {', '.join(names[:8])}: say with --load which are served, the "
            "default one first"
        )
    raise ConfigError(
        f"expected bundles in {folder.path} as NAME/VERSION/manifest.json, found none"
    )
