"""The sandbox's settings as a whole, and how the name of a preset or a TOML file becomes them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from bulk_onboard.errors import UsageError
from bulk_onboard.model import Secret
from bulk_onboard.sandbox.faults import PRESETS, Area, Faults, Kind
from bulk_onboard.sandbox.unknowns import Unknowns, with_answers
from bulk_onboard.sandbox.world import User

E = TypeVar("E", bound=StrEnum)

_METHODS = ("GET", "POST", "DELETE")
_MORE_KEYS = ("methods", "calls", "slow_for")


@dataclass(frozen=True, slots=True)
class Account:
    """The one login that is taken."""

    username: str
    password: Secret


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the sandbox behaves. Times are seconds.

    ``seed``            of the faults; None: other faults each time
    ``latency``         of every answer
    ``event_delay``     from storing credentials to their first event
    ``users``           known from the start
    ``account``         the only login taken; None: any user name and password
    ``token_lifetime``  None: as documented, 30 days or 24 hours
    ``record_size``     requests remembered
    """

    unknowns: Unknowns = field(default_factory=Unknowns)
    faults: Faults = field(default_factory=Faults)
    seed: int | None = None
    latency: float = 0.0
    event_delay: float = 1.0
    users: tuple[User, ...] = ()
    account: Account | None = None
    token_lifetime: float | None = None
    record_size: int = 1_000_000


def behaviour(faults: str | Path = "none") -> Behaviour:
    """The behaviour of a preset's name or a TOML file, everything else by default. Raises UsageError."""
    if str(faults) in PRESETS:
        return Behaviour(faults=PRESETS[str(faults)])
    tables = _tables(Path(faults))
    return Behaviour(
        unknowns=with_answers(Unknowns(), tables.get("unknowns", {})),
        faults=_faults(tables.get("faults", {})),
    )


def _tables(path: Path) -> dict[str, dict[str, object]]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(
            f"{str(path)!r} is not a preset of faults ({', '.join(PRESETS)}) and cannot be read as a file:"
            f" {error.strerror}"
        ) from None
    except ValueError as error:  # TOML and UTF-8 errors both
        raise UsageError(f"{path} is not a TOML file: {error}") from None
    for name, table in tables.items():
        if name not in ("faults", "unknowns") or not isinstance(table, dict):
            raise UsageError(f"{path} holds {name!r}; only the tables [faults] and [unknowns] are known")
    return tables


def _faults(table: Mapping[str, object]) -> Faults:
    shares = {_known(Kind, key): _share(key, value) for key, value in table.items() if key not in _MORE_KEYS}
    faults = Faults(shares)
    if faults.total > 1 + 1e-9:
        raise UsageError(f"the shares of the faults add up to {faults.total:g}, more than 1")
    if "methods" in table:
        faults = replace(faults, methods=frozenset(_methods(table["methods"])))
    if "calls" in table:
        faults = replace(faults, calls=frozenset(_known(Area, each) for each in _texts(table["calls"])))
    if "slow_for" in table:
        faults = replace(faults, slow_for=_seconds(table["slow_for"]))
    return faults


def _known(kinds: type[E], name: str) -> E:
    try:
        return kinds(name)
    except ValueError:
        raise UsageError(
            f"{name!r} is not a fault's {kinds.__name__.lower()}; choose from {', '.join(kinds)}"
        ) from None


def _share(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise UsageError(f"the share of {name} is {value!r}; it goes from 0 to 1")
    return float(value)


def _methods(value: object) -> Iterable[str]:
    for method in (text.upper() for text in _texts(value)):
        if method not in _METHODS:
            raise UsageError(f"{method!r} is not a method of Leaf's; choose from {', '.join(_METHODS)}")
        yield method


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise UsageError(f"slow_for is {value!r}; it is a number of seconds")
    return float(value)
