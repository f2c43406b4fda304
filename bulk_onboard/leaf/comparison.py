"""Compare the fields of credentials that a reply shows with those of the row; keep nothing of them. Pure."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeGuard

from bulk_onboard.domain.model import Echo, Payload
from bulk_onboard.domain.providers import ENVIRONMENT, Provider
from bulk_onboard.leaf.scrub import word


class Fields(NamedTuple):
    """The names of a provider's fields that replies are compared by, as `fields_of` gives them.

    ``secrets`` and ``names`` are the grower's, ``app`` those of the customer's application.
    """

    secrets: tuple[str, ...]
    names: tuple[str, ...]
    app: tuple[str, ...]


def fields_of(provider: Provider) -> Fields:
    """Return the names of a provider's fields."""
    return Fields(
        tuple(field.name for field in provider.grower_fields if field.secret),
        tuple(field.name for field in provider.grower_fields if not field.secret),
        tuple(field.name for field in provider.app_fields),
    )


def compare_app(data: Mapping[str, Any], ours: Payload, fields: Fields) -> tuple[Echo, str]:
    """Return how the application's fields compare with ours, and the environment if it is another one."""
    echo = Echo.UNKNOWN
    for name in fields.app:
        shown = data.get(name)
        if name not in ours:
            continue
        if shown and shown == ours[name]:  # nearly always; quicker to see than whether a value is masked
            echo = Echo.SAME if echo is Echo.UNKNOWN else echo
            continue
        if not is_shown(shown):
            continue
        if name == ENVIRONMENT and shown.strip().casefold() != ours[name].strip().casefold():
            return Echo.DIFFERENT, word(shown, ours.values())
        if name != ENVIRONMENT and shown.strip() != ours[name].strip():
            echo = Echo.DIFFERENT
        elif echo is Echo.UNKNOWN:
            echo = Echo.SAME
    return echo, ""


def compare_secrets(data: Mapping[str, Any], ours: Payload, fields: Fields) -> Echo:
    """Return how the grower's fields compare with ours.

    The same secrets of another user name or organization are other credentials.
    """
    if is_other_account(data, ours, fields):
        return Echo.DIFFERENT
    echo = Echo.UNKNOWN
    for name in fields.secrets:
        value = data.get(name)
        if value is not None and value == ours.get(name):
            echo = Echo.SAME
        elif name in ours and is_shown(value):
            return Echo.DIFFERENT
    return echo


def is_other_account(data: Mapping[str, Any], ours: Payload, fields: Fields) -> bool:
    """Return whether a reply shows another user name or organization, which only a client changes."""
    return any(
        name in ours and is_shown(value := data.get(name)) and _plain(value) != _plain(ours[name])
        for name in fields.names
    )


def _plain(name: str) -> str:
    return name.strip().casefold()


# Nothing but blanks and mask characters, some of them in a row, as in "rt-1****" and "••••9f3a", or a word.
_MASKED = re.compile(
    r"\A[*•●xX…. ]*\Z|\*{2}|[•●…]|\.{3}|[xX]{5}"
    r"|\A\W*(?:redacted|hidden|masked|encrypted|protected|removed|omitted)\W*\Z",
    re.IGNORECASE,
)


def is_shown(value: object) -> TypeGuard[str]:
    """Whether an echoed secret is the real one, not blank and not masked."""
    return isinstance(value, str) and not _MASKED.search(value)


class RecentSecrets:
    """Recognises a reply that shows another grower's credentials: a proxy has mixed up two replies.

    Only hashes are kept (Python's own, which are keyed), of the latest ``size`` values.
    """

    def __init__(self, size: int = 20_000) -> None:
        self._size = size
        self._targets: OrderedDict[int, str] = OrderedDict()

    def add(self, target: str, fields: Fields, body: Mapping[str, str]) -> None:
        """Remember the secrets of the grower that this target (path) is of."""
        for name in fields.secrets:
            if name in body:
                self._note(hash(body[name]), target)

    def is_stray(
        self, target: str, fields: Fields, body: Mapping[str, str], shown: object, at: datetime
    ) -> bool:
        """Return whether the reply to a POST shows another grower's secret, or its credentials.

        ``shown``: the reply's JSON, ``at``: when it came (UTC). The row's own secret says that it is ours,
        also if others share it. An id counts only with a createdTime of today: a server may always show the
        same ones.
        """
        if not isinstance(shown, dict):
            return False
        secrets = [value for name in fields.secrets if is_shown(value := shown.get(name))]
        if any(value in body.values() for value in secrets):
            return False
        keys = [hash(secret) for secret in secrets]
        if shown.get("id") and _is_recent(shown.get("createdTime"), at):
            keys.append(identity := hash((str(shown["id"]), shown["createdTime"])))
            if identity not in self._targets:
                self._note(identity, target)
        return any(self._targets.get(key, target) != target for key in keys)

    def _note(self, key: int, target: str) -> None:
        self._targets[key] = target
        if len(self._targets) > self._size:
            self._targets.popitem(last=False)


def _is_recent(text: object, at: datetime) -> bool:
    try:
        time = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return False
    return time is not None and abs(at - time.replace(tzinfo=time.tzinfo or UTC)) < timedelta(days=1)
