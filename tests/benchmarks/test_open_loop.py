import pytest


def _gaps_s(moments: list[float]) -> list[float]:
    return [later - earlier for earlier, later in zip([0.0, *moments], moments, strict=False)]


@pytest.mark.parametrize("arrivals", ["exponential", "even"])
def test_arrivals_fill_the_time(arrivals: str) -> None:
    """So many pictures are sent within the time, whatever was drawn: the load is what was said."""
    from open_loop import due_s

    moments = due_s(arrivals, 200, 10.0, seed=3)
    assert len(moments) == 200
    assert moments == sorted(moments)
    assert moments[0] > 0
    assert 9 < moments[-1] < 10


def test_exponential_gaps_vary_as_much_as_their_mean() -> None:
    """Standard deviation and mean of exponential gaps are equal; even gaps have none."""
    from statistics import mean, pstdev

    from open_loop import due_s

    gaps_s = _gaps_s(due_s("exponential", 4000, 100.0, seed=3))
    assert pstdev(gaps_s) == pytest.approx(mean(gaps_s), rel=0.1)
    assert pstdev(_gaps_s(due_s("even", 4000, 100.0, seed=3))) == pytest.approx(0, abs=1e-9)


def test_every_run_offers_the_same() -> None:
    """The same seed sends at the same moments."""
    from open_loop import due_s

    assert due_s("exponential", 50, 5.0, seed=7) == due_s("exponential", 50, 5.0, seed=7)


def test_a_perfect_server_makes_nobody_wait_but_for_a_place() -> None:
    """Two places of 1 s: a third at the same moment waits for the first to be free, in order."""
    from open_loop import ideal_waits_s

    assert ideal_waits_s([0.0, 0.0, 0.0, 0.5, 5.0], 2, 1.0) == [1.0, 1.0, 2.0, 1.5, 1.0]


def test_even_arrivals_never_wait_at_a_perfect_server() -> None:
    """Below what it can do, all take the same."""
    from open_loop import due_s, ideal_waits_s

    times_s = ideal_waits_s(due_s("even", 80, 100.0, seed=0), 2, 2.0)
    assert max(times_s) == pytest.approx(2.0)
