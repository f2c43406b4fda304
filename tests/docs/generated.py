"""The tables of README and docs/ that are made from the code. `python -m tests.docs` writes them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import click

import bulk_onboard
from bulk_onboard.cli.main import COMMANDS, cli
from bulk_onboard.domain.codes import CODES
from bulk_onboard.domain.model import Status
from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.errors import ExitCode
from bulk_onboard.reports.results import COLUMNS
from bulk_onboard.settings import SETTINGS
from bulk_onboard.settings.declare import Setting
from tests.docs.pages import PAGES, ROOT, SECTION

_CODES = ROOT / "bulk_onboard" / "domain" / "codes.toml"
_COLUMNS: Mapping[str, str] = {
    "row": "the number that a spreadsheet shows: the header is row 1, the first data row is row 2",
    "leafUserId": "the grower",
    "provider": "the provider of this row",
    "status": "one of the statuses above",
    "health": "health of a connected grower, as above; empty if it was not checked",
    "code": "why the row has this status or health, see [codes](#codes); empty if there is nothing to add",
    "message": "what happened in this row; free of secrets",
    "hint": "what to do about it; empty if there is nothing to do",
    "httpStatus": "HTTP status of the response that `code` and `message` describe",
    "attempts": "how many POSTs were sent for the row in this run",
    "credentialId": "Leaf's id of the credentials",
    "credentialStatus": "Leaf's status of the credentials, such as `OK`",
    "eventStatusCode": "status code of the latest provider event",
    "eventAt": "time of that event",
    "startedAt": "when work on the row began",
    "finishedAt": "when it ended",
    "latencyMs": "time that the response took, in milliseconds",
    "fingerprint": "keyed fingerprint of the row's secrets; it does not reveal them",
    "failingSince": "when the row began to need attention, across runs",
    "failedRuns": "in how many consecutive runs it has needed attention",
    "healthCheckedAt": "when its health was last checked",
}
_NEXT_RUN: Mapping[Status, str] = {
    Status.INVALID: "checked again",
    Status.UNRESOLVED: "Leaf is asked first",
    Status.REJECTED: "tried again",
    Status.FAILED: "tried again",
    Status.NOT_ATTEMPTED: "tried again",
}


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    head = list(header)
    lines = [head, ["---"] * len(head), *(list(row) for row in rows)]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def exit_codes() -> str:
    """Exit codes and their meaning."""
    return table(("exit code", "meaning"), ((str(int(code)), code.meaning) for code in ExitCode))


def statuses() -> str:
    """Statuses, their meaning, and what the next run does."""
    rows = (
        (f"`{s}`", _sentence(CODES[s].meaning), _NEXT_RUN.get(s, "nothing to do"))
        for s in Status
        if _of_run(s)
    )
    return table(("status", "meaning", "next run"), rows)


def dry_run_statuses() -> str:
    """Statuses that only a dry run gives."""
    rows = ((f"`{s}`", _sentence(CODES[s].meaning)) for s in Status if not _of_run(s))
    return table(("status", "meaning"), rows)


def health() -> str:
    """The values of health."""
    return table(
        ("health", "meaning"),
        ((f"`{name}`", _sentence(CODES[name].meaning)) for name in ("healthy", "unhealthy", "pending")),
    )


def columns() -> str:
    """The columns of results.csv."""
    return table(("column", "content"), ((f"`{name}`", _COLUMNS[name]) for name in COLUMNS))


def codes() -> str:
    """Every code, in the groups of codes.toml."""
    told = {*Status, "healthy", "unhealthy", "pending"}
    return "\n".join(
        f"### {title[0].upper()}{title[1:]}\n\n"
        + table(
            ("code", "meaning", "what to do"),
            (
                (f"`{name}`", CODES[name].meaning, CODES[name].hint if CODES[name].act else "–")
                for name in names
            ),
        )
        for title, names in _code_groups()
        if not told.issuperset(names)
    )


def providers() -> str:
    """The providers, their settings and their columns."""
    rows = (
        (
            f"`{name}`",
            ", ".join(f"`{provider.setting(f)}`" for f in provider.app_fields) or "–",
            ", ".join(f"`{f.name}`{'' if f.required else ' (optional)'}" for f in provider.grower_fields),
        )
        for name, provider in PROVIDERS.items()
    )
    return table(("provider", "settings of your application", "columns of the file"), rows)


def commands() -> str:
    """The commands."""
    return table(
        ("command", "purpose"), ((f"`bulk-onboard {name}`", text) for name, (_, text) in COMMANDS.items())
    )


def settings() -> str:
    """Every setting, in its groups."""
    groups: dict[str, list[Setting]] = {}
    for setting in SETTINGS:
        groups.setdefault(setting.group, []).append(setting)
    return "\n".join(
        f"### {title}\n\n" + table(("setting", "default", "meaning"), map(_setting, of_group))
        for title, of_group in groups.items()
    )


def other_options() -> str:
    """The options that are not settings, and the commands that have them."""
    rows: dict[str, tuple[str, str, list[str]]] = {}
    known = {setting.flag for setting in SETTINGS}
    for name, option in _options():
        if known.isdisjoint(option.opts):
            text, default = _split_default(option)
            rows.setdefault(_spelled(option), (text, default, []))[2].append(name)
    return table(
        ("option", "commands", "default", "meaning"),
        ((f"`{option}`", ", ".join(names), default, text) for option, (text, default, names) in rows.items()),
    )


def python_api() -> str:
    """The public functions and their docstrings."""
    return "\n".join(
        f"### {function.__name__}\n\n```text\n{_signature(function)}\n```\n\n{inspect.getdoc(function)}\n"
        for function in (bulk_onboard.onboard, bulk_onboard.check_events, bulk_onboard.validate)
    )


GENERATED: Mapping[str, Callable[[], str]] = {
    "exit-codes": exit_codes,
    "statuses": statuses,
    "dry-run-statuses": dry_run_statuses,
    "health": health,
    "columns": columns,
    "codes": codes,
    "providers": providers,
    "commands": commands,
    "settings": settings,
    "python-api": python_api,
    "other-options": other_options,
}


def with_sections(text: str) -> str:
    """Return a page's text with its generated sections written anew."""
    return SECTION.sub(lambda found: found[1] + GENERATED[found[2]]() + found[4], text)


def write() -> list[Path]:
    """Write the generated sections of all pages; return the pages that changed."""
    changed = []
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        if (after := with_sections(before)) != before:
            page.write_text(after, encoding="utf-8")
            changed.append(page)
    return changed


def _signature(function: Callable[..., object]) -> str:
    """The call of a function, one parameter a line."""
    parameters = inspect.signature(function).parameters.values()
    lines = [str(one.replace(annotation=inspect.Parameter.empty)) for one in parameters]
    at = next(n for n, one in enumerate(parameters) if one.kind is inspect.Parameter.KEYWORD_ONLY)
    lines.insert(at, "*")
    start = "await " if inspect.iscoroutinefunction(function) else ""
    text = ",\n    ".join(lines)
    return re.sub(
        r"<function (\w+) at \w+>", r"\1", f"{start}bulk_onboard.{function.__name__}(\n    {text},\n)"
    )


def _of_run(status: Status) -> bool:
    return status not in {Status.WOULD_CREATE, Status.WOULD_REPLACE, Status.NO_SUCH_USER}


def _sentence(text: str) -> str:
    return text.rstrip(".")


def _code_groups() -> Iterator[tuple[str, list[str]]]:
    """Yield the groups of codes.toml: a title in a comment, and the codes below it."""
    _, *parts = re.split(r"^# --- (.+?) -+$", _CODES.read_text(encoding="utf-8"), flags=re.M)
    for title, text in zip(parts[::2], parts[1::2], strict=True):
        yield title, re.findall(r"^\[([\w-]+)\]$", text, flags=re.M)


def _options() -> Iterator[tuple[str, click.Option]]:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command
        for param in command.params:
            if isinstance(param, click.Option) and not param.hidden:
                yield name, param


def _setting(setting: Setting) -> tuple[str, str, str]:
    option = setting.flag
    if setting.negatable:
        option += f", --no-{setting.flag.removeprefix('--')}"
    elif not setting.is_flag and option:
        option += f" {setting.metavar or '|'.join(setting.choices)}"
    names = [option, setting.variable, "" if option else setting.key]
    where = " Only on the command line." if setting.one_run else ""
    return ", ".join(f"`{name}`" for name in names if name), setting.shown, setting.help + where


def _spelled(option: click.Option) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    if option.is_flag:
        return names
    return f"{names} {option.make_metavar(click.Context(cli))}"


def _split_default(option: click.Option) -> tuple[str, str]:
    """Return an option's help without its default, and the default."""
    text = " ".join((option.help or "").split())
    found = re.search(r" ?\[default: (.+)\]$", text)
    if found:
        return text[: found.start()].strip(), found[1]
    shown = option.default if option.show_default and option.default is not None else ""
    return text, str(shown)
