"""A disk of its own, small and real, where the system lets us have one; and a Leaf that counts."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bulk_onboard.sandbox import Behaviour, Sandbox

SIZE = 4 << 20


@dataclass(frozen=True)
class Disk:
    """A tmpfs."""

    path: Path

    def fill(self) -> None:
        """Not a byte is left."""
        with (self.path / "filler").open("ab", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 4096)
            except OSError:
                pass

    def empty(self) -> None:
        """There is room again."""
        (self.path / "filler").unlink()

    def protect(self) -> None:
        """Nothing can be written, not even by root."""
        subprocess.run(["mount", "-o", "remount,ro", str(self.path)], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Skips where mounting is not allowed."""
    path = tmp_path / "disk"
    path.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(path)]
    try:
        subprocess.run(["mount", *options], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs a disk of its own: mount is not allowed here")
    yield Disk(path)
    subprocess.run(["umount", "-l", str(path)], check=True, capture_output=True)


@dataclass(frozen=True)
class Leaf:
    """The sandbox, in this process."""

    sandbox: Sandbox
    url: str

    def posts(self) -> list[str]:
        """The growers that were posted, in order."""
        return [str(seen["leafUserId"]) for seen in self.sandbox.requests() if seen["method"] == "POST"]


@pytest.fixture
async def leaf() -> AsyncIterator[Leaf]:
    sandbox = Sandbox(behaviour=Behaviour(event_delay=0.0, latency=0.02))
    async with sandbox.serve() as url:
        yield Leaf(sandbox, url)
