"""What is put aside before it is deleted, where workers have no folder in common: lines in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bulk_onboard.ledger import Ledger
from bulk_onboard.ledger.aside import put
from bulk_onboard.model import Credential, Event
from bulk_onboard.report.kept import line


class KeptInLedger:
    """The same lines that one process would write into a file; the leader does when the run has ended."""

    def __init__(self, ledger: Ledger, run_no: int) -> None:
        self._ledger, self._run_no = ledger, run_no

    async def keep(
        self, provider: str, leaf_user_id: str, credential: Credential, events: Sequence[Event]
    ) -> None:
        """Return when the line is on disk. Raises LedgerError."""
        text = line(provider, leaf_user_id, credential, events).decode()
        await asyncio.to_thread(put, self._ledger, self._run_no, text)
