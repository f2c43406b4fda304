"""The codes of rows whose grower is looked up by an externalId or an email: what they mean. Words only."""

from __future__ import annotations

from bulk_onboard.meanings import Code

USER_MEANINGS = (
    Code(
        "bad-email",
        "The email is no email address, and the row's grower is looked up by it or created with it.",
        "Correct the email and run again.",
    ),
    Code(
        "conflicting-users",
        "Rows contradict each other about who the grower is: one externalId with two emails, one email with"
        " two externalIds, or one of them beside a leafUserId in one row only.",
        "Give all rows of a grower the same externalId, email and leafUserId, and other growers other ones.",
    ),
    Code(
        "user-would-be-created",
        "Leaf knows no such grower: a run would create the user and then store the credentials.",
        "Nothing to do; check that it is a new grower, and not one with another externalId or email at Leaf.",
        act=False,
    ),
    Code(
        "several-users",
        "Leaf has several users with this externalId or email, and nothing tells which one is meant.",
        "Put the right one's leafUserId into the row, or remove the others at Leaf, and run again.",
    ),
    Code(
        "other-user",
        "Leaf's user with this email has another externalId than the row.",
        "Correct the externalId or the email; if it is the same grower, put the leafUserId into the row.",
    ),
    Code(
        "similar-user",
        "Leaf has a user whose externalId differs from the row's in upper and lower case only.",
        "Write the externalId as Leaf has it, or put the leafUserId into the row, and run again.",
    ),
    Code(
        "users-not-filtered",
        "Leaf's answer to a look-up cannot be told from a list of others, so no user was created.",
        "Put the leafUserIds into the file; ask Leaf's support about the filters of GET /users.",
    ),
)
