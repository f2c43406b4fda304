"""``bulk-onboard sandbox``: serve the imitation of Leaf until Ctrl-C."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bulk_onboard.cli import options
from bulk_onboard.cli.param_types import LATENCY, SECONDS

if TYPE_CHECKING:
    from bulk_onboard.sandbox import Behaviour, Sandbox

_EPILOG = """\b
Examples:
  bulk-onboard sandbox
  bulk-onboard sandbox --port 9000 --faults rainy --seed 7
  bulk-onboard sandbox --rate-limit 50 --latency 50ms --unknown post_existing=conflict

\b
A grower's secret can select what happens to the grower:
  expired-…   stored, but its first event is a 401 and its status FAILED
  silent-…    stored, but never gets an event
  refused-…   refused with HTTP 400, nothing is stored

\b
A file of faults holds shares of requests, from 0 to 1:
  [faults]
  cut-after = 0.02
  throttle-seconds = 0.05
  methods = ["POST"]
  calls = ["credentials", "events"]
  [unknowns]
  post_existing = "conflict"

\b
With SANDBOX_PASSWORD (and SANDBOX_USERNAME) in the environment, any other login is refused.
GET /sandbox/requests and GET /sandbox/state show requests and stored data; POST /sandbox/reset clears both.
"""


def _answers(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    for text in values:
        if not re.fullmatch(r"[^=]+=.*", text):
            raise click.BadParameter(f"{text!r} is not NAME=VALUE, such as post_existing=conflict")
    return dict(text.split("=", 1) for text in values)


_FILE = click.Path(path_type=Path)


@click.command("sandbox", cls=options.Command, epilog=_EPILOG)
@options.option(
    "--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="Port; 0 for any free one."
)
@options.option(
    "--faults",
    default="none",
    metavar="NAME|FILE",
    help="Simulate faults: none, rainy, storm, throttled, cuts, slow, or a TOML file.  [default: none]",
)
@options.option(
    "--rate-limit",
    type=click.IntRange(min=0),
    metavar="N",
    help="Serve N requests per second and answer the rest with 429.  [default: no limit]",
)
@options.option(
    "--latency",
    type=LATENCY,
    default="0",
    metavar="TIME",
    help="Delay every answer: 50ms, 0.2s; a bare number is milliseconds.  [default: 0]",
)
@options.option(
    "--users",
    type=_FILE,
    metavar="FILE",
    help="File of Leaf users: a column leafUserId, or one id per line.  [default: any UUID is a user]",
)
@options.option(
    "--seed", type=int, metavar="N", help="Seed of the faults; the same seed gives the same faults."
)
@options.option(
    "--event-delay",
    type=SECONDS,
    default="1",
    metavar="SECONDS",
    help="Time from storing credentials to their first event.  [default: 1]",
)
@options.option(
    "--unknown",
    "unknowns",
    multiple=True,
    callback=_answers,
    metavar="NAME=VALUE",
    help="Choose a behaviour that Leaf's documentation leaves open, e.g. get_absent=empty; a wrong name"
    " lists all. Repeatable.",
)
@options.option(
    "--store",
    type=_FILE,
    metavar="FILE",
    help="Store the state in this file, without secrets.  [default: in memory]",
)
@options.config
def command(
    *,
    port: int,
    config: Path | None,
    faults: str,
    rate_limit: int | None,
    latency: float,
    users: Path | None,
    seed: int | None,
    event_delay: float,
    unknowns: dict[str, str],
    store: Path | None,
) -> None:
    """Serve a local imitation of Leaf to practise on, with simulated faults."""
    import asyncio  # noqa: PLC0415  (this and the sandbox are not needed for --help)
    from contextlib import suppress  # noqa: PLC0415
    from dataclasses import replace  # noqa: PLC0415

    from bulk_onboard.sandbox import Sandbox  # noqa: PLC0415
    from bulk_onboard.settings.config_file import read  # noqa: PLC0415

    providers = read(config).providers
    limit = {} if rate_limit is None else {"rate_limit": str(rate_limit)}
    settings = _behaviour(faults, unknowns | limit, users)
    settings = replace(settings, latency=latency, seed=seed, event_delay=event_delay)
    with suppress(KeyboardInterrupt):  # where signals cannot be handled, Ctrl-C raises this
        asyncio.run(_serve(Sandbox(providers, settings, store), port, settings))


def _behaviour(faults: str, answers: dict[str, str], users_file: Path | None) -> Behaviour:
    from dataclasses import replace  # noqa: PLC0415

    from bulk_onboard.sandbox import Account, load_behaviour, read_users, with_answers  # noqa: PLC0415

    users = read_users(users_file) if users_file else ()
    if users_file:
        answers = {"users": "listed"} | answers
    settings = load_behaviour(faults)
    unknowns = with_answers(settings.unknowns, answers)
    return replace(settings, users=users, unknowns=unknowns, account=Account())


async def _serve(sandbox: Sandbox, port: int, settings: Behaviour) -> None:
    import asyncio  # noqa: PLC0415
    import signal  # noqa: PLC0415
    from contextlib import suppress  # noqa: PLC0415

    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with sandbox.serve(port) as url:
        click.echo(_introduction(sandbox.identity, url, settings), err=True)
        await ended.wait()


def _introduction(identity: str, url: str, settings: Behaviour) -> str:
    unknowns, account = settings.unknowns, settings.account
    username = account.username if account and account.username else "me"
    password = "$SANDBOX_PASSWORD" if account and account.password else "practice"
    users = len(settings.users) if unknowns.users == "listed" else "any UUID"
    return "\n".join(
        (
            f"Sandbox at {url} ({identity}). Press Ctrl-C to stop it.",
            "To use it, in another terminal:",
            # Not LEAF_TOKEN: the login expires as one of the faults, and only a password can renew it.
            f"  export LEAF_BASE_URL={url} LEAF_USERNAME={username} LEAF_PASSWORD={password}",
            "  export RAVEN_CLIENT_ID=practice RAVEN_CLIENT_SECRET=practice",
            f"Faults: {settings.faults.total:.1%} of requests, seed:"
            f" {'none' if settings.seed is None else settings.seed};"
            f" rate limit: {unknowns.rate_limit or 'none'}; latency: {settings.latency * 1000:g} ms;"
            f" events after {settings.event_delay:g} s; users: {users}.",
        )
    )
