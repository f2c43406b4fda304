"""The rate of requests: the ceiling, the pauses that Leaf asks for, and a limit that is not known."""

from bulk_onboard.pace.pace import Pace

__all__ = ["Pace"]
