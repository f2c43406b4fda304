"""What was done is known by Leaf, API owner, provider, grower, secrets and application."""

from __future__ import annotations

from collections.abc import Callable

from journeys.support import Desk, Server, growers, write

Leaf = Callable[..., Server]


def test_another_api_owner_starts_from_nothing_and_is_warned(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    desk.at(server).set("LEAF_USERNAME", "Test@example.com")
    file = write(growers(3))
    assert desk.run(file).statuses == {"created": 3}
    assert desk.run(file).summary["requests"]["total"] == 0
    desk.set("LEAF_USERNAME", "production@example.com")
    other = desk.run(file)
    assert "3 of these growers were onboarded as API owner test@example.com before" in other.err
    assert {row["code"] for row in other.rows} == {"already-connected"}  # by Leaf's word, not by the ledger's
    assert "onboarded as API owner" not in desk.run(file).err
