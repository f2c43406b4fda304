"""A run while it goes, as the page shows it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bulk_onboard.domain.codes import hint
from bulk_onboard.domain.run_events import (
    About,
    Fact,
    FileChecked,
    Paused,
    PhaseStarted,
    RowChecked,
    RowFinished,
    RowsRead,
    RunStarted,
    Slowed,
    UserKnown,
)
from bulk_onboard.errors import ExitCode
from bulk_onboard.reports import progress_text

if TYPE_CHECKING:
    from bulk_onboard.api import Result
    from bulk_onboard.engine.stop import StopSignal

# How many rows that failed and lines of text are kept for the page.
FAILED, LINES = 200, 40
_DRY_MEANING = {
    ExitCode.OK: "nothing was changed, and no row needs attention",
    ExitCode.ATTENTION: "nothing was changed, and some rows need attention",
}


class LiveRun:
    """What a run, or a dry run, has said so far. Its events may come from a thread.

    ``result``: None until it has ended well; ``error``: why it could not, "" otherwise; ``asking``: it waits
    for the answer to `confirm`.
    """

    def __init__(self, stop: StopSignal, *, dry: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.stop, self.dry, self._clock = stop, dry, clock
        self.result: Result | None = None
        self.error, self.run_id = "", ""
        self._about: About | None = None
        self._tally: progress_text.Tally | None = None
        self._held_until, self._rate = 0.0, 0.0
        self._read = 0
        self._lines: deque[str] = deque(maxlen=LINES)
        self._failed: deque[dict[str, Any]] = deque(maxlen=FAILED)
        self._failures = 0
        self.asking = self._agreed = False
        self._answered = threading.Event()

    @property
    def ended(self) -> bool:
        """Whether it is over, well or not."""
        return bool(self.result is not None or self.error)

    def observe(self, fact: Fact) -> None:
        """Take note of an event."""
        match fact:
            case RunStarted(run_id):
                self.run_id = run_id
            case RowsRead(rows):
                self._read = rows
            case About():
                self._about, self._rate = fact, fact.rate
            case PhaseStarted(phase, total):
                self._tally = progress_text.Tally(phase, total, self._clock())
            case RowFinished() | RowChecked() | UserKnown():
                self._row(fact)
            case Paused(seconds):
                self._held_until = self._clock() + seconds
            case Slowed(rate):
                self._rate = rate
            case _:
                pass
        if not isinstance(fact, FileChecked) and (text := progress_text.announcement(fact)):
            self._lines.append(text)

    def _row(self, fact: progress_text.Row) -> None:
        if self._tally:
            self._tally.add(fact)
        if text := progress_text.concern(fact):
            self._failures += 1
            code = getattr(fact, "code", "")
            self._failed.append({"row": fact.row, "text": text, "hint": hint(code)})

    def confirm(self, about: About) -> bool:
        """Wait in a thread for the person's answer to what is about to be stored."""
        self._about, self.asking = about, True
        self._answered.wait()
        self.asking = False
        return self._agreed

    def answer(self, agreed: bool) -> None:
        """Answer `confirm`."""
        self._agreed = agreed
        self._answered.set()

    def end(self, reason: str) -> None:
        """Start no new row; called again, stop at once, which is safe too."""
        self.answer(False)
        if self.stop.draining:
            self.stop.abort()
        else:
            self.stop.drain(reason, ExitCode.INTERRUPTED)

    def state(self) -> dict[str, Any]:
        """Return what the page shows."""
        now, tally, about = self._clock(), self._tally, self._about
        return {
            "dry": self.dry,
            "id": self.run_id,
            "read": self._read,
            "about": about
            and {
                "host": about.leaf,
                "login": about.owner,
                "provider": about.provider,
                "environments": progress_text.environments(about.environments) if about.environments else "",
                "growers": about.to_do,
            },
            "asking": self.asking,
            "phase": tally and progress_text.PHASES[tally.phase],
            "done": tally.done if tally else 0,
            "total": tally.total if tally else 0,
            "counts": dict(tally.counts) if tally else {},
            "line": tally.line(now) if tally else "",
            "rate": progress_text.rate(self._rate) if about else "",
            "held": max(0.0, round(self._held_until - now, 1)),
            "lines": list(self._lines),
            "failures": self._failures,
            "failed": list(self._failed),
            "paused": self.stop.suspended,
            "stopping": self.stop.draining,
            "ended": self.ended,
            "error": self.error,
        } | self._ending()

    def _ending(self) -> dict[str, Any]:
        if self.result is None:
            return {}
        code = ExitCode(self.result.exit_code)
        return {
            "outcome": {
                "counts": {name: count for name, count in self.result.counts.items() if count},
                "health": {k: v for k, v in self.result.summary.get("health", {}).items() if v},
                "causes": self.result.summary.get("causes", []),
                "stopReason": self.result.summary.get("stopReason"),
                "requests": self.result.summary.get("requests", {}),
                "exitCode": int(code),
                "meaning": _DRY_MEANING.get(code, code.meaning) if self.dry else code.meaning,
                "files": [str(file) for file in self.result.files],
            }
        }
