"""The options that several commands share, each a decorator, and the groups of them that go together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bulk_onboard.cli import suggest
from bulk_onboard.domain.model import IfExists
from bulk_onboard.settings import FailOn, LedgerPlace, NotifyWhen, PostgresUrl, parse
from bulk_onboard.settings.ledger_url import holds_password

F = TypeVar("F", bound=Callable[..., Any])


def parsed(parser: Callable[[Any], Any]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Return a callback that parses a parameter with a function of `parse`; None stays None."""

    def callback(_ctx: click.Context, param: click.Parameter, given: Any) -> Any:
        try:
            return parser(given) if given not in (None, ()) else None
        except ValueError as error:
            raise click.BadParameter(str(error), param=param) from None

    return callback


def _names(texts: tuple[str, ...]) -> tuple[str, ...]:
    return parse.names([name for text in texts for name in parse.names(text)])


def _ledger(text: str) -> LedgerPlace:
    place = parse.ledger(text)
    if isinstance(place, PostgresUrl) and holds_password(place):
        click.echo(
            "bulk-onboard: warning: the password given with --ledger can be read in the list of processes;"
            " put the address into BULK_ONBOARD_LEDGER, or the password into PGPASSWORD or ~/.pgpass",
            err=True,
        )
    return place


def together(*decorators: Callable[[Any], Any]) -> Callable[[F], F]:
    """Combine decorators into one, applied so that ``--help`` lists them in this order."""

    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def _flag(name: str, text: str) -> Callable[[F], F]:
    """Return a flag that is None when it is not given, so that the TOML file can set it."""
    return click.option(name, is_flag=True, default=None, help=text)


_PATH = click.Path(path_type=Path)
_POSITIVE = click.IntRange(min=1)

config = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Settings file.  [default: bulk-onboard.toml if there is one]",
)
provider = click.option(
    "--provider",
    metavar="NAME",
    shell_complete=suggest.providers,
    help="Provider of rows that do not name one; `bulk-onboard providers` lists them.  [default: raven]",
)
as_json = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the summary as JSON on standard output, everything else on standard error.",
)

plain_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

sheet = click.option(
    "--sheet",
    multiple=True,
    metavar="NAME",
    callback=parsed(parse.sheets),
    help="Read this sheet of a workbook. Repeatable; '*' reads all sheets with growers.",
)
hidden = click.option(
    "--hidden",
    type=click.Choice(["include", "skip"]),
    help="Include or skip rows that are hidden by a filter or a collapsed group.  [default: refuse to run]",
)

reading = together(
    sheet,
    click.option(
        "--header-row",
        type=_POSITIVE,
        metavar="N",
        help="Row with the names of the columns, as a spreadsheet numbers it.  [default: detected]",
    ),
    hidden,
    click.option(
        "--encoding",
        metavar="NAME",
        callback=parsed(parse.encoding),
        help="Encoding of a text file, such as utf-8, cp1251 or cp850.  [default: detected]",
    ),
    click.option(
        "--map",
        "map",
        multiple=True,
        metavar="FIELD=COLUMN",
        callback=parsed(parse.mapping),
        help="Read a field from a column with another name. Repeatable.",
    ),
    click.option(
        "--keep",
        multiple=True,
        metavar="COL,…",
        callback=parsed(_names),
        help="Copy these columns to the results.",
    ),
    click.option(
        "--limit",
        type=_POSITIVE,
        metavar="N",
        help="Process only the first N rows; `run` counts only rows that are still to do.",
    ),
    _flag("--allow-shared-tokens", "Allow several growers to share a token."),
)

create_users = click.option(
    "--create-users/--no-create-users",
    default=None,
    help="Look up rows without leafUserId by externalId or email, and create missing users.  [default: no]",
)

strict = _flag("--strict", "Refuse a file with an invalid row.")

pace = together(
    click.option(
        "--rate",
        callback=parsed(parse.rate),
        metavar="RATE",
        help="Ceiling in requests per second: 10, 600/min; 0 for none.  [default: 10; sandbox: 100]",
    ),
    click.option(
        "--max-in-flight",
        type=_POSITIVE,
        metavar="N",
        help="Limit concurrent requests.  [default: automatic]",
    ),
    click.option(
        "--timeout",
        callback=parsed(parse.timeout),
        metavar="SECONDS",
        help="Longest time for a request; after it, an unanswered request counts as lost.  [default: 30]",
    ),
)

cluster = click.option(
    "--cluster",
    callback=parsed(parse.cluster),
    metavar="WHERE",
    help="Use several processes: local:N for N processes here, tcp://HOST:PORT or tls://HOST:PORT for the"
    " workers of a dask scheduler. FILE may be a folder or a pattern.  [default: one process]",
)

if_exists = together(
    click.option(
        "--if-exists",
        type=click.Choice([each.value for each in IfExists]),
        help="skip: ask first, never touch what exists; replace: ask, delete what differs and is not healthy,"
        " post; overwrite: post without asking; fail: reject growers that have credentials.  [default: skip]",
    ),
    _flag(
        "--replace-healthy",
        "With --if-exists replace: also delete healthy credentials with another token. Leaf refreshes tokens"
        " itself, so the token in the file may be used up: a dry run counts the growers at stake.",
    ),
)

plan = together(
    _flag("--dry-run", "Ask Leaf but change nothing: show what would happen to each row, and write a plan."),
    click.option(
        "--plan",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="FILE",
        help="Carry out exactly the plan.csv of a dry run; rows that have changed since are left out.",
    ),
)

safety = together(
    click.option(
        "--canary",
        type=click.IntRange(min=0),
        metavar="N",
        help="Finish the first N rows, including their events, before any other row starts.",
    ),
    click.option(
        "--max-failures",
        callback=parsed(parse.max_failures),
        metavar="N|N%",
        help="Stop when more rows than this do not succeed.",
    ),
)

guards = together(
    click.option(
        "--min-rows",
        type=click.IntRange(min=0),
        metavar="N",
        help="Send nothing if the file has fewer rows.",
    ),
    click.option(
        "--max-new",
        callback=parsed(parse.max_new),
        metavar="N|N%",
        help="Send nothing if more rows than this are of growers that are not in the ledger.",
    ),
)

night = together(
    click.option(
        "--notify",
        multiple=True,
        callback=parsed(parse.urls),
        metavar="NAME|URL",
        help="Send a message when the run ends: an Apprise URL, or better the name of a variable that "
        "holds URLs.  [default: BULK_ONBOARD_NOTIFY]",
    ),
    click.option(
        "--notify-when",
        type=click.Choice([each.value for each in NotifyWhen]),
        help="change: only when something got worse or recovered since the last message.  [default: change]",
    ),
    click.option(
        "--fail-on",
        type=click.Choice([each.value for each in FailOn]),
        help="When rows that need attention cause exit code 1: always (problems), only if a grower newly"
        " needs it (change), or never.  [default: problems]",
    ),
    click.option(
        "--ping",
        metavar="NAME|URL",
        help="Request URL when the run succeeds (exit code 0), otherwise URL/fail.  "
        "[default: BULK_ONBOARD_PING]",
    ),
    click.option(
        "--metrics",
        type=_PATH,
        metavar="FILE",
        help="Write metrics for Prometheus to this file, such as NAME.prom.",
    ),
)

events_wait = click.option(
    "--events-wait",
    callback=parsed(parse.seconds),
    metavar="SECONDS",
    help="Wait this long for a credential's first event.  [default: 60]",
)
events = together(
    click.option("--events/--no-events", default=None, help="Check events after onboarding.  [default: yes]"),
    events_wait,
    click.option(
        "--recheck",
        callback=parsed(parse.age),
        metavar="AGE",
        help="Check connected growers again if their last check is older than this, such as 7d or 36h; uses"
        " Leaf's list of users where that is enough.  [default: never]",
    ),
)

place = together(
    click.option("--output", type=_PATH, metavar="FOLDER", help="Folder for reports.  [default: reports]"),
    click.option(
        "--ledger",
        callback=parsed(_ledger),
        metavar="PATH_OR_URL",
        help="The ledger: a file, or a database for several machines, postgresql+psycopg://USER@HOST/DATABASE."
        "  [default: BULK_ONBOARD_LEDGER, or ledger.sqlite3 in the output folder]",
    ),
)
output = together(
    place,
    click.option(
        "--format",
        callback=parsed(parse.formats),
        metavar="LIST",
        help=f"Files to write: {', '.join(parse.FORMATS)}; html is a readable page.  [default: csv,html]",
    ),
)

sandbox = together(
    _flag("--sandbox", "Practise on a local imitation of Leaf; needs no settings."),
    _flag("--sandbox-reset", "Empty the sandbox first."),
    click.option(
        "--sandbox-faults",
        metavar="NAME|FILE",
        help="Simulate faults: none, rainy, storm, throttled, cuts, slow, or a TOML file.",
    ),
)

showing = together(
    as_json,
    click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        help="Log as text, or as one JSON object per line.",
    ),
    click.option("-v", "--verbose", is_flag=True, help="Also list each row that needs attention."),
    click.option("-q", "--quiet", is_flag=True, help="Print only errors and the final summary."),
)
