"""Declaring a setting: a field of a frozen dataclass, with its help, its option and its variable.

The declarations use no pydantic, so that ``--help`` and shell completion are fast. `load` passes the same
classes to pydantic-settings, which calls the parsers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from enum import Enum
from typing import Any, Literal, get_args, get_origin, get_type_hints


@dataclass(frozen=True, slots=True)
class Parsed:
    """Annotation of a type: ``parse`` makes its values, or raises ValueError.

    The function accepts texts as people write them, and also its own results.
    """

    parse: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> Any:
        from pydantic_core import core_schema  # noqa: PLC0415  (not for --help)

        return core_schema.no_info_plain_validator_function(self.parse)


_FIELD = "(the name of the field)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting: its help, and its names for users.

    ``option`` is its name on the command line and in the library, by default the name of its field;
    ``variable`` is its name in the environment; "" for none. ``shown`` is the default as text for people.
    ``one_run``: the settings file cannot set it. ``repeatable`` and ``negatable`` describe the option.
    `declared` fills in the rest: ``path`` is the place in the tree of settings, ``parse`` makes values, see
    `Parsed`.
    """

    help: str
    option: str = _FIELD
    variable: str = ""
    metavar: str = ""
    shown: str = ""
    group: str = ""
    one_run: bool = False
    repeatable: bool = False
    negatable: bool = False
    path: tuple[str, ...] = ()
    default: Any = None
    parse: Callable[[Any], Any] | None = None
    choices: tuple[str, ...] = ()

    @property
    def is_flag(self) -> bool:
        """Whether the setting is a boolean."""
        return isinstance(self.default, bool)

    @property
    def flag(self) -> str:
        """The option as it is typed, such as ``--if-exists``."""
        return f"--{self.option.replace('_', '-')}" if self.option else ""

    @property
    def key(self) -> str:
        """The key in bulk-onboard.toml, such as ``if_exists`` or ``leaf.token``; "" if it has none."""
        return "" if self.one_run else self.option or f"leaf.{self.path[-1]}"


def setting(default: Any, help: str, **about: Any) -> Any:
    """Declare a setting, as the value of a field of a dataclass; for ``about`` see `Setting`."""
    metadata = {"setting": Setting(help=help, **about)}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


def group(title: str, kind: type | None) -> Any:
    """Declare a group of settings, as the default of a field of this dataclass type.

    ``kind`` None: the field is None unless the group is chosen.
    """
    return field(default_factory=kind or (lambda: None), metadata={"group": title})


def declared(tree: type, title: str = "", path: tuple[str, ...] = ()) -> Iterator[Setting]:
    """Yield every setting of a tree of dataclasses, in the order of their declaration."""
    hints = get_type_hints(tree, include_extras=True)
    for one in fields(tree):
        place, hint = (*path, one.name), _without_none(hints[one.name])
        if "group" in one.metadata and isinstance(hint, type) and is_dataclass(hint):
            yield from declared(hint, one.metadata["group"] or title, place)
        elif "setting" in one.metadata:
            declaration: Setting = one.metadata["setting"]
            default = one.default if one.default_factory is MISSING else one.default_factory()
            yield replace(
                declaration,
                path=place,
                option=one.name if declaration.option == _FIELD else declaration.option,
                default=default,
                group=declaration.group or title,
                shown=declaration.shown or _shown(default),
                parse=next((mark.parse for mark in get_args(hint)[1:] if isinstance(mark, Parsed)), None),
                choices=_choices(hint),
            )


def _without_none(hint: Any) -> Any:
    """Return X of ``X | None``; a union of other types is wrapped in ``Annotated``."""
    kinds = get_args(hint)
    return kinds[0] if type(None) in kinds else hint


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    if isinstance(default, bool) or not default:
        return ""
    return f"{default:g}" if isinstance(default, float) else str(default)


def _choices(hint: Any) -> tuple[str, ...]:
    if isinstance(hint, type) and issubclass(hint, Enum):
        return tuple(member.value for member in hint)
    return get_args(hint) if get_origin(hint) is Literal else ()
