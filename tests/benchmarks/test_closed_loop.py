import asyncio

import pytest


async def test_callers_wait_for_their_answers() -> None:
    """Never more at once than there are callers, and all requests come in turn."""
    from closed_loop import Load, ask_in_turn

    asked, at_once, most = [], 0, 0

    async def ask(request: str) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        asked.append(request)
        await asyncio.sleep(0.002)
        at_once -= 1

    load = Load(callers=3)
    await ask_in_turn(load, ask, ["a", "b", "c", "d"], 0.05)
    assert (most, at_once) == (3, 0)
    assert asked[:3] == ["a", "b", "c"]
    assert set(asked) == {"a", "b", "c", "d"}
    assert len(load.durations_s) == len(asked) > 3
    assert load.took_s >= 0.05
    assert min(load.durations_s) >= 0.002


async def test_refusals_are_counted_and_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused call is no answer; the first reason is kept; other errors are not hidden."""
    import closed_loop

    monkeypatch.setattr(closed_loop, "AFTER_FAILURE_S", 0.001)

    async def refuse(_: str) -> None:
        raise OSError("full")

    load = closed_loop.Load(callers=2)
    await closed_loop.ask_in_turn(load, refuse, ["a"], 0.02, refusals=(OSError,))
    assert load.durations_s == []
    assert load.failures >= 2
    assert load.first_failure == "OSError: full"
    with pytest.raises(OSError, match="full"):
        await closed_loop.ask_in_turn(load, refuse, ["a"], 0.02, refusals=(KeyError,))
