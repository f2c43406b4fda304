"""Every provider end to end, those that users define, and files whose rows go to several."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bulk_onboard.domain.providers import PROVIDERS, Provider, Providers, define_provider
from bulk_onboard.engine.opening import scopes_of
from tests.support.bodies import BODIES
from tests.support.cli import PLANTED, Desk, Leaf, Server, grower, serving

SAMPLES = Path(__file__).parents[2] / "samples"
QUICK = ("--events-wait", "0")


def setting(field: str, allowed: tuple[str, ...] = ()) -> str:
    return allowed[-1] if allowed else f"{PLANTED}{field}"


def set_up(desk: Desk, *providers: Provider) -> None:
    """App fields in the environment."""
    for provider in providers:
        for field in provider.app_fields:
            desk.set(provider.setting(field), setting(field.name, field.allowed))


def body(provider: Provider, row: Mapping[str, str]) -> dict[str, str]:
    """What Leaf should be sent for a row of a sample."""
    app = {field.name: setting(field.name, field.allowed) for field in provider.app_fields}
    return app | {field.name: row[field.name] for field in provider.grower_fields if row[field.name]}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def stored(server: Server) -> dict[tuple[str, str], dict[str, Any]]:
    """What the sandbox holds, by grower and provider."""
    growers: Any = server._asked(server.sandbox.state)["growers"]
    return {(each["leafUserId"], each["provider"]): each for each in growers if each["credentialId"]}


# --- one provider -----------------------------------------------------------------------------------


def test_every_provider_gets_exactly_the_body_that_leaf_documents(desk: Desk, leaf: Leaf) -> None:
    """Two growers of each, the second with the fields that may be left out."""
    server, lines, expected = leaf(), list[dict[str, str]](), dict[tuple[str, str], str]()
    desk.at(server)
    for at, (provider, (app, own, optional)) in enumerate(BODIES.items()):
        given = {name: setting(name) for name in app.split()}
        given |= {"clientEnvironment": "PRODUCTION"} if "clientEnvironment" in given else {}
        for name, value in given.items():
            words = "".join(f"_{c}" if c.isupper() else c for c in name)
            desk.set(f"{provider.replace('-', '_')}_{words}".upper(), value)
        for n in range(2):
            user = grower(2 * at + n)
            row = {name: f"{PLANTED}{name}-{2 * at + n}" for name in [*own.split(), *(optional.split() * n)]}
            lines.append({"leafUserId": user, "provider": provider} | row)
            expected[user, provider] = server.sandbox.fingerprint(given | row)
    columns = list(dict.fromkeys(name for line in lines for name in line))
    table = [columns, *([line.get(name, "") for name in columns] for line in lines)]
    Path("all.csv").write_text("\n".join(map(",".join, table)))
    ran = desk.run("all.csv", *QUICK)
    assert (ran.code, ran.statuses) == (0, {"created": len(lines)}), ran.err
    assert {key: each["fingerprint"] for key, each in stored(server).items()} == expected
    assert ran.summary["environment"] == {"PRODUCTION": 16}


def test_each_provider_has_a_valid_sample(desk: Desk) -> None:
    samples = {path.stem: path for path in (SAMPLES / "providers").iterdir()}
    assert samples.keys() == PROVIDERS.keys()
    for name, path in samples.items():
        ran = desk("validate", str(path), "--provider", name)
        assert (ran.code, "3 valid" in ran.out + ran.err) == (0, True), ran.err


def test_the_environment_comes_from_the_settings_or_from_each_row(desk: Desk, leaf: Leaf) -> None:
    server, claas = leaf(), PROVIDERS["claas"]
    set_up(desk.at(server), claas)
    desk.set("CLAAS_CLIENT_ENVIRONMENT", None)
    sample = str(SAMPLES / "providers" / "claas.csv")
    ran = desk.run(sample, "--provider", "claas")
    assert ran.code == 2
    assert "1 setting is missing: CLAAS_CLIENT_ENVIRONMENT" in ran.err
    desk.set("CLAAS_CLIENT_ENVIRONMENT", "production")
    assert (
        "CLAAS_CLIENT_ENVIRONMENT is neither STAGE nor PRODUCTION"
        in desk.run(sample, "--provider", "claas").err
    )
    desk.set("CLAAS_CLIENT_ENVIRONMENT", None)
    lines = [f"{grower(n)},{PLANTED}{n},{each}" for n, each in enumerate(["STAGE", "PRODUCTION", "", "Prod"])]
    Path("own.csv").write_text("\n".join(["leafUserId,refreshToken,clientEnvironment", *lines]))
    ran = desk.run("own.csv", "--provider", "claas", *QUICK)
    assert [row["code"] for row in ran.rows] == ["", "", "missing-clientEnvironment", "bad-environment"]
    assert ran.summary["environment"] == {"PRODUCTION": 1, "STAGE": 1}
    assert "PRODUCTION (1 row) and STAGE (1 row)" in ran.err


def test_the_summary_counts_environments_of_the_rows_within_the_limit(desk: Desk, leaf: Leaf) -> None:
    set_up(desk.at(leaf()), PROVIDERS["john-deere"])
    names = ["STAGE", "", "PRODUCTION", "STAGE"]  # a blank cell: that of the settings, PRODUCTION
    rows = [f"{grower(n)},{PLANTED}{n},{name}" for n, name in enumerate(names)]
    Path("growers.csv").write_text("\n".join(["leafUserId,refreshToken,clientEnvironment", *rows]))
    runs = [desk.run("growers.csv", "--provider", "john-deere", "--limit", limit, *QUICK) for limit in "13"]
    assert [ran.summary["environment"] for ran in runs] == [{"STAGE": 1}, {"STAGE": 2, "PRODUCTION": 2}]
    assert [ran.summary["rows"] for ran in runs] == [1, 4]


# --- several in one file ----------------------------------------------------------------------------


MIXED = SAMPLES / "several-providers.csv"
OF_MIXED = [PROVIDERS[name] for name in ("john-deere", "cnhi", "cnhi-field-ops", "sentera")]


def test_each_row_goes_to_its_provider_once(desk: Desk, leaf: Leaf) -> None:
    server, rows = leaf(), rows_of(MIXED)
    set_up(desk.at(server), *OF_MIXED)
    ran = desk.run(str(MIXED), *QUICK)
    assert (ran.code, ran.statuses) == (0, {"created": len(rows)}), ran.err
    names = {"John Deere": "john-deere"}
    went = [names.get(row["provider"], row["provider"]) for row in rows]
    assert [row["provider"] for row in ran.rows] == went
    held = stored(server)
    assert held.keys() == {(row["leafUserId"], name) for row, name in zip(rows, went, strict=True)}
    for row, name in zip(rows, went, strict=True):
        assert held[row["leafUserId"], name]["fingerprint"] == server.sandbox.fingerprint(
            body(PROVIDERS[name], row)
        )
    assert ran.summary["provider"] == "john-deere,cnhi,cnhi-field-ops,sentera"
    assert {name: counts["created"] for name, counts in ran.summary["providers"].items()} == {
        name: went.count(name) for name in sorted(set(went))
    }
    assert ran.summary["environment"] == {"PRODUCTION": 10}
    assert {row["health"] for row in ran.rows} == {"healthy"}

    seen = len(server.seen())
    again = desk.run(str(MIXED), *QUICK)
    assert (again.code, again.statuses) == (0, {"existing": len(rows)})
    assert len(server.seen()) == seen + 1  # the first contact
    assert [row["provider"] for row in again.rows] == went


def test_files_of_one_and_of_several_providers_share_the_ledger(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    set_up(desk.at(server), *OF_MIXED)
    rows = [row for row in rows_of(MIXED) if row["provider"] == "cnhi"]
    with Path("one.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows(
            [["leafUserId", "refreshToken"], *([r["leafUserId"], r["refreshToken"]] for r in rows)]
        )
    assert desk.run("one.csv", "--provider", "cnhi", *QUICK).statuses == {"created": 4}
    posts = server.posts
    assert desk.run(str(MIXED), *QUICK).statuses == {"existing": 4, "created": 8}
    assert server.posts == posts + 8


def test_events_of_a_mixed_run_and_of_a_mixed_file(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    set_up(desk.at(server), *OF_MIXED)
    run = desk.run(str(MIXED), "--no-events").folder.name
    for what in (run, str(MIXED)):
        before = len(server.seen())
        ran = desk("events", what, "--rate", "0", *QUICK)
        assert ran.code == 0, ran.err
        assert {row["health"] for row in ran.rows} == {"healthy"}
        looked = {each["provider"] for each in server.seen()[before + 1 :]}
        assert looked == {provider.name for provider in OF_MIXED}
    again = desk("report", run)
    assert again.code == 0
    assert {row["provider"] for row in again.rows} == {provider.name for provider in OF_MIXED}


def write_mixed(*rows: tuple[str, str, str]) -> str:
    text = "\n".join(["leafUserId,refreshToken,provider", *map(",".join, rows)])
    Path("mixed.csv").write_text(text)
    return "mixed.csv"


def test_repeats_and_conflicts_are_found_within_a_provider_only(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    set_up(desk.at(server), PROVIDERS["raven"], PROVIDERS["trimble"])
    file = write_mixed(
        (grower(1), f"{PLANTED}1", "raven"),
        (grower(1), f"{PLANTED}1", "trimble"),
        (grower(1), f"{PLANTED}1", "Trimble"),
        (grower(2), f"{PLANTED}2", "raven"),
        (grower(2), f"{PLANTED}3", "raven"),
        (grower(3), f"{PLANTED}4", "raven"),
        (grower(4), f"{PLANTED}4", "trimble"),
    )
    ran = desk.run(file, *QUICK)
    assert [row["status"] for row in ran.rows] == [
        *("created", "created", "duplicate", "invalid", "invalid", "created", "created"),
    ]
    assert {row["code"] for row in ran.rows} == {"", "duplicate", "conflicting-rows"}


def test_rows_without_a_provider_go_to_the_one_of_the_option(desk: Desk, leaf: Leaf) -> None:
    server = leaf()
    set_up(desk.at(server), PROVIDERS["raven"], PROVIDERS["trimble"])
    file = write_mixed(
        (grower(1), f"{PLANTED}1", "raven"),
        (grower(2), f"{PLANTED}2", ""),
        (grower(3), f"{PLANTED}3", "ravne"),
    )
    ran = desk.run(file, *QUICK)
    assert ran.code == 1
    assert [row["code"] for row in ran.rows] == ["", "missing-provider", "unknown-provider"]
    assert "did you mean raven?" in ran.rows[2]["message"]
    again = desk.run(file, "--provider", "trimble", *QUICK)
    assert [(row["status"], row["provider"]) for row in again.rows] == [
        *(("existing", "raven"), ("created", "trimble"), ("invalid", "")),
    ]


def test_open_intents_of_a_mixed_run_are_verified_at_their_provider(desk: Desk, leaf: Leaf) -> None:
    from bulk_onboard.ledger import Ledger

    server = leaf()
    set_up(desk.at(server), *OF_MIXED)
    desk.run(str(MIXED), "--no-events")
    with Ledger(Path("reports/ledger.sqlite3")) as ledger:
        found = ledger.find(None)
        assert found
        scopes = scopes_of(ledger, found[1])
        entries = ledger.entries(found[0])
        ledger.write(found[0], scopes["cnhi"], [each._replace(status=None) for each in entries], [], scopes)
    before = len(server.seen())
    ran = desk.run(str(MIXED), "--timeout", "0.2", "--no-events")
    assert ran.statuses == {"created": len(entries)}, ran.err
    asked = server.seen()[before + 1 :]
    assert {each["method"] for each in asked} == {"GET"}
    assert {(each["leafUserId"], each["provider"]) for each in asked} == {
        (each.leaf_user_id, each.provider) for each in entries
    }


# --- their own --------------------------------------------------------------------------------------

OWN = """
[providers.my-terminal]
title = "My Terminal"
path = "my-terminal-credentials"
client_id = "planted-in-toml"
fields = [
    { name = "clientId", scope = "app", secret = false },
    { name = "mode", scope = "app", allowed = ["A", "B"] },
    { name = "accessKey", scope = "grower", help = "the grower's key", example = "k-1" },
]
"""
MY_TERMINAL = define_provider(
    "my-terminal",
    {
        "fields": [
            *({"name": name, "scope": "app"} for name in ("clientId", "mode")),
            {"name": "accessKey", "scope": "grower"},
        ]
    },
    PROVIDERS,
)


def _with_own() -> Providers:
    return {**PROVIDERS, MY_TERMINAL.name: MY_TERMINAL}


def test_a_provider_of_the_settings_file_works_like_a_built_in_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path("bulk-onboard.toml")
    path.touch(mode=0o600)
    path.write_text(OWN)
    Path("own.csv").write_text(f"leafUserId,Access Key\n{grower(1)},{PLANTED}1\n{grower(2)},TODO\n")
    assert "My Terminal: --provider my-terminal" in desk("providers", "my terminal").out
    assert "my-terminal" in desk("providers").out
    checked = desk("validate", "own.csv", "--provider", "my-terminal")
    assert (checked.code, "placeholder-value" in checked.out) == (1, True)
    practice = desk.run("own.csv", "--provider", "my-terminal", "--sandbox", *QUICK)
    assert practice.statuses == {"created": 1, "invalid": 1}, practice.err
    with serving(providers=_with_own()) as server:
        desk.at(server)
        ran = desk.run("own.csv", "--provider", "my-terminal", "--output", "real")
        assert (ran.code, "1 setting is missing: MY_TERMINAL_MODE" in ran.err) == (2, True)
        desk.set("MY_TERMINAL_MODE", "B")
        ran = desk.run("own.csv", "--provider", "my-terminal", "--output", "real", *QUICK)
        assert ran.code == 1
        held = stored(server)[grower(1), "my-terminal"]
        sent = {"clientId": "planted-in-toml", "mode": "B", "accessKey": f"{PLANTED}1"}
        assert held["fingerprint"] == server.sandbox.fingerprint(sent)


def test_an_unusable_provider_definition_names_its_place(desk: Desk) -> None:
    Path("bulk-onboard.toml").write_text('[providers.raven]\npath = "x"\nfields = []\n')
    ran = desk("providers")
    assert ran.code == 2
    assert "[providers.raven] in bulk-onboard.toml: a provider raven already exists" in ran.err
