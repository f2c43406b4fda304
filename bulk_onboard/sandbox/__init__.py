"""A local imitation of Leaf: the documented calls, every open question as a setting, chosen faults.

``settings``             open questions about Leaf, faults, the rest of the behaviour; a TOML file of them
``state``                users, credentials, logins and the requests seen: one SQLite database
``calls``, ``views``     one request, and the JSON objects of replies
``auth``, ``users``, ``credentials``   handlers of the routes
``faults``               what makes requests go wrong
``server``               `Sandbox`: all of it, served on this machine only
"""

from bulk_onboard.sandbox.server import Sandbox as Sandbox
from bulk_onboard.sandbox.settings import PRESETS as PRESETS
from bulk_onboard.sandbox.settings import Account as Account
from bulk_onboard.sandbox.settings import Area as Area
from bulk_onboard.sandbox.settings import Behaviour as Behaviour
from bulk_onboard.sandbox.settings import Clock as Clock
from bulk_onboard.sandbox.settings import Fault as Fault
from bulk_onboard.sandbox.settings import Faults as Faults
from bulk_onboard.sandbox.settings import Unknowns as Unknowns
from bulk_onboard.sandbox.settings import load_behaviour as load_behaviour
from bulk_onboard.sandbox.settings import read_users as read_users
from bulk_onboard.sandbox.settings import with_answers as with_answers
from bulk_onboard.sandbox.state import User as User
