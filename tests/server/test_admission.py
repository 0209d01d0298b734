import asyncio
from contextlib import AsyncExitStack, ExitStack, suppress

import pytest

from hunique_server.admission import PASSED, Admission, QueueFullError
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
        assert admission.waiting_items == 0


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


async def _enters(
    admission: Admission, caller: Caller, size_bytes: int = 1, items: int = 1
) -> AsyncExitStack:
    stack = AsyncExitStack()
    await stack.enter_async_context(admission.wait(size_bytes, items, caller))
    return stack


@pytest.mark.parametrize("scarce", ["items", "bytes"])
@pytest.mark.parametrize("newcomers", ["wait", "ask"])
async def test_large_request_is_not_passed_forever(scarce: str, newcomers: str) -> None:
    """However many small ones come, one that needs most of the room gets it after some of them."""
    admission = Admission(max_items=32 if scarce == "items" else 1000, max_bytes=32)
    items = 24 if scarce == "items" else 1
    came_in = 0

    async def small(caller: Caller) -> None:
        nonlocal came_in
        while came_in < 1000 and not large.done():
            async with AsyncExitStack() as stack:
                with suppress(QueueFullError):
                    if newcomers == "wait":
                        await stack.enter_async_context(admission.wait(1, caller=caller))
                    else:
                        stack.enter_context(admission.admit(1, caller=caller))
                    came_in += 1
                await asyncio.sleep(0)

    with admission.admit(16, items=16 if scarce == "items" else 1):
        large = asyncio.create_task(_enters(admission, Caller(client="large"), 24, items))
        await asyncio.sleep(0)
        tasks = [asyncio.create_task(small(Caller(client=str(number)))) for number in range(16)]
        await asyncio.sleep(0)
    async with asyncio.timeout(60), await large:
        assert PASSED * items <= came_in < 1000
    await asyncio.wait_for(asyncio.gather(*tasks), 60)
    assert (admission.items, admission.bytes, admission.waiting_items) == (0, 0, 0)


async def test_one_that_waits_for_its_own_share_keeps_nobody_else_out() -> None:
    """However often it was passed, others come in; its own later pictures stay behind it."""
    admission = Admission(max_items=16, max_bytes=1000)
    many = Caller(client="many")
    with ExitStack() as stack:
        assert _fill(admission, stack, many) == 12
        large = asyncio.create_task(_enters(admission, many, items=4))
        await asyncio.sleep(0)
        for number in range(PASSED * 4 + 1):
            with admission.admit(1, caller=Caller(client=str(number))):
                pass
        own = asyncio.create_task(_enters(admission, many))
        await asyncio.sleep(0)
        stack.pop_all().close()
        await (await asyncio.wait_for(large, 60)).aclose()
        await (await asyncio.wait_for(own, 60)).aclose()
    assert admission.items == 0


async def test_giving_up_lets_those_in_who_were_kept_out() -> None:
    """Nobody waits for the sake of one who no longer does."""
    admission = Admission(max_items=4, max_bytes=100)
    with admission.admit(1, items=3, caller=Caller(client="first")):
        large = asyncio.create_task(_enters(admission, Caller(client="large"), items=2))
        await asyncio.sleep(0)
        for number in range(PASSED * 2):
            with admission.admit(1, caller=Caller(client=str(number))):
                pass
        with pytest.raises(QueueFullError, match="others"), admission.admit(1):
            pass
        small = asyncio.create_task(_enters(admission, Caller(client="small")))
        await asyncio.sleep(0)
        assert (admission.waiting_items, admission.waiting_bytes) == (3, 2)
        large.cancel()
        await (await asyncio.wait_for(small, 60)).aclose()
    assert (admission.items, admission.waiting_items) == (0, 0)


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
