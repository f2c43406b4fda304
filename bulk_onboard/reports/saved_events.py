"""Events that are saved before their credentials are deleted: a line of JSON for each credential.

The lines contain nothing that can be secret. They are appended, never changed, and are on disk before
anything is deleted. Lines that arrive during a flush to disk share the next flush.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bulk_onboard.domain.model import Credential, Event
from bulk_onboard.domain.timestamps import to_text
from bulk_onboard.errors import OutputError
from bulk_onboard.reports.draft import PRIVATE_FILE, make_folder
from bulk_onboard.threads import in_thread

# The name of the file, in a run's folder, with the events of credentials that the run replaced.
REPLACED_EVENTS = "replaced-events.jsonl"


class SavedEvents:
    """A file of such lines, created with the first line. Not thread-safe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: list[bytes] = []
        self._failure: OutputError | None = None
        self._turn = asyncio.Lock()

    async def keep(
        self, provider: str, leaf_user_id: str, credential: Credential, events: Sequence[Event]
    ) -> None:
        """Append a line; return when it is on disk. Raises OutputError."""
        self._lines.append(line(provider, leaf_user_id, credential, events))
        async with self._turn:
            if self._lines and not self._failure:  # else the previous flush wrote this line
                await self._write_all()
            if self._failure:
                raise self._failure

    def add(self, lines: Sequence[bytes]) -> None:
        """Add lines at once, and return when they are on disk. Raises OutputError."""
        try:
            self._append(lines)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror or error}") from None

    async def _write_all(self) -> None:
        lines, self._lines = self._lines, []
        try:
            await in_thread(partial(self._append, lines))
        except OSError as error:
            self._failure = OutputError(
                f"{self.path} cannot be written: {error.strerror or error}; nothing was deleted without"
                " saving its events. Fix that and run the same command again"
            )

    def _append(self, lines: Sequence[bytes]) -> None:
        is_new = not self.path.exists()
        make_folder(self.path.parent)
        handle = os.open(self.path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, PRIVATE_FILE)
        with os.fdopen(handle, "ab") as file:
            file.write(b"".join(lines))
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            _flush_folder(self.path.parent)


def _flush_folder(folder: Path) -> None:
    """Flush the name of a new file, too, on systems where folders can be opened."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def line(provider: str, leaf_user_id: str, credential: Credential, events: Sequence[Event]) -> bytes:
    """Return a credential and its events, without anything that may be secret."""
    data = {
        "leafUserId": leaf_user_id,
        "provider": provider,
        "credentialId": credential.id,
        "credentialStatus": credential.status,
        "createdTime": to_text(credential.created),
        "events": [
            {"id": event.id, "createdDate": to_text(event.at), "statusCode": event.status_code}
            for event in events
        ],
    }
    return json.dumps(data).encode() + b"\n"
