"""Driving a run: what is shown where, and the exit code."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from bulk_onboard.cli.runner import Showing, drive
from bulk_onboard.domain.run_events import About, Observer
from bulk_onboard.engine.opening import run_named
from bulk_onboard.errors import LedgerBusy, UsageError

if TYPE_CHECKING:
    from bulk_onboard.engine.run import RunResult

Capture = pytest.CaptureFixture[str]
RESULT = cast(
    "RunResult",
    SimpleNamespace(
        summary={"rows": 1, "exitCode": 1},
        words=lambda width: f"1 created. Files: reports/x ({width})",
        exit_code=1,
    ),
)


async def work(observer: Observer, _stop: object) -> RunResult:
    observer(About("20261124T000000Z-a", "https://api.withleaf.io", "me", "raven", 1, 10.0))
    return RESULT


def test_quiet_keeps_the_closing_summary(capsys: Capture) -> None:
    drive(work, Showing(quiet=True))
    assert capsys.readouterr().err == f"{RESULT.words(80)}\n"


def test_an_error_of_the_run_is_raised() -> None:
    async def fail(_observer: Observer, _stop: object) -> RunResult:
        raise LedgerBusy("another run holds it")

    with pytest.raises(LedgerBusy):
        drive(fail, Showing())


def test_a_run_is_named_by_its_id_or_its_folder(here: Path) -> None:
    name = "20261123T154500Z-growers"
    assert run_named(name) == name
    (here / "reports" / name).mkdir(parents=True)
    assert run_named(f"reports/{name}") == name
    assert run_named(f"reports/{name}/") == name


def test_a_file_may_be_named_like_a_run(here: Path) -> None:
    (here / "20261123T154500Z-growers").touch()
    assert run_named("20261123T154500Z-growers") is None
    assert run_named("-") is None


@pytest.mark.parametrize("text", ["absent.csv", "reports/20261123T154500Z-absent"])
def test_neither_a_run_nor_a_file_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="neither a file nor a run's id"):
        run_named(text)
