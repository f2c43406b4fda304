"""Behind a corporate proxy, and with a corporate certificate authority."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bulk_onboard.domain.model import Created, Secret, Transient
from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.errors import UsageError
from bulk_onboard.leaf.client import LeafClient
from bulk_onboard.settings import LeafSettings, Login
from bulk_onboard.settings.load import proxy_for
from tests.leaf.proxy import proxying
from tests.leaf.test_client import GOOD, Turns
from tests.support.command import environment, start, write_growers
from tests.support.fakes import ID, PAYLOAD
from tests.support.raw_server import Request, always, encrypted, http, serving

LEAF = "https://api.withleaf.example"


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("https_proxy", "http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return


@pytest.mark.parametrize(
    ("base_url", "variables", "proxy"),
    [
        (LEAF, {}, None),
        (LEAF, {"HTTPS_PROXY": "http://proxy.example:3128"}, "http://proxy.example:3128"),
        (LEAF, {"https_proxy": "proxy.example:3128"}, "http://proxy.example:3128"),
        (LEAF, {"HTTPS_PROXY": "https://me:pw@proxy.example"}, "https://me:pw@proxy.example"),
        (LEAF, {"HTTP_PROXY": "http://proxy.example:3128"}, None),
        (LEAF, {"HTTPS_PROXY": ""}, None),
        (LEAF, {"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": "localhost,.withleaf.example"}, None),
        (LEAF, {"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": "*"}, None),
        ("http://127.0.0.1:8080", {"HTTP_PROXY": "http://proxy.example", "HTTPS_PROXY": "http://x"}, None),
    ],
)
def test_the_proxy_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, base_url: str, variables: dict[str, str], proxy: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(base_url) == (proxy and Secret(proxy))


@pytest.mark.parametrize("proxy", ["socks5://me:planted@proxy.example:1080", "http://", "http:///x"])
def test_an_unusable_proxy_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(UsageError, match=r"^HTTPS_PROXY cannot be used") as raised:
        proxy_for(LEAF)
    assert "planted" not in str(raised.value)


async def _post(url: str, proxy: str) -> object:
    settings = LeafSettings(url, Login(token=Secret("planted-bearer")), 5.0, Secret(proxy))
    async with LeafClient(settings, [PROVIDERS["raven"]], Turns()) as client:
        return (await client.of("raven").post(ID, PAYLOAD)).verdict


async def test_requests_go_through_the_proxy_and_stay_encrypted(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with serving(always(http(201, GOOD)), encrypted(certificate)) as server, proxying() as proxy:
        assert isinstance(await _post(server.url, f"http://me:pw@127.0.0.1:{proxy.port}"), Created)
        [head] = proxy.heads
        assert head.startswith(f"CONNECT 127.0.0.1:{server.port} ")
        assert f"Proxy-Authorization: Basic {b64encode(b'me:pw').decode()}" in head
        assert "planted" not in head
        assert server.requests[0].headers["authorization"] == "Bearer planted-bearer"
        assert "proxy-authorization" not in server.requests[0].headers


async def test_plain_http_to_this_machine_never_goes_through_the_proxy() -> None:
    async with serving(always(http(201, GOOD))) as server, proxying() as proxy:
        assert isinstance(await _post(server.url, f"http://127.0.0.1:{proxy.port}"), Created)
        assert not proxy.heads


async def test_nothing_is_sent_through_a_failing_proxy(certificate: Path) -> None:
    async with serving(always(http(201, GOOD)), encrypted(certificate)) as server:
        async with proxying("407 Proxy Authentication Required") as proxy:
            url = f"http://me:planted@127.0.0.1:{proxy.port}"
            message = "the proxy answered HTTP 407 (see HTTPS_PROXY)"
            assert await _post(server.url, url) == Transient("connection-refused", message)
        message = "no connection to the proxy (see HTTPS_PROXY)"
        assert await _post(server.url, url) == Transient("connection-refused", message)
        assert server.connections == 0


async def test_an_untrusted_proxy_sees_no_secret(certificate: Path) -> None:
    """As a proxy that reads what goes through it, whose authority is not installed here."""
    async with serving(always(http(201, GOOD)), encrypted(certificate)) as server, proxying() as proxy:
        verdict = await _post(server.url, f"http://127.0.0.1:{proxy.port}")
        assert isinstance(verdict, Transient)
        assert verdict.code == "tls-failure"
        assert "SSL_CERT_FILE" in verdict.message
        assert not server.requests


class _Leaf:
    """Stores what is posted."""

    def __init__(self) -> None:
        self.stored: set[str] = set()

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if request.method == "POST":
            self.stored.add(request.path)
            now = datetime.now(UTC).isoformat()
            writer.write(http(201, {"id": "c-1", "createdTime": now, **json.loads(request.body)}))
        elif request.path.endswith("page=0&size=1"):
            writer.write(http(200, []))
        else:
            writer.write(http(404, {"title": "Not Found"}))


@pytest.mark.parametrize("authority", [True, False])
async def test_a_run_behind_a_proxy_with_a_private_authority(
    certificate: Path, tmp_path: Path, authority: bool
) -> None:
    write_growers(tmp_path / "growers.csv", 5)
    leaf = _Leaf()
    async with serving(leaf, encrypted(certificate)) as server, proxying() as proxy:
        proxy_url = f"http://me:planted-proxy@127.0.0.1:{proxy.port}"
        env = environment(server.url, HTTPS_PROXY=proxy_url, SSL_CERT_FILE=str(certificate))
        if not authority:
            del env["SSL_CERT_FILE"]
        run = await asyncio.to_thread(
            start("run", "growers.csv", "--rate=0", "--no-events", cwd=tmp_path, env=env).wait
        )
        assert server.connections == (len(proxy.heads) if authority else 0)
        assert proxy.heads
    assert "planted" not in run.told
    if authority:
        assert run.code == 0, run.told
        assert "All 5 growers" in run.told
        assert len(leaf.stored) == 5
    else:
        assert run.code == 5, run.told
        assert "the certificate is not trusted" in run.told
        assert "SSL_CERT_FILE" in run.told
        assert not leaf.stored
