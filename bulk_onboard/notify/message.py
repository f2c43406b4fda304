"""Messages through Apprise: mail, Slack, Teams and a hundred other services. Apprise is an extra."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from threading import Thread
from typing import TYPE_CHECKING

from bulk_onboard.domain.model import Secret
from bulk_onboard.errors import UsageError

if TYPE_CHECKING:
    from apprise import Apprise

PATIENCE = 60.0  # seconds for all services together


class Messenger:
    """Sends messages to services.

    It is created before anything is sent to Leaf, so that mistakes show in time.
    """

    def __init__(self, urls: Sequence[Secret]) -> None:
        """Load Apprise.

        Raises UsageError if it is missing or does not understand a URL; never shows a URL.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings from imports of plugins do not concern our users
            self._apprise = _apprise()
            refused = [number for number, url in enumerate(urls, 1) if not self._apprise.add(url.reveal())]
        if refused:
            which = f"URL {refused[0]} of {len(urls)}" if len(urls) > 1 else "the URL"
            raise UsageError(
                f"--notify: {which} is not a URL that Apprise understands, or is incomplete; see"
                " https://github.com/caronc/apprise/wiki"
            )

    def send(self, title: str, body: str, *, urgent: bool, patience: float = PATIENCE) -> bool:
        """Send to all services; return whether all accepted it.

        Never raises; gives up after ``patience`` seconds.
        """
        taken: list[bool] = []

        def work() -> None:
            taken.append(self._taken(title, body, urgent=urgent))

        # A service may hang for too long at the end of a run.
        thread = Thread(target=work, name="notify", daemon=True)
        thread.start()
        thread.join(patience)
        return taken == [True]

    def _taken(self, title: str, body: str, *, urgent: bool) -> bool:
        try:
            return bool(self._apprise.notify(body, title, notify_type="warning" if urgent else "success"))
        except Exception:  # the message of a third-party plugin may quote the URL
            return False


def _apprise() -> Apprise:
    try:
        import apprise  # noqa: PLC0415  (an extra, loaded when used)
    except ImportError:
        raise UsageError(
            "--notify needs Apprise, which is not installed: pip install 'bulk-onboard[notify]'"
        ) from None
    # Apprise logs the text and the address of a message, and the address is a secret.
    logging.getLogger("apprise").disabled = True
    return apprise.Apprise()
