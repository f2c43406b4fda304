"""Files from where they live: object stores and the web, through fsspec.

The whole content is held in memory, like standard input: it is fetched once, so it cannot change between the
two times that it is read, and secrets do not touch the disk. Who has no room for that copies the file here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from bulk_onboard import where as words
from bulk_onboard.errors import BulkOnboardError, InputError, NoRows, UsageError
from bulk_onboard.readers.input_file import Held, was_changed

LARGEST = 2 << 30
_BLOCK = 1 << 20
# Scheme -> the extra that brings what opens it; "" for what fsspec can do alone.
EXTRAS: Mapping[str, str] = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "gcs": "gs",
    "az": "az",
    "abfs": "az",
    "abfss": "az",
    "https": "https",
    "http": "https",
    "memory": "https",
}
WEB = {"http", "https"}
_HERE = {"localhost", "127.0.0.1", "::1"}


def hold_remote(where: str, most: int = LARGEST) -> Held:
    """Fetch what an address leads to. Raises UsageError, or InputError if it cannot be had.

    No message repeats the address: it may be signed.
    """
    scheme, name = known(where)
    with translated(name, scheme):
        data = _fetched(where, scheme, name, most)
    if not data:
        raise NoRows(f"{name} is empty; expected a header and rows")
    return Held(name, BytesIO(data), suffixes(name))


def known(where: str) -> tuple[str, str]:
    """The scheme of an address, and its name for people. Raises UsageError if nothing here can open it."""
    scheme, name = words.scheme(where) or "", words.shown(where)
    if scheme not in EXTRAS:
        raise UsageError(
            f"{name}: {scheme}:// is not supported; choose from {', '.join(f'{each}://' for each in EXTRAS)}"
        )
    if scheme == "http" and urlsplit(where).hostname not in _HERE:
        raise UsageError(f"{name}: plain http would expose every secret; use https")
    return scheme, name


def suffixes(name: str) -> tuple[str, ...]:
    """``.csv``, ``.gz`` of growers.csv.gz."""
    return tuple(suffix.lower() for suffix in PurePosixPath(name).suffixes)


def files_of(scheme: str, **options: Any) -> Any:
    """What fsspec has for a scheme. Raises ImportError without the extra."""
    import fsspec  # noqa: PLC0415  (an extra, loaded when used)

    return fsspec.filesystem(scheme, **_of_the_web(scheme), **options)


def _fetched(where: str, scheme: str, name: str, most: int) -> bytes:
    # From the web in one piece, whether or not the server gives pieces.
    files = files_of(scheme, **({"block_size": 0} if scheme in WEB else {}))
    found = BytesIO()
    with files.open(where, "rb") as file:
        while block := file.read(_BLOCK):
            found.write(block)
            if found.tell() > most:
                raise InputError(f"{name} is larger than {most >> 20:,} MiB; copy it here and use the copy")
    return found.getvalue()


def _of_the_web(scheme: str) -> dict[str, Any]:
    """No redirect is followed, for it may lead to where nobody meant to send or fetch secrets."""
    if scheme not in WEB:
        return {}
    import aiohttp  # noqa: PLC0415

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_refuse_redirect)
    # An instance of its own, for fsspec would keep this one and its connections for ever.
    return {"client_kwargs": {"trace_configs": [trace]}, "skip_instance_cache": True}


async def _refuse_redirect(*_: object) -> None:
    raise InputError("it redirects; give the address that it redirects to")


@contextmanager
def translated(name: str, scheme: str) -> Iterator[None]:
    """Foreign exceptions in words for people. Their own words may repeat the address."""
    try:
        yield
    except InputError as error:
        told = str(error)
        raise type(error)(told if told.startswith(name) else f"{name}: {told}") from None
    except BulkOnboardError:
        raise
    except ImportError:
        raise UsageError(
            f"{name}: {scheme}:// needs an extra: pip install 'bulk-onboard[{EXTRAS[scheme]}]'"
        ) from None
    except FileNotFoundError as error:
        raise InputError(_not_found(error, name, scheme)) from None
    except PermissionError:
        raise InputError(f"{name} cannot be read: permission denied at that {scheme}:// address") from None
    except Exception as error:  # each store has errors of its own
        if type(error).__name__ == "FileExpired":
            raise InputError(was_changed(name)) from None
        raise InputError(f"{name} cannot be fetched from that {scheme}:// address: {_kind(error)}") from None


def _not_found(error: FileNotFoundError, name: str, scheme: str) -> str:
    """Of the web, fsspec says "not found" of whatever went wrong, and keeps that as the cause."""
    cause = error.__cause__
    if isinstance(cause, InputError):
        return f"{name}: {cause}"
    if cause is None or getattr(cause, "status", None) in {404, 410}:
        return f"{name}: there is no such file at that {scheme}:// address"
    return f"{name} cannot be fetched from that {scheme}:// address: {_kind(cause)}"


def _kind(error: BaseException) -> str:
    status = getattr(error, "status", None)
    return f"HTTP {status}" if isinstance(status, int) else type(error).__name__
