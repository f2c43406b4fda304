"""The options that several commands share, each a decorator, and the groups of them that go together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bulk_onboard.cli import suggest
from bulk_onboard.model import IfExists
from bulk_onboard.settings import FailOn, LedgerPlace, NotifyWhen, PostgresUrl, parse
from bulk_onboard.settings.ledger_url import holds_password

F = TypeVar("F", bound=Callable[..., Any])


def parsed(parser: Callable[[Any], Any]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A callback that puts a parameter through a function of `parse`; None where it is not given."""

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
    """One decorator out of several, applied so that ``--help`` lists them in this order."""

    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def _flag(name: str, told: str) -> Callable[[F], F]:
    """A flag that is None when it is not given, so that the TOML file can speak."""
    return click.option(name, is_flag=True, default=None, help=told)


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
    help="The provider of rows that name none; `bulk-onboard providers` lists them.  [default: raven]",
)
as_json = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the summary as JSON on standard output, all else on standard error.",
)

plain_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

sheet = click.option(
    "--sheet",
    multiple=True,
    metavar="NAME",
    callback=parsed(parse.sheets),
    help="Sheet of a workbook. Repeatable; '*' reads all sheets with growers.",
)
hidden = click.option(
    "--hidden",
    type=click.Choice(["include", "skip"]),
    help="Rows that a filter or a collapsed group hides: use them too, or leave them out."
    "  [default: refuse to run]",
)

reading = together(
    sheet,
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
        help="Read a field from a column of another name. Repeatable.",
    ),
    click.option(
        "--keep",
        multiple=True,
        metavar="COL,…",
        callback=parsed(_names),
        help="Carry these columns into the results.",
    ),
    click.option(
        "--limit",
        type=_POSITIVE,
        metavar="N",
        help="Only the first N rows; of `run`, the rows up to the Nth that is still to do.",
    ),
    _flag("--allow-shared-tokens", "Let several growers have one token."),
)

create_users = click.option(
    "--create-users/--no-create-users",
    default=None,
    help="Look up rows without leafUserId by externalId or email, and create users who are not there."
    "  [default: no]",
)

strict = _flag("--strict", "Refuse a file in which one row is invalid.")

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
        help="Requests under way at one time.  [default: found by itself]",
    ),
    click.option(
        "--timeout",
        callback=parsed(parse.timeout),
        metavar="SECONDS",
        help="Per request, and until a request without an answer counts as lost.  [default: 30]",
    ),
)

cluster = click.option(
    "--cluster",
    callback=parsed(parse.cluster),
    metavar="WHERE",
    help="Work with several processes: local:N for N of them here, tcp://HOST:PORT or tls://HOST:PORT for"
    " those of a dask scheduler. FILE may be a folder or a pattern.  [default: this process alone]",
)

if_exists = together(
    click.option(
        "--if-exists",
        type=click.Choice([each.value for each in IfExists]),
        help="skip: ask first, never touch what exists; replace: ask, delete what differs and is not healthy,"
        " post; overwrite: post without asking; fail: reject who has credentials already.  [default: skip]",
    ),
    _flag(
        "--replace-healthy",
        "With --if-exists replace: delete also healthy credentials with another token. Leaf refreshes tokens"
        " itself, so the token in the file may be used up: a dry run counts the growers at stake.",
    ),
)

plan = together(
    _flag("--dry-run", "Ask Leaf, but change nothing: what would happen to each row, and a plan of it."),
    click.option(
        "--plan",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="FILE",
        help="Carry out exactly the plan.csv of a dry run; what has changed since is left out.",
    ),
)

safety = together(
    click.option(
        "--canary",
        type=click.IntRange(min=0),
        metavar="N",
        help="Take the first N rows through to their events before any other row starts.",
    ),
    click.option(
        "--max-failures",
        callback=parsed(parse.max_failures),
        metavar="N|N%",
        help="Stop when more rows than this end badly.",
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
        help="Send a message when the run has ended: an Apprise URL, or better the name of a variable that "
        "holds some.  [default: BULK_ONBOARD_NOTIFY]",
    ),
    click.option(
        "--notify-when",
        type=click.Choice([each.value for each in NotifyWhen]),
        help="change: only when something got worse or recovered since the last message.  [default: change]",
    ),
    click.option(
        "--fail-on",
        type=click.Choice([each.value for each in FailOn]),
        help="Exit code 1 because of rows that need attention: always (problems), only if more need it than"
        " after the last run (change), or never.  [default: problems]",
    ),
    click.option(
        "--ping",
        metavar="NAME|URL",
        help="Ask for URL after a run with exit code 0, for URL/fail after any other.  "
        "[default: BULK_ONBOARD_PING]",
    ),
    click.option(
        "--metrics", type=_PATH, metavar="FILE", help="Write metrics for Prometheus, such as NAME.prom."
    ),
)

events_wait = click.option(
    "--events-wait",
    callback=parsed(parse.seconds),
    metavar="SECONDS",
    help="How long to wait for a credential's first event.  [default: 60]",
)
events = together(
    click.option("--events/--no-events", default=None, help="Check events after onboarding.  [default: yes]"),
    events_wait,
    click.option(
        "--recheck",
        callback=parsed(parse.age),
        metavar="AGE",
        help="Check connected growers again if their last check is older, such as 7d or 36h; from Leaf's list"
        " of users where that is enough.  [default: never]",
    ),
)

place = together(
    click.option("--output", type=_PATH, metavar="FOLDER", help="Where reports go.  [default: reports]"),
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
        help=f"What is written: {', '.join(parse.FORMATS)}; html is a page for people.  [default: csv,html]",
    ),
)

sandbox = together(
    _flag("--sandbox", "Practise on a local imitation of Leaf; no setting is needed."),
    _flag("--sandbox-reset", "Empty the sandbox first."),
    click.option(
        "--sandbox-faults",
        metavar="NAME|FILE",
        help="What goes wrong: none, rainy, storm, throttled, cuts, slow, or a TOML file.",
    ),
)

showing = together(
    as_json,
    click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        help="Progress as text, or as one JSON object a line.",
    ),
    click.option("-v", "--verbose", is_flag=True, help="Also say each row that needs attention."),
    click.option("-q", "--quiet", is_flag=True, help="Only errors and the last words."),
)
