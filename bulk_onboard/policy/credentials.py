"""The retry policy as one pure function: the next step of a row, given Leaf's latest answer.

The most important rule: a POST with an unknown outcome is never repeated before Leaf has been asked which
credentials it holds. Leaf may still be processing a POST that got no readable answer (cut, 5xx, timeout, an
empty or odd 2xx), so absence counts only after `Policy.settle`, whatever came instead of the answer.

`ownership` decides which client stored the credentials that Leaf shows. A DELETE is as careful as a POST: it
deletes only the credentials that Leaf has just shown, and nothing that was stored in the meantime. Nothing is
posted while a DELETE may still be in progress, because the DELETE could hit the new credentials.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from bulk_onboard.domain.model import (
    APP_CHANGED,
    ENVIRONMENT_CHANGED,
    Absent,
    Ambiguous,
    Created,
    Credential,
    Echo,
    Exists,
    Health,
    IfExists,
    Log,
    NotSent,
    Refused,
    Status,
    Throttled,
    Transient,
    Unauthorised,
    Verdict,
)
from bulk_onboard.policy.health import diagnose
from bulk_onboard.policy.ownership import (
    Owner,
    is_attributed,
    is_old,
    is_same,
    owner_of_reply,
    owner_of_shown,
)
from bulk_onboard.policy.progress import Action, Finish, Gone, Progress, Step, ended, give_up
from bulk_onboard.policy.retry import Moment, Next, Policy

# Leaf holds credentials, and nothing shows whether our POST stored them.
OWNERSHIP_UNCLEAR = "ownership-unclear"
HEALTHY_STAYS = "the credentials work, so they stay without --replace-healthy"
STRAY = "stray-reply"
# An empty 200 may mean "none", or may be a broken reply, so it must be seen several times.
BARE_LOOKS = 3
# The same if this Leaf does not usually answer like that: then it is most likely a broken reply.
UNUSUAL_LOOKS = 6


def decide(progress: Progress, verdict: Verdict | Log, policy: Policy, moment: Moment) -> Step:
    """Return the next step of a row, given the ``verdict`` on its ``progress.action``.

    Raises ValueError for Unauthorised: a refused login ends the run, not the row.
    """
    step: Step
    match verdict:
        case Created(credential):
            step = _on_reply(progress, credential, policy, moment)
        case Log():
            step = _on_log(progress, verdict, policy)
        case Exists():
            step = _on_exists(progress, verdict, policy, moment)
        case Absent():
            step = _on_absence(progress, verdict, policy, moment)
        case Refused():
            step = _on_refused(progress, verdict)
        case Throttled():
            step = _on_throttled(progress, verdict, policy, moment)
        case Transient(code, message):
            step = _again(progress, Ambiguous(code, message), policy, moment)
        case Ambiguous():
            changing = progress.action in {Action.DELETE, Action.POST}
            step = (_on_lost if changing else _again)(progress, verdict, policy, moment)
        case NotSent():
            # Leaf's last response had become too old to act on.
            step = Next(progress._replace(action=Action.ASK, in_vain=progress.in_vain + 1))
        case Unauthorised():
            raise ValueError("a refused login is not a verdict about a row")
        case _:
            assert_never(verdict)
    return step


# --- Leaf holds credentials -----------------------------------------------------------------------------


def _on_reply(progress: Progress, credential: Credential, policy: Policy, moment: Moment) -> Step:
    """A 2xx to our POST that shows credentials: they are ours unless the reply says otherwise."""
    match owner_of_reply(credential, progress):
        case Owner.OURS:
            replaced = "replaced" if progress.gone is Gone.YES else ""
            rotated = "token-changed" if credential.echo is Echo.DIFFERENT else ""
            return Finish(Status.CREATED, replaced or rotated, credential=credential)
        case Owner.PROBABLY_OURS:
            return _settled_by_time(credential)
        case Owner.UNCLEAR:
            return _unclear(credential, policy)
        case Owner.NOT_OURS if not _is_attributed(credential, progress):
            stray = progress._replace(seen=credential.id)
            return _on_lost(stray, Ambiguous(STRAY), policy, moment)
        case Owner.NOT_OURS:
            step = _on_shown(progress, credential, policy, moment)
            if isinstance(step, Next) and step.progress.action is Action.DELETE:
                # The log was saved before this POST, so look again at the current credentials.
                return Next(step.progress._replace(action=Action.ASK))
            return step


def _on_exists(progress: Progress, verdict: Exists, policy: Policy, moment: Moment) -> Step:
    if verdict.credential is not None:
        return _on_shown(progress, verdict.credential, policy, moment)
    # A POST was refused because credentials exist. Only a GET shows whether they are ours.
    # A POST of ours without an answer may have arrived late, whatever was seen in between.
    suspect = progress.suspect or progress.unanswered is not None
    # And a GET may not show yet the credentials for which the POST was refused.
    settles_at = max(progress.settles_at, moment.elapsed + policy.settle)
    asking = progress._replace(
        action=Action.ASK, claimed=verdict.code, suspect=suspect, settles_at=settles_at, failures=0
    )
    # Leaf still counts the credentials that were just deleted: wait a moment instead of asking eight times.
    return Next(asking, after=policy.wait(progress.deletes, moment.draw) if progress.deletes else 0.0)


def _on_shown(progress: Progress, credential: Credential, policy: Policy, moment: Moment) -> Step:
    if progress.gone is Gone.MAYBE and moment.elapsed < progress.settles_at:
        # The DELETE may still arrive and would hit whatever is there.
        return _look_later(progress._replace(seen=credential.id), policy, moment)
    if not _is_attributed(credential, progress):
        return _look_again(progress, credential, policy, moment)
    match owner_of_shown(credential, progress):
        case Owner.OURS:
            return Finish(Status.CREATED, "settled-by-asking", credential=credential)
        case Owner.PROBABLY_OURS:
            return _settled_by_time(credential)
        case Owner.UNCLEAR:
            return _unclear(credential, policy)
        case Owner.NOT_OURS:
            if policy.if_exists is IfExists.REPLACE and _is_to_go(credential, progress):
                return _replacing(progress, credential, policy, moment)
            return _left(credential, policy)


def _is_attributed(credential: Credential, progress: Progress) -> bool:
    recorded = [known.id for known in (progress.stored_as, progress.old) if known]
    return is_attributed(credential, progress.seen, *recorded)


def _look_again(progress: Progress, credential: Credential, policy: Policy, moment: Moment) -> Step:
    """Ask once more: at once, or later if Leaf shows other credentials each time."""
    asking = progress._replace(action=Action.ASK, seen=credential.id)
    if not progress.seen:
        return Next(asking)
    return _again(asking, Ambiguous(STRAY, "Leaf shows other credentials each time"), policy, moment)


def _settled_by_time(credential: Credential) -> Finish:
    said = "created after our POST was sent, with another token than the row's"
    if credential.echo is Echo.UNKNOWN:
        said = "created after our POST was sent; Leaf does not show the token"
    return Finish(Status.CREATED, "settled-by-time", said, credential, unproven=True)


def _unclear(credential: Credential, policy: Policy) -> Finish:
    """Return the end of a row with credentials that our POST may or may not have stored.

    They are not replaced, because that could send a used token again.
    """
    status = Status.UNRESOLVED if policy.if_exists is IfExists.FAIL else Status.EXISTING
    return Finish(status, OWNERSHIP_UNCLEAR, credential=credential)


def _left(credential: Credential, policy: Policy, message: str = "") -> Finish:
    """Return the end of a row with credentials that are not ours and stay."""
    if policy.if_exists is IfExists.FAIL:
        return Finish(Status.REJECTED, "already-exists", credential=credential)
    return Finish(Status.EXISTING, difference(credential), message, credential)


def difference(credential: Credential) -> str:
    """Return the code that says how credentials at Leaf differ from the row's."""
    if credential.app is Echo.DIFFERENT:
        return ENVIRONMENT_CHANGED if credential.environment else APP_CHANGED
    return "token-changed" if credential.echo is Echo.DIFFERENT else "already-connected"


def _is_to_go(credential: Credential, progress: Progress) -> bool:
    """Return whether these are the credentials to replace, not others stored in the meantime."""
    if credential.app is not Echo.DIFFERENT:
        stored_as = progress.stored_as
        if credential.echo is Echo.SAME or (
            stored_as and is_same(credential, stored_as.id, stored_as.created_time)
        ):
            return False
    return is_old(credential, progress) if progress.old is not None else not progress.absent_before


def _on_log(progress: Progress, log: Log, policy: Policy) -> Step:
    """The log of the credentials that are to be replaced has been read."""
    if (old := progress.old) is not None and stays(progress, log, policy):
        return _left(old, policy, HEALTHY_STAYS)
    return Next(progress._replace(action=Action.DELETE, log_saved=True, works=_works(progress.old, log)))


def stays(progress: Progress, log: Log | Absent, policy: Policy) -> bool:
    """Return whether credentials are left as they are: they work, and another token alone is not a reason.

    Leaf refreshes tokens itself: the grant may be the same, and the token in the file used up.
    """
    old = progress.old
    is_other_app = old is not None and old.app is Echo.DIFFERENT
    return _works(old, log) and not policy.replace_healthy and not is_other_app


def _works(credential: Credential | None, log: Log | Absent) -> bool:
    """Return whether credentials are healthy. Without an event log the status alone counts."""
    if credential is None:
        return False
    if isinstance(log, Absent):
        diagnosis = diagnose(credential, None, has_events=False)
        return diagnosis.code == "provider-unavailable" or (
            diagnosis.code == "no-events" and bool(credential.status)
        )
    diagnosis = diagnose(credential, log.deciding)
    return diagnosis.health is Health.HEALTHY or diagnosis.code == "provider-unavailable"


def _replacing(progress: Progress, old: Credential, policy: Policy, moment: Moment) -> Step:
    if progress.suspect and moment.elapsed < progress.settles_at:
        return _look_later(progress, policy, moment)
    # Enough time has passed, and the old credentials still exist, so earlier requests had no effect.
    going = progress._replace(old=old, recalled=False, gone=Gone.NO, suspect=False, claimed=None, looks=0)
    if progress.no_log and not progress.deletes and stays(going, Absent(), policy):
        return _left(old, policy, HEALTHY_STAYS)
    if progress.deletes >= policy.attempts or (progress.deletes and moment.elapsed > policy.patience):
        end = give_up(going, "not-deleted", "Leaf accepts the DELETE, but still shows the old credentials")
        return replace(end, credential=old)
    return Next(going._replace(action=Action.DELETE if progress.log_saved else Action.SAVE_LOG))


def _on_not_found(progress: Progress, policy: Policy, moment: Moment) -> Step:
    """A DELETE got "not found": someone else deleted the credentials, or Leaf is wrong."""
    unsure = progress._replace(action=Action.ASK, gone=Gone.MAYBE, failures=0)
    return Next(unsure, after=policy.wait(progress.deletes, moment.draw))


def _on_deleted(progress: Progress, _policy: Policy, moment: Moment) -> Step:
    """The old credentials are gone. An earlier DELETE without an answer must not hit the new ones."""
    seen = progress.absent_before or progress.unanswered is None
    gone = progress._replace(action=Action.POST, gone=Gone.YES, failures=0, looks=0, absent_before=seen)
    return Next(gone, after=max(0.0, progress.settles_at - moment.elapsed))


# --- Leaf holds no credentials
# -------------------------------------------------------------------------------


def _on_absence(progress: Progress, verdict: Absent, policy: Policy, moment: Moment) -> Step:
    if progress.action is Action.SAVE_LOG:
        # There is no log to save; the credentials themselves may be gone by now.
        return Next(progress._replace(action=Action.ASK, log_saved=True, no_log=True))
    if progress.action is Action.DELETE:
        return (_on_deleted if verdict.usual else _on_not_found)(progress, policy, moment)
    if moment.elapsed < progress.settles_at and _is_early(progress):
        return _look_later(progress, policy, moment)
    if not verdict.usual and _is_doubtful(progress, verdict):
        return Next(progress._replace(looks=progress.looks + 1), after=policy.pause)
    if progress.unsure:
        return _on_absent_unsure(progress, verdict, policy, moment)
    return _on_absent(progress, policy, moment)


def _is_early(progress: Progress) -> bool:
    """Return whether absence does not prove anything before the row settles.

    After a DELETE that Leaf accepted, absence means that it is done, unless another request is pending.
    """
    if progress.suspect or progress.claimed is not None:
        return True
    return progress.gone is Gone.MAYBE and not progress.accepted


def _look_later(progress: Progress, policy: Policy, moment: Moment) -> Next[Progress]:
    """Ask again; the last time is when the row has settled.

    The intervals before that triple, so that a late store is usually seen early.
    """
    remaining = progress.settles_at - moment.elapsed
    past = policy.settle - remaining
    return Next(progress._replace(action=Action.ASK), after=min(remaining, 2 * max(policy.pause, past)))


def _is_doubtful(progress: Progress, verdict: Absent) -> bool:
    """A "not found" that may come from a gateway is enough for a first POST, but not for a second one."""
    return progress.looks + 1 < UNUSUAL_LOOKS and (progress.unsure or not verdict.plain)


def _on_absent_unsure(progress: Progress, verdict: Absent, policy: Policy, moment: Moment) -> Step:
    """A POST of ours may have been stored: absence is proof only if it is certain."""
    looked = progress._replace(looks=progress.looks + 1)
    if verdict.bare and looked.looks < BARE_LOOKS:
        return Next(looked, after=policy.pause)
    gone = Gone.YES if progress.gone is Gone.MAYBE else progress.gone
    settled = looked._replace(suspect=False, accepted=False, gone=gone, looks=0)
    return _on_absent(settled, policy, moment)


def _on_absent(progress: Progress, policy: Policy, moment: Moment) -> Step:
    # After a DELETE the claim was about credentials that are gone by now, and the refused POST used no token.
    if progress.claimed is not None and progress.gone is not Gone.YES:
        said = "Leaf said that credentials exist, but shows none"
        return ended(progress, Status.REJECTED, progress.claimed, said)
    if progress.posts >= policy.attempts or (progress.posts and moment.elapsed > policy.patience):
        return give_up(progress, "no-answer", "Leaf never answered a POST, and holds nothing")
    seen = progress.absent_before or progress.unanswered is None
    # A GET between failed POSTs does not reset their count.
    failures = progress.failures if progress.in_vain else 0

    going = progress._replace(action=Action.POST, claimed=None, looks=0, absent_before=seen)
    return Next(going._replace(failures=failures))


# --- a refusal, or no answer -----------------------------------------------------------------------------


def _on_refused(progress: Progress, verdict: Refused) -> Step:
    asked_in_vain = progress.gone is Gone.YES and progress.action is Action.ASK
    if progress.unsure or asked_in_vain:
        return Finish(Status.UNRESOLVED, verdict.code, verdict.message)
    return ended(progress, Status.REJECTED, verdict.code, verdict.message)


def _on_throttled(progress: Progress, verdict: Throttled, policy: Policy, moment: Moment) -> Step:
    throttles = progress.throttles + 1
    wait = policy.after_throttle(throttles, verdict.after, moment)
    if wait is None:
        return give_up(progress, "throttled-too-long")
    return Next(_looking_again(progress)._replace(throttles=throttles), after=wait)


def _on_lost(progress: Progress, verdict: Ambiguous, policy: Policy, moment: Moment) -> Step:
    """Ask, even if patience or attempts are used up: the outcome of a request must not stay unknown."""
    settles_at = max(progress.settles_at, moment.elapsed + policy.settle)
    unsure = progress._replace(action=Action.ASK, settles_at=settles_at, failures=0)
    if progress.action is Action.DELETE:
        alone = progress.deletes == 1 and progress.unanswered is None
        unsure = unsure._replace(gone=Gone.MAYBE, accepted=verdict.accepted and alone)
    else:
        unsure = unsure._replace(suspect=True, unanswered=progress.unanswered or progress.posted)
    return Next(unsure, after=min(verdict.after or 0.0, policy.patience))


def _again(progress: Progress, verdict: Ambiguous, policy: Policy, moment: Moment) -> Step:
    """Repeat the action later, or end the row when patience or attempts are used up."""
    failures = progress.failures + 1
    wait = policy.after_failure(failures, verdict.after, moment)
    if wait is None:
        return give_up(progress, verdict.code, verdict.message)
    return Next(_looking_again(progress)._replace(failures=failures), after=wait)


def _looking_again(progress: Progress) -> Progress:
    """Return the same action, but a DELETE only after another GET: there may be other credentials by now."""
    if progress.action in {Action.SAVE_LOG, Action.DELETE}:
        return progress._replace(action=Action.ASK)
    if progress.action is Action.POST:
        return progress._replace(posts=progress.posts - 1)  # it was certainly not carried out
    return progress
