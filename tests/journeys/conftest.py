"""Every journey starts in an empty folder, without a setting, and ends without a secret in sight."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bulk_onboard.domain.providers import PROVIDERS
from tests.support.cli import PLANTED, Desk, Server, serving

_SETTINGS = ["LEAF_BASE_URL", "LEAF_TOKEN", "LEAF_USERNAME", "LEAF_PASSWORD"]
_SETTINGS += [p.setting(f) for p in PROVIDERS.values() for f in p.app_fields]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The empty folder in which the user works. Every file in its reports is private and tells no secret."""
    for name in _SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for path in (tmp_path / "reports").rglob("*"):
        if path.is_file():
            assert PLANTED.encode() not in path.read_bytes(), f"{path} holds a secret"
            assert sys.platform == "win32" or stat.S_IMODE(path.stat().st_mode) == 0o600, path


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Desk:
    return Desk(monkeypatch, capfd)


@pytest.fixture
def leaf() -> Iterator[Callable[..., Server]]:
    """Serves a Leaf of some behaviour until the test is over."""
    with ExitStack() as stack:
        yield lambda behaviour=None: stack.enter_context(serving(behaviour))
