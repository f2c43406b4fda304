"""The ping for a dead man's switch such as healthchecks.io: URL after success, otherwise URL/fail."""

from __future__ import annotations

import asyncio

import aiohttp
from yarl import URL

from bulk_onboard.domain.model import Secret

TIMEOUT = 5.0  # seconds for one attempt
TRIES = 3
PAUSE = 1.0  # seconds


async def ping(url: Secret, *, success: bool, timeout: float = TIMEOUT, pause: float = PAUSE) -> str | None:  # noqa: ASYNC109
    """Ping once; return None, or the reason for a failure. Never raises, and never shows the URL."""
    try:
        where, reason = URL(url.reveal()), None
    except ValueError:
        return "the address is not a URL"
    if not success:
        where = where.with_path(f"{where.path.rstrip('/')}/fail").with_query(where.query)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(timeout)) as session:
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(pause)
            reason = await _tried(session, where)
            if reason is None:
                return None
    return reason


async def _tried(session: aiohttp.ClientSession, where: URL) -> str | None:
    try:
        async with session.get(where, allow_redirects=False) as response:
            return None if response.status < 300 else f"HTTP {response.status}"
    except TimeoutError:
        return "no answer in time"
    except (aiohttp.ClientError, OSError) as error:
        return type(error).__name__  # the text of the error contains the address
