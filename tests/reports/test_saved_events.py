"""What is put aside before it is deleted: on disk, private, and without anything that may be secret."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bulk_onboard.domain.model import Credential, Echo, Event
from bulk_onboard.errors import OutputError
from bulk_onboard.reports.saved_events import SavedEvents

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OLD = Credential("c-1", "OK", NOW, Echo.DIFFERENT)


def test_each_credential_is_a_line_with_its_events(tmp_path: Path) -> None:
    path = tmp_path / "run" / "replaced-events.jsonl"

    async def keep(grower: str) -> None:
        kept = SavedEvents(path)
        await asyncio.gather(
            *(kept.keep("raven", f"{grower}-{n}", OLD, [Event(200, NOW, "e-1")]) for n in "ab")
        )

    asyncio.run(keep("g"))
    asyncio.run(keep("h"))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["leafUserId"] for line in lines] == ["g-a", "g-b", "h-a", "h-b"]
    assert lines[0] == {
        "leafUserId": "g-a",
        "provider": "raven",
        "credentialId": "c-1",
        "credentialStatus": "OK",
        "createdTime": "2026-11-23T12:00:00.000Z",
        "events": [{"id": "e-1", "createdDate": "2026-11-23T12:00:00.000Z", "statusCode": 200}],
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_lines_are_on_disk_before_deletes_go_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.append(os.fstat(handle).st_size))

    async def main() -> None:
        await SavedEvents(tmp_path / "k.jsonl").keep("raven", "g-1", OLD, [])
        assert flushed
        assert flushed[0] == (tmp_path / "k.jsonl").stat().st_size

    asyncio.run(main())


def test_a_failed_flush_fails_all_lines_in_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def main() -> list[BaseException | None]:
        kept = SavedEvents(tmp_path / "file" / "k.jsonl")
        all_of_them = (kept.keep("raven", f"g-{n}", OLD, []) for n in range(3))
        return await asyncio.gather(*all_of_them, return_exceptions=True)

    assert [type(each) for each in asyncio.run(main())] == [OutputError] * 3
