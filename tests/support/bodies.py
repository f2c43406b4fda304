"""The bodies that Leaf documents for its sixteen providers, written down from its pages alone.

Nothing here comes from ``bulk_onboard/domain/providers.toml``, which is tested against this table.
"""

from __future__ import annotations

# Provider: fields of the application, of the grower, and those of the grower that may be left out.
BODIES: dict[str, tuple[str, str, str]] = {
    "raven": ("clientId clientSecret", "refreshToken", ""),
    "raven-slingshot": ("apiKey sharedSecret", "accessKey", ""),
    "john-deere": ("clientKey clientSecret clientEnvironment", "refreshToken", ""),
    "climate-field-view": ("clientId clientSecret apiKey", "refreshToken", ""),
    "cnhi": ("clientId clientSecret subscriptionKey clientEnvironment", "refreshToken", ""),
    "cnhi-field-ops": ("clientId clientSecret subscriptionKey clientEnvironment", "refreshToken", ""),
    "claas": ("clientKey clientSecret clientEnvironment", "refreshToken", ""),
    "trimble": ("clientId clientSecret", "refreshToken", ""),
    "ag-leader": ("publicKey privateKey", "refreshToken", "accessToken"),
    "stara": ("apiKey", "accessToken accessTokenClient refreshToken", ""),
    "sentera": ("", "username password organizationName", ""),
    "agvance": ("apiKey clientEnvironment", "databaseId username password", ""),
    "panorama": ("clientId username password clientEnvironment", "organizationCode refreshToken", ""),
    "lindsay": ("clientId clientSecret clientEnvironment", "refreshToken", ""),
    "valley": ("apid initializationVector key", "username password", ""),
    "agrimatics": ("clientId clientSecret clientEnvironment", "accessToken", ""),
}
