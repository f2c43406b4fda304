"""The documented calls, as a Leaf in good health answers them."""

from __future__ import annotations

import uuid

import aiohttp
import pytest

from bulk_onboard.domain.providers import PROVIDERS, Provider
from bulk_onboard.sandbox import Account, Area, Behaviour, Fault, Faults, User
from tests.sandbox.support import BASE, GROWER, OTHER, RAVEN, FakeClock, body, raven, serve_sandbox

LOGIN = "/api/authenticate"


async def test_posted_credentials_are_stored_and_echoed():
    async with serve_sandbox() as leaf:
        posted, found = await leaf.post(), await leaf.get()
    assert posted.status == 201
    assert found.status == 200
    assert posted.json == found.json
    assert posted.json.items() >= body().items()
    assert posted.json["status"] == "OK"
    assert uuid.UUID(posted.json["id"])
    assert posted.json["accessToken"]
    assert posted.json["createdTime"].endswith("Z")
    assert "Date" in posted.headers


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=lambda p: p.name)
async def test_every_provider_of_the_table_has_the_same_four_calls(provider: Provider):
    path = f"{BASE}/users/{GROWER}/{provider.path}"
    fields = {f.name: (f.allowed or (f"x-{f.name}",))[0] for f in provider.fields}
    async with serve_sandbox() as leaf:
        statuses = [
            (await leaf.post(fields, path)).status,
            (await leaf.get(path)).status,
            (await leaf.get(f"{path}/events")).status,
            (await leaf.delete(path)).status,
            (await leaf.get(path)).status,
        ]
    assert statuses == [201, 200, 200, 204, 404]


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=lambda p: p.name)
async def test_a_body_with_wrong_fields_is_refused(provider: Provider):
    path = f"{BASE}/users/{GROWER}/{provider.path}"
    whole = {f.name: (f.allowed or (f"x-{f.name}",))[0] for f in provider.fields if f.required}
    wrong = [({k: v for k, v in whole.items() if k != name}, "missingfield") for name in whole]
    wrong += [(whole | {name: value}, "missingfield") for name in whole for value in ("", " ")]
    wrong += [(whole | {name: value}, "invalidfield") for name in whole for value in (None, 5, ["x"])]
    wrong += [(whole | {"colour": "red"}, "unknownfield")]
    wrong += [(whole | {f.name: "prod"}, "invalidfield") for f in provider.fields if f.allowed]
    async with serve_sandbox() as leaf:
        for posted, key in wrong:
            got = await leaf.post(posted, path)
            assert (got.status, got.json["errorKey"]) == (400, key), posted
        assert (await leaf.get(path)).status == 404
        assert (await leaf.post(whole, path)).status == 201


async def test_requests_without_a_valid_token_are_401():
    async with serve_sandbox() as leaf:
        for token in ("", "wrong"):
            leaf.token = token
            assert (await leaf.post()).status == 401
            assert (await leaf.get(f"{BASE}/users")).status == 401
        async with leaf.session.get(leaf.url + RAVEN) as got:
            assert got.status == 401


async def test_a_login_gives_a_valid_token():
    async with serve_sandbox() as leaf:
        got = await leaf.post({"username": "a", "password": "b", "rememberMe": "true"}, LOGIN)
        leaf.token = got.json["id_token"]
        assert (await leaf.post()).status == 201
        assert (await leaf.post({"username": "a"}, LOGIN)).status == 400


async def test_with_an_account_only_its_password_is_accepted():
    async with serve_sandbox(Behaviour(account=Account(username="a", password="right"))) as leaf:
        assert (await leaf.post({"username": "a", "password": "wrong"}, LOGIN)).status == 401
        assert (await leaf.post({"username": "a", "password": "right"}, LOGIN)).status == 200


async def test_a_token_expires():
    clock = FakeClock()
    async with serve_sandbox(Behaviour(token_lifetime=60), clock=clock) as leaf:
        leaf.token = (await leaf.post({"username": "a", "password": "b"}, LOGIN)).json["id_token"]
        assert (await leaf.get()).status == 404
        clock.time += 60
        assert (await leaf.get()).status == 401


async def test_users_come_in_pages_with_a_total_and_their_credentials():
    users = tuple(User(str(uuid.UUID(int=n)), name=f"n{n}", email=f"{n}@x") for n in range(250))
    async with serve_sandbox(Behaviour(users=users)) as leaf:
        await leaf.post(path=raven(users[200].id))
        pages = [await leaf.get(f"{BASE}/users?page={n}&size=500") for n in range(4)]
        assert [len(page.json) for page in pages] == [100, 100, 50, 0]
        assert [u["id"] for page in pages for u in page.json] == [u.id for u in users]
        assert pages[0].headers["X-Total-Count"] == "250"
        assert pages[2].json[0]["ravenCredentials"]["status"] == "OK"
        assert "ravenCredentials" not in pages[2].json[1]
        named = await leaf.get(f"{BASE}/users?name=n7&size=100")
        assert ([u["email"] for u in named.json], named.headers["X-Total-Count"]) == (["7@x"], "1")
        assert (await leaf.get(f"{BASE}/users?page=-1")).status == 400
        assert (await leaf.get(f"{BASE}/users?size=many")).status == 400


async def test_a_user_can_be_created_found_and_deleted_credentials_and_all():
    async with serve_sandbox() as leaf:
        made = await leaf.post({"name": "n", "email": "e@x", "externalId": "7"}, f"{BASE}/users")
        assert made.status == 201
        one = f"{BASE}/users/{made.json['id']}"
        await leaf.post(path=f"{one}/raven-credentials")
        assert (await leaf.get(f"{BASE}/users?externalId=7")).json[0]["id"] == made.json["id"]
        assert "ravenCredentials" in (await leaf.get(one)).json
        assert (await leaf.delete(one)).status == 204
        assert (await leaf.delete(one)).status == 404
        assert (await leaf.get(f"{one}/raven-credentials")).status == 404
        assert (await leaf.get(f"{BASE}/users")).json == []
        assert (await leaf.post({"name": "n"}, f"{BASE}/users")).status == 400
        assert (await leaf.post(["n"], f"{BASE}/users")).status == 400


async def test_an_event_appears_after_a_delay():
    clock = FakeClock()
    async with serve_sandbox(Behaviour(event_delay=2), clock=clock) as leaf:
        await leaf.post()
        assert (await leaf.get(f"{RAVEN}/events")).json == []
        clock.time += 2
        [event] = (await leaf.get(f"{RAVEN}/events")).json
        assert set(event) == {"id", "createdDate", "statusCode", "headers", "body"}
        assert event["statusCode"] == 200
        clock.time += 31 * 86400
        assert (await leaf.get(f"{RAVEN}/events")).json == []


async def test_refused_credentials_are_not_stored():
    async with serve_sandbox() as leaf:
        got = await leaf.post(body("refused-1"))
        assert (got.status, got.json["errorKey"]) == (400, "credentialsrefused")
        assert (await leaf.get()).status == 404


async def test_requests_are_recorded_without_secrets():
    async with serve_sandbox() as leaf:
        await leaf.post()
        await leaf.get(raven(OTHER))
        await leaf.get("/sandbox/state")
        first, second = await leaf.seen()
        assert (first["method"], first["path"], first["leafUserId"]) == ("POST", RAVEN, GROWER)
        assert (first["provider"], first["status"], first["fault"], first["stored"]) == (
            "raven",
            201,
            None,
            True,
        )
        assert first["fingerprint"] == leaf.sandbox.fingerprint(body())
        assert first["monotonic"] <= second["monotonic"]
        assert (second["index"], second["status"], second["stored"]) == (1, 404, False)
        assert await leaf.seen(since=1) == [second]
        shown = str(await leaf.seen()) + str(leaf.sandbox.state())
    assert "secret" not in shown


async def test_the_state_counts_posts_by_what_was_posted():
    async with serve_sandbox() as leaf:
        for token in ("a", "a", "b"):
            await leaf.post(body(token))
        state = await leaf.state()
        a, b = (leaf.sandbox.fingerprint(body(token)) for token in "ab")
    assert (state["leafUserId"], state["provider"], state["fingerprint"]) == (GROWER, "raven", a)
    assert (state["posts"], state["postsStored"]) == (3, 1)
    assert state["postsByFingerprint"] == {a: 2, b: 1}
    assert state["storedByFingerprint"] == {a: 1, b: 0}


async def test_admin_calls_need_no_login_and_are_never_at_fault():
    faulty = Behaviour(faults=Faults({Fault.E500_BEFORE: 1.0}, calls=frozenset(Area)))
    async with serve_sandbox(faulty) as leaf, aiohttp.ClientSession() as anonymous:
        assert (await leaf.get(f"{BASE}/users")).status == 500
        for method, path, status in (
            ("GET", "state", 200),
            ("GET", "requests", 200),
            ("POST", "reset", 200),
            ("GET", "reset", 404),
        ):
            async with anonymous.request(method, f"{leaf.url}/sandbox/{path}") as got:
                assert got.status == status


async def test_a_reset_forgets_everything_but_the_logins():
    async with serve_sandbox() as leaf:
        leaf.token = (await leaf.post({"username": "a", "password": "b"}, LOGIN)).json["id_token"]
        await leaf.post()
        before = leaf.sandbox.identity
        got = await leaf.ask("POST", "/sandbox/reset")
        assert got.json["identity"] == leaf.sandbox.identity != before
        assert await leaf.seen() == []
        assert (await leaf.get()).status == 404
