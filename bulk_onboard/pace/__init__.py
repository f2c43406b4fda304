"""How fast: the ceiling over all requests, and the pauses Leaf asks for."""

from bulk_onboard.pace.ceiling import Ceiling

__all__ = ["Ceiling"]
