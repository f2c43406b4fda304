"""Workers on this machine, as dask starts them."""

from __future__ import annotations

import asyncio
import socket
import warnings
from contextlib import suppress

import pytest

from bulk_onboard.cluster.fleet import fleet
from bulk_onboard.settings import Local

pytest.importorskip("distributed")


@pytest.mark.timeout(120)
def test_workers_here_are_for_nobody_else_and_the_usual_port_may_be_taken() -> None:
    async def start() -> str:
        async with fleet(Local(1)) as started:
            return str(started._client.scheduler.address)

    with socket.socket() as taken, warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        with suppress(OSError):  # then somebody else has it
            taken.bind(("127.0.0.1", 8787))
            taken.listen()
        # Encrypted, with a key that only the workers have: else any user of this machine could join.
        assert asyncio.run(start()).startswith("tls://127.0.0.1:")
