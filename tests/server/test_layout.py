"""How runs share the cores, with a clock that a test turns."""

import time
from collections.abc import Sequence

import pytest

from hunique_server.batch_cost import BatchCost
from hunique_server.layout import EXPLORE_EVERY, ElasticLayout, FixedLayout, Pause, Turn

ONE_S, ALL_S = 0.100, 0.060
CORES = 2


def _narrow(items: list[int]) -> Sequence[int]:
    return items


def _wide(items: list[int]) -> Sequence[int]:
    return items


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time now, in seconds."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def _layout(cores: int = CORES, all_s: float = ALL_S) -> ElasticLayout[int, int]:
    layout = ElasticLayout(_narrow, cores)
    layout.widen(_wide, one_thread_s=ONE_S, all_threads_s=all_s)
    return layout


def _turn(layout: ElasticLayout[int, int], waiting: int, free: int) -> Turn[int, int]:
    turn = layout.next_turn(waiting, free)
    assert isinstance(turn, Turn)
    assert turn.places <= free
    assert turn.most == 1
    return turn


def test_until_the_other_way_has_proved_itself_there_is_one() -> None:
    """A server that has just started runs everything on one core each."""
    layout = ElasticLayout(_narrow, CORES)
    for waiting, free in ((1, 2), (1, 1), (9, 2)):
        turn = _turn(layout, waiting, free)
        assert turn.way == "one_thread"
        layout.began(turn, 1)
        layout.ended(turn, 1, ONE_S)


def test_lone_look_gets_all_cores() -> None:
    """Nobody else is there: the run that ends soonest."""
    turn = _turn(_layout(), waiting=1, free=2)
    assert (turn.way, turn.places, turn.run) == ("all_threads", 2, _wide)


def test_crowd_gets_one_core_each() -> None:
    """As many looks as cores, or more: each has its core."""
    layout = _layout()
    for waiting in (2, 3, 10, 500):
        turn = _turn(layout, waiting, free=2)
        assert (turn.way, turn.places, turn.run) == ("one_thread", 1, _narrow)


def test_no_turn_without_work_or_place() -> None:
    """Nothing waits, or nothing is free: nothing begins."""
    assert _layout().next_turn(0, 2) is None
    assert _layout().next_turn(5, 0) is None


@pytest.mark.parametrize(("waiting", "way"), [(1, "all_threads"), (3, "all_threads"),
                                              (7, "one_thread"), (16, "one_thread")])  # fmt: skip
def test_few_looks_on_many_cores_take_what_is_done_sooner(waiting: int, way: str) -> None:
    """On sixteen cores three looks one after the other end before three side by side."""
    assert _turn(_layout(cores=16, all_s=0.02), waiting, free=16).way == way


def test_last_look_waits_for_the_others_where_that_is_sooner(clock: list[float]) -> None:
    """A neighbour about to end is awaited, and then the last look gets all cores."""
    layout = _layout()
    running = _turn(layout, waiting=3, free=2)
    layout.began(running, 1)
    clock[0] += ONE_S - 0.010
    pause = layout.next_turn(1, 1)
    assert isinstance(pause, Pause)
    assert 0.010 < pause.seconds_s < 0.050
    layout.ended(running, 1, ONE_S)
    assert _turn(layout, waiting=1, free=2).way == "all_threads"


def test_look_does_not_wait_for_a_run_that_has_just_begun(clock: list[float]) -> None:
    """Where the other run takes long still, one core now is sooner than all later."""
    layout = _layout()
    layout.began(_turn(layout, waiting=2, free=2), 1)
    clock[0] += 0.010
    assert _turn(layout, waiting=1, free=1).way == "one_thread"


def test_run_that_is_late_is_not_awaited_for_ever(clock: list[float]) -> None:
    """A neighbour that hangs holds up nobody for longer than a quarter of a run."""
    layout = _layout()
    layout.began(_turn(layout, waiting=2, free=2), 1)
    clock[0] += ONE_S * 1.26
    assert _turn(layout, waiting=1, free=1).way == "one_thread"


def test_crowd_never_leaves_a_core_idle(clock: list[float]) -> None:
    """With as many waiting as there are cores nothing is awaited."""
    layout = _layout()
    layout.began(_turn(layout, waiting=5, free=2), 1)
    for elapsed_s in (0.0, 0.05, 0.099, 0.2):
        clock[0] = 1000.0 + elapsed_s
        assert _turn(layout, waiting=4, free=1).way == "one_thread"


def test_choice_follows_what_runs_take_now() -> None:
    """All cores turn out no faster than one: a lone look gets one from then on."""
    layout = _layout()
    for _ in range(60):
        turn = _turn(layout, waiting=1, free=2)
        layout.began(turn, 1)
        layout.ended(turn, 1, 0.150 if turn.way == "all_threads" else ONE_S)
    assert _turn(layout, waiting=1, free=2).way == "one_thread"


def test_crowd_learns_where_all_cores_are_better() -> None:
    """Where side by side is slower than one after the other, a crowd goes the better way."""
    layout = _layout()
    ways = []
    for _ in range(10 * EXPLORE_EVERY):
        turn = _turn(layout, waiting=9, free=2)
        ways.append(turn.way)
        layout.began(turn, 1)
        layout.ended(turn, 1, ALL_S if turn.way == "all_threads" else 0.200)
    assert ways[0] == "one_thread"
    assert ways[-EXPLORE_EVERY:].count("all_threads") == EXPLORE_EVERY - 1


def test_wrong_start_is_forgotten_within_a_few_runs() -> None:
    """A way that was measured beside a start-up of others gets its chance soon, not in an hour."""
    layout = _layout(all_s=10 * ALL_S)
    ways = []
    for _ in range(40):
        turn = _turn(layout, waiting=1, free=2)
        ways.append(turn.way)
        layout.began(turn, 1)
        layout.ended(turn, 1, ALL_S if turn.way == "all_threads" else ONE_S)
    assert ways[:7] == ["one_thread"] * 7
    assert ways[-8:].count("all_threads") >= 7


def test_failed_run_teaches_nothing() -> None:
    """The duration of a run that failed says nothing about those that do not."""
    layout = _layout()
    for _ in range(50):
        turn = _turn(layout, waiting=1, free=2)
        layout.began(turn, 1)
        layout.ended(turn, 1, None)
    assert _turn(layout, waiting=1, free=2).way == "all_threads"


def test_fixed_layout_takes_a_place_for_each_run_of_a_learned_size() -> None:
    """Every run has one place and the size that the cost says."""
    layout = FixedLayout(_narrow, 3, BatchCost(8))
    turn = layout.next_turn(20, 1)
    assert turn is not None
    assert (turn.places, turn.most, turn.run) == (1, 8, _narrow)
    assert layout.pictures_ahead() == 48
    for size in (1, 2, 4, 8):
        for _ in range(20):
            layout.ended(turn, size, 0.1 * size)
    again = layout.next_turn(20, 1)
    assert again is not None
    assert again.most == 1
    assert layout.pictures_ahead() == 6
    assert layout.next_turn(0, 3) is None
    assert layout.next_turn(3, 0) is None
