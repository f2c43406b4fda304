"""The proxy between this machine and Leaf, as the environment or the system states it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from bulk_onboard.domain.model import Secret
from bulk_onboard.errors import UsageError


def proxy_for(base_url: str) -> Secret | None:
    """The proxy for Leaf: of HTTPS_PROXY (unless NO_PROXY exempts Leaf), or of the system's settings.

    Plain http is allowed to this machine only, and never goes through a proxy. Raises UsageError.
    """
    url = urlsplit(base_url)
    proxy = getproxies().get("https", "").strip()
    if url.scheme != "https" or not proxy or proxy_bypass(url.hostname or ""):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if not re.match(r"https?://[^/]", proxy):
        raise UsageError("HTTPS_PROXY cannot be used: it must be the URL of an HTTP proxy, http://host:port")
    return Secret(proxy)
