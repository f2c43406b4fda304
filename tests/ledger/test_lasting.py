"""What is lost is waited for, and not for ever."""

from __future__ import annotations

import pytest

from bulk_onboard.errors import Interrupted, LedgerError
from bulk_onboard.ledger.lasting import MOST, QUIET, Lost, Patience


class Clock:
    """Time passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def away(until: float, clock: Clock, times: list[float]) -> str:
    times.append(clock())
    if clock() < until:
        raise Lost("the ledger db cannot be read: gone", "db")
    return "back"


def patience(clock: Clock, told: list[str], **more: object) -> Patience:
    return Patience(told.append, clock=clock, sleep=clock.sleep, **more)  # type: ignore[arg-type]


def test_it_is_tried_again_until_it_is_back_and_said_now_and_then() -> None:
    clock, told, times = Clock(), list[str](), list[float]()
    assert patience(clock, told).through(lambda: away(25, clock, times)) == "back"
    assert 25 <= times[-1] <= 26
    assert told == ["the ledger db cannot be reached: waiting"] * (1 + int(25 // QUIET))


def test_what_stays_away_is_an_error_that_says_why_and_how_long_it_was_waited_for() -> None:
    clock, told, times = Clock(), list[str](), list[float]()
    with pytest.raises(LedgerError, match=r"cannot be read: gone; gave up after 6\d s") as failed:
        patience(clock, told).through(lambda: away(1e9, clock, times))
    assert not isinstance(failed.value, Lost)
    assert MOST <= clock() < MOST + 2


def test_an_interruption_ends_the_wait() -> None:
    clock, told = Clock(), list[str]()
    with pytest.raises(Interrupted):
        patience(clock, told, over=lambda: clock() > 3).through(lambda: away(1e9, clock, []))
    assert clock() < 5


def test_what_is_wrong_otherwise_is_not_tried_again() -> None:
    tried: list[int] = []

    def work() -> None:
        tried.append(1)
        raise LedgerError("damaged")

    with pytest.raises(LedgerError, match="damaged"):
        patience(Clock(), []).through(work)
    assert len(tried) == 1
