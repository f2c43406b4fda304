"""Every code, status and health in the results: what it means, and what to do about it. Words only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """``meaning``: one sentence. ``hint``: one action, also where the action is to leave it as it is.

    ``act``: whether somebody has to do something at all.
    """

    name: str
    meaning: str
    hint: str
    act: bool = True


_RUN_AGAIN = "Run the same command again."
_OUR_REPORT = "Run the same command again; if it stays, ask Leaf's support with the row's time and message."

_INPUT = (
    Code(
        "bad-leaf-user-id",
        "The leafUserId is not a UUID.",
        "Copy the grower's id from Leaf, 36 characters like 0b9cd62b-4f4d-4c0a-9f0e-1f8f8d0f5a11.",
    ),
    Code(
        "numeric-cell",
        "The spreadsheet holds a number where text belongs, so digits may be lost.",
        "Format the column as text, enter the value again from its source, and run again.",
    ),
    Code(
        "formula-error",
        "The cell shows a spreadsheet error such as #N/A or #REF!.",
        "Correct the formula or paste the value itself, and run again.",
    ),
    Code(
        "placeholder-value",
        "The cell holds a stand-in such as your-token or TODO, not a real value.",
        "Fill in the real value and run again.",
    ),
    Code(
        "control-character",
        "The cell holds a line break or another character that no token contains.",
        "Enter the value again on one line, copied from its source, and run again.",
    ),
    Code(
        "ragged-row",
        "The line has more or fewer cells than the header.",
        "Look for a missing or unquoted delimiter in this line, correct it and run again.",
    ),
    Code(
        "conflicting-rows",
        "The same grower stands in several rows with different tokens, and no row was sent.",
        "Delete the rows with the wrong token and run again.",
    ),
    Code(
        "shared-token",
        "The same token stands in the rows of several growers, and no row was sent.",
        "Give each grower their own token, or run with --allow-shared-tokens if one is meant to be shared.",
    ),
    Code(
        "bad-environment",
        "The environment is none that the provider knows.",
        "Use one of the values that `bulk-onboard providers` lists, and run again.",
    ),
    Code(
        "unknown-provider",
        "The row's cell in the column of providers names none that there is.",
        "Use a name that `bulk-onboard providers` lists, or rename the column if it means something else.",
    ),
    Code(
        "missing-provider",
        "The file has a column of providers, and the row does not say which one it goes to.",
        "Fill in a name that `bulk-onboard providers` lists, or name one for all such rows with --provider.",
    ),
    Code(
        "spaces-removed",
        "Spaces around the value are taken off before it is sent.",
        "Nothing to do; clean the source if you like.",
        act=False,
    ),
    Code(
        "quotes-removed",
        "Quotes around the value are taken off before it is sent.",
        "Nothing to do; clean the source if you like.",
        act=False,
    ),
    Code(
        "zero-width-removed",
        "Invisible characters in the value are taken off before it is sent.",
        "Nothing to do; clean the source if you like.",
        act=False,
    ),
)

_REPAIRS = (
    Code(
        "header-renamed",
        "A column of the repaired file has the name of its field.",
        "Nothing to do.",
        act=False,
    ),
    Code(
        "repeat-removed",
        "The row was the same as an earlier one in every column, and is not in the repaired file.",
        "Nothing to do.",
        act=False,
    ),
    Code(
        "number-emptied",
        "The cell held a number, which may have lost digits; in the repaired file it is empty.",
        "Enter the value from its source.",
    ),
)

_CONNECTED = (
    Code(
        "already-onboarded",
        "An earlier run stored this grower's credentials with the same token.",
        "Nothing to do.",
        act=False,
    ),
    Code(
        "already-connected",
        "Leaf held credentials for the grower already, and they were left as they are.",
        "Nothing to do if they work; to store the ones in the file, run with --if-exists replace.",
        act=False,
    ),
    Code(
        "token-changed",
        "The grower is connected with another token than the one in the file, and was left as is.",
        "If the token in the file is the right one, run again with --if-exists replace.",
    ),
    Code(
        "replaced",
        "The grower's old credentials were deleted, and those in the file stored.",
        "Nothing to do; the old ones' events are in replaced-events.jsonl of the run's folder.",
        act=False,
    ),
    Code(
        "settled-by-asking",
        "Leaf's answer to the POST was lost; asking showed that the credentials were stored.",
        "Nothing to do.",
        act=False,
    ),
)

_ROLLBACK = (
    Code(
        "credentials-changed",
        "The grower has other credentials by now than the run stored, so they were left.",
        "Nothing to do; delete them by hand if they should go, too.",
        act=False,
    ),
    Code("already-gone", "Leaf held no credentials any more.", "Nothing to do.", act=False),
    Code(
        "already-rolled-back",
        "An earlier rollback of the same run deleted the credentials.",
        "Nothing to do.",
        act=False,
    ),
    Code(
        "no-credential-id",
        "The run did not learn the id of the credentials that it stored, so they cannot be told from others.",
        "Look at the grower at Leaf, and delete the credentials there if they should go.",
    ),
)

_REFUSED = (
    Code(
        "refused-by-leaf",
        "Leaf refused the credentials without naming an error key.",
        "Read the message, correct the row and run again.",
    ),
    Code(
        "no-such-user",
        "Leaf knows no user with this leafUserId under our login.",
        "Check the id and which Leaf (LEAF_BASE_URL) and login are used. Users are created for rows with an"
        " externalId or email in place of the id (--create-users).",
    ),
    Code(
        "already-exists",
        "Leaf holds credentials for the grower already, and --if-exists fail takes that for a mistake.",
        "Take the row out of the file, or run with --if-exists skip or replace.",
    ),
    Code(
        "left-without-credentials",
        "The grower's old credentials were deleted, and the new ones were not stored: the grower has none.",
        "See to this first: read the message, correct the row, and run the same command again at once.",
    ),
    Code(
        "not-deleted",
        "Leaf says that it deleted the old credentials, but goes on showing them.",
        "Run the same command again; if it stays, ask Leaf's support.",
    ),
    Code(
        "login-forbidden",
        "Leaf knows our login but does not let it touch this grower.",
        "Check that the grower belongs to this API owner, or ask Leaf for the right.",
    ),
    Code(
        "login-refused",
        "Leaf refused our own login, so the run stopped.",
        "Check LEAF_TOKEN, or LEAF_USERNAME and LEAF_PASSWORD, and run the same command again.",
    ),
)

_TROUBLE = (
    Code(
        "throttled-too-long",
        "Leaf asked to slow down for longer than a row waits.",
        "Run again later, with a lower --rate.",
    ),
    Code(
        "connection-refused",
        "No connection to Leaf could be opened.",
        "Check the network, the proxy and LEAF_BASE_URL, and run the same command again.",
    ),
    Code(
        "dns-failure",
        "The name of Leaf's server could not be found.",
        "Check the network and LEAF_BASE_URL, and run the same command again.",
    ),
    Code(
        "tls-failure",
        "No trusted encrypted connection to Leaf could be made.",
        "Check the clock of this machine, its certificates and any proxy in between, and run again.",
    ),
    Code(
        "connect-timeout",
        "No connection to Leaf was opened in time.",
        "Check the network and run the same command again.",
    ),
    Code(
        "leaf-unavailable",
        "Leaf was not ready to take requests.",
        "Wait until Leaf is back, and run the same command again.",
    ),
    Code("server-error", "Leaf answered with an error of its own (5xx), again and again.", _OUR_REPORT),
    Code(
        "no-answer",
        "Leaf did not answer in time.",
        "Run the same command again, with a longer --timeout if it stays.",
    ),
    Code("connection-lost", "The connection broke before Leaf's answer was complete.", _RUN_AGAIN),
    Code("unreadable-reply", "Leaf's answer could not be understood.", _OUR_REPORT),
    Code(
        "redirected",
        "Leaf answered with a redirect, and redirects are not followed.",
        "Set LEAF_BASE_URL to Leaf's own address, and look for a proxy or login page in between.",
    ),
    Code("response-too-large", "The answer was far larger than any of Leaf's.", _OUR_REPORT),
    Code(
        "interrupted",
        "The run was told to stop while this row was on its way.",
        "Run the same command again; Leaf is asked first.",
    ),
    Code(
        "open-intent",
        "The run ended between sending the row and hearing of it; it may or may not be stored.",
        "Run the same command again: Leaf is asked first, and nothing is sent twice.",
    ),
    Code("not-attempted", "The run ended before this row's turn; nothing was sent.", _RUN_AGAIN),
)

_PLAN = (
    Code(
        "not-in-plan",
        "The plan (--plan) does not say that this row would be sent, so it was left out.",
        "If it should be sent, make a new plan with --dry-run, or run without --plan.",
    ),
    Code(
        "plan-outdated",
        "Leaf or the row is not what it was when the plan was made, and nothing was done with the row.",
        "Make a new plan with `bulk-onboard run FILE --dry-run`, look at it, and run that.",
    ),
)

_EVENTS = (
    Code(
        "not-connected",
        "Leaf holds no credentials for the grower, so there is nothing to check.",
        "Onboard the row with `bulk-onboard run FILE`.",
    ),
    Code(
        "no-event-yet",
        "The provider has not answered with these credentials yet.",
        "Check again later with `bulk-onboard events RUN`.",
    ),
    Code(
        "provider-refused",
        "The provider refused the credentials: the latest event is an error.",
        "Ask the grower for a new token, put it into the file, and run with --if-exists replace.",
    ),
    Code(
        "bad-status",
        "Leaf shows a status other than OK for the credentials.",
        "Check again later with `bulk-onboard events RUN`; if it stays, ask the grower for a new token.",
    ),
    Code(
        "credentials-gone",
        "Leaf holds the credentials no more; somebody has deleted them.",
        "Find out who deleted them and why; then run with --if-exists replace, which stores them again.",
    ),
    Code(
        "check-failed",
        "Whether the credentials work could not be found out.",
        "Check again later with `bulk-onboard events RUN`.",
    ),
)

_STATUSES = (
    Code("created", "The credentials were stored at Leaf by this run.", "Nothing to do.", act=False),
    Code("existing", "The grower was connected already.", "Nothing to do.", act=False),
    Code("duplicate", "The row repeats an earlier row exactly.", "Nothing to do.", act=False),
    Code(
        "invalid",
        "The row was never sent, for something in it is wrong.",
        "Correct the row as its code says, and run again.",
    ),
    Code(
        "rejected",
        "Leaf gave a definite no, and nothing was stored.",
        "Do as the row's code says, and run again.",
    ),
    Code("failed", "The row was given up, and nothing was stored.", _RUN_AGAIN),
    Code(
        "unresolved",
        "It cannot be known yet whether the credentials were stored.",
        "Run the same command again: Leaf is asked first, and nothing is sent twice.",
    ),
    Code("not_attempted", "Nothing was sent for the row: the run ended before, or left it out.", _RUN_AGAIN),
    Code("would_create", "A run would store the credentials.", "Nothing to do.", act=False),
    Code(
        "would_replace",
        "A run would store the credentials in the place of those that Leaf holds.",
        "Nothing to do.",
        act=False,
    ),
    Code(
        "no_such_user",
        "Leaf knows no user with this leafUserId under our login.",
        "Check the id and which Leaf (LEAF_BASE_URL) and login are used; create the user first if needed.",
    ),
)

_HEALTHS = (
    Code(
        "healthy",
        "The status is OK and the provider's latest answer is no error.",
        "Nothing to do.",
        act=False,
    ),
    Code("unhealthy", "The credentials are stored but do not work.", "Do as the row's code says."),
    Code(
        "pending",
        "The credentials are stored; the provider has not answered yet.",
        "Check again later with `bulk-onboard events RUN`.",
    ),
)

MEANINGS = (
    *_INPUT,
    *_REPAIRS,
    *_CONNECTED,
    *_ROLLBACK,
    *_REFUSED,
    *_TROUBLE,
    *_PLAN,
    *_EVENTS,
    *_STATUSES,
    *_HEALTHS,
)
