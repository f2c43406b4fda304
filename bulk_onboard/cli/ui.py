"""``bulk-onboard ui [FILE]``: the page for the person with the spreadsheet."""

from __future__ import annotations

import asyncio
import html
import os
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bulk_onboard.cli import completion, options
from bulk_onboard.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from bulk_onboard.ui.server import Server

_EPILOG = """\b
Examples:
  bulk-onboard ui
  bulk-onboard ui growers.xlsx
  bulk-onboard ui growers.xlsx --no-browser --port 8790

The page is served to this machine only. It ends when you press Ctrl-C, or a minute after you close it; a run
in progress finishes first.
"""


@click.command("ui", cls=options.Command, epilog=_EPILOG)
@click.argument("file", required=False, shell_complete=completion.files)
@options.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1.  [default: any free one]"
)
@options.option("--browser/--no-browser", default=True, help="Open the page in a browser.  [default: yes]")
def command(file: str | None, *, port: int, browser: bool) -> int:
    """Open a page in the browser to check, correct and onboard a file.

    You can also drop FILE on the page, or paste it from a spreadsheet. This machine sends nothing except the
    requests to Leaf of a run that you confirm.
    """
    from bulk_onboard.cli import signals  # noqa: PLC0415
    from bulk_onboard.ui.server import Server  # noqa: PLC0415
    from bulk_onboard.ui.session import Session  # noqa: PLC0415

    if file == "-":
        raise UsageError("standard input can be read only once; name a file, or paste its text into the page")
    ending = _Ending()

    async def serve() -> int:
        ending.server = server = Server(Session())
        async with server.serve(port):
            if file is not None:
                await server.session.open(file, Path(file).name)
            with _opened(server, browser=browser):
                await ending.wait(server)
        return ExitCode.OK

    return int(signals.run(serve, ending))


class _Ending:
    """Ends the server: after its run, if there is one, has finished; the second time at once."""

    def __init__(self) -> None:
        self.server: Server | None = None
        self._interrupted = asyncio.Event()

    def drain(self, _reason: str, _exit_code: ExitCode) -> None:
        """Start no new row; end when the rows in flight have finished."""
        self._interrupted.set()
        if self.server is not None and self.server.session.running:
            click.echo("Rows in flight finish; no new row starts. Ctrl-C again stops at once.", err=True)
        self.abort()

    def abort(self) -> None:
        """Stop the run at once if it is stopping already."""
        if self.server is not None:
            for live in (self.server.session.run, self.server.session.dry):
                if live is not None and not live.ended:
                    live.end("interrupted")

    async def wait(self, server: Server) -> None:
        """Return after Ctrl-C, or when the page has been closed for a while."""
        waiting = [asyncio.ensure_future(server.closed()), asyncio.ensure_future(self._interrupted.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        if not self._interrupted.is_set():
            self.abort()  # a run that waits for an answer
        await server.session.finish()


@contextmanager
def _opened(server: Server, *, browser: bool) -> Iterator[None]:
    """Show the address, and open it in a browser through a file that only the user can read.

    An address on a command line would show the token to the other users of the machine.
    """
    click.echo(f"The page: {server.address}\nThis address works once. Ctrl-C ends the page.", err=True)
    page = _private_page(server.address) if browser else None

    def opened() -> None:
        if page:
            page.unlink(missing_ok=True)
        click.echo(f"To open the page in another browser: {server.address}", err=True)

    server.on_opened = opened
    try:
        if page:
            # Some browsers that run in a terminal return only when they end.
            threading.Thread(target=webbrowser.open, args=(page.as_uri(),), daemon=True).start()
        yield
    finally:
        if page:
            page.unlink(missing_ok=True)


def _private_page(address: str) -> Path:
    """Return a file that redirects to an address.

    It is in the working folder: some browsers cannot read other folders.
    """
    folder = Path.cwd() if os.access(Path.cwd(), os.W_OK) else None
    descriptor, name = tempfile.mkstemp(".html", "bulk-onboard-", folder)
    with os.fdopen(descriptor, "w") as file:
        file.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={html.escape(address)}">')
    return Path(name)
