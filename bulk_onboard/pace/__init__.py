"""How fast: the ceiling over all requests, the pauses Leaf asks for, and the limit it does not tell."""

from bulk_onboard.pace.pace import Pace

__all__ = ["Pace"]
