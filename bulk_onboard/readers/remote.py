"""Files of object stores and the web, through fsspec.

The whole content is in memory, like standard input. It is fetched once, so it cannot change between the two
passes, and no secret is written to disk. If there is not enough memory, copy the file to this machine first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from bulk_onboard.domain.input_description import display_name, url_scheme
from bulk_onboard.errors import BulkOnboardError, InputError, NoRows, UsageError
from bulk_onboard.readers.input_file import InputFile

LARGEST = 2 << 30
_BLOCK = 1 << 20
# Scheme -> the extra that installs what opens it.
EXTRAS: Mapping[str, str] = {
    **{"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az", "abfss": "az"},
    **{"https": "https", "http": "https", "memory": "https"},
}
WEB = {"http", "https"}
_LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}


def open_address(where: str, most: int = LARGEST) -> InputFile:
    """Fetch the file at an address. Raises UsageError, or InputError if that is not possible.

    No message repeats the address: it may be signed. ``most``: bytes.
    """
    scheme, name = _known(where)
    content = BytesIO()
    with _translated(name, scheme):
        store = _store(scheme)
        store.invalidate_cache()
        with store.open(where, "rb") as file:
            while block := file.read(_BLOCK):
                content.write(block)
                if content.tell() > most:
                    raise InputError(
                        f"{name} is larger than {most >> 20:,} MiB; copy it here and use the copy"
                    )
    if not content.tell():
        raise NoRows(f"{name} is empty; expected a header and rows")
    return InputFile(name, content.getvalue())


def listed(where: str, *, is_pattern: bool) -> list[tuple[str, bool]]:
    """Return what a pattern matches or a folder contains, or the one file: address, and whether a folder.

    Raises UsageError, or InputError if there is nothing.
    """
    scheme, name = _known(where)
    with _translated(name, scheme):
        store = _store(scheme)
        store.invalidate_cache()
        if not is_pattern and store.info(where)["type"] != "directory":
            return [(where, False)]
        entries = store.glob(where, detail=True).values() if is_pattern else store.ls(where, detail=True)
    folders = {f"{scheme}://{entry['name'].strip('/')}": entry["type"] == "directory" for entry in entries}
    # Some programs create an empty object for the folder itself.
    folders.pop(where.rstrip("/"), None)
    return list(folders.items())


def exists(where: str) -> bool:
    """Return whether a pattern of addresses matches anything; a folder counts."""
    scheme, name = _known(where)
    with _translated(name, scheme):
        store = _store(scheme)
        return bool(store.glob(where) if "*" in where else store.exists(where))


def _known(where: str) -> tuple[str, str]:
    """Return the scheme of an address, and its name for people. Raises UsageError if it is not supported."""
    scheme, name = url_scheme(where) or "", display_name(where)
    if scheme not in EXTRAS:
        raise UsageError(
            f"{name}: {scheme}:// is not supported; choose from {', '.join(f'{kind}://' for kind in EXTRAS)}"
        )
    if scheme == "http" and urlsplit(where).hostname not in _LOCAL_HOSTS:
        raise UsageError(f"{name}: plain http would expose every secret; use https")
    return scheme, name


def _store(scheme: str) -> Any:
    """Return what fsspec has for a scheme. Raises ImportError without the extra."""
    import fsspec  # noqa: PLC0415  (an extra, loaded when used)

    if scheme not in WEB:
        return fsspec.filesystem(scheme)
    import aiohttp  # noqa: PLC0415

    # Redirects are not followed: secrets must come only from the address that the user gave.
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_refuse_redirect)
    # Fetched in one piece, because not every server supports ranges; not cached, which would keep
    # connections.
    return fsspec.filesystem(
        scheme, block_size=0, client_kwargs={"trace_configs": [trace]}, skip_instance_cache=True
    )


async def _refuse_redirect(*_: object) -> None:
    raise InputError("the address redirects to another one; use that address")


@contextmanager
def _translated(name: str, scheme: str) -> Iterator[None]:
    """Turn exceptions of a store into an InputError or UsageError. Their own texts may repeat the address."""
    try:
        yield
    except InputError as error:
        text = str(error)
        raise type(error)(text if text.startswith(name) else f"{name}: {text}") from None
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
        raise InputError(f"{name} cannot be fetched from that {scheme}:// address: {_kind(error)}") from None


def _not_found(error: FileNotFoundError, name: str, scheme: str) -> str:
    """Return the message for FileNotFoundError, which fsspec raises for any error of the web."""
    cause = error.__cause__
    if isinstance(cause, InputError):
        return f"{name}: {cause}"
    if cause is None or getattr(cause, "status", None) in {404, 410}:
        return f"{name}: there is no such file at that {scheme}:// address"
    return f"{name} cannot be fetched from that {scheme}:// address: {_kind(cause)}"


def _kind(error: BaseException) -> str:
    status = getattr(error, "status", None)
    return f"HTTP {status}" if isinstance(status, int) else type(error).__name__
