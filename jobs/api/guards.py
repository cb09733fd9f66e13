"""Who may call: this machine's own pages and scripts, or the bearer of the token."""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.requests import Request

from jobs.errors import JobError

SAFE_METHODS = ("GET", "HEAD")


class Refused(JobError):
    """The caller may not do this."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_caller(request: Request, *, token: str, beyond_loopback: bool) -> None:
    """Raise Refused unless the call comes from where it may.

    A Host that is not this machine is a rebound name, an Origin other than the Host is another
    site's page: both are refused. Beyond loopback every call must carry the token.
    """
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    if not beyond_loopback and not is_loopback(host):
        raise Refused(403, f"foreign Host {host!r}: call this server as 127.0.0.1 or localhost")
    if request.method not in SAFE_METHODS:
        _check_origin(request)
    if beyond_loopback and not _bears(request, token):
        raise Refused(401, "this server listens beyond loopback: send Authorization: Bearer TOKEN")


def _check_origin(request: Request) -> None:
    origin = request.headers.get("origin")
    if origin is None:
        site = request.headers.get("sec-fetch-site", "same-origin")
        if site not in ("same-origin", "none"):
            raise Refused(403, f"a {site} page may not change anything here")
        return
    if urlsplit(origin).netloc != request.headers.get("host"):
        raise Refused(403, f"foreign Origin {origin!r}: only this server's own pages may do this")


def _bears(request: Request, token: str) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), token.encode())
