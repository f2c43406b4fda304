"""`python -m tests.scale [--simulate]`: write reports/scale.md, after simulating all of it anew if asked."""

from __future__ import annotations

import argparse

from tests.scale import paper, scenes


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.scale", description=__doc__)
    parser.add_argument("--simulate", action="store_true", help="some minutes")
    if parser.parse_args().simulate:
        scenes.keep()
    paper.PATH.write_text(paper.page(scenes.kept()))


if __name__ == "__main__":
    main()
