import asyncio
from contextlib import ExitStack

import pytest

from hunique_server.admission import Admission, QueueFullError
from hunique_server.caller import Caller, Priority


def test_full_of_pictures_is_said_with_a_time() -> None:
    """One picture too many is refused at once, and told when to come back."""
    admission = Admission(max_items=1, max_bytes=100)
    with admission.admit(10):
        with (
            pytest.raises(QueueFullError, match=r"full \(items\).*again in \d+ ms") as refused,
            admission.admit(10),
        ):
            pass
        assert refused.value.retry_after_ms >= 10
        assert (admission.items, admission.bytes) == (1, 10)


def test_full_of_bytes_is_refused() -> None:
    """Pictures whose bytes do not fit are refused, smaller ones still come in."""
    admission = Admission(max_items=9, max_bytes=100)
    with admission.admit(60):
        with pytest.raises(QueueFullError, match="bytes"), admission.admit(41):
            pass
        with admission.admit(40, caller=Caller(client="other")):
            assert admission.bytes == 100


def test_lone_picture_always_fits() -> None:
    """A picture larger than the whole queue is served when nobody else is there."""
    with Admission(max_items=1, max_bytes=10).admit(11):
        pass


def test_place_is_given_back_after_an_error() -> None:
    """A picture that fails leaves as much room as one that is answered."""
    admission = Admission(max_items=1, max_bytes=100)
    with pytest.raises(ZeroDivisionError), admission.admit(50):
        _ = 1 / 0
    assert (admission.items, admission.bytes) == (0, 0)


def test_time_to_come_back_follows_the_load() -> None:
    """The slower pictures are, the later a refused caller is asked to come."""
    admission, hints = Admission(max_items=1, max_bytes=100), []
    for service_s in (0.001, 30.0):
        for _ in range(200):
            admission.observe(service_s)
        with admission.admit(1), pytest.raises(QueueFullError) as refused, admission.admit(1):
            pass
        hints.append(refused.value.retry_after_ms)
    assert hints[0] == 10
    assert 10_000 < hints[1] < 20_000


async def test_waiting_goes_on_when_there_is_room() -> None:
    """Who waits comes in as places become free, in the order of coming, never too many."""
    admission, order, most = Admission(max_items=1, max_bytes=100), [], 0

    async def caller(number: int) -> None:
        nonlocal most
        async with admission.wait(10):
            order.append(number)
            most = max(most, admission.items)
            await asyncio.sleep(0)

    async with asyncio.timeout(60):
        await asyncio.gather(*(caller(number) for number in range(20)))
    assert order == list(range(20))
    assert most == 1
    assert (admission.items, admission.bytes) == (0, 0)


async def test_caller_that_gives_up_waiting_takes_no_place() -> None:
    """Cancelled while it waits, or just as its turn comes: the next one gets the place."""
    admission = Admission(max_items=1, max_bytes=100)
    entered: list[str] = []

    async def caller(name: str) -> None:
        async with admission.wait(10):
            entered.append(name)

    with admission.admit(10):
        gone, unlucky, patient = (
            asyncio.create_task(caller(name)) for name in ("gone", "unlucky", "patient")
        )
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
    unlucky.cancel()  # the place is free, and it has not run since
    await asyncio.wait_for(patient, 60)
    assert entered == ["patient"]
    assert gone.cancelled()
    assert unlucky.cancelled()
    assert (admission.items, admission.bytes) == (0, 0)


async def test_waiters_that_gave_up_are_forgotten() -> None:
    """A server that stays full does not remember everyone who ever waited."""
    admission = Admission(max_items=1, max_bytes=100)

    async def caller() -> None:
        async with admission.wait(10):
            pytest.fail("there was no room")

    with admission.admit(10):
        for _ in range(10):
            task = asyncio.create_task(caller())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert not admission.waiting


async def test_several_come_in_together_or_not_at_all() -> None:
    """Pictures of one request never hold some places while they wait for the others."""
    admission = Admission(max_items=3, max_bytes=100)
    with admission.admit(10, items=2):
        with pytest.raises(QueueFullError, match="items"), admission.admit(10, items=2):
            pass
        assert (admission.items, admission.bytes) == (2, 10)

    async def caller() -> None:
        async with admission.wait(10, items=2):
            await asyncio.sleep(0)

    async with asyncio.timeout(60):
        await asyncio.gather(*(caller() for _ in range(20)))
    assert (admission.items, admission.bytes) == (0, 0)


def _fill(admission: Admission, stack: ExitStack, caller: Caller, size_bytes: int = 1) -> int:
    """Pictures that a caller gets in until it is refused."""
    for count in range(1000):
        try:
            stack.enter_context(admission.admit(size_bytes, caller=caller))
        except QueueFullError:
            return count
    pytest.fail("nobody refused it")


@pytest.mark.parametrize("scarce", ["items", "bytes"])
def test_nobody_fills_the_server_alone(scarce: str) -> None:
    """One client gets three quarters of the room; a second still comes in, and a third."""
    small, large = (64, 10_000) if scarce == "items" else (10_000, 64)
    admission = Admission(max_items=small, max_bytes=large)
    with ExitStack() as stack:
        first = _fill(admission, stack, Caller(client="first"))
        assert first == 48
        with pytest.raises(QueueFullError, match=f"{scarce} of one client"):
            stack.enter_context(admission.admit(1, caller=Caller(client="first")))
        assert _fill(admission, stack, Caller(client="second")) == 12
        assert _fill(admission, stack, Caller(client="third")) == 3
    assert (admission.items, admission.bytes) == (0, 0)
    with ExitStack() as stack:
        assert _fill(admission, stack, Caller(client="first")) == 48


def test_bulk_leaves_room_for_the_same_clients_screen() -> None:
    """Interactive pictures of a client come in beside as much bulk of its own as there can be."""
    admission = Admission(max_items=8, max_bytes=10_000)
    with ExitStack() as stack:
        assert _fill(admission, stack, Caller(client="a", priority=Priority.BULK)) == 6
        assert _fill(admission, stack, Caller(client="a")) >= 1


async def test_stream_over_its_share_does_not_hold_up_others() -> None:
    """Who waits because of its own share is passed by somebody who has room."""
    admission = Admission(max_items=4, max_bytes=100)
    order: list[str] = []

    async def caller(client: str) -> None:
        async with admission.wait(1, caller=Caller(client=client)):
            order.append(client)

    with ExitStack() as stack:
        assert _fill(admission, stack, Caller(client="many")) == 3
        tasks = [asyncio.create_task(caller(client)) for client in ("many", "many", "few")]
        await asyncio.wait_for(tasks[2], 60)
        assert order == ["few"]
    await asyncio.wait_for(asyncio.gather(*tasks), 60)
    assert order == ["few", "many", "many"]


def test_time_to_come_back_does_not_grow_with_the_crowd() -> None:
    """The time inside holds the wait already: a full server is not a reason to wait for all."""
    hints = []
    for max_items in (1, 64):
        admission = Admission(max_items=max_items, max_bytes=1000)
        for _ in range(300):
            admission.observe(2.0)
        with ExitStack() as stack:
            for number in range(max_items):
                stack.enter_context(admission.admit(1, caller=Caller(client=str(number))))
            with pytest.raises(QueueFullError) as refused, admission.admit(1):
                pass
        hints.append(refused.value.retry_after_ms)
    assert hints == [1000, 1000]
