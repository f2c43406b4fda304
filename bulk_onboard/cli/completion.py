"""Completions for the shell. They are fast: no heavy import, no open ledger."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

_DEFAULT = Path("reports")
_MOST = 50


def files(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete file names, as the shell does."""
    return [CompletionItem(incomplete, type="file")]


def providers(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of the built-in providers."""
    from bulk_onboard.domain.providers import PROVIDERS  # noqa: PLC0415

    known = PROVIDERS.values()
    return [
        CompletionItem(provider.name, help=provider.title)
        for provider in known
        if provider.name.startswith(incomplete)
    ]


def codes(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete result codes."""
    from bulk_onboard.domain.codes import CODES  # noqa: PLC0415

    return [CompletionItem(name) for name in CODES if name.startswith(incomplete)]


def runs(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the ids of runs that have a report, the latest first."""
    folder = ctx.params.get("output") or _DEFAULT
    run_ids = sorted((path.parent.name for path in folder.glob("*/summary.json")), reverse=True)
    return [CompletionItem(name) for name in run_ids if name.startswith(incomplete)][:_MOST]


def runs_or_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete run ids, or file names if no run id begins with the text."""
    return runs(ctx, param, incomplete) or files(ctx, param, incomplete)
