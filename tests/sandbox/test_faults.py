"""Every way to go wrong, before and after storing; held against what the sandbox says that it stored."""

from __future__ import annotations

import asyncio
import json
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp
import pytest

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
