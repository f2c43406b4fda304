"""Options of the commands: those of settings, generated from their declaration, and those of the display."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce, wraps
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import click

from bulk_onboard.cli import completion
from bulk_onboard.cli.param_types import type_of
from bulk_onboard.cli.runner import Showing
from bulk_onboard.settings import SETTINGS, Setting

F = TypeVar("F", bound=Callable[..., Any])
_LAST = "General"


class Option(click.Option):
    """An option with the title of its group in ``--help``."""

    def __init__(self, *args: Any, group: str = _LAST, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group


class Command(click.Command):
    """A command that shows its options in groups in ``--help``."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group, the general group last."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)):
                groups.setdefault(getattr(param, "group", _LAST), []).append(record)
        for title in sorted(groups, key=_LAST.__eq__):
            with formatter.section(title if len(groups) > 1 else "Options"):
                formatter.write_dl(groups[title])


def option(*names: str, group: str = _LAST, **attributes: Any) -> Callable[[F], F]:
    """Return the decorator for an option that is not a setting."""
    return click.option(*names, cls=Option, group=group, **attributes)


def settings(*names: str) -> Callable[[F], F]:
    """Return the decorator for options of settings, given by name or by the title of their group.

    Without names, the decorator adds the options of all settings.
    """
    known = {name for setting in SETTINGS for name in (setting.option, setting.group)}
    assert known.issuperset(names), names  # noqa: S101
    chosen = [s for s in SETTINGS if s.option and (not names or {s.option, s.group} & set(names))]
    return together(*map(_option, chosen))


def _option(setting: Setting) -> Callable[[F], F]:
    """Return the option of a setting. It is None unless given, so that another source decides."""
    text = setting.help + (f"  [default: {setting.shown}]" if setting.shown else "")
    complete = completion.providers if setting.option == "provider" else None
    flags = f"{setting.flag}/--no-{setting.flag[2:]}" if setting.negatable else setting.flag
    if setting.is_flag:
        return option(flags, setting.option, is_flag=True, default=None, help=text, group=setting.group)
    return option(
        flags,
        setting.option,
        type=type_of(setting),
        metavar=setting.metavar or None,
        multiple=setting.repeatable,
        callback=_joined if setting.repeatable else None,
        shell_complete=complete,
        help=text,
        group=setting.group,
    )


def _joined(_ctx: click.Context, _param: click.Parameter, given: tuple[tuple[str, ...], ...]) -> Any:
    return tuple(chain.from_iterable(given)) or None


def together(*decorators: Callable[[Any], Any]) -> Callable[[F], F]:
    """Combine decorators into one; ``--help`` lists the options in this order."""
    return lambda function: reduce(lambda made, decorator: decorator(made), reversed(decorators), function)


config = option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Settings file.  [default: bulk-onboard.toml if there is one]",
)
as_json = option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the summary as JSON on standard output; everything else goes to standard error.",
)
plain_json = option("--json", "as_json", is_flag=True, help="Print JSON.")
_showing = together(
    as_json,
    option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        help="Log as text, or as one JSON object per line.",
    ),
    option("-v", "--verbose", is_flag=True, help="Also list each row that needs attention."),
    option("-q", "--quiet", is_flag=True, help="Print only errors and the final summary."),
)


def showing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the display; the command receives them as ``showing``."""

    @_showing
    @wraps(function)
    def command(*, as_json: bool, log_format: str, verbose: bool, quiet: bool, **given: Any) -> Any:
        return function(showing=Showing(as_json, log_format, verbose, quiet), **given)

    return command
