"""Messages, sent by Apprise to a real server on this machine."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from bulk_onboard.domain.model import Secret
from bulk_onboard.errors import UsageError
from bulk_onboard.notify.message import Messenger
from tests.support.listener import listening

PLANTED = "planted-"


def test_a_message_reaches_every_address_with_its_title_and_text() -> None:
    with listening() as one, listening() as two:
        messenger = Messenger([Secret(f"json://{each.address}/{PLANTED}path") for each in (one, two)])
        assert messenger.send("title", "line 1\nline 2", urgent=True)
    for each in (one, two):
        ((method, path, body),) = each.requests
        told = json.loads(body)
        assert (method, path) == ("POST", f"/{PLANTED}path")
        assert (told["title"], told["message"], told["type"]) == ("title", "line 1\nline 2", "warning")


def test_a_failing_address_does_not_affect_the_others() -> None:
    with listening(500) as broken, listening() as fine:
        messenger = Messenger([Secret(f"json://{each.address}") for each in (broken, fine)])
        assert not messenger.send("title", "text", urgent=False)
    assert len(fine.requests) == 1


def test_a_service_that_hangs_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    messenger = Messenger([Secret("json://127.0.0.1:9")])
    monkeypatch.setattr(messenger, "_taken", lambda *_args, **_more: __import__("time").sleep(0.3))
    assert not messenger.send("title", "text", urgent=False, patience=0.01)


def test_an_unknown_address_is_refused_without_showing_it() -> None:
    with pytest.raises(UsageError) as error:
        Messenger([Secret("json://127.0.0.1"), Secret(f"nonsense://{PLANTED}token")])
    assert "URL 2 of 2" in str(error.value)
    assert PLANTED not in str(error.value)


def test_apprise_logs_no_address(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        Messenger([Secret(f"json://user:{PLANTED}word@127.0.0.1:9")]).send("title", "text", urgent=False)
    assert PLANTED not in caplog.text


def test_without_apprise_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(UsageError, match=r"pip install 'bulk-onboard\[notify\]'"):
        Messenger([Secret("json://127.0.0.1")])
