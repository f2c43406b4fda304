"""Telling others how a run ended: message, ping and metrics. None of them changes how it ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from bulk_onboard import letter, metrics
from bulk_onboard.change import End
from bulk_onboard.cli.running import Showing, say
from bulk_onboard.errors import BulkOnboardError, ExitCode
from bulk_onboard.settings import NightSettings

if TYPE_CHECKING:
    from bulk_onboard.engine.run import RunResult
    from bulk_onboard.notify.message import Messenger

_WIDTH = 80


class Telling:
    """Tells of one run. Making it finds the mistakes that can be found before the run begins."""

    def __init__(self, night: NightSettings, name: str, showing: Showing) -> None:
        """``name``: the file's, for people. Raises UsageError, see `Messenger`."""
        self._night, self._name, self._showing = night, name, showing
        self._messenger = _messenger(night)

    @contextmanager
    def failures(self) -> Iterator[None]:
        """A run that does not begin, or ends in an exception, is told of too."""
        try:
            yield
        except BulkOnboardError as error:
            self._not_begun(error.exit_code, str(error))
            raise
        except (KeyboardInterrupt, click.Abort, asyncio.CancelledError):
            self._not_begun(ExitCode.INTERRUPTED, "interrupted before the run had begun")
            raise
        except Exception as error:
            self._not_begun(ExitCode.BUG, f"a bug in bulk-onboard: {type(error).__name__}")
            raise

    def ended(self, result: RunResult) -> None:
        """Tell of a run that came to its end, early or not."""
        last = result.last
        before = None if last is None or last.exit_code is None else ExitCode(last.exit_code)
        end = End(result.code, result.change, before)
        run_id = result.info.run_id
        self._tell(
            end,
            letter.title(self._name, end, _attention(result.summary), _token_changed(result.summary)),
            lambda: letter.body(end, result.words(_WIDTH), run_id, last.run_id if last else None),
            result.summary,
        )

    def _not_begun(self, code: ExitCode, reason: str) -> None:
        end = End(code, began=False)
        self._tell(end, letter.title(self._name, end), lambda: letter.not_begun(end, reason), None)

    def _tell(self, end: End, title: str, body: Callable[[], str], summary: dict[str, Any] | None) -> None:
        self._export(end, summary)
        self._ping(end)
        if self._messenger and end.is_told(self._night.when):
            urgent = end.code is not ExitCode.OK
            if not self._messenger.send(title, body(), urgent=urgent):
                self._warn("the message (--notify) could not be sent")

    def _export(self, end: End, summary: dict[str, Any] | None) -> None:
        if (path := self._night.metrics) is None:
            return
        from bulk_onboard.report.exported import read_exported, write_exported  # noqa: PLC0415

        text = metrics.text(path.stem, end.code, datetime.now(UTC), summary, read_exported(path))
        try:
            write_exported(path, text)
        except OSError as error:
            self._warn(f"{path} (--metrics) cannot be written: {error.strerror or error}")

    def _ping(self, end: End) -> None:
        """Silence when another run is at work: it pings itself, and if it hangs, silence is what tells."""
        if not self._night.ping or end.code is ExitCode.BUSY:
            return
        from bulk_onboard.notify.ping import ping  # noqa: PLC0415

        if reason := asyncio.run(ping(self._night.ping, well=end.code is ExitCode.OK)):
            self._warn(f"the ping (--ping) did not get through: {reason}")

    def _warn(self, text: str) -> None:
        if self._showing.log_format == "json":
            say(json.dumps({"fact": "Warning", "message": text}), err=True)
        else:
            say(f"bulk-onboard: warning: {text}", err=True)


def _messenger(night: NightSettings) -> Messenger | None:
    if not night.notify:
        return None
    from bulk_onboard.notify.message import Messenger  # noqa: PLC0415

    return Messenger(night.notify)


def _token_changed(summary: dict[str, Any]) -> int:
    causes = summary.get("causes", ())
    return sum(int(cause["count"]) for cause in causes if cause["code"] == "token-changed")


def _attention(summary: dict[str, Any]) -> int:
    connected = ("created", "existing", "duplicate")
    unwell = summary["health"].get("unhealthy", 0)
    left = len(summary.get("leftWithout", ()))
    return int(left + unwell + sum(n for status, n in summary["counts"].items() if status not in connected))
