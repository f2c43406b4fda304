"""A database that cannot be reached is tried again for a while, and not for ever."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bulk_onboard.errors import Interrupted, LedgerError
from bulk_onboard.ledger.database import Retry, Transient


def failing(times: int, kind: type[LedgerError] = Transient) -> tuple[Callable[[], str], list[int]]:
    """An operation that fails so many times before it succeeds, and its attempts."""
    attempts: list[int] = []

    def work() -> str:
        attempts.append(len(attempts))
        if len(attempts) <= times:
            raise kind("the ledger db cannot be read: connection refused")
        return "done"

    return work, attempts


def test_an_operation_is_retried_until_it_succeeds() -> None:
    messages: list[str] = []
    work, attempts = failing(2)
    assert Retry(messages.append).run(work) == "done"
    assert len(attempts) == 3
    assert messages == ["the ledger db cannot be read: connection refused; waiting"]


def test_retries_end_after_the_timeout() -> None:
    work, attempts = failing(1_000)
    with pytest.raises(LedgerError, match=r"connection refused; gave up after 0\.3 s") as failed:
        Retry(timeout=0.3).run(work)
    assert not isinstance(failed.value, Transient)
    assert len(attempts) > 1


@pytest.mark.parametrize("error", [Interrupted, LedgerError])
def test_the_end_of_the_run_ends_the_wait(error: type[LedgerError | Interrupted]) -> None:
    work, attempts = failing(1_000)
    with pytest.raises(error, match="run the same command again"):
        Retry(over=lambda: error if len(attempts) >= 2 else None).run(work)
    assert len(attempts) == 2


def test_other_errors_are_not_retried() -> None:
    work, attempts = failing(1, LedgerError)
    with pytest.raises(LedgerError, match="connection refused"):
        Retry().run(work)
    assert len(attempts) == 1
