"""`python -m tests.strict.leaf`: a Leaf that takes exactly the bodies that Leaf documents.

What it is like comes on stdin, as one line of JSON; the end of stdin ends it. It writes down every request.
Its answers to what is not documented are a `Nature`. Under ``/_desk`` it tells what it saw and holds.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from aiohttp import web

API = "/services/usermanagement/api/users"
# path -> fields of the application, of the grower, those that may be left out, the embedded object
BODIES: dict[str, tuple[str, str, str, str]] = {
    "raven": ("clientId clientSecret", "refreshToken", "", "ravenCredentials"),
    "raven-slingshot": ("apiKey sharedSecret", "accessKey", "", "ravenSlingshotCredentials"),
    "john-deere": ("clientKey clientSecret clientEnvironment", "refreshToken", "", "johnDeereCredentials"),
    "climate-field-view": (
        "clientId clientSecret apiKey", "refreshToken", "", "climateFieldViewCredentials",
    ),
    "cnhi": (
        "clientId clientSecret subscriptionKey clientEnvironment", "refreshToken", "", "cnhiCredentials",
    ),
    "cnhi-field-ops": (
        "clientId clientSecret subscriptionKey clientEnvironment", "refreshToken", "",
        "cnhiFieldOpsCredentials",
    ),
    "claas": ("clientKey clientSecret clientEnvironment", "refreshToken", "", "claasCredentials"),
    "trimble": ("clientId clientSecret", "refreshToken", "", "trimbleCredentials"),
    "ag-leader": ("publicKey privateKey", "refreshToken", "accessToken", "agLeaderCredentials"),
    "stara": ("apiKey", "accessToken accessTokenClient refreshToken", "", "staraCredentials"),
    "sentera": ("", "username password organizationName", "", "senteraCredentials"),
    "agvance": ("apiKey clientEnvironment", "databaseId username password", "", "agvanceCredentials"),
    "panorama": (
        "clientId username password clientEnvironment", "organizationCode refreshToken", "",
        "panoramaCredentials",
    ),
    "lindsay": ("clientId clientSecret clientEnvironment", "refreshToken", "", "lindsayCredentials"),
    "valley": ("apid initializationVector key", "username password", "", "valleyCredentials"),
    "agrimatics": ("clientId clientSecret clientEnvironment", "accessToken", "", "agrimaticsCredentials"),
}  # fmt: skip


@dataclass(frozen=True)
class Nature:
    """One possible Leaf. ``held``: of whom something is stored from the start: user, provider and body.

    ``hidden`` and ``made_up``: users whom the list shows as not connected, or as connected, and who are the
    opposite. ``shift``: one more user is there at the front after so many pages. ``gap``: what happens to the
    first POST after a DELETE, of every ``gap_of``th grower. ``faults``: share of all requests by kind.
    """

    bearer: str
    users: tuple[str, ...]
    held: tuple[tuple[str, str, dict[str, str]], ...] = ()
    existing: str = "409"
    none: str = "404"
    nobody: str = "404"
    total: bool = True
    cap: int = 100
    shift: int = 0
    hidden: tuple[str, ...] = ()
    made_up: tuple[str, ...] = ()
    not_embedded: tuple[str, ...] = ()
    shows: str = "all"
    deleted: str = "204"
    gap: str = ""
    gap_of: int = 3
    faults: Mapping[str, float] = field(default_factory=dict)
    retry: str = "seconds"
    seed: int = 0


class Cut(Exception):
    """The connection is cut."""


def problem(status: int, key: str, spilled: object = None) -> web.Response:
    """A JHipster problem, which spills what it was sent."""
    body = {"title": "No", "status": status, "message": f"error.{key} {json.dumps(spilled)}", "errorKey": key}
    return web.json_response(body, status=status, content_type="application/problem+json")


class Leaf:
    """``seen``: a line for each request. ``held``: credentials by user and provider.

    ``stalled``: the longest time, in seconds, for which the machine had no turn for this Leaf: requests that
    came meanwhile are seen all at once.
    """

    def __init__(self, nature: Nature) -> None:
        self.nature, self.seen, self.calm = nature, list[dict[str, Any]](), False
        self.stalled = 0.0
        self._draw = random.Random(nature.seed)
        self._users, self._pages = list(nature.users), 0
        self._emptied, self._gapped = set[tuple[str, str]](), set[str]()
        self.held = {
            (user, provider): self._made(body, timedelta(days=9)) for user, provider, body in nature.held
        }

    def _made(self, body: dict[str, str], ago: timedelta = timedelta()) -> dict[str, Any]:
        at = (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {"id": str(uuid.UUID(int=self._draw.getrandbits(128))), "createdTime": at, "body": body}

    async def watch(self) -> None:
        """For ever: look how late a timer is."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.02)
            self.stalled = max(self.stalled, time.monotonic() - before - 0.02)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Write the request down, and answer it or not."""
        if request.path.startswith("/_desk"):
            return await self._desk(request)
        seen: dict[str, Any] = {
            "method": request.method, "path": request.path, "at": time.monotonic(),
            "status": None, "stored": "", "deleted": "", "over": False, "wrong": "",
        }  # fmt: skip
        self.seen.append(seen)
        body = await request.read()
        try:
            response = await self._faulty(request, body, seen)
        except Cut:
            assert request.transport
            request.transport.abort()
            raise asyncio.CancelledError from None
        seen["status"] = response.status
        return response

    async def _desk(self, request: web.BaseRequest) -> web.Response:
        if request.method == "POST":
            self.calm = True
        held = [[*key, each["id"], each["body"]] for key, each in self.held.items()]
        return web.json_response({"seen": self.seen, "held": held, "stalled": self.stalled})

    async def _faulty(self, request: web.BaseRequest, body: bytes, seen: dict[str, Any]) -> web.Response:
        fault = "" if self.calm else self._fault(request)
        match fault:
            case "throttle":
                later = datetime.now(UTC) + timedelta(seconds=1)
                form = {"seconds": "1", "date": format_datetime(later, usegmt=True)}.get(self.nature.retry)
                return web.Response(status=429, headers={"Retry-After": form} if form else {})
            case "500-before":
                return problem(500, "internal", body.decode())
            case "cut-before":
                raise Cut
        response = self._answer(request, body, seen)
        match fault:
            case "500-after":
                return web.Response(status=500, text=f"<html>{body.decode()}</html>")
            case "cut-after":
                raise Cut
            case "slow":
                await asyncio.sleep(1.6)
        return response

    def _fault(self, request: web.BaseRequest) -> str:
        user, _, rest = request.path.removeprefix(f"{API}/").partition("/")
        emptied = (user, rest.removesuffix("-credentials")) in self._emptied
        if request.method == "POST" and emptied and user not in self._gapped and self.nature.gap:
            self._gapped.add(user)
            if int(user[-4:], 16) % self.nature.gap_of == 0:
                return self.nature.gap
        at, mark = self._draw.random(), 0.0
        for kind, share in self.nature.faults.items():
            mark += share
            if at < mark:
                return kind
        return ""

    # --- the calls ----------------------------------------------------------------------------------

    def _answer(self, request: web.BaseRequest, body: bytes, seen: dict[str, Any]) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.nature.bearer}":
            return problem(401, "unauthorised")
        parts = request.path.removeprefix(API).strip("/").split("/")
        user, path = parts[0], parts[1].removesuffix("-credentials") if len(parts) > 1 else ""
        match (request.method, len(parts) if user else 0, parts[-1]):
            case ("GET", 0, _):
                return self._page(request, seen)
            case ("GET", 1, _):
                known = user in self._users
                return web.json_response(self._user(user, listed=False)) if known else self._nobody()
            case (_, 2, _) if path not in BODIES:
                pass
            case ("GET", 2, _):
                return self._get(user, path)
            case ("POST", 2, _):
                return self._post(request, user, path, body, seen)
            case ("DELETE", 2, _):
                return self._delete(user, path, seen)
            case ("GET", 3, "events") if path in BODIES:
                return self._events(user, path)
        seen["wrong"] = "no such call"
        return web.Response(status=404, text="<html>nginx</html>")

    def _page(self, request: web.BaseRequest, seen: dict[str, Any]) -> web.Response:
        page, asked = int(request.query.get("page", 0)), int(request.query.get("size", 20))
        if asked > 100 or set(request.query) - {"page", "size", "sort", "email", "name", "externalId"}:
            seen["wrong"] = f"no such page: {dict(request.query)}"
        self._pages += 1
        if self.nature.shift and not self._pages % self.nature.shift:
            self._users.insert(0, str(uuid.UUID(int=self._draw.getrandbits(128))))
        size = min(asked, self.nature.cap)
        found = [self._user(each, listed=True) for each in self._users[page * size :][:size]]
        headers = {"X-Total-Count": str(len(self._users))} if self.nature.total else {}
        return web.json_response(found, headers=headers)

    def _user(self, user: str, *, listed: bool) -> dict[str, Any]:
        shown: dict[str, Any] = {"id": user, "name": f"N {user[:4]}", "email": f"{user[:6]}@example.com"}
        for provider, (*_, embedded) in BODIES.items():
            held = self.held.get((user, provider))
            if provider in self.nature.not_embedded or (listed and user in self.nature.hidden):
                continue
            if listed and user in self.nature.made_up and held is None:
                held = {"id": user, "createdTime": "", "body": {}}
            shown |= {embedded: self._shown(held)} if held else {}
        return shown

    def _shown(self, held: dict[str, Any]) -> dict[str, Any]:
        shown = {"id": held["id"], "status": "OK", "createdTime": held["createdTime"]}
        match self.nature.shows:
            case "all":
                shown |= held["body"]
            case "masked":
                shown |= {name: f"{value[:2]}****" for name, value in held["body"].items()}
        return shown

    def _get(self, user: str, provider: str) -> web.Response:
        if user not in self._users:
            return self._nobody()
        held = self.held.get((user, provider))
        return web.json_response(self._shown(held)) if held else self._none(self.nature.none)

    def _none(self, form: str) -> web.Response:
        match form:
            case "404":
                return problem(404, "notFound")
            case "404 bare":
                return web.Response(status=404)
            case "204":
                return web.Response(status=204)
            case _:
                return web.Response(text=form, content_type="application/json")

    def _nobody(self) -> web.Response:
        return self._none(self.nature.nobody)

    def _delete(self, user: str, provider: str, seen: dict[str, Any]) -> web.Response:
        held = self.held.pop((user, provider), None)
        if held is None:
            return problem(404, "notFound")
        self._emptied.add((user, provider))
        seen["deleted"] = held["id"]
        return web.Response(status=204) if self.nature.deleted == "204" else web.json_response({})

    def _events(self, user: str, provider: str) -> web.Response:
        held = self.held.get((user, provider))
        if held is None:
            return problem(404, "notFound")
        spilled = json.dumps(held["body"])
        event = {"id": "e", "createdDate": held["createdTime"], "statusCode": 200}
        return web.json_response([event | {"headers": spilled, "body": spilled}])

    def _post(
        self, request: web.BaseRequest, user: str, provider: str, raw: bytes, seen: dict[str, Any]
    ) -> web.Response:
        body = json.loads(raw)
        if complaint := _complaint(request, provider, body):
            seen["wrong"] = complaint
            return problem(400, "invalid", body)
        if user not in self._users:
            return problem(404, "userNotFound", body)
        if any(value.startswith("refuse") for value in body.values()):
            return problem(400, "invalidToken", body)
        key = (user, provider)
        if key in self.held:
            seen["over"] = True
            if self.nature.existing in {"409", "400"}:
                return problem(int(self.nature.existing), "credentialsAlreadyExist", body)
        if key in self.held and self.nature.existing == "200":
            self.held[key]["body"] = body
        else:
            self.held[key] = self._made(body)
        seen["stored"] = self.held[key]["id"]
        return web.json_response(self._shown(self.held[key]), status=201)


def _complaint(request: web.BaseRequest, provider: str, body: Any) -> str:
    app, grower, optional, _ = BODIES[provider]
    needed = {*app.split(), *grower.split()}
    if request.content_type != "application/json" or not isinstance(body, dict):
        return "not JSON"
    if not needed <= set(body) <= needed | set(optional.split()):
        return f"a body of {provider} with {sorted(body)}"
    if not all(isinstance(value, str) and value for value in body.values()):
        return "a field that is no text or blank"
    return "" if body.get("clientEnvironment", "STAGE") in {"STAGE", "PRODUCTION"} else "environment"


def told(nature: Nature) -> bytes:
    """The nature as one line, for the process."""
    return json.dumps(asdict(nature)).encode() + b"\n"


async def _serve(told: dict[str, Any]) -> None:
    known = {each.name for each in fields(Nature)}
    leaf = Leaf(Nature(**{name: value for name, value in told.items() if name in known}))
    runner = web.ServerRunner(web.Server(leaf.handle), shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print("http://127.0.0.1:{1}".format(*runner.addresses[0]), flush=True)
    ended, watch = asyncio.Event(), asyncio.create_task(leaf.watch())
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    watch.cancel()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.stdin.readline())))
