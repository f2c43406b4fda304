"""The rate of requests: the ceiling, the pauses that Leaf asks for, and Leaf's unknown limit."""

from bulk_onboard.pace.pace import Pace

__all__ = ["Pace"]
