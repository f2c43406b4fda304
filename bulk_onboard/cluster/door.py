"""The functions that dask calls on a worker. None raises: an error would travel with all its frames."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import bulk_onboard
from bulk_onboard import buckets
from bulk_onboard.cluster import work
from bulk_onboard.cluster.job import Counted, Done, Errand, Failed, Job, Judged, Looked
from bulk_onboard.cluster.station import Station, station_of
from bulk_onboard.errors import BulkOnboardError, ExitCode, place_of

P = ParamSpec("P")
T = TypeVar("T")


def version() -> str:
    """What a worker runs."""
    return bulk_onboard.__version__


def _told(function: Callable[P, T]) -> Callable[P, T | Failed]:
    """What goes wrong comes back as a value, with nothing in it that is not for people."""

    @wraps(function)
    def telling(*args: P.args, **kwargs: P.kwargs) -> T | Failed:
        # What came before has failed: so has this.
        if failed := next((each for each in _flat(args) if isinstance(each, Failed)), None):
            return failed
        try:
            return function(*args, **kwargs)
        except BulkOnboardError as error:
            return Failed(str(error), ExitCode(error.exit_code))
        except Exception as error:
            # Not its message: that of a foreign exception may quote a row.
            what = f"{type(error).__name__} at {place_of(error)}"
            return Failed(f"a bug in bulk-onboard: {what}. Please report this line", ExitCode.BUG)

    return telling


@_told
def look(job: Job, errand: Errand) -> Looked:
    """Read a part through, and compare it with the ledger."""
    return _done(job, lambda station: work.look(station, errand))


@_told
def summed_up(looked: Looked) -> Looked:
    """The same without what the leader has no use for."""
    return replace(looked, sightings={})


@_told
def share(looked: Looked, bucket: int, of: int) -> buckets.Share:
    """What a part has for one of so many buckets."""
    return buckets.share(looked.sightings, bucket, of)


@_told
def judge(shares: list[buckets.Share], allow_shared_tokens: bool) -> Judged:
    """What repeats or contradicts in a bucket, given what all parts have for it in their order."""
    return Judged(buckets.judge(shares, allow_shared_tokens=allow_shared_tokens))


@_told
def count(job: Job, errand: Errand, first: int, new: bool) -> Counted:
    """Count a part that has been read through, when all findings are known."""
    return _done(job, lambda station: work.count(station, errand, first, new))


@_told
def onboard(job: Job, errand: Errand, seen: tuple[bytes, ...], only: tuple[int, ...] = ()) -> Done:
    """Take a part's rows to their outcomes."""
    return _done(job, lambda station: work.onboard(station, errand, seen, only))


@_told
def check(job: Job, errand: Errand, only: tuple[int, ...] = ()) -> Done:
    """Check the events of a part's rows."""
    return _done(job, lambda station: work.check(station, errand, only))


def _done(job: Job, do: Callable[[Station], Coroutine[Any, Any, T]]) -> T:
    return station_of(job).do(do)


def _flat(arguments: tuple[Any, ...]) -> list[Any]:
    return [each for one in arguments for each in (one if isinstance(one, list) else [one])]
