"""Before the first write to a real Leaf a person is asked, if there is one to ask."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from bulk_onboard.cli import run as module
from bulk_onboard.domain.run_events import About
from bulk_onboard.settings import LeafSettings, Login, SandboxSettings, Settings
from tests.support.cli import Desk, Server, growers, write

REAL = Settings(leaf=LeafSettings("https://api.withleaf.io", Login()))


@pytest.mark.parametrize("says", ["y", "n", ""])
def test_nothing_is_written_without_a_yes(
    desk: Desk, leaf: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    server, asked = leaf(), list[About]()

    def agrees(about: About) -> bool:
        asked.append(about)
        return says == "y"

    monkeypatch.setattr(module, "confirmation", lambda _settings: agrees)
    ran = desk.at(server)("run", write(growers(3)), "--rate", "0")
    assert (asked[0].to_do, asked[0].provider, asked[0].leaf) == (3, "raven", server.url)
    assert (ran.code, server.posts) == ((0, 3) if says == "y" else (130, 0))
    if says != "y":
        assert ran.statuses == {"not_attempted": 3}
        assert "not confirmed" in ran.err
        assert server.seen() == []
    assert desk("run", "growers.csv", "--rate", "0", "--yes").code == 0
    assert len(asked) == 1
    assert server.posts == 3


def test_only_a_person_is_asked_and_only_about_a_real_leaf(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal in (True, False):
        stream = SimpleNamespace(isatty=lambda terminal=terminal: terminal)
        monkeypatch.setattr(module, "sys", SimpleNamespace(stdin=stream, stderr=stream))
        assert (module.confirmation(REAL) is not None) is terminal
        local = Settings(leaf=LeafSettings("http://127.0.0.1:8080", Login()))
        assert module.confirmation(local) is None
        assert module.confirmation(Settings(leaf=REAL.leaf, sandbox=SandboxSettings())) is None
