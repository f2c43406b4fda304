"""Guards for every test: no host but this machine, nothing in the home folder, no secret in what is shown."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.postgres import Server, programs, shared
from tests.support.properties import scaled

settings.register_profile(
    "quick", deadline=None, max_examples=scaled(40), suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("quick")

# Every secret that a test makes up begins like this, and must not be seen again.
PLANTED = "planted-"


_SETTINGS = ("LEAF_", "RAVEN_", "BULK_ONBOARD_", "XDG_", "PG")


class Outside(AssertionError):
    """A test reached for another machine."""


def _is_here(host: object) -> bool:
    if host in {None, "", "localhost", b"localhost"}:
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


def _guard(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo" and not _is_here(arguments[0]):
        raise Outside(f"a test asks for the address of {arguments[0]}")
    if event == "socket.connect" and isinstance(arguments[1], tuple) and not _is_here(arguments[1][0]):
        raise Outside(f"a test connects to {arguments[1]}")


sys.addaudithook(_guard)
# The command is started so often that it pays to compile it once, whatever is asked for elsewhere.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, for many tests wait for processes."""
    return min(8, (os.cpu_count() or 1) + 1)


# Packages of the extra ``integration``. Without one, the tests that need it are skipped.
INTEGRATION = {"adbc_driver_postgresql", "axe_core_python", "check_jsonschema", "dask", "distributed"}
INTEGRATION |= {"flask", "moto", "psycopg", "s3fs", "selenium"}
INSTALL = "pip install -e '.[integration]'"


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """A module that cannot be imported without an integration package is skipped."""
    report = yield
    missing = re.search(r"No module named '(\w+)", str(report.longrepr)) if report.failed else None
    if missing and missing[1] in INTEGRATION:
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 0, f"Skipped: needs {missing[1]}: {INSTALL}")
    return report


def _soaked(item: pytest.Item) -> float:
    mark = item.get_closest_marker("soak")
    return float(mark.args[0]) if mark and mark.args else 0.0


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of the soak the longest begin first, each before one of the shortest: a worker is given two at once."""
    if items and all(map(_soaked, items)):
        items.sort(key=_soaked)
        items[:] = [items.pop(-1 if n % 2 == 0 else 0) for n in range(len(items))]


@pytest.fixture(scope="session", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The home folder is an empty one, and still empty when all is over."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "USERPROFILE"):
            patch.setenv(name, str(home))
        for name in [n for n in os.environ if n.startswith(_SETTINGS)]:
            patch.delenv(name)
        yield
    assert not list(Path(home).iterdir()), "a test has written to the home folder"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server for all tests of the session; where it cannot be had, whoever asks for it is skipped."""
    pytest.importorskip("psycopg", reason=f"needs PostgreSQL: {INSTALL}")
    if programs() is None:
        pytest.skip(f"needs PostgreSQL: {INSTALL}, or an installation of your own")
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        return shared(base.parent, os.getppid())
    return shared(base, os.getpid())


@pytest.fixture(autouse=True)
def _no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert PLANTED not in caplog.text
