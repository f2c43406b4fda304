"""Serve the page on this machine, to one browser: the one that was given the one-time token.

The token in the address is exchanged for a cookie, which no script can read and no other site gets, for a
path that no other server on this machine knows. Every request has to come from the page itself: Host, Origin
and cookie are checked. The page loads nothing from elsewhere, and a strict policy makes sure of it.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import PurePath
from typing import Any
from urllib.parse import quote, unquote

from aiohttp import web
from aiohttp.typedefs import Handler

from bulk_onboard.domain.input_description import printable
from bulk_onboard.errors import BulkOnboardError, UsageError, place_of
from bulk_onboard.readers.input_file import InputFile
from bulk_onboard.ui.session import PASTED, Session
from bulk_onboard.ui.state import PageState

HOST = "127.0.0.1"
COOKIE = "bulk_onboard"
LARGEST_FILE = 1 << 31
# Seconds without a page after which the server ends; longer before the first one.
CLOSED_FOR, NEVER_OPENED_FOR = 60.0, 900.0
_TICK, _KEEP_ALIVE = 0.2, 15.0
_ASSETS = ("page.css", "grid.js", "page.js", "file_steps.js", "problem_step.js", "run_steps.js")
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
# The report has its own script and styles inside; in a sandbox of its own it can ask for nothing.
_REPORT_POLICY = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline';"
    " style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_ENTRANCE = (
    '<!doctype html><meta charset="utf-8"><title>bulk-onboard</title><link rel="icon" href="data:,">'
    '<meta http-equiv="refresh" content="0; url=/{path}/"><a href="/{path}/">Continue</a>'
)
_USED = "This address was used already. The terminal shows a new one, or use the page that is open.\n"

Action = Callable[[dict[str, Any]], Awaitable[Any]]


class Server:
    """The page of one session. ``token``: opens the page once, and is then another one."""

    def __init__(self, session: Session, *, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock``: seconds, for how long the page has been closed."""
        self.session, self.state, self._clock = session, PageState(session), clock
        self.token, self._cookie = secrets.token_urlsafe(24), secrets.token_urlsafe(32)
        self._path, self.origin = secrets.token_urlsafe(16), ""
        self._pages, self._closed_at, self._limit = 0, clock(), NEVER_OPENED_FOR
        self.on_opened: Callable[[], None] = lambda: None
        self._actions: Mapping[str, Action] = {
            "choose": session.choose,
            "edit": lambda body: session.edit(body["cells"]),
            "leaveOut": lambda body: session.leave_out(int(body["row"]), out=bool(body["out"])),
            "repair": lambda _body: session.repair(),
            "save": lambda body: session.save_mapping(str(body["partner"])),
            "rows": self._rows,
            "cell": self._cell,
            "results": self._results,
            "start": self._start,
            "control": self._control,
        }

    @property
    def address(self) -> str:
        """The address to open, which works once."""
        return f"{self.origin}/?token={self.token}"

    @property
    def inside(self) -> str:
        """The address of the page itself, which needs the cookie."""
        return f"{self.origin}/{self._path}/"

    @asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncIterator[str]:
        """Serve while the context is open; yields the origin. Port 0: any free one. Raises UsageError."""
        application = web.Application(middlewares=[self._guard], client_max_size=LARGEST_FILE)
        application.router.add_get("/", self._enter)
        inside = f"/{self._path}"
        for name in ("", *_ASSETS):
            application.router.add_get(f"{inside}/{name}", self._asset)
        application.router.add_get(f"{inside}/events", self._events)
        application.router.add_get(f"{inside}/download/{{kind}}", self._download)
        application.router.add_get(f"{inside}/report", self._report)
        application.router.add_post(f"{inside}/file", self._open)
        application.router.add_post(f"{inside}/api/{{action}}", self._act)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, HOST, port).start()
            except OSError as error:
                raise UsageError(f"the page cannot be served on port {port}: {error.strerror}") from None
            self.origin = f"http://{HOST}:{runner.addresses[0][1]}"
            yield self.origin
        finally:
            await runner.cleanup()
            self.session.close()

    async def closed(self) -> None:
        """Return when the page has been closed for a while, and no run is at work.

        A run that waits for an answer does not count: it holds the ledger, and no page is open to answer it.
        """
        while True:
            run = self.session.run
            if self._pages or (self.session.running and not (run and run.asking)):
                self._closed_at = self._clock()
            elif self._clock() - self._closed_at >= self._limit:
                return
            await asyncio.sleep(_TICK)

    # --- which requests are answered ----------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer only the page itself."""
        try:
            response = await self._answer(request, handler)
        except web.HTTPException as error:
            response = web.Response(status=error.status, text=f"{error.reason}\n")
        for name, value in _HEADERS.items():
            if not response.prepared:
                response.headers.setdefault(name, value)
        return response

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.host != self.origin.removeprefix("http://") or not self._is_from_here(request):
            return web.Response(status=403, text="This page answers only itself.\n")
        if request.path == "/":
            return await handler(request)
        if not _is_same(request.cookies.get(COOKIE, ""), self._cookie):
            return web.Response(status=403, text="Open the address that the terminal shows.\n")
        try:
            return await handler(request)
        except BulkOnboardError as error:
            return web.json_response({"error": str(error)}, status=422)
        except web.HTTPException:
            raise
        except Exception as error:  # neither shown nor logged in full: its message may quote a cell
            where = f"{type(error).__name__} at {place_of(error)}"
            return web.json_response({"error": f"a bug in bulk-onboard: {where}"}, status=400)

    def _is_from_here(self, request: web.Request) -> bool:
        """Whether the page itself sends the request. Browsers name another site in these headers."""
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site", "none")
        if request.method != "GET":
            return origin == self.origin
        return origin in {None, self.origin} and (request.path == "/" or site in {"none", "same-origin"})

    async def _enter(self, request: web.Request) -> web.Response:
        """Exchange the token, once, for the cookie."""
        if not _is_same(request.query.get("token", ""), self.token):
            return web.Response(status=403, text=_USED)
        self.token = secrets.token_urlsafe(24)
        # Not a redirection: a browser that comes from a file would not send the cookie along.
        response = web.Response(text=_ENTRANCE.format(path=self._path), content_type="text/html")
        response.set_cookie(COOKIE, self._cookie, path=f"/{self._path}/", httponly=True, samesite="Strict")
        self.on_opened()
        return response

    # --- what is answered ---------------------------------------------------------------------------

    async def _asset(self, request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2] or "page.html"
        text = files(__package__).joinpath(name).read_text("utf-8")
        return web.Response(text=text, content_type=_TYPES[PurePath(name).suffix])

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Send the state whenever it changes, for as long as the page is open."""
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        self._pages, self._limit = self._pages + 1, CLOSED_FOR
        try:
            sent, at = "", self._clock()
            while request.transport is not None and not request.transport.is_closing():
                text = json.dumps(self.state())
                if text != sent or self._clock() - at > _KEEP_ALIVE:
                    await response.write(f"data: {text}\n\n".encode())
                    sent, at = text, self._clock()
                await asyncio.sleep(_TICK)
        except ConnectionError:
            pass
        finally:
            self._pages -= 1
            self._closed_at = self._clock()
        return response

    async def _open(self, request: web.Request) -> web.Response:
        name = printable(PurePath(unquote(request.headers.get("X-File-Name", ""))).name) or PASTED
        await self.session.open(InputFile(name, await request.read()), name)
        return web.json_response({})

    async def _act(self, request: web.Request) -> web.Response:
        action = self._actions.get(request.match_info["action"])
        if action is None:
            raise web.HTTPNotFound
        return web.json_response(await action(await request.json()) or {})

    async def _rows(self, body: dict[str, Any]) -> dict[str, Any]:
        where = (
            int(body["start"]),
            int(body["count"]),
            str(body.get("code", "")),
            str(body.get("search", "")),
        )
        return await asyncio.to_thread(self.session.rows, *where)

    async def _cell(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"text": self.session.cell(int(body["row"]), int(body["column"]))}

    async def _results(self, body: dict[str, Any]) -> dict[str, Any]:
        start, count, status = max(0, int(body["start"])), int(body["count"]), str(body.get("status", ""))
        return self.session.results(start, count, status, dry=bool(body["dry"]))

    async def _start(self, body: dict[str, Any]) -> None:
        self.session.start(dry=bool(body["dry"]))

    async def _control(self, body: dict[str, Any]) -> None:
        live = self.session.dry if body.get("dry") else self.session.run
        if live is None or live.ended:
            raise UsageError("there is no run in progress")
        match body["what"]:
            case "confirm":
                live.answer(True)
            case "pause":
                live.stop.suspend()
            case "resume":
                live.stop.resume()
            case _:
                live.end("the Stop button was pressed")

    async def _download(self, request: web.Request) -> web.Response:
        name, content = await self.session.download(request.match_info["kind"])
        disposition = f"attachment; filename*=UTF-8''{quote(name)}"
        headers = {"Content-Disposition": disposition, "Content-Type": "application/octet-stream"}
        return web.Response(body=content, headers=headers)

    async def _report(self, _request: web.Request) -> web.Response:
        _, content = await self.session.download("report")
        # From its sandbox a link would lead nowhere; the page has a button for each of these files.
        content = re.sub(rb'<a href="[^":]+">(.*?)</a>', rb"\1", content)
        headers = {"Content-Security-Policy": _REPORT_POLICY}
        return web.Response(body=content, content_type="text/html", charset="utf-8", headers=headers)


def _is_same(given: str, secret: str) -> bool:
    """Compare in a time that tells nothing; what is given may be any bytes."""
    return hmac.compare_digest(given.encode(errors="surrogateescape"), secret.encode())
