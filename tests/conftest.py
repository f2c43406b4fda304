"""Guards for every test: no host but this machine, nothing in the home folder, no secret in what is shown."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "quick", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("quick")

# Every secret that a test makes up begins like this, and must not be seen again.
PLANTED = "planted-"


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


@pytest.fixture(scope="session", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The home folder is an empty one, and still empty when all is over."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "USERPROFILE"):
            patch.setenv(name, str(home))
        for name in [n for n in os.environ if n.startswith(("LEAF_", "RAVEN_", "XDG_"))]:
            patch.delenv(name)
        yield
    assert not list(Path(home).iterdir()), "a test has written to the home folder"


@pytest.fixture(autouse=True)
def _no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert PLANTED not in caplog.text
