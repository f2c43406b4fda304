"""Every way to go wrong, before and after storing; held against what the sandbox says that it stored."""

from __future__ import annotations

import asyncio
import json
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp
import pytest

from bulk_onboard.errors import UsageError
from bulk_onboard.sandbox import PRESETS, Area, Behaviour, Fault, Faults, load_behaviour
from bulk_onboard.sandbox.faults import Chance
from tests.sandbox.support import BASE, RAVEN, always, body, serve_sandbox, until

ERRORS = [kind for kind in Fault if kind[:3].isdigit()]
POSTS = {"methods": frozenset({"POST"})}


@pytest.mark.parametrize("kind", ERRORS)
async def test_a_server_error_comes_before_or_after_storing(kind: Fault):
    async with serve_sandbox(always(kind, **POSTS)) as leaf:
        got = await leaf.post()
        assert got.status == int(kind[:3])
        assert (await leaf.get()).status == (200 if kind.endswith("after") else 404)
        assert (await leaf.state())["postsStored"] == kind.endswith("after")
        [seen, _] = await leaf.seen()
        assert (seen["fault"], seen["status"]) == (kind, got.status)


async def test_gateways_answer_html_or_nothing():
    answers = {}
    for kind in (Fault.E502_BEFORE, Fault.E503_BEFORE, Fault.E504_AFTER):
        async with serve_sandbox(always(kind)) as leaf:
            answers[kind] = (await leaf.post()).text[:6]
    assert answers == {Fault.E502_BEFORE: "<html>", Fault.E503_BEFORE: "", Fault.E504_AFTER: "<html>"}


@pytest.mark.parametrize("kind", [fault for fault in Fault if fault.startswith("throttle")])
async def test_a_throttled_request_is_not_stored(kind: Fault):
    async with serve_sandbox(always(kind, **POSTS)) as leaf:
        got = await leaf.post()
        assert got.status == 429
        assert (await leaf.get()).status == 404
    after = got.headers.get("Retry-After")
    match kind:
        case Fault.THROTTLE_SECONDS:
            assert after == "1"
        case Fault.THROTTLE_DATE:
            assert 0 <= parsedate_to_datetime(after).timestamp() - time.time() <= 2
        case _:
            assert after is None


@pytest.mark.parametrize("kind", [Fault.CUT_BEFORE, Fault.CUT_AFTER])
async def test_the_connection_is_cut_before_or_after_storing(kind: Fault):
    async with serve_sandbox(always(kind, **POSTS)) as leaf:
        with pytest.raises(aiohttp.ClientConnectionError):
            await leaf.post()
        assert (await leaf.state())["postsStored"] == (kind is Fault.CUT_AFTER)
        assert (await leaf.seen())[0]["status"] is None


@pytest.mark.parametrize("kind", [Fault.HANG_BEFORE, Fault.HANG_AFTER])
async def test_a_request_hangs_before_or_after_storing(kind: Fault):
    async with serve_sandbox(always(kind, **POSTS)) as leaf:
        leaf.timeout = 0.1
        with pytest.raises(TimeoutError):
            await leaf.post()
        leaf.timeout = 5
        assert (await leaf.state())["postsStored"] == (kind is Fault.HANG_AFTER)


async def test_a_hanging_answer_ends_when_its_client_has_left():
    async with serve_sandbox(always(Fault.HANG_BEFORE)) as leaf:
        before = len(asyncio.all_tasks())
        leaf.timeout = 0.05
        with pytest.raises(TimeoutError):
            await leaf.post()
        await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_the_end_of_the_server_ends_requests_that_hang():
    async with aiohttp.ClientSession() as session:
        async with serve_sandbox(always(Fault.HANG_BEFORE)) as leaf:
            asked = asyncio.create_task(
                session.get(leaf.url + RAVEN, headers={"Authorization": "Bearer practice"})
            )
            await until(leaf.sandbox.requests)
            began = time.monotonic()
        assert time.monotonic() - began < 0.5
        with pytest.raises(aiohttp.ClientConnectionError):
            await asked


async def test_a_slow_answer_is_stored_at_once_and_sent_late():
    async with serve_sandbox(always(Fault.SLOW, slow_for=0.1, **POSTS)) as leaf:
        began = time.monotonic()
        assert (await leaf.post()).status == 201
        assert time.monotonic() - began >= 0.1


async def test_a_truncated_answer_breaks_off_after_storing():
    async with serve_sandbox(always(Fault.TRUNCATED)) as leaf:
        with pytest.raises(aiohttp.ClientPayloadError):
            await leaf.post()
        assert (await leaf.state())["postsStored"] == 1
        for ask in (leaf.get, leaf.delete):
            with pytest.raises(aiohttp.ClientPayloadError):
                await ask()


async def test_an_unreadable_answer_comes_after_storing():
    texts = {}
    for kind in (Fault.HTML, Fault.EMPTY, Fault.WRONG_SHAPE):
        async with serve_sandbox(always(kind)) as leaf:
            got = await leaf.post()
            assert got.status == 201
            assert (await leaf.state())["postsStored"] == 1
            assert (await leaf.seen())[0]["stored"] is True
            texts[kind] = got.text[:6]
            assert (await leaf.delete()).status == 200
            assert (await leaf.get()).status == 404
    assert texts == {Fault.HTML: "<html>", Fault.EMPTY: "", Fault.WRONG_SHAPE: '["unex'}


async def test_where_a_list_belongs_the_wrong_shape_is_an_object():
    async with serve_sandbox(always(Fault.WRONG_SHAPE, calls=frozenset({Area.EVENTS}))) as leaf:
        await leaf.post()
        assert (await leaf.get(f"{RAVEN}/events")).json == {"unexpected": []}


async def test_an_expired_login_stays_expired_until_the_next_one():
    async with serve_sandbox(always(Fault.EXPIRED_LOGIN, **POSTS)) as leaf:
        assert (await leaf.post()).status == 401
        assert (await leaf.get()).status == 401
        login = await leaf.post({"username": "a", "password": "b"}, "/api/authenticate")
        leaf.token = login.json["id_token"]
        assert (await leaf.get()).status == 404


async def test_faults_spare_other_methods_and_other_calls():
    only = always(Fault.E500_BEFORE, methods=frozenset({"GET"}), calls=frozenset({Area.EVENTS}))
    async with serve_sandbox(only) as leaf:
        assert (await leaf.post()).status == 201
        assert (await leaf.get()).status == 200
        assert (await leaf.get(f"{BASE}/users")).status == 200
        assert (await leaf.get(f"{RAVEN}/events")).status == 500


async def _drawn(seed: int | None) -> list[str | None]:
    shares = {Fault.E500_BEFORE: 0.3, Fault.THROTTLE_BARE: 0.3}
    async with serve_sandbox(Behaviour(faults=Faults(shares), seed=seed)) as leaf:
        for n in range(30):
            await leaf.post(body(f"t{n}"))
        return [seen["fault"] for seen in await leaf.seen()]


async def test_the_same_seed_gives_the_same_faults():
    first, again, other = await _drawn(7), await _drawn(7), await _drawn(8)
    assert first == again != other
    assert set(first) == {None, "500-before", "throttle-bare"}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_goes_wrong_as_often_as_it_says(name: str):
    chance = Chance(PRESETS[name], seed=1)
    drawn = [chance.draw("POST", Area.CREDENTIALS) for _ in range(20_000)]
    wrong = sum(kind is not None for kind in drawn) / len(drawn)
    assert wrong == pytest.approx(PRESETS[name].total, abs=0.02)
    assert set(PRESETS[name].shares) >= set(filter(None, drawn))


def test_a_storm_is_worse_than_rain_and_between_10_and_30_percent():
    assert PRESETS["none"].total == 0
    assert 0.02 < PRESETS["rainy"].total < 0.1
    assert 0.1 <= PRESETS["storm"].total <= 0.3


def test_a_file_sets_faults_and_unknowns(tmp_path: Path):
    path = tmp_path / "faults.toml"
    path.write_text(
        '[faults]\ncut-after = 0.02\n500-before = 1\nmethods = ["POST"]\ncalls = ["users"]\nslow_for = 3\n'
        '[unknowns]\npost_existing = "conflict"\nrate_limit = 5\n'.replace("= 1\n", "= 0.5\n")
    )
    loaded = load_behaviour(path)
    assert loaded.faults.shares == {Fault.CUT_AFTER: 0.02, Fault.E500_BEFORE: 0.5}
    assert loaded.faults.methods == {"POST"}
    assert loaded.faults.calls == {Area.USERS}
    assert loaded.faults.slow_for == 3
    assert (loaded.unknowns.post_existing, loaded.unknowns.rate_limit) == ("conflict", 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[faults]\nearthquake = 0.1", "cut-after"),
        ("[faults]\nslow = 2", "shares.slow cannot be 2: .*less than or equal to 1"),
        ("[faults]\nslow = true", "a valid number"),
        ("[faults]\nslow = 0.6\nhtml = 0.6", "more than 1"),
        ('[faults]\nmethods = ["PUT"]', "DELETE"),
        ('[faults]\ncalls = ["dogs"]', "credentials"),
        ('[faults]\nslow_for = "long"', "slow_for cannot be 'long': .*a valid number"),
        ("[unknowns]\ncolour = 1", "post_existing"),
        ("[weather]\nrain = 1", "weather"),
        ("slow = 0.1", "slow"),
        ("[faults", "TOML"),
    ],
)
def test_the_message_about_a_wrong_file_of_faults_says_what_is_wrong(tmp_path: Path, text: str, message: str):
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_behaviour(path)


def test_the_message_about_an_unknown_preset_lists_the_presets():
    with pytest.raises(UsageError, match="rainy"):
        load_behaviour("windy")


async def test_in_a_storm_the_record_still_adds_up_to_what_is_stored():
    storm = Behaviour(faults=PRESETS["storm"], seed=3)
    async with serve_sandbox(storm) as leaf:
        leaf.timeout = 0.1
        for n in range(60):
            try:
                await leaf.post(
                    path=f"{BASE}/users/0b5e7f0a-6a5c-4a53-9f6e-0d5a3b1c2d{n:02}/raven-credentials"
                )
            except (aiohttp.ClientError, TimeoutError):
                continue
        stored = [seen["leafUserId"] for seen in leaf.sandbox.requests() if seen["stored"]]
        state = json.loads(json.dumps(leaf.sandbox.state()))
    assert sorted(stored) == sorted(g["leafUserId"] for g in state["growers"] if g["credentialId"])
