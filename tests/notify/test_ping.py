"""The ping of a dead man's switch, to a real server on this machine."""

from __future__ import annotations

import pytest

from bulk_onboard.domain.model import Secret
from bulk_onboard.notify.ping import TRIES, ping
from tests.support.listener import listening


@pytest.mark.parametrize(
    ("path", "success", "asked"),
    [
        ("/check", True, "/check"),
        ("/check", False, "/check/fail"),
        ("/check/", False, "/check/fail"),
        ("/check?rid=1", True, "/check?rid=1"),
        ("/check?rid=1", False, "/check/fail?rid=1"),
    ],
)
async def test_success_and_failure_request_different_paths(path: str, success: bool, asked: str) -> None:
    with listening() as server:
        assert await ping(Secret(f"http://{server.address}{path}"), success=success) is None
    assert [(method, path) for method, path, _ in server.requests] == [("GET", asked)]


async def test_a_failing_server_is_retried() -> None:
    with listening(503) as server:
        assert await ping(Secret(f"http://{server.address}/check"), success=True, pause=0) == "HTTP 503"
    assert len(server.requests) == TRIES


async def test_a_refused_connection_does_not_show_the_address() -> None:
    reason = await ping(Secret("http://127.0.0.1:9/planted-check"), success=True, pause=0)
    assert reason
    assert "127" not in reason


async def test_a_redirect_is_not_followed() -> None:
    with listening(302) as server:
        assert await ping(Secret(f"http://{server.address}/check"), success=True, pause=0) == "HTTP 302"
