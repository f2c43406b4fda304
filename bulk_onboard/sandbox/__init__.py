"""A local imitation of Leaf: the documented calls, every open question as a setting, chosen faults.

``settings``     open questions about Leaf, faults, the rest of the behaviour; reads a TOML file of them
``state``        users, credentials, logins and the requests seen: one SQLite database
``calls``        one request, and replies
``views``        JSON objects: credentials, events, users, problems
``auth``, ``users``, ``credentials``, ``admin``   handlers of the routes
``faults``       middlewares that make requests go wrong
``server``       `Sandbox`: the routes, served on this machine only
"""

from bulk_onboard.sandbox.server import Sandbox
from bulk_onboard.sandbox.settings import (
    PRESETS,
    Account,
    Area,
    Behaviour,
    Clock,
    Fault,
    Faults,
    Unknowns,
    load_behaviour,
    read_users,
    with_answers,
)
from bulk_onboard.sandbox.state import User

__all__ = [
    "PRESETS",
    "Account",
    "Area",
    "Behaviour",
    "Clock",
    "Fault",
    "Faults",
    "Sandbox",
    "Unknowns",
    "User",
    "load_behaviour",
    "read_users",
    "with_answers",
]
