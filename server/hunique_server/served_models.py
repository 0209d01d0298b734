"""The models of a running server: what names mean now, and those whose names are gone.

A change is one assignment on the event loop: a request finds the models of before or those of
after it, and keeps to the one that it found until it is answered.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from hunique_server.catalogue import Catalogue
from hunique_server.loaded_model import LoadedModel
from hunique_server.metrics import Metrics
from hunique_server.segmenter import Segmenter

logger = logging.getLogger(__name__)


class ServedModels:
    """For one event loop.

    Args:
        metrics: where they are named.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.catalogue = Catalogue()
        """What names mean now."""
        self._metrics = metrics
        self._retiring: dict[LoadedModel, asyncio.Task[None]] = {}
        self._closing = False

    @property
    def retiring(self) -> tuple[LoadedModel, ...]:
        """Models that no name means any longer and that still have users."""
        return tuple(self._retiring)

    @contextmanager
    def use(self, name: str = "", version: str = "") -> Iterator[Segmenter]:
        """What segments with the model that is meant, until the end of this context.

        Raises:
            ModelNotServedError: there is no such model.
        """
        with self.catalogue.find(name, version).use() as segmenter:
            yield segmenter

    @contextmanager
    def answering(self, name: str = "", version: str = "") -> Iterator[Segmenter]:
        """The same, for a request: how this context ends counts in the model's statistics.

        Raises:
            ModelNotServedError: there is no such model, and nothing was counted.
        """
        with self.use(name, version) as segmenter, segmenter.statistics.request():
            yield segmenter

    def publish(self, catalogue: Catalogue) -> None:
        """From now on names mean this; what none means goes once its last user has gone."""
        before, now = set(self.catalogue.models), set(catalogue.models)
        for model in now - before:
            model.start()
        self.catalogue = catalogue
        for model in before - now:
            self._retire(model)
        self._name_in_metrics()

    def _retire(self, model: LoadedModel) -> None:
        task = asyncio.create_task(model.retire(), name=f"retire {model.reference}")
        self._retiring[model] = task
        task.add_done_callback(lambda _: self._released(model))

    def _released(self, model: LoadedModel) -> None:
        task = self._retiring.pop(model)
        if not task.cancelled() and task.exception() is not None:
            logger.error("%s could not be released", model.reference, exc_info=task.exception())
        elif not self._closing:
            logger.info("%s was released", model.reference)
        self._name_in_metrics()

    def _name_in_metrics(self) -> None:
        identities = [model.identity for model in (*self.catalogue.models, *self._retiring)]
        self._metrics.name_models([(i.name, i.version, i.sha256, i.engine) for i in identities])

    async def released(self) -> None:
        """Wait until every model that no name means is out of memory."""
        while self._retiring:
            await asyncio.wait(self._retiring.values())

    async def close(self) -> None:
        """Release all, without waiting for users."""
        self._closing = True
        catalogue, self.catalogue = self.catalogue, Catalogue()
        for model in catalogue.models:
            self._retire(model)
        for model in self._retiring:
            model.let_go()
        await self.released()
