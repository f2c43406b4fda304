"""What was done is known by Leaf, API owner, provider, grower, secrets and application."""

from __future__ import annotations

from pathlib import Path

from tests.support.cli import PLANTED, Desk, Leaf, growers, write


def test_another_api_owner_starts_from_nothing_with_a_warning(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    desk.at(server).set("LEAF_USERNAME", "Test@example.com")
    file = write(growers(3))
    assert desk.run(file).statuses == {"created": 3}
    assert {row["code"] for row in desk.run(file).rows} == {"already-onboarded"}
    desk.set("LEAF_USERNAME", "production@example.com")
    other = desk.run(file)
    assert "3 of these growers were onboarded as API owner test@example.com before" in other.err
    assert {row["code"] for row in other.rows} == {"already-connected"}  # by Leaf's word, not by the ledger's
    assert "onboarded as API owner" not in desk.run(file).err


DEERE = {"JOHN_DEERE_CLIENT_KEY": "k", "JOHN_DEERE_CLIENT_SECRET": f"{PLANTED}secret"}


def test_a_changed_application_is_reported_and_replace_fixes_it(desk: Desk, leaf: Leaf) -> None:
    for name, value in (DEERE | {"JOHN_DEERE_CLIENT_ENVIRONMENT": "STAGE"}).items():
        desk.at(leaf()).set(name, value)
    file, provider = write(growers(3)), ("--provider", "john-deere")
    assert desk.run(file, *provider).statuses == {"created": 3}
    desk.set("JOHN_DEERE_CLIENT_ENVIRONMENT", "PRODUCTION")
    desk("events", file, *provider)  # an events check does not make them done
    skipped = desk.run(file, *provider)
    assert (skipped.code, skipped.statuses) == (1, {"existing": 3})
    (cause,) = skipped.summary["causes"]
    assert (cause["code"], cause["count"]) == ("environment-changed", 3)
    assert "0 of 3 growers are connected" in skipped.err
    replaced = desk.run(file, *provider, "--if-exists", "replace")
    assert (replaced.code, replaced.statuses) == (0, {"created": 3})
    assert {row["code"] for row in replaced.rows} == {"replaced"}
    assert desk.run(file, *provider).code == 0


def test_the_application_comes_from_the_row_or_the_settings(desk: Desk, leaf: Leaf) -> None:
    for name, value in (DEERE | {"JOHN_DEERE_CLIENT_ENVIRONMENT": "STAGE"}).items():
        desk.at(leaf()).set(name, value)
    rows, provider = growers(3), ("--provider", "john-deere")
    desk.run(write(rows), *provider)
    told = ["", "STAGE", "PRODUCTION"]
    lines = [",".join([*row, environment]) for row, environment in zip(rows, told, strict=True)]
    Path("own.csv").write_text("\n".join(["leafUserId,refreshToken,clientEnvironment", *lines]))
    codes = [row["code"] for row in desk.run("own.csv", *provider).rows]
    assert codes == ["already-onboarded", "already-onboarded", "environment-changed"]


def test_a_token_of_another_grower_is_a_warning(desk: Desk, leaf: Leaf) -> None:
    rows = growers(4)
    desk.at(leaf())
    assert desk.run(write(rows[:3])).code == 0
    # The second grower has the first one's token now, and the fourth the third one's.
    mixed = write([rows[0], (rows[1][0], rows[0][1]), rows[2], (rows[3][0], rows[2][1])])
    allowed = desk("run", mixed, "--dry-run", "--rate", "0", "--allow-shared-tokens")
    assert "token-of-other-grower" not in allowed.err
    moved = write([(rows[1][0], rows[0][1]), (rows[3][0], rows[2][1]), rows[2]][:2], "moved.csv")
    for options in (["--dry-run"], []):
        ran = desk.run(moved, *options)
        assert "2 rows with token-of-other-grower" in ran.err
        assert "token-of-other-grower: rows 2, 3: an earlier run onboarded the same token" in ran.err
    assert "token-of-other-grower" not in desk.run(write(rows[:3])).err
