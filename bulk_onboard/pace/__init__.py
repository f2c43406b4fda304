"""How fast: the ceiling over all requests, the pauses Leaf asks for, and the limit it does not tell."""

from bulk_onboard.pace.leader import Leader
from bulk_onboard.pace.pace import Pace
from bulk_onboard.pace.shared import SharedPace

__all__ = ["Leader", "Pace", "SharedPace"]
