"""Decide which client stored the credentials that Leaf shows, by comparing them with what was sent. Pure.

An id or a time alone proves nothing. In these tables the first line that applies counts; "before" means
before our POST was about to be sent, and "hidden" that Leaf does not show it. The app fields count as
different, too, if the user name or organization is: Leaf refreshes tokens, but neither of these.

What a GET shows after a POST of ours that got no readable answer:

| app fields | grower's secrets    | createdTime           | the credentials are                     |
|------------|---------------------|-----------------------|-----------------------------------------|
| different  | any                 | any                   | not ours                                |
| any        | the same            | any                   | ours                                    |
| any        | any                 | of the ones replaced  | not ours                                |
| any        | different or hidden | hidden                | unclear: nothing proves or disproves it |
| any        | different or hidden | before                | not ours                                |
| any        | different or hidden | not before            | probably ours: Leaf refreshes tokens    |

What a 2xx reply to our POST shows:

| app fields | grower's secrets    | createdTime           | the credentials are                     |
|------------|---------------------|-----------------------|-----------------------------------------|
| different  | any                 | any                   | not ours: Leaf kept what it held        |
| any        | the same            | any                   | ours                                    |
| any        | any                 | of the ones replaced  | not ours: the DELETE came to nothing    |
| any        | hidden              | hidden                | ours                                    |
| any        | different           | hidden                | probably ours after absence was seen,   |
|            |                     |                       | otherwise unclear                       |
| any        | different or hidden | clearly before        | not ours                                |
| any        | different           | a little before       | probably ours: clocks differ by seconds |
| any        | different or hidden | otherwise             | ours: Leaf refreshes tokens             |

Without a POST of ours, nothing that Leaf shows is ours.

First it must be certain that the credentials belong to this grower: a reply may be stray (sent late to
another request, or mixed up by a proxy or a cache). See `is_attributed`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum, auto

from bulk_onboard.domain.model import Credential, Echo, Exists, Row, Verdict
from bulk_onboard.policy.progress import Progress

# createdTime may be cut to whole seconds, and Leaf's clock is known only to a second (its Date header).
CLOCK_SLACK = timedelta(seconds=2)
# Replies may show the createdTime of the same credentials with different numbers of digits.
PRECISION = timedelta(seconds=1)


class Owner(Enum):
    """The client that stored the credentials that Leaf shows."""

    OURS = auto()
    PROBABLY_OURS = auto()
    UNCLEAR = auto()
    NOT_OURS = auto()


def is_attributed(shown: Credential, *ids: str) -> bool:
    """Return whether it is certain that a reply about a grower shows this grower's credentials.

    That is so if it shows the row's own secrets, or one of the ``ids``: of credentials on record as this
    grower's, or of those that the reply before showed.
    """
    return shown.echo is Echo.SAME or shown.id in ids


def owner_of_shown(shown: Credential, progress: Progress) -> Owner:
    """Return the owner of the credentials that a GET shows, by the first table."""
    if progress.unanswered is None or _is_foreign(shown):
        return Owner.NOT_OURS
    if shown.echo is Echo.SAME:
        return Owner.OURS
    if is_old(shown, progress):
        return Owner.NOT_OURS
    if shown.created is None:
        return Owner.UNCLEAR
    is_before = shown.created < progress.unanswered - CLOCK_SLACK
    return Owner.NOT_OURS if is_before else Owner.PROBABLY_OURS


def owner_of_reply(shown: Credential, progress: Progress) -> Owner:
    """Return the owner of the credentials that a 2xx reply to our POST shows, by the second table."""
    if _is_foreign(shown):
        return Owner.NOT_OURS
    if shown.echo is Echo.SAME:
        return Owner.OURS
    if is_old(shown, progress):
        return Owner.NOT_OURS
    hidden = shown.echo is Echo.UNKNOWN
    intent = progress.unanswered or progress.posted
    if shown.created is None or intent is None:
        probable = Owner.PROBABLY_OURS if progress.absent_before else Owner.UNCLEAR
        return Owner.OURS if hidden else probable
    if shown.created < intent - CLOCK_SLACK:
        return Owner.NOT_OURS
    is_before = _latest(shown.created, shown.created_time) < intent
    return Owner.PROBABLY_OURS if is_before and not hidden else Owner.OURS


def _is_foreign(shown: Credential) -> bool:
    """Return whether a field is different that stays as it was posted, so we cannot have stored this."""
    return shown.app is Echo.DIFFERENT or shown.other_account


def _latest(created: datetime, created_time: str) -> datetime:
    """Return the latest moment that a createdTime may stand for: it may have been cut to whole seconds."""
    return created + PRECISION if created_time.endswith(".000000Z") else created


def is_old(shown: Credential, progress: Progress) -> bool:
    """Return whether these are still the credentials that are to be replaced.

    Those that an earlier run was about to delete are known by id and createdTime only, and take both. If
    others were stored in their place under the same id and createdTime, other app fields prove it.
    """
    old = progress.old
    if old is None or (shown.app is not old.app and Echo.UNKNOWN not in {shown.app, old.app}):
        return False
    if progress.recalled or (shown.created_time and old.created_time):
        return is_same(shown, old.id, old.created_time)
    return shown.id == old.id


def is_same(shown: Credential, recorded_id: str, recorded_created: str) -> bool:
    """Return whether these are the credentials that were recorded by this id and createdTime, in any run."""
    if not recorded_created or not shown.created_time or shown.id != recorded_id:
        return False
    times = (datetime.fromisoformat(text) for text in (shown.created_time, recorded_created))
    first, second = times
    return abs(first - second) < PRECISION


def as_recorded(verdict: Verdict, row: Row) -> Verdict:
    """Return the verdict, completed with facts about the credentials that Leaf hides and the ledger has.

    Credentials that an earlier run stored with another application are of another one, whether Leaf shows
    its fields or not.
    """
    recorded = row.stored_as
    if not isinstance(verdict, Exists) or verdict.credential is None or not (recorded and recorded.other_app):
        return verdict
    shown = verdict.credential
    if shown.app is not Echo.UNKNOWN or not is_same(shown, recorded.id, recorded.created_time):
        return verdict
    return replace(verdict, credential=replace(shown, app=Echo.DIFFERENT))
