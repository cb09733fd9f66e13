"""Who may call: this machine's own pages and scripts, or the bearer of the token."""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.requests import Request

from jobs.errors import JobError

SAFE_METHODS = ("GET", "HEAD")
OWN_PAGES = "only this server's own pages and scripts may change something"


class Refused(JobError):
    """The caller may not do this."""

    def __init__(self, status: int, message: str, hint: str) -> None:
        super().__init__(message)
        self.status = status
        self.hint = hint


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
    host = _host_of(f"//{request.headers.get('host', '')}")
    if not beyond_loopback and not is_loopback(host):
        raise Refused(403, f"foreign Host {host!r}", "call this server as 127.0.0.1 or localhost")
    if request.method not in SAFE_METHODS:
        _check_origin(request)
    if beyond_loopback and not _bears(request, token):
        raise Refused(
            401,
            "this server listens beyond loopback, so that every call needs the token",
            "send Authorization: Bearer TOKEN, with the token of owner.json",
        )


def _check_origin(request: Request) -> None:
    origin = request.headers.get("origin")
    if origin is None:
        site = request.headers.get("sec-fetch-site", "same-origin")
        if site not in ("same-origin", "none"):
            raise Refused(403, f"a {site} page may not change anything here", OWN_PAGES)
        return
    if origin.partition("://")[2] != request.headers.get("host"):
        raise Refused(403, f"foreign Origin {origin!r}", OWN_PAGES)


def _host_of(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _bears(request: Request, token: str) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), token.encode())
