"""Being cancelled before and after a request has gone out are two different things."""

from __future__ import annotations

import asyncio


class NotSent(asyncio.CancelledError):
    """Cancelled while waiting for a turn: the request never went out."""
