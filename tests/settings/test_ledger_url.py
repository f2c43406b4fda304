"""The address of a ledger on PostgreSQL: as libpq reads it, and without a password wherever it is shown."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from bulk_onboard.cli.main import main
from bulk_onboard.errors import UsageError
from bulk_onboard.settings import PostgresUrl, parse
from bulk_onboard.settings.load import load

HIDDEN = "planted-hunter2"


def address(text: str) -> PostgresUrl:
    found = parse.ledger(text)
    assert isinstance(found, PostgresUrl)
    return found


@pytest.mark.parametrize(
    ("text", "told", "shown"),
    [
        (
            f"postgresql+psycopg://me:{HIDDEN}@db.example:5433/growers",
            {"user": "me", "password": HIDDEN, "host": "db.example", "port": "5433", "dbname": "growers"},
            "postgresql://me@db.example:5433/growers",
        ),
        (
            f"postgresql://me:p%40ss%2F{HIDDEN}@db/growers?sslmode=verify-full",
            {
                "user": "me",
                "password": f"p@ss/{HIDDEN}",
                "host": "db",
                "dbname": "growers",
                "sslmode": "verify-full",
            },
            "postgresql://me@db/growers",
        ),
        (
            "postgres://me@a,b:5433/growers?target_session_attrs=read-write",
            {
                "user": "me",
                "host": "a,b",
                "port": ",5433",
                "dbname": "growers",
                "target_session_attrs": "read-write",
            },
            "postgresql://me@a,b:5433/growers",
        ),
        (
            f"postgresql:///growers?host=/run/postgresql&password={HIDDEN}&schema=test",
            {"dbname": "growers", "host": "/run/postgresql", "password": HIDDEN},
            "postgresql:///growers?host=/run/postgresql&schema=test",
        ),
        (
            "postgresql://[::1]:5432/g",
            {"host": "::1", "port": "5432", "dbname": "g"},
            "postgresql://[::1]:5432/g",
        ),
        ("postgresql://?service=leaf", {"service": "leaf"}, "postgresql:///?service=leaf"),
    ],
)
def test_the_address_is_shown_without_its_password(text: str, told: dict[str, str], shown: str) -> None:
    found = address(text)
    assert conninfo_to_dict(found.url.reveal()) == told
    assert str(found) == shown
    assert HIDDEN not in repr(found) + f"{found!s}"
    assert found.holds_password == ("password" in told)


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://me:12/{HIDDEN}@db/g",
        f"postgresql://me:{HIDDEN}/x@db/g",
        f"postgresql://me:12?{HIDDEN}@db/g",
        f"postgresql://me:{HIDDEN}#x@db/g?x",
        f"postgresql://db/g?{HIDDEN}",
        f"postgresql://db/g?schema={HIDDEN}",
        "postgresql://db/g?schema=pg_temp",
        "postgresql://db/a b",
    ],
)
def test_an_invalid_address_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"schema|special characters") as refused:
        parse.ledger(text)
    assert HIDDEN not in str(refused.value)


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=6))
def test_a_password_is_never_shown(text: str) -> None:
    told = f"postgresql://me:{HIDDEN}{text}@db/g"
    with suppress(ValueError):
        assert HIDDEN not in str(address(told))
        return
    with pytest.raises(ValueError, match="special characters") as refused:
        address(told)
    assert HIDDEN not in str(refused.value)


# --- where it comes from ------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_wrong_address_in_the_environment_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULK_ONBOARD_LEDGER", f"mysql://me:{HIDDEN}@db/g")
    with pytest.raises(UsageError, match=r"BULK_ONBOARD_LEDGER: a ledger cannot be at mysql://") as refused:
        load({}, offline=True)
    assert HIDDEN not in str(refused.value)


def test_a_password_on_the_command_line_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--ledger", f"postgresql://me:{HIDDEN}@db/g?no-such-parameter=1"]) == 2
    told = capsys.readouterr().err
    assert "can be read in the list of processes" in told
    assert HIDDEN not in told


def test_without_the_driver_the_message_names_the_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "bulk_onboard.ledger.postgres", raising=False)
    assert main(["runs", "--ledger", "postgresql://me@127.0.0.1:1/g"]) == 2
    told = capsys.readouterr().err.strip()
    assert "pip install 'bulk-onboard[postgres]'" in told
    assert "\n" not in told
