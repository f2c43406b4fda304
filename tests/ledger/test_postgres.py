"""What is true of a ledger on a server alone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from bulk_onboard.errors import LedgerError
from bulk_onboard.ledger import Ledger, Retry, history
from bulk_onboard.settings import PostgresUrl
from tests.ledger.support import begin, g, intent, outcome
from tests.support.postgres import ROLE, Server, served


@pytest.fixture
def place(postgres: Server) -> PostgresUrl:
    return postgres.place()


@pytest.fixture
def ledger(place: PostgresUrl) -> Iterator[Ledger]:
    with Ledger(place) as opened:
        yield opened


def test_commits_are_synchronous_whatever_the_server_is_set_to(postgres: Server, ledger: Ledger) -> None:
    assert postgres.sql("SHOW synchronous_commit") == [("off",)]
    for opened in (ledger.reading, ledger.writing, ledger._database.locking):
        with opened() as db:
            assert db.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"


def test_a_commit_with_a_lost_reply_is_repeated(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    run, scope = begin(ledger)
    commit, lost = psycopg.Connection.commit, []

    def losing(connection: psycopg.Connection[Any]) -> None:
        commit(connection)
        if len(lost) < 2:
            lost.append(connection)
            connection.close()
            raise psycopg.OperationalError("the answer is lost")

    monkeypatch.setattr(psycopg.Connection, "commit", losing)
    ledger.write(run, scope, [intent(2, g(1))], [outcome(3, g(2))])
    assert len(lost) == 2
    assert ledger.entries(run) == [intent(2, g(1)), outcome(3, g(2))]
    lost.clear()
    assert begin(ledger, "r-2")[0] > run
    assert len(history.runs(ledger)) == 2


def test_a_cut_connection_is_reopened(postgres: Server, ledger: Ledger) -> None:
    run, scope = begin(ledger)
    for row in range(5):
        with ledger.reading() as db:
            pid = db.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        postgres.sql("SELECT pg_terminate_backend(%s)", pid)
        ledger.write(run, scope, [intent(row, g(row))], [])
    assert len(ledger.entries(run)) == 5


def test_reads_and_writes_wait_for_a_restarting_server() -> None:
    told: list[str] = []
    with served() as server, Ledger(server.place(), retry=Retry(told.append)) as ledger:
        run, scope = begin(ledger)
        server.stop()
        with ThreadPoolExecutor(2) as threads:
            written = threads.submit(ledger.write, run, scope, [intent(2, g(1))], [])
            read = threads.submit(ledger.known, scope, [g(1)])
            server.start()
            assert written.result(30) is None
            assert len(read.result(30)) <= 1
        assert ledger.entries(run) == [intent(2, g(1))]
    assert told
    assert all(words.endswith("; waiting") for words in told)


def test_a_server_that_stays_away_is_one_line() -> None:
    with served() as server:
        place = server.place()
        server.stop()
        with pytest.raises(LedgerError, match=r"cannot be opened: conn.*; gave up after") as failed:
            Ledger(place, retry=Retry(timeout=0.2))
    assert "\n" not in str(failed.value)


# --- privileges ---------------------------------------------------------------------------------------


@pytest.fixture
def guest(postgres: Server) -> str:
    """A role that may log in, and nothing else."""
    name = f"guest_{postgres.place().schema}"
    postgres.sql(f"CREATE ROLE {name} LOGIN")
    return name


def _as(place: PostgresUrl, role: str) -> PostgresUrl:
    url = place.url.reveal().replace(f"{ROLE}@", f"{role}@")
    return PostgresUrl(type(place.url)(url), place.shown, place.schema)


def test_missing_rights_are_reported_with_the_grant(postgres: Server, place: PostgresUrl, guest: str) -> None:
    with pytest.raises(LedgerError, match=f"permission denied .* CREATE SCHEMA {place.schema} AUTHORIZATION"):
        Ledger(_as(place, guest))
    postgres.sql(f"CREATE SCHEMA {place.schema} AUTHORIZATION {guest}")
    with Ledger(_as(place, guest)) as ledger:
        run, scope = begin(ledger)
        ledger.write(run, scope, [intent(2, g(1))], [])


def test_read_only_access_can_list_runs(postgres: Server, place: PostgresUrl, guest: str) -> None:
    with Ledger(place) as ledger:
        begin(ledger)
    postgres.sql(f"GRANT USAGE ON SCHEMA {place.schema} TO {guest}")
    postgres.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA {place.schema} TO {guest}")
    with Ledger(_as(place, guest), make=False) as theirs:
        assert [past.info.run_id for past in history.runs(theirs)] == ["r-1"]
        with pytest.raises(LedgerError, match="permission denied"):
            theirs.take_up()
