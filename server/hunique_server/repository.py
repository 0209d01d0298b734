"""Changes of what is served: load, unload, switch. All of a change happens, or nothing of it.

    in a thread:   folder -> digests -> engine -> warm-up -> self-test
    on the loop:   publish, in one step -> what no name means goes when its last user has gone

Changes come one after another. Whoever asked for one may go away: it is finished all the same.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from hunique_models.engine import Engine
from hunique_models.errors import HuniqueError
from hunique_server.catalogue import DEFAULT, Catalogue
from hunique_server.config import ServerConfig
from hunique_server.errors import ChangeRefusedError, NoRepositoryError, NoSuchBundleError
from hunique_server.first_bundles import first_bundles
from hunique_server.loaded_model import LoadedModel
from hunique_server.model_reference import ModelReference
from hunique_server.premises import Premises
from hunique_server.proven_model import ProvenModel, prove_all
from hunique_server.repository_folder import RepositoryFolder
from hunique_server.repository_index import IndexEntry, list_models
from hunique_server.served_models import ServedModels

logger = logging.getLogger(__name__)

Change = Coroutine[Any, Any, LoadedModel]


@dataclass(frozen=True, kw_only=True)
class LoadWish:
    """What is to be served by a name from now on."""

    name: str
    """Of the model, or an alias of it."""
    versions: tuple[str, ...] = ()
    """Exactly these; empty: the newest ones."""
    newest: int = 1
    """How many of the newest; 0: all."""
    aliases: tuple[str, ...] = ()
    """Further names that mean it from now on."""


class ModelRepository:
    """Changes what is served. For one event loop.

    Args:
        config: what to begin with, from where more may come, and how it is run.
        premises: what models share.
        models: what is changed.
    """

    def __init__(self, config: ServerConfig, premises: Premises, models: ServedModels) -> None:
        self._config = config
        self._premises = premises
        self._models = models
        directory = config.model_repository
        self._folder = None if directory is None else RepositoryFolder(directory)
        self._one_at_a_time = asyncio.Lock()
        self._changes: set[asyncio.Task[LoadedModel]] = set()
        self._loading: tuple[ModelReference, ...] = ()
        self._failed: set[ModelReference] = set()
        self._closing = False

    async def start(self, engine: Engine | None = None) -> None:
        """Serve what the configuration names; the first of it is the default.

        Args:
            engine: runs the first bundle; None opens what the configuration names.

        Raises:
            ConfigError: there is nothing to serve, or two of one name and version.
            BundleError, EngineError: a model is not as it should be.
        """
        bundles = first_bundles(self._config)
        proven = await asyncio.to_thread(prove_all, bundles, self._config, engine)
        catalogue = Catalogue()
        for index, model in enumerate(self._loaded(proven)):
            name = model.identity.name
            models = (*catalogue.by_name.get(name, ()), model)
            catalogue = catalogue.with_models(name, models, () if index else (DEFAULT,))
        self._models.publish(catalogue)

    async def load(self, wish: LoadWish) -> LoadedModel:
        """Serve other versions of a name, or a further name; what the name means now.

        Raises:
            NoRepositoryError: there is none to load from.
            NoSuchBundleError: the repository has not got it.
            ChangeRefusedError: it did not pass, and everything is as it was.
        """
        return await self._see_through(self._load(wish))

    async def unload(self, reference: ModelReference) -> LoadedModel:
        """Serve a name, or one version of it, no longer; what it meant.

        Raises:
            NoRepositoryError: there is none from which it could come back.
            ModelNotServedError: there is no such model.
            ChangeRefusedError: whoever names no model would get none.
        """
        return await self._see_through(self._unload(reference))

    async def index(self) -> list[IndexEntry]:
        """Every model in memory and in the repository."""
        folder = self._folder
        on_disk = await asyncio.to_thread(folder.references) if folder is not None else ()
        return list_models(self._models, self._loading, on_disk, self._failed)

    async def close(self) -> None:
        """Wait for the change that is under way, and release all models."""
        self._closing = True
        await asyncio.gather(*self._changes, return_exceptions=True)
        await self._models.close()

    async def _see_through(self, change: Change) -> LoadedModel:
        """Make a change, also where its caller does not wait for the end."""
        task = asyncio.create_task(change)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One change after another; none that has not begun when the server ends."""
        async with self._one_at_a_time:
            if self._closing:
                raise ChangeRefusedError("The server is ending; nothing was changed.")
            yield

    async def _load(self, wish: LoadWish) -> LoadedModel:
        folder = self._folder_or_refuse()
        async with self._turn():
            name = self._models.catalogue.name_of(wish.name)
            self._models.catalogue.check_names(name, wish.aliases)
            versions = await asyncio.to_thread(folder.choose, name, wish.versions, wish.newest)
            before = {m.identity.version: m for m in self._models.catalogue.by_name.get(name, ())}
            fresh = await self._prove(folder, [ModelReference(name, v) for v in versions], before)
            after = before | {model.identity.version: model for model in self._loaded(fresh)}
            catalogue = self._models.catalogue.with_models(
                name, [after[version] for version in versions], wish.aliases
            )
            self._models.publish(catalogue)
            served = catalogue.find(name)
            logger.info("'%s' means %s from now on", name, served.reference)
            return served

    async def _unload(self, reference: ModelReference) -> LoadedModel:
        self._folder_or_refuse()
        async with self._turn():
            before = self._models.catalogue
            after = before.without(reference)
            gone = before.find(reference.name, reference.version)
            self._models.publish(after)
            logger.info("'%s' is served no longer", reference)
            return gone

    async def _prove(
        self,
        folder: RepositoryFolder,
        references: list[ModelReference],
        before: dict[str, LoadedModel],
    ) -> list[ProvenModel]:
        """Those that are not in memory as they are on the disk, ready to be served."""
        self._loading = tuple(r for r in references if r.version not in before)
        try:
            fresh = await asyncio.to_thread(
                _open_and_prove, folder, references, before, self._config
            )
        except Exception as error:
            self._failed.update(references)
            raise _refusal(references, error) from error
        finally:
            self._loading = ()
        self._failed.difference_update(references)
        return fresh

    def _loaded(self, proven: list[ProvenModel]) -> list[LoadedModel]:
        return [LoadedModel(model, self._premises) for model in proven]

    def _folder_or_refuse(self) -> RepositoryFolder:
        if self._folder is None:
            raise NoRepositoryError(
                "This server serves what it was started with (--bundle) and neither loads nor "
                "unloads models. Start it with --model-repository to have it do that."
            )
        return self._folder


def _open_and_prove(
    folder: RepositoryFolder,
    references: list[ModelReference],
    before: dict[str, LoadedModel],
    config: ServerConfig,
) -> list[ProvenModel]:
    there = {model.sha256 for model in before.values()}
    bundles = [folder.open(reference) for reference in references]
    return prove_all([bundle for bundle in bundles if bundle.sha256 not in there], config)


def _refusal(references: list[ModelReference], error: Exception) -> Exception:
    """What to tell of a load that failed; unknown faults are for the log."""
    names = ", ".join(map(str, references))
    if isinstance(error, NoSuchBundleError):
        return error
    if isinstance(error, HuniqueError):
        logger.warning("%s was not loaded: %s", names, error)
        why = str(error)
    else:
        logger.error("%s was not loaded", names, exc_info=error)
        why = "its engine failed, and the log of the server says how."
    return ChangeRefusedError(f"{names} was not loaded and nothing was changed: {why}")
