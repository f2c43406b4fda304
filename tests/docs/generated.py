"""The tables of README and docs/ that are made from the code. `python -m tests.docs` writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import click

from bulk_onboard.cli.main import COMMANDS, cli
from bulk_onboard.domain.codes import CODES
from bulk_onboard.domain.model import Status
from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.errors import ExitCode
from bulk_onboard.reports.results import COLUMNS
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


def options() -> str:
    """Every option, its default, and the commands that have it."""
    rows: dict[str, tuple[str, str, list[str]]] = {}
    for name, option in _options():
        spelled = _spelled(option)
        text, default = _split_default(option)
        rows.setdefault(spelled, (text, default, []))[2].append(name)
    return table(
        ("option", "meaning", "default", "commands"),
        ((f"`{o}`", text, default, ", ".join(names)) for o, (text, default, names) in rows.items()),
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
    "options": options,
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
