"""A model in memory, from its first picture to the release of its engines.

    start -> use, use, use ... -> retire: the last user has gone -> engines are closed

Whether names still mean it is not its business: see `hunique_server.catalogue`.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from hunique_server.allocator import give_back_freed
from hunique_server.model_reference import ModelReference
from hunique_server.model_statistics import ModelStatistics
from hunique_server.premises import Premises
from hunique_server.proven_model import ProvenModel
from hunique_server.segmenter import Segmenter


class LoadedModel:
    """Counts who uses it. For one event loop.

    Args:
        proven: what is served; its engines are this object's from now on.
        premises: what it shares with other models.
    """

    def __init__(self, proven: ProvenModel, premises: Premises) -> None:
        self.identity = proven.identity
        """What answers say of it."""
        self.manifest = proven.bundle.manifest
        """What it says of itself."""
        self.segmenter = Segmenter(proven.bundle.manifest, proven.layout, self.identity, premises)
        """Does the work; only to be had by `use`."""
        self._engines = proven.engines
        self._widening: Thread | None = None
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()

    @property
    def reference(self) -> ModelReference:
        """Its name and version."""
        return ModelReference(self.identity.name, self.identity.version)

    @property
    def sha256(self) -> str:
        """The digest that pins its bundle."""
        return self.identity.sha256

    @property
    def statistics(self) -> ModelStatistics:
        """What it has done since it was loaded."""
        return self.segmenter.statistics

    def start(self) -> None:
        """Begin to serve."""
        self.segmenter.start()
        call_soon = asyncio.get_running_loop().call_soon_threadsafe
        self._widening = Thread(
            target=self._engines.widen, args=(call_soon,), name="widening", daemon=True
        )
        self._widening.start()

    @contextmanager
    def use(self) -> Iterator[Segmenter]:
        """The segmenter, which stays for as long as this context does."""
        self._users += 1
        self._unused.clear()
        try:
            yield self.segmenter
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()

    def let_go(self) -> None:
        """Do not wait for users any longer: the server is ending."""
        self._unused.set()

    async def retire(self) -> None:
        """Wait for the last user, and give memory and devices back."""
        await self._unused.wait()
        await self.segmenter.close()
        await asyncio.to_thread(self._engines.close)
        if self._widening is not None:  # what it was about to open is closed by itself
            await asyncio.to_thread(self._widening.join)
        await asyncio.to_thread(give_back_freed)
