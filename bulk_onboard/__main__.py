"""``python -m bulk_onboard`` is ``bulk-onboard``."""

import sys


def main() -> int:
    """The command. An interrupt while its parts are still being loaded ends it without a traceback, too."""
    try:
        from bulk_onboard.cli.main import main as command  # noqa: PLC0415
    except KeyboardInterrupt:
        print("bulk-onboard: interrupted; nothing was done", file=sys.stderr)  # noqa: T201
        return 130
    return command()


if __name__ == "__main__":
    sys.exit(main())
