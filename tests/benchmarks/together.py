"""Several workers: what a second process gains flat out, and what three make of one ceiling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.benchmarks.cohort import run, write_csv
from tests.benchmarks.pacing import POST_ONLY, fullest_second
from tests.benchmarks.server import Seen, Server
from tests.benchmarks.table import Line, at_least, at_most

# Shares are found in the first seconds, and in the last one there is no work for everybody any more.
FOUND, LEFT = 2.0, 1.0
