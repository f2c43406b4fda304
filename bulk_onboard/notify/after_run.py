"""Report the end of a run: message, ping and metrics. A failure here does not change how the run ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bulk_onboard.domain.run_events import About, Fact, Observer
from bulk_onboard.errors import BulkOnboardError, ExitCode, OutputError
from bulk_onboard.notify import notification_text, prometheus
from bulk_onboard.policy.attention import End
from bulk_onboard.settings import NightSettings

if TYPE_CHECKING:
    from bulk_onboard.engine.closing import RunResult
    from bulk_onboard.notify.message import Messenger

LOG = logging.getLogger("bulk_onboard")
_WIDTH = 80  # columns of the final text in a message


class AfterRun:
    """Sends the message, the ping and the metrics of one run.

    The constructor checks the settings, so that mistakes show before the run starts. Sending blocks, and must
    not happen in a thread with a running event loop.
    """

    def __init__(self, settings: NightSettings, name: str) -> None:
        """Check the settings. ``name``: that of the file, for people. Raises UsageError, see `Messenger`."""
        self._settings, self._name = settings, name
        self._messenger = _messenger(settings)
        self._run_id = ""

    def watching(self, observer: Observer) -> Observer:
        """Return an observer that notes the start of the run and passes on every event."""

        def observe(fact: Fact) -> None:
            if isinstance(fact, About):
                self._run_id = fact.run_id
            observer(fact)

        return observe

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Report a run that does not start, or that ends with an exception."""
        try:
            yield
        except Exception as error:
            self.failed(error)
            raise
        except (KeyboardInterrupt, asyncio.CancelledError) as error:
            self.failed(error)
            raise

    def failed(self, error: BaseException) -> None:
        """Report a run that raised this error."""
        code, reason = _explained(error)
        end = End(code, began=bool(self._run_id), reported=not isinstance(error, OutputError))
        title = notification_text.title(self._name, end)
        self._export(code, None)
        self._ping(code)
        self._message(end, title, lambda: notification_text.failed(end, reason, self._run_id))

    def ended(self, result: RunResult) -> None:
        """Report a run that ended, early or not."""
        last = result.notified
        before = None if last is None or last.exit_code is None else ExitCode(last.exit_code)
        end = End(result.outcome, result.news, before)
        run_id = result.info.run_id
        title = notification_text.title(
            self._name, end, _attention(result.summary), _token_changed(result.summary)
        )
        self._export(result.code, result.summary)
        self._ping(result.code)
        if self._message(
            end,
            title,
            lambda: notification_text.body(end, result.words(_WIDTH), run_id, last.run_id if last else None),
        ):
            self._mark_notified(result)

    def _mark_notified(self, result: RunResult) -> None:
        try:
            result.mark_notified()
        except BulkOnboardError as error:
            LOG.warning(f"the next message will say the same again: {error}")

    def _message(self, end: End, title: str, body: Callable[[], str]) -> bool:
        """Send the message if one is due. Return whether nothing remains to be sent about this run."""
        if self._messenger is None:
            return False
        if not end.is_told(self._settings.when):
            return True
        if self._messenger.send(title, body(), urgent=end.code is not ExitCode.OK):
            return True
        LOG.warning("the message (--notify) could not be sent")
        return False

    def _export(self, code: ExitCode, summary: dict[str, Any] | None) -> None:
        if (path := self._settings.metrics) is None:
            return
        text = prometheus.text(path.stem, code, datetime.now(UTC), summary, prometheus.read_exported(path))
        try:
            prometheus.write_exported(path, text)
        except OSError as error:
            LOG.warning(f"{path} (--metrics) cannot be written: {error.strerror or error}")

    def _ping(self, code: ExitCode) -> None:
        """Ping, except while another run is active: that run pings, and a missing ping is the alarm."""
        if not self._settings.ping or code is ExitCode.BUSY:
            return
        from bulk_onboard.notify.ping import ping  # noqa: PLC0415  (imports aiohttp)

        if reason := asyncio.run(ping(self._settings.ping, success=code is ExitCode.OK)):
            LOG.warning(f"the ping (--ping) did not get through: {reason}")


def _explained(error: BaseException) -> tuple[ExitCode, str]:
    """Return the exit code and the reason of an exception; a foreign message may contain secrets."""
    if isinstance(error, BulkOnboardError):
        return error.exit_code, str(error)
    if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
        return ExitCode.INTERRUPTED, "interrupted"
    return ExitCode.BUG, f"a bug in bulk-onboard: {type(error).__name__}"


def _messenger(settings: NightSettings) -> Messenger | None:
    if not settings.notify:
        return None
    from bulk_onboard.notify.message import Messenger  # noqa: PLC0415  (imports Apprise)

    return Messenger(settings.notify)


def _token_changed(summary: dict[str, Any]) -> int:
    causes = summary.get("causes", ())
    return sum(int(cause["count"]) for cause in causes if cause["code"] == "token-changed")


def _attention(summary: dict[str, Any]) -> int:
    connected = ("created", "existing", "duplicate")
    unhealthy = summary["health"].get("unhealthy", 0)
    left_without = len(summary.get("leftWithout", ()))
    return int(
        left_without
        + unhealthy
        + sum(n for status, n in summary["counts"].items() if status not in connected)
    )
