"""The real command at a Leaf of somebody else's making: a round in the ordinary suite, many in the soak."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.strict.leaf import BODIES, Nature
from tests.strict.rounds import MARK, Plan, bench, body, drawn, growers, tell, token

USERS = growers(130, 1)
SHORT = Nature(
    bearer=f"{MARK}-bearer",
    users=tuple(USERS),
    held=tuple((user, "raven", body(user, "old-" if n % 2 else "")) for n, user in enumerate(USERS[::3])),
    none="[]",
    total=False,
    cap=50,
    gap="cut-after",
    gap_of=2,
    existing="201",
)


# In this round credentials are replaced, requests fail in four ways, and the run is killed.
KILLED = 24


@pytest.mark.soak(20)
@pytest.mark.timeout(200)
def test_a_third_replaced_the_rest_created_as_planned_and_all_of_it_taken_back(tmp_path: Path) -> None:
    plan = Plan(SHORT, {user: token(user) for user in [*USERS, *growers(2, 2)]}, "replace", ())
    assert tell(plan, tmp_path) == []


def test_every_provider_gets_exactly_the_body_that_leaf_documents(tmp_path: Path) -> None:
    users = tuple(growers(2 * len(BODIES), 3))
    env: dict[str, str] = {}
    lines, wanted = list[dict[str, str]](), {}
    for at, (provider, (app, grower, optional, _)) in enumerate(BODIES.items()):
        given = {
            name: "PRODUCTION" if name == "clientEnvironment" else f"{MARK}-{name}" for name in app.split()
        }
        words = "".join(f"_{c}" if c.isupper() else c for c in " ".join(given))
        names = [f"{provider.replace('-', '_')}_{word}".upper() for word in words.split()]
        env |= dict(zip(names, given.values(), strict=True))
        for n, user in enumerate(users[2 * at : 2 * at + 2]):
            own = {name: f"{MARK}-{name}-{user[:8]}" for name in [*grower.split(), *(optional.split() * n)]}
            lines.append({"leafUserId": user, "provider": provider} | own)
            wanted[user, provider] = given | own
    columns = list(dict.fromkeys(name for line in lines for name in line))
    table = [columns, *([line.get(name, "") for name in columns] for line in lines)]
    with bench(Nature(bearer=f"{MARK}-bearer", users=users), tmp_path) as at_leaf:
        (tmp_path / "input" / "all.csv").write_text("\n".join(",".join(each) for each in [*table, ""]))
        ran = at_leaf.run("run", "input/all.csv", "--rate", "400", env=env)
        held = {key: found for key, (_, found) in at_leaf.held().items()}
    assert (ran.code, at_leaf.wrong) == (0, []), ran.err
    assert held == wanted


@pytest.mark.soak(45)
@pytest.mark.timeout(600)
def test_rounds_of_unknowns_faults_and_kills_end_in_the_truth(tmp_path: Path) -> None:
    ends, seed = time.monotonic() + 5, KILLED
    while time.monotonic() < ends:
        wrong = tell(drawn(seed, 90), tmp_path / str(seed))
        assert wrong == [], f"seed {seed}"
        seed += 1
