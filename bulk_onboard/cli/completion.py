"""``bulk-onboard completion SHELL``."""

from __future__ import annotations

import click

_EPILOG = """\b
Examples:
  bulk-onboard completion bash > ~/.local/share/bash-completion/completions/bulk-onboard
  bulk-onboard completion fish > ~/.config/fish/completions/bulk-onboard.fish
  bulk-onboard completion zsh > ~/.zfunc/_bulk-onboard

For zsh the folder has to be in its fpath before compinit:
\b
  fpath=(~/.zfunc $fpath); autoload -U compinit; compinit
"""
# As click derives it from the program's name.
_VARIABLE = "_BULK_ONBOARD_COMPLETE"


@click.command("completion", epilog=_EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Print what makes SHELL complete commands, options, providers, codes and runs."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415

    found = get_completion_class(shell)
    assert found is not None  # noqa: S101  (click knows all three)
    click.echo(found(ctx.find_root().command, {}, "bulk-onboard", _VARIABLE).source())
    return 0
