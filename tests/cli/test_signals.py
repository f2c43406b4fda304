"""Signals: once drains, twice aborts."""

import asyncio
import os
import signal
import sys

import pytest

from bulk_onboard.cli import signals
from bulk_onboard.errors import ExitCode

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself these signals")


class Stop:
    def __init__(self) -> None:
        self.heard: list[str] = []
        self.drained = asyncio.Event()
        self.aborted = asyncio.Event()

    def drain(self, reason: str, exit_code: ExitCode) -> None:
        self.heard.append(f"drain: {reason} {exit_code.value}")
        self.drained.set()

    def abort(self) -> None:
        self.heard.append("abort")
        self.aborted.set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_drains_and_the_second_aborts(number: signal.Signals) -> None:
    stop = Stop()

    async def work() -> str:
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.drained.wait(), 5)
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.aborted.wait(), 5)
        return "done"

    assert signals.run(work, stop) == "done"
    assert stop.heard == ["drain: interrupted 130", "abort"]


def test_the_handlers_are_as_before_when_the_work_is_done() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    async def work() -> None:
        assert signal.getsignal(signal.SIGTERM) != before[1]

    signals.run(work, Stop())
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_the_fallback_for_loops_without_signals_hears_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Stop()

    def refuse(*_: object) -> None:
        raise NotImplementedError

    async def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(stop.drained.wait(), 5)

    monkeypatch.setattr(signals, "_loop_factory", lambda: None)
    monkeypatch.setattr(asyncio.SelectorEventLoop, "add_signal_handler", refuse)
    monkeypatch.setattr(asyncio.SelectorEventLoop, "remove_signal_handler", refuse)
    signals.run(work, stop)
    assert stop.heard == ["drain: interrupted 130"]
