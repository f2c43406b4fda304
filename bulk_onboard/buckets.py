"""Rows of an input in parts: those of one grower, and those with one token, meet in one bucket. Pure.

A bucket holds what `Repeats` needs to find repeats, conflicts and shared tokens among all rows of the input
that fall into it, so that no process has to hold those of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bulk_onboard.repeats import Findings, Sightings, findings_of, of_growers, of_tokens

# What is mixed into a key before it is divided: the bits of a UUID are not all random.
_ODD = np.uint64(0x9E3779B97F4A7C15)
_HIGH = np.uint64(32)


@dataclass(frozen=True, slots=True)
class Share:
    """What a part has for one bucket, by provider: the rows of its growers, and those with its tokens."""

    growers: Mapping[str, Sightings] = field(repr=False)
    tokens: Mapping[str, Sightings] = field(repr=False)


def share(seen: Mapping[str, Sightings], bucket: int, of: int) -> Share:
    """What these rows have for one of so many buckets."""
    growers, tokens = {}, {}
    for name, each in seen.items():
        growers[name] = _taken(each, _bucket(each.ids[:, 0] ^ each.ids[:, 1], of) == bucket)
        tokens[name] = _taken(each, _bucket(each.prints, of) == bucket)
    return Share(growers, tokens)


def judge(shares: Sequence[Share], *, allow_shared_tokens: bool) -> list[Findings]:
    """What is found in a bucket, given what all parts have for it in the order of their rows."""
    found = [of_growers(each) for each in _joined(share.growers for share in shares)]
    if not allow_shared_tokens:
        found += [of_tokens(each) for each in _joined(share.tokens for share in shares)]
    return found


def _joined(each: Iterable[Mapping[str, Sightings]]) -> list[Sightings]:
    """By provider: rows that go to different ones neither repeat nor contradict each other."""
    parts: dict[str, list[Sightings]] = {}
    for seen in each:
        for name, sightings in seen.items():
            parts.setdefault(name, []).append(sightings)
    return [
        Sightings(*(np.concatenate(column) for column in zip(*some, strict=True))) for some in parts.values()
    ]


def _taken(seen: Sightings, which: np.ndarray) -> Sightings:
    return Sightings(*(column[which] for column in seen))


def _bucket(keys: np.ndarray, of: int) -> np.ndarray:
    return ((keys * _ODD) >> _HIGH) % np.uint64(of)


__all__ = ["Share", "findings_of", "judge", "share"]
