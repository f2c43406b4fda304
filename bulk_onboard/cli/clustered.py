"""A run on several workers, from the command line: ``bulk-onboard run FILE --cluster WHERE``."""

from __future__ import annotations

from typing import NoReturn

from bulk_onboard.errors import UsageError


def clustered(*_: object) -> NoReturn:
    """Raise UsageError: the workers of this version are not installed."""
    raise UsageError("--cluster is not part of this installation; leave it out")
