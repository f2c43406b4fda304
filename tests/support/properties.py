"""How many examples a property is tried with: some in each run, all of them with ``THOROUGH=1``.

``THOROUGH=1 pytest -m hypothesis`` is part of CI.
"""

from __future__ import annotations

import os

THOROUGH = bool(os.environ.get("THOROUGH"))


def scaled(count: int) -> int:
    """The number of examples for a property that deserves ``count`` of them."""
    return count if THOROUGH else max(5, count // 4)
