"""An imitation of Leaf to practise on: the documented calls, every unknown as a setting, chosen faults.

``unknowns``     what Leaf's documentation leaves open, as settings
``faults``       what goes wrong, how often, drawn by a seed
``behaviour``    both of them and the rest of the settings; reads a file of faults
``world``        the growers and their credentials: state, nothing else
``store``        the world on disk, without a secret
``calls``        a request and the world become a good Leaf's reply (with ``users``, ``credentials``)
``delivery``     that reply and a fault become what goes over the wire
``app``          aiohttp: from the wire to the above and back; ``desk`` answers ``/sandbox/…``
``serve``        `Sandbox`, the part as a whole
"""

from bulk_onboard.sandbox.behaviour import Account, Behaviour, behaviour
from bulk_onboard.sandbox.faults import PRESETS, Faults, Kind
from bulk_onboard.sandbox.serve import Sandbox
from bulk_onboard.sandbox.unknowns import Unknowns
from bulk_onboard.sandbox.world import User

__all__ = ["PRESETS", "Account", "Behaviour", "Faults", "Kind", "Sandbox", "Unknowns", "User", "behaviour"]
