"""The same tests for both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from bulk_onboard.ledger import Ledger
from bulk_onboard.settings import LedgerPlace
from tests.support.postgres import Server

DATABASES = ("sqlite", "postgresql")


@pytest.fixture(params=DATABASES)
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], LedgerPlace]:
    """Gives places where there is no ledger yet."""
    if request.param == "sqlite":
        numbers = count()
        return lambda: tmp_path / f"reports-{next(numbers)}" / "ledger.sqlite3"
    server: Server = request.getfixturevalue("postgres")
    return server.place


@pytest.fixture
def place(places: Callable[[], LedgerPlace]) -> LedgerPlace:
    """Where there is no ledger yet."""
    return places()


@pytest.fixture
def ledger(place: LedgerPlace) -> Iterator[Ledger]:
    """A new one."""
    with Ledger(place) as opened:
        yield opened
