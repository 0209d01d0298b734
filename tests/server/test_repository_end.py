"""Changes whose caller leaves, and changes while the server ends."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from administrator import Admin, refusal
from repository_writing import Shelf

from hunique_server.config import ServerConfig
from hunique_server.errors import ChangeRefusedError
from hunique_server.metrics import Metrics
from hunique_server.model_reference import ModelReference
from hunique_server.premises import Premises
from hunique_server.repository import LoadWish, ModelRepository
from hunique_server.served_models import ServedModels

Code = grpc.StatusCode
LONG_S = 120.0


@pytest.fixture
async def repository(shelf: Shelf) -> AsyncIterator[ModelRepository]:
    """One without a server around it, which serves hands:1.0.0."""
    shelf.add("hands", "1.0.0")
    config, metrics = ServerConfig(model_repository=shelf.path), Metrics()
    premises, models = Premises(config, metrics), ServedModels(metrics)
    repository = ModelRepository(config, premises, models)
    await repository.start()
    yield repository
    await repository.close()
    await premises.close()


async def test_caller_that_leaves_does_not_stop_a_load(
    held: Any, repository: ModelRepository, shelf: Shelf
) -> None:
    """What was begun is finished, and nothing is left half done."""
    shelf.add("hands", "2.0.0")
    begun, go_on = held.hold("2.0.0")
    loading = asyncio.create_task(repository.load(LoadWish(name="hands")))
    assert await asyncio.to_thread(begun.wait, LONG_S)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    go_on.set()
    # waits its turn behind the first, and finds that there is nothing left to do
    model = await repository.load(LoadWish(name="hands", versions=("2.0.0",)))
    assert model.identity.version == "2.0.0"
    assert len(held.sessions) == 2


async def test_changes_that_have_not_begun_at_the_end_do_not_begin(
    held: Any, repository: ModelRepository, shelf: Shelf
) -> None:
    """The end waits for one load and not for all that were asked for."""
    shelf.add("hands", "2.0.0")
    begun, go_on = held.hold("2.0.0")
    first = asyncio.create_task(repository.load(LoadWish(name="hands")))
    assert await asyncio.to_thread(begun.wait, LONG_S)
    second = asyncio.create_task(repository.load(LoadWish(name="hands", versions=("1.0.0",))))
    third = asyncio.create_task(repository.unload(ModelReference("nails")))
    closing = asyncio.create_task(repository.close())
    await asyncio.sleep(0)  # waits for no time: all three have come as far as they can
    go_on.set()
    await closing
    assert (await first).identity.version == "2.0.0"
    for late in (second, third):
        with pytest.raises(ChangeRefusedError, match="The server is ending"):
            await late


async def test_server_that_ends_while_it_loads_ends_well(
    serve: Any, shelf: Shelf, held: Any
) -> None:
    """The new model is not served any more, its engine is closed, and the end is not held up."""
    shelf.add("hands", "1.0.0")
    served = await serve(bundles=(), model_repository=shelf.path, drain_s=0.0)
    shelf.add("hands", "2.0.0")
    begun, go_on = held.hold("2.0.0")
    loading = asyncio.create_task(refusal(Admin(served).load("hands")))
    assert await asyncio.to_thread(begun.wait, LONG_S)
    stopping = asyncio.create_task(served.server.stop())
    assert (await loading)[0] in (Code.UNAVAILABLE, Code.CANCELLED)
    go_on.set()
    await asyncio.wait_for(stopping, LONG_S)
    assert served.server.models.catalogue.models == ()
    gc.collect()
    assert [session() for session in held.sessions] == [None] * len(held.sessions)
    assert len(held.sessions) == 2
