"""What a list showed is found again by grower, and no secret is in it."""

from __future__ import annotations

from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.providers import Field, Scope
from bulk_onboard.listing import (
    CONNECTED,
    UNCLEAR,
    UNCONNECTED,
    UNLISTED,
    Collecting,
    ListedCredential,
    ListedUser,
    Listing,
    Page,
    Prints,
    texts,
    words,
)
from bulk_onboard.model import Echo, Payload

PRINTS = Prints(b"key")
IDS = st.integers(0, 2**128 - 1).map(lambda n: str(UUID(int=n)))
CREDENTIALS = st.builds(
    ListedCredential,
    st.sampled_from(["", "c-1", str(UUID(int=5))]),
    st.sampled_from(["OK", "FAILED", "", "größer"]),
    st.tuples(st.integers(0, 2**64 - 1)),
)


def listing(*users: ListedUser, per_page: int = 3) -> Listing:
    collecting = Collecting({"raven": 1})
    for start in range(0, len(users), per_page):
        collecting.add(Page(users[start : start + per_page], None))
    return collecting.listing()


@given(st.dictionaries(IDS, st.none() | CREDENTIALS, max_size=30), IDS, st.integers(1, 9))
def test_every_user_is_found_as_listed_and_nobody_else(
    known: dict[str, ListedCredential | None], other: str, per_page: int
) -> None:
    users = [ListedUser(each, {"raven": shown} if shown else {}) for each, shown in known.items()]
    found = listing(*users, per_page=per_page)
    assert len(found) == len(known)
    for each, shown in known.items():
        state = UNCONNECTED if shown is None else CONNECTED if shown.id else UNCLEAR
        assert found.state("raven", each) == state
        assert found.credential("raven", each) == (shown if state == CONNECTED else None)
    assert (found.state("raven", other) == UNLISTED) is (other not in known)
    states = found.states("raven", words([*known, other]))
    assert list(states) == [found.state("raven", each) for each in [*known, other]]


@given(st.lists(IDS, max_size=5))
def test_a_uuid_comes_back_as_it_went_in(ids: list[str]) -> None:
    assert texts(words(ids)) == ids


def test_a_user_who_is_listed_twice_is_one_and_the_last_line_counts() -> None:
    one = str(UUID(int=1))
    shown = ListedCredential("c-1", "OK", (7,))
    found = listing(ListedUser(one, {}), ListedUser(one, {"raven": shown}), per_page=1)
    assert len(found) == 1
    assert found.credential("raven", one) == shown


def test_an_empty_list_knows_nobody() -> None:
    assert listing().state("raven", str(UUID(int=1))) == UNLISTED
    assert len(listing().of_state("raven", CONNECTED)) == 0


def test_a_million_users_take_less_than_a_hundred_bytes_each() -> None:
    users = tuple(
        ListedUser(str(UUID(int=n << 64 | n)), {"raven": ListedCredential(str(UUID(int=n)), "OK", (n,))})
        for n in range(1, 2001)
    )
    found = listing(*users, per_page=100)
    shown = found.shown["raven"]
    arrays = [found.users.keys, found.users.words, shown.states, shown.ids, shown.statuses, shown.prints]
    assert sum(np.asarray(each).nbytes for each in arrays) < 100 * len(users)


def test_echoed_secrets_are_compared_as_far_as_they_are_shown() -> None:
    ours = Payload({"refreshToken": "a", "accessToken": "b"})
    fields = [Field(name, Scope.GROWER) for name in ("refreshToken", "accessToken", "more")]
    same, other = PRINTS.of("a"), PRINTS.of("z")
    assert PRINTS.echo((0, 0, 0), fields, ours) is Echo.UNKNOWN
    assert PRINTS.echo((0, 0, other), fields, ours) is Echo.UNKNOWN
    assert PRINTS.echo((same, 0, other), fields, ours) is Echo.SAME
    assert PRINTS.echo((same, PRINTS.of("b"), 0), fields, ours) is Echo.SAME
    assert PRINTS.echo((same, other, 0), fields, ours) is Echo.DIFFERENT


def test_the_same_secrets_of_another_user_name_are_other_credentials() -> None:
    ours = Payload({"username": "Hill@Example.com", "password": "Secret"})
    name, secret = Field("username", Scope.GROWER, secret=False), Field("password", Scope.GROWER)
    same, other = PRINTS.of_field(name, "hill@example.COM"), PRINTS.of_field(name, "dale@example.com")
    theirs = PRINTS.of_field(secret, "Secret")
    assert PRINTS.echo((same, theirs), (name, secret), ours) is Echo.SAME
    assert PRINTS.echo((other, theirs), (name, secret), ours) is Echo.DIFFERENT
    assert PRINTS.echo((other, 0), (name, secret), ours) is Echo.DIFFERENT
    assert PRINTS.echo((same, 0), (name, secret), ours) is Echo.UNKNOWN
    assert PRINTS.echo((same, PRINTS.of_field(secret, "secret")), (name, secret), ours) is Echo.DIFFERENT


def test_another_application_or_environment_is_recognised() -> None:
    ours = Payload({"clientEnvironment": "PRODUCTION", "clientSecret": "a", "refreshToken": "b"})
    place, app = Field("clientEnvironment", Scope.APP, secret=False), Field("clientSecret", Scope.APP)
    fields = (place, app, Field("refreshToken", Scope.GROWER))
    same, other = PRINTS.of_field(place, "production"), PRINTS.of_field(place, "STAGE")
    assert not PRINTS.is_other_app((same, PRINTS.of("a"), PRINTS.of("z")), fields, ours)
    assert not PRINTS.is_other_app((0, 0, 0), fields, ours)
    assert PRINTS.is_other_app((other, 0, 0), fields, ours)
    assert PRINTS.is_other_app((same, PRINTS.of("z"), 0), fields, ours)
    assert PRINTS.echo((other, PRINTS.of("z"), PRINTS.of("b")), fields, ours) is Echo.SAME


def test_prints_under_another_key_say_nothing() -> None:
    assert PRINTS.of("a") != Prints(b"other").of("a")
